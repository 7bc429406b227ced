from detectors.codec import decode_entry, encode_entry
from detectors.entries import Skip, Tick
from detectors.monitor import fold, new_state
from detectors.seeded import begun, seeded

TICKS = [Tick(now_at_s=float(number)) for number in range(3)]


def _items(*sets):
    entries = [decode_entry(encode_entry(seed)) for one in sets for seed in one]
    return list(enumerate([Skip(offset=0, why="no entry"), *entries], start=100))


def test_what_was_begun_with_is_told_under_offsets_before_the_journal_s_first():
    assert begun(_items(seeded(TICKS, 100)), 100) == [(97, TICKS[0]), (98, TICKS[1]), (99, TICKS[2])]


def test_a_reader_that_begins_elsewhere_did_not_begin_with_it():
    assert begun(_items(seeded(TICKS, 100)), 101) == []
    assert begun(_items(), 100) == []


def test_a_set_that_was_not_written_to_its_end_is_none_and_the_first_whole_one_counts():
    torn, whole, later = seeded(TICKS, 100)[:2], seeded(TICKS[1:], 100), seeded(TICKS[2:], 100)
    assert begun(_items(torn), 100) == []
    assert begun(_items(torn, whole, later), 100) == [(98, TICKS[1]), (99, TICKS[2])]


def test_in_their_own_place_seeds_change_nothing_but_the_offset():
    state = new_state()
    state.core.next_offset = 100
    assert not list(fold(state, _items(seeded(TICKS, 100))))
    assert state.next_offset == 104
    assert state.core.time.greatest_at_s < 0.0
