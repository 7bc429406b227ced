from collections import Counter, defaultdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.grouping import event_groups, group_centroids, inherit, narrative_groups, neighbourhoods, stories_in
from detectors.vectors import COSINE, to_whole


def wholes(seed, count, middles=6, spread=0.3):
    draw = np.random.default_rng(seed)
    centres = draw.normal(size=(middles, 16))
    rows = centres[draw.integers(middles, size=count)] + spread * draw.normal(size=(count, 16))
    return to_whole(rows / np.linalg.norm(rows, axis=1, keepdims=True))


def each_once(groups, count):
    return sorted(row for group in groups for row in group) == list(range(count)) and all(groups)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(0, 60), st.floats(0.0, 1.0))
def test_every_row_is_in_exactly_one_group_at_every_level(seed, count, similarity):
    rows = wholes(seed, max(1, count))[:count]
    assert each_once(neighbourhoods(rows), count)
    assert each_once(narrative_groups(rows, similarity), count)
    assert each_once(event_groups(rows, similarity), count)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_groups_depend_on_nothing_but_the_rows(seed):
    rows = wholes(seed, 40)
    assert narrative_groups(rows, 0.8) == narrative_groups(rows.copy(order="F"), 0.8)
    assert event_groups(rows, 0.25) == event_groups(np.ascontiguousarray(rows), 0.25)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(0.3, 0.99))
def test_a_story_is_cut_out_of_its_neighbourhood_where_it_is_near_the_middle(seed, similarity):
    rows = wholes(seed, 40)
    for neighbours in neighbourhoods(rows):
        stories = stories_in(rows, neighbours, similarity)
        assert sorted(row for story in stories for row in story) == neighbours
        middle = group_centroids(rows.astype(np.int32), [neighbours])[0]
        for story in stories:
            for row in story if len(story) > 1 else ():
                assert float(rows[row] @ middle) * COSINE >= similarity


def test_near_wordings_are_one_story_and_far_ones_two():
    near = wholes(1, 30, middles=2, spread=0.02)
    of_middle = {tuple(group) for group in narrative_groups(near, 0.9) if len(group) > 1}
    assert of_middle
    for group in of_middle:
        products = near[list(group)] @ near[list(group)].T
        assert (products * COSINE > 0.9).all()


def test_two_rows_are_never_one_story_without_a_third_to_compare_with():
    assert narrative_groups(wholes(1, 2, middles=1, spread=0.0), 0.5) == [[0], [1]]


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


def test_every_post_has_one_vote_in_a_centroid_and_sums_beyond_32_bits_are_halved():
    rows = to_whole(np.eye(3))
    totals = np.stack([rows[0] * 3, rows[1], rows[2]]).astype(np.int32)
    [middle] = group_centroids(totals, [[0, 1]])
    assert middle.tolist() == pytest.approx((np.array([3, 1, 0]) / 10**0.5 * 4064).round().tolist())
    huge = np.full((4, 3), 2**31 - 1, np.int32)
    assert len(set(group_centroids(huge, [[0, 1, 2, 3]])[0].tolist())) == 1
