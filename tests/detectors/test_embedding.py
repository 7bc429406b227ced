import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detectors.embedding import HashEncoder, TextCache, embed


class Recorder(HashEncoder):
    """Remembers the batches it was given."""

    def __init__(self) -> None:
        super().__init__()
        self.batches: list[list[str]] = []

    def encode(self, texts):
        self.batches.append(list(texts))
        return super().encode(texts)


@given(st.lists(st.text(max_size=20), max_size=20))
def test_vectors_come_in_the_order_of_the_texts(texts: list[str]):
    one_by_one = np.vstack([np.zeros((0, 64), np.float32), *(HashEncoder().encode([text]) for text in texts)])
    assert embed(HashEncoder(), texts).tobytes() == one_by_one.tobytes()


def test_each_distinct_text_is_embedded_once_whatever_their_order():
    encoder = Recorder()
    embed(encoder, ["a long text", "b", "a", "b", "a longer text", "b"])
    embed(encoder, ["b", "a longer text", "a", "a long text"])
    assert encoder.batches == [["a", "b", "a long text", "a longer text"]] * 2


def test_no_texts_give_no_rows():
    assert embed(HashEncoder(), []).shape == (0, 64)


@pytest.mark.parametrize("dimensions", [0, 7, 12, 1024])
def test_a_hash_encoder_says_which_dimensions_it_can_have(dimensions: int):
    with pytest.raises(ValueError, match=str(dimensions)):
        HashEncoder(dimensions)


def test_near_identical_texts_are_near_and_others_are_not():
    a, b, c = HashEncoder().encode(
        ["police found a second device at the station", "Police found a second device at station", "cats sleep all day"]
    )
    assert a @ b > 0.85
    assert a @ c < 0.5


@given(st.lists(st.tuples(st.booleans(), st.sampled_from("abcdef"))), st.integers(1, 4))
def test_the_cache_holds_the_texts_used_last(uses: list[tuple[bool, str]], most: int):
    cache, recent, asked = TextCache[str](most), list[str](), 0
    for is_put, text in uses:
        if is_put:
            cache.put(text, text.upper())
        else:
            asked += 1
            assert cache.get(text) == (text.upper() if text in recent else None)
        if is_put or text in recent:
            recent = [*(other for other in recent if other != text), text][-most:]
    assert len(cache) == len(recent)
    assert cache.hits + cache.misses == asked


def test_the_cache_holds_no_text():
    cache = TextCache[int](3)
    cache.put("a secret text", 1)
    assert "secret" not in repr(vars(cache))


def test_a_cache_for_nothing_is_refused():
    with pytest.raises(ValueError, match="at least one"):
        TextCache[int](0)
