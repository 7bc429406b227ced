import importlib.resources
import json

import pytest

from detectors.languages import UNKNOWN, language_told


def test_a_post_in_a_language_that_is_told_is_believed_unless_its_script_says_otherwise():
    assert language_told("de", "kurz") == "de"
    assert language_told("en", "Полиция просит не выходить") == "ru"
    assert language_told("uk", "Поліція просить не виходити") == "uk"


@pytest.mark.parametrize("tag", [None, "", "und", "zxx"])
def test_without_a_tag_the_words_tell(tag):
    assert language_told(tag, "Wir sind heute alle auf der Straße und nicht zu Hause") == "de"
    assert language_told(tag, "we are all on the street today") == "en"


def test_a_text_that_shows_nothing_gets_no_answer():
    assert [language_told(None, text) for text in ("", "Harwick 2:1", "lol", "😀")] == [UNKNOWN] * 4


def test_the_written_examples_are_told_apart():
    content = importlib.resources.files("detectors").joinpath("weights/written_examples.jsonl").read_text("utf-8")
    rows = [json.loads(line) for line in content.splitlines()[1:]]
    english = [language_told(None, row["text"]) for row in rows if "lang" not in row]
    others = [(row["lang"], language_told(None, row["text"])) for row in rows if "lang" in row]
    assert sum(told not in {"en", UNKNOWN} for told in english) <= 0.01 * len(english)
    assert sum(lang == told for lang, told in others) >= 0.9 * len(others)
