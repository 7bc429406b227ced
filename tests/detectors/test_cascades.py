from hypothesis import given
from hypothesis import strategies as st

from detectors.cascades import MOST_CASCADES, Cascades, cascade_of


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 1800)), max_size=60))
def test_a_cascade_counts_its_posts_of_the_minutes_of_the_window(posts):
    cascades, seen = Cascades(), []
    for cascade, at_s in sorted(posts, key=lambda post: post[1]):
        seen.append((cascade, at_s))
        first = at_s // 60 - 9
        wanted = sum(one == cascade and first <= when // 60 <= at_s // 60 for one, when in seen)
        assert cascades.add(cascade, float(at_s), 600.0) == wanted


def test_beyond_the_cap_the_cascade_that_was_silent_longest_is_forgotten():
    cascades = Cascades()
    for cascade in range(MOST_CASCADES):
        cascades.add(cascade, 0.0, 600.0)
    cascades.add(0, 1.0, 600.0)
    cascades.add(MOST_CASCADES, 2.0, 600.0)
    assert len(cascades.minutes) == MOST_CASCADES
    assert 0 in cascades.minutes
    assert 1 not in cascades.minutes


def test_copies_of_a_wording_are_one_cascade_and_shares_are_one_with_each_other(streams):
    one = streams.post("a", 0, "reservoir poisoned ashford")
    copy = streams.post("b", 0, "wow: reservoir poisoned in Ashford!")
    assert cascade_of(one) == cascade_of(copy)
    shares = [streams.post(f"s{i}", 0, "", kind="reshare", parent_id="p", root_id="a") for i in range(2)]
    assert cascade_of(shares[0]) == cascade_of(shares[1]) != cascade_of(one)
    of_another = streams.post("t", 0, "", kind="reshare", parent_id="q", root_id="q")
    assert cascade_of(of_another) != cascade_of(shares[0])
