import math
import random
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors import claim_index
from detectors.claim_index import BM25_B, BM25_K1, LEXICAL_BONUS, LEXICAL_SCALE, Asked, ClaimShelf

DIMENSIONS = 16
WORDS = [f"word{number}" for number in range(30)]


def direction(seed):
    return np.random.default_rng(seed).integers(-127, 128, DIMENSIONS).astype(np.int8).tobytes()


def claim(seed):
    return [direction(seed)], Counter(random.Random(seed).choices(WORDS, k=8))


def shelf_of(seeds):
    shelf = ClaimShelf()
    for seed in seeds:
        shelf.put(f"c{seed:03}", *claim(seed))
    return shelf


def asked(seed):
    return Asked(direction(seed), frozenset(random.Random(seed).sample(WORDS, 4)))


def by_the_formula(seeds, question):
    """Fused scores of every claim, plainly."""
    claims = {f"c{seed:03}": claim(seed) for seed in seeds}
    lengths = {claim_id: counts.total() for claim_id, (_, counts) in claims.items()}
    mean = sum(lengths.values()) / len(lengths)
    shelf = shelf_of(seeds)
    most = max(claim_index.COMMON_CLAIMS, int(claim_index.COMMON_RATIO * len(claims)))
    scores = {}
    for claim_id, ([dense], counts) in claims.items():
        left, right = (np.frombuffer(each, np.int8).astype(float) for each in (dense, question.dense))
        bm25 = 0.0
        for word in question.words & counts.keys():
            if sum(word in other for _, other in claims.values()) <= most:
                norm = BM25_K1 * (1 - BM25_B + BM25_B * lengths[claim_id] / mean)
                bm25 += shelf.rarity(word) * (BM25_K1 + 1) * counts[word] / (counts[word] + norm)
        cosine = left @ right / math.sqrt((left @ left) * (right @ right))
        scores[claim_id] = cosine + LEXICAL_BONUS * bm25 / (bm25 + LEXICAL_SCALE)
    return scores


@given(st.sets(st.integers(0, 999), min_size=1, max_size=40), st.integers(1000, 1999), st.integers(1, 50))
@settings(deadline=None, max_examples=60)
def test_the_nearest_are_those_of_the_plain_formula(seeds, question, k):
    expected = by_the_formula(seeds, asked(question))
    [hits] = shelf_of(seeds).nearest([asked(question)], k)
    least = sorted(expected.values(), reverse=True)[min(k, len(seeds)) - 1]
    assert {hit.claim_id for hit in hits} >= {one for one, score in expected.items() if score > least + 0.01}
    assert len(hits) >= min(k, len(seeds))
    for hit in hits:  # vectors are rounded to int8 again
        assert hit.fused == pytest.approx(expected[hit.claim_id], abs=0.01)


@given(st.lists(st.integers(0, 60), min_size=1, max_size=80), st.integers(0, 2**32))
@settings(deadline=None, max_examples=40)
def test_the_answer_depends_on_the_claims_held_not_on_what_came_and_went(seeds, order):
    winding, held = ClaimShelf(), set()
    for seed in seeds:
        name = f"c{seed:03}"
        if seed in held:
            winding.remove(name, claim(seed)[1])
            held.discard(seed)
        else:
            winding.put(name, *claim(seed))
            held.add(seed)
    straight = shelf_of(random.Random(order).sample(sorted(held), len(held)))
    questions = [asked(1000), asked(1001)]
    assert winding.nearest(questions, 10) == straight.nearest(questions, 10)


def test_wordings_looked_up_together_get_what_each_gets_alone(monkeypatch):
    monkeypatch.setattr(claim_index, "BLOCK_ROWS", 7)
    shelf = shelf_of(range(60))
    questions = [asked(seed) for seed in range(1000, 1012)]
    assert shelf.nearest(questions, 5) == [shelf.nearest([one], 5)[0] for one in questions]
    monkeypatch.setattr(claim_index, "BLOCK_ROWS", 10_000)
    assert shelf.nearest(questions, 5) == [shelf_of(range(60)).nearest([one], 5)[0] for one in questions]


def test_what_is_removed_leaves_no_trace():
    shelf = shelf_of(range(5))
    before = shelf.nearest([asked(1000)], 5)
    shelf.put("passing", *claim(77))
    shelf.remove("passing", claim(77)[1])
    assert shelf.nearest([asked(1000)], 5) == before
    for seed in range(5):
        shelf.remove(f"c{seed:03}", claim(seed)[1])
    assert len(shelf) == 0
    assert shelf.nearest([asked(1000)], 5) == [[]]


def test_a_claim_and_a_question_without_a_direction_are_no_error():
    shelf = shelf_of(range(3))
    shelf.put("empty", [bytes(DIMENSIONS)], Counter())
    [hits] = shelf.nearest([Asked(bytes(DIMENSIONS), frozenset())], 10)
    assert [hit.fused for hit in hits] == [0.0] * 4
    assert shelf.alike("empty", "c001") == 0.0


def test_vectors_of_other_dimensions_are_refused():
    shelf = shelf_of(range(3))
    with pytest.raises(ValueError, match="3 dimensions"):
        shelf.put("other", [bytes([1, 2, 3])], Counter())
    with pytest.raises(ValueError, match="3 dimensions"):
        shelf.nearest([Asked(bytes([1, 2, 3]), frozenset())], 1)


def test_memory_grows_by_some_bytes_a_claim():
    shelf = shelf_of(range(400))
    assert shelf.nbytes() < 400 * (DIMENSIONS + 100) * 2
