import logging
from importlib.util import find_spec
from pathlib import Path

import msgspec
import numpy as np
import pytest

from detectors.embedding import Encoder
from streams import backends
from streams.backends import LEAST_COSINE, WARM_UP, BatchEncoder
from streams.errors import SettingsError
from streams.sentence_model import SentenceEncoder, load_encoder

TEXTS = [
    "",
    "fire",
    "Police found a second bomb at the central station",
    "x" * 20_000,
    "a \x00 b",
    "火災が発生しました",
    *(f"report number {i} of the storm" + " and its damage" * (i % 7) for i in range(40)),
]

needs_openvino = pytest.mark.skipif(
    find_spec("openvino") is None, reason="openvino is not installed (pip install emberwatch[fast])"
)


@pytest.fixture(scope="module")
def float32() -> Encoder:
    return load_encoder(threads=1)


@pytest.mark.parametrize(
    "backend",
    [
        "torch",
        "torch-bf16",
        pytest.param("openvino", marks=needs_openvino),
        pytest.param("openvino-bf16", marks=needs_openvino),
    ],
)
def test_every_backend_gives_the_vectors_of_float32_in_order(backend, float32: Encoder):
    encoder = load_encoder(threads=1, backend=backend)
    assert (encoder.space, encoder.dimensions) == (float32.space, 384)
    rows = encoder.encode(TEXTS)
    assert rows.dtype == np.float32
    assert np.allclose(np.linalg.norm(rows, axis=1), 1.0, atol=1e-2)
    assert np.sum(rows * float32.encode(TEXTS), axis=1).min() > LEAST_COSINE
    assert encoder.encode([]).shape == (0, 384)


def test_the_fastest_is_measured_once_and_then_remembered(tmp_path: Path, caplog, monkeypatch):
    monkeypatch.setattr(backends, "_BACKENDS", {name: backends._BACKENDS[name] for name in ("torch", "torch-bf16")})
    seconds = {"torch": 0.2, "torch-bf16": 0.1}
    monkeypatch.setattr(backends, "_measured", lambda usable: {name: seconds[name] for name in usable})
    with caplog.at_level(logging.INFO):
        first = load_encoder(threads=1, backend="auto", remember=tmp_path)
    assert isinstance(first, BatchEncoder)
    assert first.backend == "torch-bf16"
    assert "backend torch-bf16 is the fastest here" in caplog.text
    monkeypatch.setattr(backends, "_measured", None)  # measuring again would fail
    again = load_encoder(threads=1, backend="auto", remember=tmp_path)
    assert isinstance(again, BatchEncoder)
    assert again.backend == "torch-bf16"


def test_what_was_measured_on_another_machine_does_not_count(tmp_path: Path, monkeypatch):
    monkeypatch.setattr(backends, "_BACKENDS", {"torch": backends._BACKENDS["torch"]})
    (tmp_path / "backends.json").write_bytes(msgspec.json.encode({"backends": {"elsewhere": "openvino"}}))
    encoder = load_encoder(threads=1, backend="auto", remember=tmp_path)
    assert isinstance(encoder, BatchEncoder)
    assert encoder.backend == "torch"


def test_a_damaged_memory_is_measured_again(tmp_path: Path, monkeypatch):
    monkeypatch.setattr(backends, "_BACKENDS", {"torch": backends._BACKENDS["torch"]})
    (tmp_path / "backends.json").write_bytes(b"{")
    load_encoder(threads=1, backend="auto", remember=tmp_path)
    assert list(msgspec.json.decode((tmp_path / "backends.json").read_bytes())["backends"].values()) == ["torch"]


def test_a_backend_whose_vectors_differ_is_never_chosen(tmp_path: Path, monkeypatch):
    def wrong(module, threads):
        return lambda ids, mask: np.full((len(ids), 384), 384**-0.5, np.float32)

    monkeypatch.setattr(backends, "_BACKENDS", {"torch": backends._BACKENDS["torch"], "torch-bf16": wrong})
    encoder = load_encoder(threads=1, backend="auto", remember=tmp_path)
    assert isinstance(encoder, BatchEncoder)
    assert encoder.backend == "torch"
    with pytest.raises(SettingsError, match=r"EMBERWATCH_BACKEND: torch-bf16: its vectors have a cosine of"):
        load_encoder(threads=1, backend="torch-bf16")


def test_a_backend_that_is_not_installed_is_refused_by_name(monkeypatch):
    monkeypatch.setattr(backends.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(backends.NotUsableError, match="openvino is not installed"):
        backends._openvino(None, 1)


def test_a_model_of_another_form_is_run_by_its_own_encode(tmp_path: Path, static_model: Path):
    assert isinstance(load_encoder(str(static_model), threads=1, backend="auto", remember=tmp_path), SentenceEncoder)
    with pytest.raises(SettingsError, match="made for a transformer with pooling"):
        load_encoder(str(static_model), threads=1, backend="torch-bf16")


def test_the_texts_of_the_warm_up_are_short_and_long():
    lengths = sorted(len(text) for text in WARM_UP)
    assert lengths[0] < 5
    assert lengths[-1] > 100
