import pytest
from hypothesis import given
from hypothesis import strategies as st

from detectors.records import STANCES
from detectors.stance import stance_of


def leading(text: str, *, is_reply: bool = True) -> str:
    stance = stance_of(text, is_reply=is_reply)
    return max(STANCES, key=lambda name: getattr(stance, name))


@pytest.mark.parametrize(
    "text",
    [
        "Is this true?",
        "Really? Any source?",
        "is that confirmed or not?",
        "can anyone confirm this",
        "What happened? Where is it?",
        "how do you know that it was him",
        "unconfirmed?",
        "got proof?",
    ],
)
def test_a_question_about_the_truth_is_an_enquiry(text):
    assert leading(text) == "query"


@pytest.mark.parametrize(
    "text",
    [
        "This is not true",
        "That's a hoax, stop spreading it",
        "FAKE NEWS",
        "the photo is photoshopped, debunked long ago",
        "There is no evidence for any of this",
        "these are lies, no such thing happened",
        "this story is completely false.",
    ],
)
def test_a_contradiction_is_a_denial(text):
    assert leading(text) == "deny"


@pytest.mark.parametrize(
    "text",
    ["Police say two people were hurt", "According to Reuters the airport is closed", "Officials confirmed the number"],
)
def test_words_of_a_named_source_are_a_report(text):
    assert leading(text) == "report"


def test_a_plain_assertion_supports_and_a_plain_reply_comments():
    text = "They poisoned the river"
    assert leading(text, is_reply=False) == "support"
    assert leading(text, is_reply=True) == "comment"


def test_feelings_are_a_comment():
    assert leading("so sad, thoughts and prayers") == "comment"


def test_an_empty_text_is_a_comment_and_nothing_else():
    assert stance_of(" ", is_reply=False).comment == 1.0


@given(st.text(max_size=300), st.booleans())
def test_the_weights_of_any_text_sum_to_one(text, is_reply):
    stance = stance_of(text, is_reply=is_reply)
    values = [getattr(stance, name) for name in STANCES]
    assert sum(values) == pytest.approx(1.0)
    assert min(values) >= 0.0


@given(st.text(max_size=100))
def test_asking_for_a_source_never_lowers_the_share_of_enquiry(text):
    asked = stance_of(f"{text}. Any source?", is_reply=True)
    assert asked.query >= stance_of(text, is_reply=True).query - 1e-9
