from pathlib import Path

import msgspec
import pytest

from detectors.embedding import HashEncoder
from detectors.policy import Configuration
from streams import heads
from streams.errors import SettingsError
from streams.heads import load_weights, own_head_file
from streams.models import configuration_of, load_scorer, space_of_settings
from streams.settings import Settings

FAST = Settings(tier="fast", threads=1)
DEFAULT_SPACE = "all-MiniLM-L6-v2@53aa5117"


def test_an_encoder_gets_the_head_trained_on_its_vectors_else_the_one_on_wording():
    assert load_weights(DEFAULT_SPACE).incitement.space == DEFAULT_SPACE
    assert load_weights(HashEncoder().space).incitement.space == ""


def test_an_encoder_without_a_stance_head_is_served_by_cues_and_one_with_a_head_by_it():
    stance = load_weights(DEFAULT_SPACE).stance
    assert stance is not None
    assert stance.space == DEFAULT_SPACE
    assert load_weights(space_of_settings(FAST)).stance is not None
    assert load_weights(HashEncoder().space).stance is None


def test_the_weights_of_the_stance_head_are_part_of_what_the_configuration_names(monkeypatch: pytest.MonkeyPatch):
    def hashed() -> str:
        return configuration_of(Settings(), Configuration()).weights_hash

    before, shipped = hashed(), heads._shipped
    monkeypatch.setattr(heads, "_shipped", lambda head, space: shipped(head, space) + b" " * (head == "stance"))
    assert hashed() != before


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
        heads._own.cache_clear()
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
