from detectors.entries import Skip, Tick
from detectors.monitor import fold, new_state
from detectors.skipped import announced, leave_out

POISON = Tick(now_at_s=5.0)
ITEMS = [(0, Tick(now_at_s=1.0)), (1, POISON), (2, Tick(now_at_s=2.0)), (3, Skip(offset=1, why="it crashed"))]


def test_what_is_announced_further_on_is_left_out_and_its_place_is_kept():
    left = list(leave_out(ITEMS, announced(ITEMS)))
    assert [offset for offset, _ in left] == [0, 1, 2, 3]
    assert left[1] == (1, Skip(offset=1, why="it crashed"))
    assert POISON not in [entry for _, entry in left]


def test_an_entry_that_is_left_out_counts_once():
    state = new_state()
    list(fold(state, leave_out(ITEMS, announced(ITEMS))))
    assert state.left_out()["skipped_entry"] == 1
    assert state.next_offset == 4
    assert state.core.time.greatest_at_s == 2.0


def test_a_skip_in_its_own_place_announces_nothing():
    assert announced([(7, Skip(offset=7, why="not an entry"))]) == {}
