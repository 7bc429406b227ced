import time

import pytest

from detectors.quotation import own_words


@pytest.mark.parametrize(
    ("text", "own"),
    [
        ('"Burn it down", a man shouted at us', "... , a man shouted at us"),
        ("He wrote “hang them all” under my post", "He wrote ... under my post"),
        ("He wrote ‘you don’t belong here’ under my post", "He wrote ... under my post"),
        ("The sign said 'run them over' and nobody cared", "The sign said ... and nobody cared"),
        ('"Kill them" is a vile thing to put on a cake', "... is a vile thing to put on a cake"),
        ('She said "no" and he said "then die"', "She said ... and he said ..."),
    ],
)
def test_a_report_is_read_without_what_it_quotes(text, own):
    assert own_words(text) == own


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Burn it down tonight",
        '"Burn it down tonight, all of you"',
        '"Burn it down tonight", lads',
        'Everybody to the hotel at nine: "burn it down"',  # marks alone are no report
        "The traitors' houses and the judges' cars, get 'em all",
        "they said it's the dogs' bowl",
        'he said 6" of snow',
    ],
)
def test_where_nothing_is_reported_the_text_is_read_as_it_is(text):
    assert own_words(text) == ""


def test_marks_without_end_cost_little():
    started = time.process_time()
    for text in ("' a" * 3000, '"' * 9001, "'a'a" * 2500, "x 'y" * 2500):
        own_words(f"he said {text}")
    assert time.process_time() - started < 5.0
