import hashlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from wordfreq import top_n_list, zipf_frequency

from detectors.lexical import DIMENSIONS, LexicalChannel, language_of, weight_hundredths, weighted_direction, words_of


def vectors(*texts: str, language: str = "en") -> np.ndarray:
    return LexicalChannel().vectors(texts, [language] * len(texts))


@given(st.lists(st.text(max_size=60), max_size=5))
def test_rows_have_unit_length_or_say_nothing(texts: list[str]):
    rows = vectors(*texts)
    assert rows.shape == (len(texts), DIMENSIONS)
    assert rows.dtype == np.float32
    lengths = np.linalg.norm(rows, axis=1)
    assert np.all(np.isclose(lengths, 1.0, atol=1e-6) | (lengths == 0.0))


@given(st.permutations(["fire", "at", "the", "Harbour", "#Riga", "12", "火災"]))
def test_the_order_and_number_of_words_do_not_change_a_bit(words: list[str]):
    assert vectors(" ".join(words)).tobytes() == vectors("fire at the harbour riga 12 火災 fire #fire").tobytes()


def test_a_text_without_words_is_zeros():
    assert not vectors("", "!!! …", "🔥").any()


def test_a_text_of_the_commonest_words_only_is_zeros():
    assert not vectors("the").any()


def test_rare_words_shared_bring_texts_nearer_than_common_ones():
    a, names, common = vectors(
        "Navelli mayor asks about the earthquake", "what did Navelli say on the earthquake", "she asks about the mayor"
    )
    assert a @ names > a @ common


def test_a_word_has_the_direction_that_its_hash_says_on_every_machine():
    direction = weighted_direction("navelli", "en")
    assert set(direction.tolist()) == {-700, 700}
    first_byte = hashlib.blake2b(b"navelli", digest_size=32).digest()[0]
    assert [int(value > 0) for value in direction[:8]] == [first_byte >> bit & 1 for bit in range(7, -1, -1)]
    assert hashlib.sha256(direction.tobytes()).hexdigest()[:16] == "5d364cbbd37bbed3"


def test_random_words_are_nearly_at_right_angles():
    rows = vectors(*(f"w{i}x" for i in range(200)))
    cosines = (rows @ rows.T)[np.triu_indices(200, 1)]
    assert abs(float(cosines.mean())) < 0.01
    assert float(cosines.std()) == pytest.approx(DIMENSIONS**-0.5, rel=0.1)


def test_a_common_word_of_the_posts_language_weighs_less_there():
    assert weight_hundredths("und", "de") < weight_hundredths("und", "en")


@pytest.mark.parametrize(("tag", "language"), [("de-AT", "de"), ("EN_us", "en"), ("zh", "en"), ("", "en"), ("-", "en")])
def test_a_language_tag_names_the_word_list(tag: str, language: str):
    assert language_of(tag) == language


@given(st.text(max_size=40))
def test_words_hold_what_the_text_holds(text: str):
    assert all(word and word in text.lower() for word in words_of(text))


def test_a_small_cache_gives_the_same_vectors():
    texts = ["fire at the harbour", "the harbour is quiet", "fire"]
    small = LexicalChannel(cache_words=1).vectors(texts, ["en"] * 3)
    assert small.tobytes() == vectors(*texts).tobytes()


@given(st.sampled_from(top_n_list("en", 50_000)) | st.text(alphabet="abcdefgh", min_size=1, max_size=9))
def test_the_short_way_to_the_frequency_of_a_plain_word_gives_what_wordfreq_says(word: str):
    expected = max(0, round(100 * (7.0 - zipf_frequency(word, "en", wordlist="best"))))
    assert weight_hundredths(word, "en") == expected


@given(st.lists(st.lists(st.sampled_from(["fire", "hall", "the", "12", "火災"]), max_size=6).map(" ".join), max_size=6))
def test_a_row_is_the_sum_of_the_directions_of_the_distinct_words(texts: list[str]):
    for row, text in zip(vectors(*texts), texts, strict=True):
        total = sum((weighted_direction(word, "en").astype(np.int64) for word in set(words_of(text))), np.zeros(256))
        length = np.linalg.norm(total)
        assert np.allclose(row, total / length if length else 0.0, atol=1e-6)
