"""Ways to run one sentence model, and which of them is the fastest here.

Processors differ: one has instructions for bfloat16, the next has not. So the first start measures those that are
installed on a few texts, takes the fastest whose vectors agree with plain float32, and remembers it on disk for this
model and machine. All of them give vectors of one space: a cosine of `LEAST_COSINE` to float32 is less than what the
int8 of the journal takes away. Dynamic int8 was tried and is left out: cosines of .85 to .95 are another space.
"""

import importlib.metadata
import importlib.util
import logging
import os
import platform
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from detectors.embedding import MICRO_BATCH
from streams.errors import SettingsError
from streams.settings import Backend, variable_of

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer
    from tokenizers import Tokenizer

LEAST_COSINE = 0.99
"""Least cosine of any warm-up text to the vector of float32; bfloat16 reaches .9999."""

WARM_UP_ROUNDS = 3

WARM_UP = (
    "BREAKING: police say a second device was found at the central station, trains are stopped",
    "is this true? any source",
    "storm damage bridge closed",
    "My cousin works at the hospital: twelve people were brought in, the news says three. Share before it is gone!",
    "lol",
    "El agua del grifo está contaminada, no la beban hasta nuevo aviso",
    "The mayor has denied the rumour that the reservoir was poisoned; all tests were normal, she said",
    "my cat sleeps on the warm radiator all day 😀",
    "election ballots burned warehouse kettering counted again officials",
    "Meet outside the town hall at 8pm tomorrow, bring everyone you know #march",
    "fire",
    "Wolves escaped from the sanctuary last night; rangers ask people near the paddock to stay indoors",
)
"""Short and long ones, as posts are."""

_log = logging.getLogger(__name__)

Compute = Callable[[NDArray[np.int64], NDArray[np.int64]], NDArray[np.float32]]
"""Vectors, shape (n, d), of token ids and their mask, both of shape (n, length)."""


class NotUsableError(Exception):
    """A way to run a model is not installed, or does not fit the model."""


