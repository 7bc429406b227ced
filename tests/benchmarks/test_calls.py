from pathlib import Path

import calls
import pytest

from streams.settings import Settings

WRITTEN = [row for row in calls.read_rows(calls.SET) if "half" in row]


def test_the_set_carries_its_licence_and_every_wanted_phrase_stands_in_its_text():
    assert calls.read_rows(calls.SET)[0]["license"] == "Apache-2.0"
    for row in WRITTEN:
        for kind in calls.KINDS:
            for phrase in row[kind]:
                assert phrase.lower() in row["text"].lower()
    assert len({row["text"] for row in WRITTEN}) == len(WRITTEN) == 100


def test_what_is_found_in_the_half_that_rules_were_mended_on_stays_found():
    found = {
        (row["metric"], row.get("kind", "")): row["value"]
        for row in calls.rows(Settings(), Path())
        if row["corpus"].endswith("development")
    }
    assert found["calls_found", ""] >= 0.9
    assert min(found["recall", "place"], found["recall", "time"]) >= 0.85
    assert found["precision", "time"] >= 0.9
    assert found["look_alikes_with_place_and_time", ""] == 0.0


@pytest.mark.parametrize(
    ("found", "wanted", "same"),
    [("at 8pm", "8pm", True), ("this Sunday", "Sunday", True), ("park", "Lidl car park", False), ("7", "17", False)],
)
def test_phrases_are_the_same_but_for_small_words(found, wanted, same):
    assert calls.alike(found, wanted) == same
