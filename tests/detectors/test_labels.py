import pytest
from hypothesis import given
from hypothesis import strategies as st

from detectors.labels import WORDS_SHOWN, label_of


@given(st.lists(st.text(), max_size=5), st.sampled_from(["en", "de", None]))
def test_any_texts_have_a_label_of_few_words(texts, lang):
    label = label_of(texts, lang)
    assert label
    assert label == "(no words)" or 1 <= len(label.split()) <= WORDS_SHOWN


@pytest.mark.parametrize("texts", [[], [""], ["the of and"], ["🔥"]])
def test_where_no_word_says_anything_it_says_so(texts):
    assert label_of(texts, "en") == "(no words)"


def test_words_that_most_texts_share_come_in_the_order_of_the_first():
    texts = [
        "Wolves escaped near Kettering",
        "kettering: WOLVES escaped, run",
        "wolves escaped kettering https://x.y/z",
    ]
    assert label_of(texts, "en") == "wolves escaped kettering"
