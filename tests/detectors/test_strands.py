import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors import strands
from detectors.strands import Search, Strands, faded
from detectors.vectors import COSINE, RADIUS, centroid, to_whole

DIMENSIONS = 12


def wholes(seed, count, spread=0.35):
    """Rows around a handful of directions, so that some are near and some far."""
    draw = np.random.default_rng(seed)
    middles = draw.normal(size=(5, DIMENSIONS))
    rows = middles[draw.integers(5, size=count)] + spread * draw.normal(size=(count, DIMENSIONS))
    return to_whole(rows / np.linalg.norm(rows, axis=1, keepdims=True))


def brute_force(vectors, similarity, removals, fading):
    """One by one, in whole numbers, with no memory of products: what batches must give."""
    totals, middles, last, placed = [], [], [], []
    for number, vector in enumerate(vectors):
        near = [
            int(vector.astype(int) @ middle.astype(int)) * COSINE - faded(float(number - at), *fading)
            for middle, at in zip(middles, last, strict=True)
        ]
        row = near.index(max(near)) if near else -1
        if row < 0 or near[row] < similarity:
            row = len(totals)
            totals.append(vector.astype(int))
            middles.append(vector)
            last.append(number)
        else:
            totals[row] = totals[row] + vector.astype(int)
            middles[row] = centroid(totals[row])
            last[row] = number
        placed.append(row)
        for gone in removals.get(number, ()):
            if gone < len(totals):
                del totals[gone], middles[gone], last[gone]
    return placed, totals


def batched(vectors, similarity, removals, sizes, fading=(0.0, 1.0)):
    found, placed, start = Strands(), [], 0
    while start < len(vectors):
        size = sizes[len(placed) % len(sizes)]
        search = Search(found, vectors[start : start + size])
        for place in range(len(vectors[start : start + size])):
            row, near = search.nearest(place, start + place, fading)
            if row < 0 or near < similarity:
                row = found.found(search.vector(place), start + place)
            else:
                found.absorb(row, search.vector(place), start + place)
            search.changed(row)
            placed.append(row)
            for gone in removals.get(start + place, ()):
                if gone < found.count:
                    found.remove([gone])
        start += size
    return placed, found


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 2**32 - 1),
    st.lists(st.integers(1, 64), min_size=1, max_size=4),
    st.dictionaries(st.integers(0, 149), st.lists(st.integers(0, 9), max_size=2), max_size=6),
    st.sampled_from([0.5, 0.8, 0.95]),
    st.sampled_from([(0.0, 1.0), (0.12, 20.0), (0.5, 3.0)]),
)
def test_batches_place_every_post_where_one_at_a_time_does(seed, sizes, removals, similarity, fading):
    vectors = wholes(seed, 150)
    placed, found = batched(vectors, similarity, removals, sizes, fading)
    wanted, totals = brute_force(vectors, similarity, removals, fading)
    assert placed == wanted
    assert found.totals.tolist() == [total.tolist() for total in totals]


def test_a_tie_goes_to_the_older():
    found = Strands()
    vector = to_whole(np.eye(4)[:1])[0]
    found.found(vector)
    found.found(vector.copy())
    assert Search(found, vector[None]).nearest(0) == (0, pytest.approx(1.0))


def test_where_there_is_none_the_nearest_is_none():
    found = Strands()
    assert Search(found, wholes(1, 1)).nearest(0) == (-1, -1.0)


def test_a_search_that_starts_again_sees_what_another_search_changed():
    vectors = wholes(3, 3, spread=3.0)
    found = Strands()
    search = Search(found, vectors[:1])
    for vector in vectors:  # more than the search has posts
        found.found(vector)
    search.restart()
    assert search.nearest(0)[0] == 0


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_what_is_restored_from_sums_and_counts_has_the_same_centroids(seed):
    # Short texts have a smaller length; their centroid is that of the text as long as they are alone.
    vectors = np.rint(wholes(seed, 60) * np.where(np.arange(60) % 3, 1.0, 0.7)[:, None]).astype(np.float32)
    _, found = batched(vectors, 0.6, {20: [0], 40: [2]}, [7])
    restored = Strands.restore(found.totals.copy(), found.counts.copy())
    assert (restored.centroids == found.centroids).all()
    assert (restored.totals == found.totals).all()
    assert (restored.counts == found.counts).all()


def test_a_full_centroid_stays_where_it_is_and_its_sum_within_32_bits(monkeypatch):
    monkeypatch.setattr(strands, "FULL_AT", 3)
    found = Strands()
    first, *others = to_whole(np.eye(4))
    found.found(first)
    for _ in range(2):
        found.absorb(0, first)
    found.absorb(0, others[0])
    assert found.sizes.tolist() == [3]
    assert (found.centroids[0] == first).all()


def test_half_a_million_posts_of_one_direction_fit_32_bits():
    assert np.iinfo(np.int32).max > strands.FULL_AT * RADIUS


def test_a_vector_of_other_dimensions_is_refused():
    found = Strands()
    found.found(np.ones(4, np.float32))
    with pytest.raises(ValueError, match="5 dimensions among some of 4"):
        found.found(np.ones(5, np.float32))


def test_rows_move_up_when_some_are_removed_and_there_is_room_for_many():
    found = Strands()
    rows = wholes(5, 600)
    for row in rows:
        found.found(row)
    found.remove([0, 599, 300])
    assert found.count == 597
    kept = np.delete(rows, [0, 300, 599], axis=0)
    assert (found.centroids == kept).all()


def test_of_two_alike_strands_the_one_with_news_is_nearer_and_news_makes_up_for_little_more():
    vector, other = to_whole(np.array([[1.0, 0.0], [0.8, 0.6]]))
    found = Strands()
    found.found(vector, 1)
    found.found(vector.copy(), 2)
    assert Search(found, vector[None]).nearest(0, 1000, (0.1, 100.0))[0] == 1
    found.found(other, 999)
    assert Search(found, vector[None]).nearest(0, 1000, (0.1, 100.0))[0] == 1


@settings(max_examples=40, deadline=None)
@given(st.floats(0, 1), st.floats(0.1, 1e6), st.lists(st.floats(0, 1e12), min_size=2, max_size=9))
def test_the_further_apart_the_more_is_lost_and_never_more_than_the_most(most, half_at, distances):
    lost = [faded(distance, most, half_at) for distance in sorted(distances)]
    assert lost == sorted(lost)
    assert lost[0] >= 0
    assert lost[-1] <= most
