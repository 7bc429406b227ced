import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detectors.vectors import COSINE, RADIUS, centroid, quantise, to_whole, whole, whole_dense

SEEDS = st.integers(0, 2**32 - 1)


def made(seed, count, dense=24, lexical=16):
    draw = np.random.default_rng(seed)
    channels = [(draw.normal(size=dense), draw.normal(size=lexical)) for _ in range(count)]
    return [quantise(a.astype(np.float32), b.astype(np.float32), "toy") for a, b in channels]


def unit(channel):
    row = np.frombuffer(channel, np.int8).astype(np.float32)
    return row / np.linalg.norm(row)


@given(SEEDS, st.floats(0, 1), st.integers(1, 9))
def test_products_are_whole_and_the_same_in_any_order_of_dimensions_and_in_any_batch(seed, lexical_weight, batch):
    rows = whole(made(seed, 20, 384, 256), lexical_weight)
    exact = rows.astype(np.int64) @ rows.astype(np.int64).T
    order = np.random.default_rng(seed).permutation(rows.shape[1])
    assert (rows @ rows.T == exact).all()
    assert (rows[:, order] @ rows[:, order].T == exact).all()
    batches = [rows[start : start + batch] @ rows.T for start in range(0, len(rows), batch)]
    assert (np.concatenate(batches) == exact).all()
    one_by_one = [sum(np.float32(a * b) for a, b in zip(rows[0], row, strict=True)) for row in rows]
    assert one_by_one == exact[0].tolist()


@given(SEEDS, st.floats(0, 1))
def test_a_whole_vector_is_shorter_than_4096_so_that_float32_holds_every_sum(seed, lexical_weight):
    for dense, lexical in [(24, 16), (3500, 500)]:
        rows = whole(made(seed, 3, dense, lexical), lexical_weight).astype(np.int64)
        assert ((rows**2).sum(axis=1) < 2**24).all()


def test_the_worst_direction_is_still_short_enough_and_one_dimension_more_is_refused():
    everywhere_half = np.full((1, 4000), 1 / 4000**0.5)
    assert (to_whole(everywhere_half).astype(np.int64) ** 2).sum() < 2**24
    with pytest.raises(ValueError, match="4001 dimensions"):
        to_whole(np.zeros((1, 4001)))


@given(SEEDS, st.floats(0, 1))
def test_a_cosine_of_whole_vectors_is_that_of_the_unit_vectors_within_what_rounding_can_do(seed, lexical_weight):
    vectors = made(seed, 8)
    rows = whole(vectors, lexical_weight)
    errors = []
    for i, one in enumerate(vectors):
        for j, other in enumerate(vectors):
            dense = float(unit(one.dense).astype(float) @ unit(other.dense).astype(float))
            lexical = float(unit(one.lexical).astype(float) @ unit(other.lexical).astype(float))
            wanted = (1 - lexical_weight) * dense + lexical_weight * lexical
            errors.append(abs(float(rows[i] @ rows[j]) * COSINE - wanted))
    # Each vector ends within half the root of its dimensions (40) of where it should; usually much nearer.
    assert max(errors) <= 40**0.5 / RADIUS + 1e-5
    assert np.mean(errors) < 3e-4


@given(SEEDS)
def test_rounding_to_a_byte_turns_a_vector_by_less_than_a_degree_and_a_half(seed):
    channel = np.random.default_rng(seed).normal(size=384).astype(np.float32)
    again = unit(quantise(channel, channel, "toy").dense)
    assert float(again @ channel / np.linalg.norm(channel)) > 0.9997


def test_a_text_without_words_has_no_lexical_channel_and_is_less_like_others():
    said = quantise(np.ones(8, np.float32), np.ones(4, np.float32), "toy")
    silent = quantise(np.ones(8, np.float32), np.zeros(4, np.float32), "toy")
    assert not any(silent.lexical)
    rows = whole([said, silent], 0.5)
    assert float(rows[0] @ rows[1]) * COSINE == pytest.approx(0.5, abs=1e-3)


def test_values_that_are_no_numbers_become_no_direction():
    vector = quantise(np.array([np.nan, 1.0], np.float32), np.array([np.inf, 1.0], np.float32), "toy")
    assert not any(vector.dense)
    assert not any(vector.lexical)


def test_a_share_beyond_one_is_refused_and_no_vectors_give_no_rows():
    with pytest.raises(ValueError, match="lexical_weight"):
        whole(made(1, 1), 1.5)
    assert len(whole([], 0.5)) == len(whole_dense([])) == 0


@given(SEEDS)
def test_a_row_depends_on_its_own_vector_alone(seed):
    vectors = made(seed, 6)
    together = whole(vectors, 0.5)
    assert all((whole([vector], 0.5)[0] == row).all() for vector, row in zip(vectors, together, strict=True))


@given(SEEDS)
def test_the_centroid_of_a_sum_is_the_same_in_every_order(seed):
    rows = whole(made(seed, 30), 0.5).astype(np.int32)
    order = np.random.default_rng(seed).permutation(len(rows))
    assert (centroid(rows.sum(axis=0)) == centroid(rows[order].sum(axis=0))).all()