class BatchEncoder:
    """Tokenises once, lays texts of like length side by side, and lets a backend compute.

    Parameters
    ----------
    micro_batch : texts that are computed together; more mean more padding, fewer more calls.
    """

    def __init__(
        self,
        tokenizer: "Tokenizer",
        compute: Compute,
        *,
        space: str,
        dimensions: int,
        backend: str,
        micro_batch: int = MICRO_BATCH,
    ) -> None:
        self.tokenizer = tokenizer
        """Without padding, cut at the model's length."""
        self._compute = compute
        self._space = space
        self._dimensions = dimensions
        self._micro_batch = micro_batch
        self.backend = backend
        """How it computes."""

    @property
    def space(self) -> str:
        """`name@revision`: backends share the space of their model."""
        return self._space

    @property
    def dimensions(self) -> int:
        """Length of a vector."""
        return self._dimensions

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Unit rows in the order of the texts, shape (n, dimensions)."""
        ids = [encoding.ids for encoding in self.tokenizer.encode_batch_fast(list(texts))]
        order = sorted(range(len(ids)), key=lambda place: len(ids[place]))
        rows = np.zeros((len(ids), self._dimensions), np.float32)
        for start in range(0, len(order), self._micro_batch):
            places = order[start : start + self._micro_batch]
            rows[places] = self._compute(*_padded([ids[place] for place in places]))
        return rows

    def encode_pieces(self, ids: Sequence[int]) -> NDArray[np.float32]:
        """Unit vectors of single pieces of the vocabulary, each between the marks of a text, shape (n, dimensions)."""
        before, after = self._marks()
        whole = np.array([[*before, piece, *after] for piece in ids], np.int64)
        return self._compute(whole, np.ones_like(whole))

    def _marks(self) -> tuple[list[int], list[int]]:
        """What the tokenizer puts before and after the pieces of a text."""
        encoding = self.tokenizer.encode("a")
        special = encoding.special_tokens_mask
        first = special.index(0)
        last = len(special) - special[::-1].index(0)
        return encoding.ids[:first], encoding.ids[last:]


def choose(
    model: "SentenceTransformer", space: str, *, backend: Backend, threads: int, remember: Path | None
) -> BatchEncoder | None:
    """Run a model in the way that the settings name, or (`auto`) in the fastest; None leaves it to its own `encode`.

    Parameters
    ----------
    remember : folder in which the choice of `auto` is kept; None measures every time.

    Raises `SettingsError` where the way that is named cannot be used.
    """
    reference = model.encode(list(WARM_UP), normalize_embeddings=True, show_progress_bar=False)
    if backend != "auto":
        try:
            return _tried(model, space, backend, threads, reference)
        except NotUsableError as error:
            raise SettingsError(f"{variable_of('backend')}: {backend}: {error}") from error
    machine = _machine(space, threads)
    known = _remembered(remember, machine)
    if known is not None:
        try:
            return _tried(model, space, known, threads, reference)
        except NotUsableError as error:
            _log.info("backend %s no longer serves (%s); measured again", known, error)
    return _fastest(model, space, threads, reference, remember, machine)


def _fastest(
    model: "SentenceTransformer",
    space: str,
    threads: int,
    reference: NDArray[np.float32],
    remember: Path | None,
    machine: str,
) -> BatchEncoder | None:
    usable: dict[str, BatchEncoder] = {}
    for name in _BACKENDS:
        try:
            usable[name] = _tried(model, space, name, threads, reference)
        except NotUsableError as error:
            _log.debug("backend %s: %s", name, error)
    if not usable:
        _log.info("the model is run by its own encode: none of %s serves", ", ".join(_BACKENDS))
        return None
    seconds = _measured(usable)
    best = min(seconds, key=lambda name: seconds[name])
    per_s = ", ".join(f"{name} {len(WARM_UP) / seconds[name]:.0f}" for name in seconds)
    _log.info("backend %s is the fastest here (texts/s: %s)", best, per_s)
    _remember(remember, machine, best)
    return usable[best]


def _measured(encoders: Mapping[str, BatchEncoder]) -> dict[str, float]:
    """Least seconds over some rounds, in turns, as others may want the processor too."""
    least = dict.fromkeys(encoders, float("inf"))
    for _ in range(WARM_UP_ROUNDS):
        for name, encoder in encoders.items():
            started_s = time.perf_counter()
            encoder.encode(WARM_UP)
            least[name] = min(least[name], time.perf_counter() - started_s)
    return least


def _tried(
    model: "SentenceTransformer", space: str, name: str, threads: int, reference: NDArray[np.float32]
) -> BatchEncoder:
    """Set a backend up and compare its vectors with those of float32; raises `NotUsableError`."""
    module, tokenizer = _parts(model)
    compute = _BACKENDS[name](module, threads)
    encoder = BatchEncoder(tokenizer, compute, space=space, dimensions=reference.shape[1], backend=name)
    cosine = float(np.min(np.sum(encoder.encode(WARM_UP) * reference, axis=1)))
    if not cosine >= LEAST_COSINE:
        raise NotUsableError(f"its vectors have a cosine of {cosine:.4f} to those of float32")
    return encoder


def _parts(model: "SentenceTransformer") -> tuple[Any, "Tokenizer"]:
    """Transformer with its pooling as one module, and its tokenizer; raises `NotUsableError` for other forms."""
    from tokenizers import Tokenizer

    kinds = [type(module).__name__ for module in model]
    transformer = model[0]
    tokenizer = getattr(model.tokenizer, "backend_tokenizer", None)
    network = getattr(transformer, "auto_model", None) or getattr(transformer, "model", None)
    if kinds[:2] != ["Transformer", "Pooling"] or kinds[2:] not in ([], ["Normalize"]) or network is None:
        raise NotUsableError(f"it is made for a transformer with pooling, not for {', '.join(kinds)}")
    if tokenizer is None:
        raise NotUsableError("the model has no fast tokenizer")
    own = Tokenizer.from_str(tokenizer.to_str())  # the model's own is set anew with each of its calls
    own.no_padding()
    own.enable_truncation(int(model.max_seq_length or 512))
    return _pooled(network, _pooling_mode(model[1])), own


def _pooling_mode(pooling: Any) -> str:
    mode = getattr(pooling, "pooling_mode", None)
    mode = mode if isinstance(mode, str) else pooling.get_pooling_mode_str()
    if mode not in {"mean", "cls"}:
        raise NotUsableError(f"pooling by {mode} is not known here")
    return str(mode)


def _pooled(network: Any, mode: str) -> Any:
    import torch

    class Pooled(torch.nn.Module):  # type: ignore[misc, unused-ignore]
        """Unit vectors of texts."""

        def __init__(self) -> None:
            super().__init__()
            self.network = network

        def forward(self, input_ids: Any, attention_mask: Any) -> Any:
            hidden = self.network(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
            if mode == "cls":
                vectors = hidden[:, 0]
            else:
                mask = attention_mask.unsqueeze(-1).to(hidden.dtype)
                vectors = (hidden * mask).sum(1) / mask.sum(1).clamp(min=1e-9)
            return torch.nn.functional.normalize(vectors.float(), dim=1)

    return Pooled().eval()


def _torch(module: Any, threads: int, *, bfloat16: bool = False) -> Compute:
    import copy

    import torch

    if threads:
        torch.set_num_threads(threads)
    if bfloat16:
        module = copy.deepcopy(module).to(torch.bfloat16)

    def compute(ids: NDArray[np.int64], mask: NDArray[np.int64]) -> NDArray[np.float32]:
        with torch.inference_mode():
            rows = module(torch.from_numpy(ids), torch.from_numpy(mask))
        return np.asarray(rows.numpy(), np.float32)

    return compute


def _torch_bf16(module: Any, threads: int) -> Compute:
    return _torch(module, threads, bfloat16=True)


def _openvino(module: Any, threads: int, *, precision: str = "f32") -> Compute:
    if importlib.util.find_spec("openvino") is None:
        raise NotUsableError("the package openvino is not installed (`pip install emberwatch[fast]`)")
    import openvino
    import torch
    from openvino.frontend import FrontEndManager
    from openvino.frontend.pytorch.ts_decoder import TorchScriptPythonDecoder

    example = {"input_ids": torch.ones(2, 8, dtype=torch.int64), "attention_mask": torch.ones(2, 8, dtype=torch.int64)}
    try:
        with warnings.catch_warnings(action="ignore"), torch.inference_mode():
            # The front end itself, not `openvino.convert_model`: that one reports its use over the network.
            front_end = FrontEndManager().load_by_framework("pytorch")
            decoder = TorchScriptPythonDecoder(module, example_input=example)
            converted = front_end.convert(front_end.load(decoder))
            converted.reshape({place: openvino.PartialShape([-1, -1]) for place in range(2)})
            options = {"INFERENCE_PRECISION_HINT": precision, "NUM_STREAMS": 1, "PERFORMANCE_HINT": "LATENCY"}
            if threads:
                options["INFERENCE_NUM_THREADS"] = threads
            request = openvino.Core().compile_model(converted, "CPU", options).create_infer_request()
    except RuntimeError as error:
        raise NotUsableError(f"openvino: {error}") from error

    def compute(ids: NDArray[np.int64], mask: NDArray[np.int64]) -> NDArray[np.float32]:
        return np.array(request.infer([ids, mask], share_inputs=True)[0], np.float32)

    return compute


def _openvino_bf16(module: Any, threads: int) -> Compute:
    return _openvino(module, threads, precision="bf16")


_BACKENDS: Mapping[str, Callable[[Any, int], Compute]] = {
    "torch": _torch,
    "torch-bf16": _torch_bf16,
    "openvino": _openvino,
    "openvino-bf16": _openvino_bf16,
}


def _padded(ids: Sequence[Sequence[int]]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Token ids and their mask, each of shape (n, longest)."""
    shape = len(ids), max(map(len, ids))
    padded, mask = np.zeros(shape, np.int64), np.zeros(shape, np.int64)
    for row, own in enumerate(ids):
        padded[row, : len(own)] = own
        mask[row, : len(own)] = 1
    return padded, mask


