import warnings
from collections import Counter, defaultdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.spatial.distance import squareform
from sklearn.metrics import adjusted_rand_score

from detectors.grouping import average_link, cosines, event_groups, hdbscan_labels, inherit, narrative_groups
from detectors.strands import Strands
from detectors.vectors import COSINE, to_whole

NO_FADING = (0.0, 1.0)


def wholes(seed, count, middles=6, spread=0.3):
    draw = np.random.default_rng(seed)
    centres = draw.normal(size=(middles, 16))
    rows = centres[draw.integers(middles, size=count)] + spread * draw.normal(size=(count, 16))
    return to_whole(rows / np.linalg.norm(rows, axis=1, keepdims=True))


def each_once(groups, count):
    return sorted(row for group in groups for row in group) == list(range(count)) and all(groups)


def strands_of(rows, sizes=None):
    strands = Strands()
    for place, row in enumerate(rows):
        at = strands.found(row, place)
        for _ in range(sizes[place] - 1 if sizes else 0):
            strands.absorb(at, row, place)
    return strands


def labels_of(groups, count):
    labels = np.zeros(count, int)
    for label, group in enumerate(groups):
        labels[group] = label
    return labels


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(0, 60), st.floats(0.0, 1.0), st.floats(0.0, 0.5))
def test_every_row_is_in_exactly_one_group_at_every_level(seed, count, similarity, most):
    rows = wholes(seed, max(1, count))[:count]
    founded_at_s = np.random.default_rng(seed).uniform(0, 9e4, count)
    assert each_once(narrative_groups(rows, founded_at_s, similarity, (most, 7200.0)), count)
    assert each_once(event_groups(strands_of(rows), np.arange(count), similarity, (most, 20.0)), count)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_groups_depend_on_nothing_but_the_rows(seed):
    rows = wholes(seed, 40)
    at_s = np.zeros(40)
    once = narrative_groups(rows, at_s, 0.3, NO_FADING)
    assert once == narrative_groups(rows.copy(order="F"), at_s, 0.3, NO_FADING)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(2, 60), st.floats(0.05, 0.95))
def test_average_link_gives_the_groups_that_scipy_gives(seed, count, least):
    similarities = cosines(wholes(seed, count))
    np.fill_diagonal(similarities, 1.0)
    found = average_link(similarities, np.ones(count), least)
    distances = squareform(np.maximum(1.0 - similarities, 0.0), checks=False)
    wanted = fcluster(linkage(distances, "average"), 1.0 - least, "distance")
    assert adjusted_rand_score(labels_of(found, count), wanted) == 1.0


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(2, 30), st.floats(0.1, 0.9))
def test_a_weight_counts_like_so_many_equal_rows(seed, count, least):
    rows = wholes(seed, count)
    weights = np.random.default_rng(seed).integers(1, 5, count)
    heavy = labels_of(average_link(cosines(rows), weights.astype(float), least), count)
    copies = np.repeat(np.arange(count), weights)
    # Copies are nearer to each other than to anything else, so that they are merged first.
    similarities = cosines(rows[copies]) + 10.0 * (copies[:, None] == copies[None, :])
    single = labels_of(average_link(similarities, np.ones(len(copies)), least), len(copies))
    assert adjusted_rand_score(heavy[copies], single) == 1.0


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(3, 80))
def test_the_fast_path_gives_the_labels_of_hdbscan_itself(seed, count):
    import hdbscan

    similarities = cosines(wholes(seed, count))
    distances = np.maximum(1.0 - similarities, 0.01)
    np.fill_diagonal(distances, 0.0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        reference = hdbscan.HDBSCAN(
            min_cluster_size=2, min_samples=1, cluster_selection_method="eom", metric="precomputed"
        ).fit_predict(distances)
    found = hdbscan_labels(similarities)
    assert ((found < 0) == (reference < 0)).all()
    assert adjusted_rand_score(found, reference) == 1.0


def test_near_wordings_are_one_story_and_far_ones_are_not():
    near = wholes(1, 30, middles=3, spread=0.02)
    stories = [group for group in narrative_groups(near, np.zeros(30), 0.3, NO_FADING) if len(group) > 1]
    assert stories
    for story in stories:
        assert ((near[story] @ near[story].T) * COSINE > 0.9).all()


def test_two_tellings_of_one_thing_at_two_times_are_two_stories():
    rows = wholes(4, 24, middles=1, spread=0.1)
    at_s = np.array([0.0] * 12 + [86_400.0] * 12)
    together = narrative_groups(rows, at_s, 0.0, (0.3, 7200.0))
    assert all({row < 12 for row in story} in ({True}, {False}) for story in together)


def test_two_rows_are_never_one_story_without_a_third_to_compare_with():
    assert narrative_groups(wholes(1, 2, middles=1, spread=0.0), np.zeros(2), 0.5, NO_FADING) == [[0], [1]]


def test_strands_that_are_far_apart_in_the_stream_are_two_events():
    vector = to_whole(np.eye(4)[:1])[0]
    strands = Strands()
    strands.found(vector, 0)
    strands.found(vector.copy(), 10)
    strands.found(vector.copy(), 9000)
    assert event_groups(strands, np.arange(3), 0.95, (0.12, 1400.0)) == [[0, 1], [2]]


def test_an_event_is_what_its_posts_have_in_common_not_its_strands():
    """One post that is a little like a crowd of scattered ones does not draw them all in by its centroid."""
    scattered = to_whole(np.eye(16)[:8])
    strands = Strands()
    row = strands.found(scattered[0], 0)
    for vector in scattered[1:]:
        strands.absorb(row, vector, 0)
    strands.found(to_whole(np.ones((1, 16)) / 4.0)[0], 0)
    centroid = float(strands.centroids[0] @ strands.centroids[1]) * COSINE
    assert centroid == pytest.approx(0.707, abs=0.01)
    assert event_groups(strands, np.arange(2), 0.3, NO_FADING) == [[0], [1]]
    assert event_groups(strands, np.arange(2), 0.2, NO_FADING) == [[0, 1]]


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_a_name_goes_to_one_group_at_most_and_the_heaviest_overlap_has_it(data):
    items = data.draw(st.lists(st.integers(0, 30), unique=True, min_size=1, max_size=20))
    groups = defaultdict(list)
    for item in items:
        groups[data.draw(st.integers(0, 5))].append(item)
    listed = list(groups.values())
    old = {item: data.draw(st.sampled_from("uvwxyz")) for item in items if data.draw(st.booleans())}
    weight = {item: data.draw(st.integers(0, 9)) for item in items}
    names = inherit(listed, old, weight)

    overlap = Counter()
    for index, group in enumerate(listed):
        for item in group:
            if item in old:
                overlap[index, old[item]] += weight[item]
    given_names = [name for name in names if name is not None]
    assert len(given_names) == len(set(given_names))
    for index, name in enumerate(names):
        assert name is None or any(old.get(item) == name for item in listed[index])
        # Whatever a group would rather be called was taken by a group with as much of it, or by a better claim here.
        for (other, wanted), of_it in overlap.items():
            if other == index and (name is None or of_it > overlap[index, name]):
                assert overlap[names.index(wanted), wanted] >= of_it


def test_nothing_new_keeps_every_name():
    assert inherit([["a"], ["b", "c"]], {"a": "x", "b": "y", "c": "y"}, {"a": 1, "b": 1, "c": 0}) == ["x", "y"]
