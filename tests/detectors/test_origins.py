from hypothesis import given
from hypothesis import strategies as st

from detectors import origins
from detectors.origins import REMEMBERED, SeenOffsets


@given(st.lists(st.integers(0, 300), max_size=120))
def test_it_is_exact_within_what_is_remembered(offsets):
    seen, known = SeenOffsets(), set()
    for offset in offsets:
        assert seen.is_new(offset) == (offset not in known)
        known.add(offset)


def test_offsets_older_than_it_remembers_count_as_seen_and_a_jump_clears_the_ring():
    seen = SeenOffsets()
    assert seen.is_new(0)
    assert seen.is_new(REMEMBERED)
    assert not seen.is_new(0)
    assert seen.is_new(1)
    assert seen.is_new(50 * REMEMBERED)
    assert not seen.is_new(49 * REMEMBERED)
    assert seen.is_new(49 * REMEMBERED + 1)
    assert len(seen.bits) == origins.REMEMBERED // 8