class _Choice(Struct):
    """What was the fastest, by machine and model."""

    backends: dict[str, str] = {}


def _file(folder: Path) -> Path:
    return folder / "backends.json"


def _remembered(folder: Path | None, machine: str) -> str | None:
    if folder is None:
        return None
    try:
        choice = msgspec.json.decode(_file(folder).read_bytes(), type=_Choice)
    except (OSError, msgspec.MsgspecError):
        return None
    name = choice.backends.get(machine)
    return name if name in _BACKENDS else None


def _remember(folder: Path | None, machine: str, backend: str) -> None:
    """Keep the choice; another process may do so at the same time, and then one of the two stays."""
    if folder is None:
        return
    try:
        known = msgspec.json.decode(_file(folder).read_bytes(), type=_Choice).backends
    except (OSError, msgspec.MsgspecError):
        known = {}
    beside = _file(folder).with_suffix(f".{os.getpid()}")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        beside.write_bytes(msgspec.json.encode(_Choice({**known, machine: backend})))
        beside.replace(_file(folder))
    except OSError as error:
        _log.warning("the choice of the backend is not kept: %s", error)


def _machine(space: str, threads: int) -> str:
    """Everything that the choice depends on."""
    parts = [space, f"{threads or 'all'} threads", f"{os.cpu_count()} cpus", _processor()]
    for package in ("torch", "openvino"):
        try:
            parts.append(f"{package} {importlib.metadata.version(package)}")
        except importlib.metadata.PackageNotFoundError:
            parts.append(f"no {package}")
    return ", ".join(parts)


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(errors="replace").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())
