import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detectors.static import StaticEncoder, distilled, weight_of

WORDS = ["police", "station", "bomb", "cat", "radiator", "the", "on", "found", "navelli", "12"]


def pieces_of(word: str) -> list[int]:
    """Two letters a piece; what is no letter is no piece."""
    return [ord(a) % 31 for a in word[::2] if a.isalnum()]


def vectors(seed: int = 3) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((31, 24)).astype(np.float32)


@pytest.fixture(scope="module")
def encoder() -> StaticEncoder:
    return StaticEncoder(distilled("toy@12345678", vectors(), dimensions=16), pieces_of)


@given(st.lists(st.lists(st.sampled_from(WORDS), max_size=6).map(" ".join), max_size=12))
def test_a_text_has_the_same_bits_in_any_batch_and_after_any_other(encoder, texts):
    fresh = StaticEncoder(distilled("toy@12345678", vectors(), dimensions=16), pieces_of)
    alone = [fresh.encode([text]).tobytes() for text in texts]
    assert [row.tobytes() for row in encoder.encode(texts)] == alone


def test_the_vector_of_a_text_is_the_sum_of_its_words_each_the_weighed_mean_of_its_pieces():
    table = distilled("toy@12345678", vectors(), dimensions=16)
    pieces = table.pieces.astype(float) * table.scales[:, None]
    expected = sum(
        pieces[pieces_of(word)].mean(axis=0) * weight_of(word) for word in ("police", "found", "the", "police")
    )
    [row] = StaticEncoder(table, pieces_of).encode(["Police found the POLICE!"])
    assert np.allclose(row, expected / np.linalg.norm(expected), atol=1e-6)


def test_a_text_of_which_no_piece_is_known_has_no_direction(encoder):
    assert not encoder.encode(["", " ", "!!!"]).any()
    assert encoder.encode([]).shape == (0, 16)


def test_what_is_remembered_is_bounded_and_does_not_show(encoder, monkeypatch):
    monkeypatch.setattr(encoder._words, "_most_words", 3)
    before = encoder.encode(WORDS).tobytes()
    assert encoder.encode(WORDS).tobytes() == before
    assert len(encoder._words._places) <= len(WORDS)


def test_distilling_keeps_what_the_vectors_differ_in_and_takes_out_what_they_share():
    rows = vectors()
    table = distilled("toy@12345678", rows + 100.0, dimensions=24)
    kept = table.pieces.astype(float) * table.scales[:, None]
    centred = rows - rows.mean(axis=0)
    assert np.allclose(kept @ kept.T, centred @ centred.T, atol=0.4)


def test_the_space_names_the_model_and_the_content_of_the_table():
    one, other = (distilled("toy@12345678", vectors(seed), dimensions=16) for seed in (3, 4))
    assert one.space.startswith("toy-static16@")
    assert len(one.space.rpartition("@")[2]) == 8
    assert one.space != other.space
    assert distilled("toy@12345678", vectors(), dimensions=16).space == one.space


def test_a_rare_word_weighs_more_than_a_common_one():
    assert weight_of("navelli") > weight_of("police") > weight_of("the") > 0.0
