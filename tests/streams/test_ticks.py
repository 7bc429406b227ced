import pytest
from kafka import TopicPartition

from detectors.event_time import EventTime, SourcePartition
from streams.ticks import MARGIN_S, Ticks

A, B = TopicPartition("posts", 0), TopicPartition("posts", 1)


class _Clock:
    now_s = 0.0

    def __call__(self):
        return self.now_s


class _Source:
    def __init__(self, ends, committed):
        self.at_ends, self.at_committed = ends, committed

    def ends(self):
        return self.at_ends

    def committed(self):
        return self.at_committed


@pytest.fixture
def clock():
    return _Clock()


@pytest.fixture
def ticks(clock):
    return Ticks(monotonic_s=clock)


def _event_time(speed=1.0, **partitions):
    found = {name: SourcePartition(greatest_at_s=at_s) for name, at_s in (partitions or {"a": 1000.0}).items()}
    greatest_at_s = max(one.greatest_at_s for one in found.values())
    return EventTime(partitions=found, greatest_at_s=greatest_at_s, speed=speed)


def _due(ticks, clock, event_time, source, seconds=20.0):
    """The tick that comes after a reading and `seconds` later another look."""
    ticks.folded(event_time)
    clock.now_s += seconds
    assert ticks.due(event_time, source) is None
    return ticks.due(event_time, source)


def test_time_passes_at_the_speed_of_the_source(ticks, clock):
    tick = _due(ticks, clock, _event_time(speed=60.0), _Source({A: 5}, {A: 5}))
    assert tick.now_at_s == 1000.0 + 60.0 * (20.0 - MARGIN_S)


def test_there_is_no_tick_at_maximum_speed(ticks, clock):
    assert _due(ticks, clock, _event_time(speed=0.0), _Source({A: 5}, {A: 5})) is None


def test_there_is_no_tick_before_the_first_post(ticks, clock):
    assert _due(ticks, clock, EventTime(), _Source({A: 0}, {A: 0})) is None


def test_there_is_no_tick_once_every_partition_has_ended(ticks, clock):
    event_time = _event_time()
    event_time.end("a")
    assert _due(ticks, clock, event_time, _Source({A: 5}, {A: 5})) is None


def test_a_tick_waits_until_the_posts_of_its_moment_are_scored(ticks, clock):
    source, event_time = _Source({A: 5, B: 9}, {A: 5, B: 7}), _event_time()
    assert _due(ticks, clock, event_time, source) is None
    source.at_ends = {A: 5, B: 50}
    assert ticks.due(event_time, source) is None
    source.at_committed = {A: 5, B: 9}
    assert ticks.due(event_time, source).now_at_s == 1000.0 + 20.0 - MARGIN_S


def test_a_steady_stream_that_is_never_quite_scored_still_gets_ticks_for_its_idle_partition(ticks, clock):
    event_time = _event_time(a=1000.0, b=10.0)
    source = _Source({A: 100}, {A: 98})
    assert _due(ticks, clock, event_time, source, seconds=0.1) is None
    source.at_ends, source.at_committed = {A: 110}, {A: 108}
    assert ticks.due(event_time, source).now_at_s == 1000.0


def test_a_tick_that_says_nothing_new_is_not_written(ticks, clock):
    assert _due(ticks, clock, _event_time(), _Source({A: 5}, {A: 5}), seconds=0.1) is None


def test_ticks_keep_the_pace_of_the_source_and_never_go_back(ticks, clock):
    event_time, source, said = _event_time(speed=10.0), _Source({A: 5}, {A: 5}), []
    ticks.folded(event_time)
    for _ in range(60):
        clock.now_s += 1.0
        if tick := ticks.due(event_time, source):
            said.append(tick.now_at_s)
            event_time.tick(tick.now_at_s)
            ticks.folded(event_time)
    assert said == sorted(set(said))
    assert said[-1] == 1000.0 + 10.0 * (59.0 - MARGIN_S)


def test_after_a_long_stop_time_catches_up_step_by_step(ticks, clock):
    assert _due(ticks, clock, _event_time(), _Source({A: 5}, {A: 5}), seconds=7200.0).now_at_s == 1000.0 + 60.0
