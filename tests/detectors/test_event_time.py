from hypothesis import given
from hypothesis import strategies as st

from detectors.event_time import BEGINNING_S, EventTime
from detectors.policy import TimeParameters

TIME = TimeParameters()


def observed(*posts, partitions=1):
    time = EventTime()
    for partition, at_s, author in posts:
        time.observe(partition, at_s, author, TIME)
        time.advance(partitions, TIME)
    return time


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 10**6), st.integers(0, 9)), max_size=60))
def test_the_watermark_never_goes_back_and_stays_behind_the_greatest_time(posts):
    time, last = EventTime(), BEGINNING_S
    for partition, at_s, author in posts:
        time.observe(partition, float(at_s), author, TIME)
        reached = time.advance(3, TIME)
        assert reached >= last
        assert reached <= max(time.greatest_at_s - TIME.allowed_lateness_s, BEGINNING_S)
        last = reached


def test_it_waits_for_partitions_that_were_not_heard_of_and_for_the_slowest():
    assert observed(("a", 1000.0, 1), partitions=2).watermark_at_s == BEGINNING_S
    assert observed(("a", 1000.0, 1), ("b", 500.0, 1), partitions=2).watermark_at_s == 380.0


def test_a_partition_that_ended_or_is_idle_holds_nothing_back_until_it_speaks_again():
    time = observed(("a", 1000.0, 1), ("b", 500.0, 1), partitions=2)
    time.end("b")
    assert time.advance(2, TIME) == 880.0
    time.observe("b", 600.0, 1, TIME)
    time.observe("a", 5000.0, 1, TIME)
    assert time.advance(2, TIME) == 880.0
    time.tick(6000.0)
    assert time.advance(2, TIME) == 5880.0
    assert not time.has_ended()


def test_a_jump_beyond_a_day_needs_three_authors_in_a_row():
    far = 1000.0 + 2 * TIME.jump_s
    assert observed(("a", 1000.0, 1), *[("a", far, 7)] * 9).greatest_at_s == 1000.0
    assert observed(("a", 1000.0, 1), ("a", far, 7), ("a", far, 8)).distrusted == 2
    assert observed(("a", 1000.0, 1), ("a", far, 7), ("a", far, 8), ("a", far, 9)).greatest_at_s == far
    between = observed(("a", 1000.0, 1), ("a", far, 7), ("a", far, 8), ("a", 1001.0, 1), ("a", far, 9))
    assert between.greatest_at_s == 1001.0


def test_the_first_post_is_believed_whatever_its_date():
    assert observed(("a", 4e9, 1)).greatest_at_s == 4e9
