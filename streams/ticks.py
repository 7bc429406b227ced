"""Ticks: entries that say that time passes without posts, written by the shard's owner into its own journal.

A tick may declare a source partition idle, so it must not overtake posts that wait. Event time is therefore read off
at one moment, together with the ends of `posts`; the tick is due when the scorers have acknowledged everything up to
those ends. What is published later is later than the tick says.
"""

import time
from collections.abc import Callable
from typing import Protocol

from msgspec import Struct

from detectors.entries import Tick
from detectors.event_time import BEGINNING_S, EventTime
from streams.lag import Offsets, lag

MARGIN_S = 1.0
"""Wall time that a post may take from its moment to the broker, at the pace of its source."""

MOST_AHEAD_S = 60.0
"""Wall time by which one tick moves event time at most: after a long stop it catches up step by step."""


class Source(Protocol):
    """Where the posts and the scorers are."""

    def ends(self) -> Offsets:
        """Offset after the last record of each partition."""
        ...

    def committed(self) -> Offsets:
        """Offset after the last acknowledged record of each partition."""
        ...


class _Reading(Struct, frozen=True):
    """Event time at the moment when the logs ended there."""

    now_at_s: float
    ends: Offsets


class Ticks:
    """When a shard is due a tick.

    Parameters
    ----------
    monotonic_s : clock; another one in tests.
    """

    def __init__(self, *, monotonic_s: Callable[[], float] = time.monotonic) -> None:
        self._monotonic_s = monotonic_s
        self._anchor_at_s = self._ticked_at_s = BEGINNING_S
        self._reached_at_s = monotonic_s()
        self._reading: _Reading | None = None

    def folded(self, event_time: EventTime) -> None:
        """Note when posts, not ticks, have moved event time on; call it after each batch."""
        if event_time.greatest_at_s > max(self._anchor_at_s, self._ticked_at_s):
            self._anchor_at_s = event_time.greatest_at_s
            self._reached_at_s = self._monotonic_s()

    def due(self, event_time: EventTime, source: Source) -> Tick | None:
        """Give the tick to append now, if any; blocking, about once a second."""
        if event_time.speed <= 0.0 or event_time.has_ended() or event_time.greatest_at_s == BEGINNING_S:
            self._reading = None
            return None
        self.folded(event_time)
        tick = None
        if self._reading is not None and not lag(self._reading.ends, source.committed()):
            tick = Tick(now_at_s=self._reading.now_at_s)
            self._reading = None
        if self._reading is None:
            # The time is read before the ends: what comes between the two only makes the tick wait.
            self._reading = _Reading(self._now_at_s(event_time), source.ends())
        if tick is None or not self._says_something(tick, event_time):
            return None
        self._ticked_at_s = tick.now_at_s
        return tick

    def _now_at_s(self, event_time: EventTime) -> float:
        """Event time now: from where posts have brought it, at the pace of their source."""
        passed_s = max(0.0, self._monotonic_s() - self._reached_at_s - MARGIN_S)
        most_at_s = max(event_time.greatest_at_s, self._ticked_at_s) + MOST_AHEAD_S * event_time.speed
        return min(self._anchor_at_s + passed_s * event_time.speed, most_at_s)

    @staticmethod
    def _says_something(tick: Tick, event_time: EventTime) -> bool:
        """Whether time moves, or a partition falls idle."""
        waiting = [one for one in event_time.partitions.values() if not (one.ended or one.idle)]
        behind = any(one.greatest_at_s < tick.now_at_s for one in waiting)
        return tick.now_at_s > event_time.greatest_at_s or behind
