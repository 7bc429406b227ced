import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors import micro_clusters
from detectors.micro_clusters import MicroClusters, Search
from detectors.vectors import COSINE, RADIUS, centroids, to_whole

DIMENSIONS = 12


def wholes(seed, count, spread=0.35):
    """Rows around a handful of directions, so that some are near and some far."""
    draw = np.random.default_rng(seed)
    middles = draw.normal(size=(5, DIMENSIONS))
    rows = middles[draw.integers(5, size=count)] + spread * draw.normal(size=(count, DIMENSIONS))
    return to_whole(rows / np.linalg.norm(rows, axis=1, keepdims=True))


def brute_force(vectors, similarity, removals):
    """One by one, in whole numbers, with no memory of products: what batches must give."""
    totals, middles, placed = [], [], []
    for number, vector in enumerate(vectors):
        products = [int(vector.astype(int) @ middle.astype(int)) for middle in middles]
        row = products.index(max(products)) if products else -1
        if row < 0 or products[row] * COSINE < similarity:
            row = len(totals)
            totals.append(vector.astype(int))
            middles.append(vector)
        else:
            totals[row] = totals[row] + vector.astype(int)
            middles[row] = centroids(totals[row][None])[0]
        placed.append(row)
        for gone in removals.get(number, ()):
            if gone < len(totals):
                del totals[gone], middles[gone]
    return placed, totals


def batched(vectors, similarity, removals, sizes):
    clusters, placed, start = MicroClusters(), [], 0
    while start < len(vectors):
        size = sizes[len(placed) % len(sizes)]
        search = Search(clusters, vectors[start : start + size])
        for place in range(len(vectors[start : start + size])):
            row, cosine = search.nearest(place)
            if row < 0 or cosine < similarity:
                row = clusters.found(search.vector(place))
            else:
                clusters.absorb(row, search.vector(place))
            search.changed(row)
            placed.append(row)
            for gone in removals.get(start + place, ()):
                if gone < clusters.count:
                    clusters.remove([gone])
        start += size
    return placed, clusters


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 2**32 - 1),
    st.lists(st.integers(1, 64), min_size=1, max_size=4),
    st.dictionaries(st.integers(0, 149), st.lists(st.integers(0, 9), max_size=2), max_size=6),
    st.sampled_from([0.5, 0.8, 0.95]),
)
def test_batches_place_every_post_where_one_at_a_time_does(seed, sizes, removals, similarity):
    vectors = wholes(seed, 150)
    placed, clusters = batched(vectors, similarity, removals, sizes)
    wanted, totals = brute_force(vectors, similarity, removals)
    assert placed == wanted
    assert clusters.totals.tolist() == [total.tolist() for total in totals]


def test_a_tie_goes_to_the_older():
    clusters = MicroClusters()
    vector = to_whole(np.eye(4)[:1])[0]
    clusters.found(vector)
    clusters.found(vector.copy())
    assert Search(clusters, vector[None]).nearest(0) == (0, pytest.approx(1.0))


def test_where_there_is_none_the_nearest_is_none():
    clusters = MicroClusters()
    assert Search(clusters, wholes(1, 1)).nearest(0) == (-1, -1.0)


def test_a_search_that_starts_again_sees_what_another_search_changed():
    vectors = wholes(3, 3, spread=3.0)
    clusters = MicroClusters()
    search = Search(clusters, vectors[:1])
    for vector in vectors:  # more than the search has posts
        clusters.found(vector)
    search.restart()
    assert search.nearest(0)[0] == 0


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_what_is_restored_from_sums_and_sizes_has_the_same_centroids(seed):
    # Short texts have a smaller length; their centroid is that of the text as long as they are alone.
    vectors = np.rint(wholes(seed, 60) * np.where(np.arange(60) % 3, 1.0, 0.7)[:, None]).astype(np.float32)
    _, clusters = batched(vectors, 0.6, {20: [0], 40: [2]}, [7])
    restored = MicroClusters.restore(clusters.totals.copy(), clusters.sizes.copy())
    assert (restored.centroids == clusters.centroids).all()
    assert (restored.totals == clusters.totals).all()
    assert (restored.sizes == clusters.sizes).all()


def test_a_full_centroid_stays_where_it_is_and_its_sum_within_32_bits(monkeypatch):
    monkeypatch.setattr(micro_clusters, "FULL_AT", 3)
    clusters = MicroClusters()
    first, *others = to_whole(np.eye(4))
    clusters.found(first)
    for _ in range(2):
        clusters.absorb(0, first)
    clusters.absorb(0, others[0])
    assert clusters.sizes.tolist() == [3]
    assert (clusters.centroids[0] == first).all()


def test_half_a_million_posts_of_one_direction_fit_32_bits():
    assert np.iinfo(np.int32).max > micro_clusters.FULL_AT * RADIUS


def test_a_vector_of_other_dimensions_is_refused():
    clusters = MicroClusters()
    clusters.found(np.ones(4, np.float32))
    with pytest.raises(ValueError, match="5 dimensions among some of 4"):
        clusters.found(np.ones(5, np.float32))


def test_rows_move_up_when_some_are_removed_and_there_is_room_for_many():
    clusters = MicroClusters()
    rows = wholes(5, 600)
    for row in rows:
        clusters.found(row)
    clusters.remove([0, 599, 300])
    assert clusters.count == 597
    kept = np.delete(rows, [0, 300, 599], axis=0)
    assert (clusters.centroids == kept).all()
