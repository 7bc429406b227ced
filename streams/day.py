"""A day of a made-up stream through scorer and fold, faster than real time, and what they hold hour by hour."""

import math
import os
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import msgspec
from msgspec import Struct

from detectors.codec import encode_state
from detectors.entries import ConfigurationEntry, Origin
from detectors.monitor import fold, new_state
from detectors.policy import Configuration
from detectors.records import Alert
from detectors.scoring import Scorer
from streams.load import Mixture
from streams.score_worker import CACHE_ROUND_S

BEGINS_S = 1_780_272_000.0
HOUR_S = 3600.0
SCORED_TOGETHER = 256
CACHE_ROUND_HOURS = round(CACHE_ROUND_S / HOUR_S)
"""After so many, as in the worker, the scorer forgets texts that came no more."""


class Hour(Struct, frozen=True, kw_only=True):
    """What was held at the end of an hour of event time."""

    hour: int
    posts: int
    """Folded so far."""
    alerts: int
    memory_mb: float
    """Of this process, resident; 0 where the system does not tell."""
    state_mb: float
    """A snapshot, compressed, all its chunks."""
    written_mb: float
    """Of these, chunks that the hour before did not have: what the topic of snapshots grows by."""
    narratives: int
    micro_clusters: int
    cached_texts: int
    """Held by the scorer, which is another process where it is not measured."""
    seconds: float
    """That the hour took."""


def run_day(
    scorer: Scorer, configuration: Configuration, *, posts: int, hours: int, told: Callable[[Hour], None]
) -> list[Hour]:
    """Fold `posts` posts a day for so many hours, with the ebb and flow of a day."""
    state = new_state()
    list(fold(state, [(0, ConfigurationEntry(origin=Origin("configuration", 0, 0), configuration=configuration))]))
    mixture, found, kept, alerts, offset = Mixture(), [], frozenset[str](), 0, 1
    for hour in range(hours):
        began_s = time.monotonic()
        for batch in _batches(hour, posts):
            posted = [(mixture.post(at_s, "day"), Origin("posts", 0, offset + i), 1.0) for i, at_s in enumerate(batch)]
            scored = list(enumerate(scorer.score(posted), start=offset))
            alerts += sum(isinstance(one, Alert) and one.transition == "opened" for one in fold(state, scored))
            offset += len(batch)
        if (hour + 1) % CACHE_ROUND_HOURS == 0:
            scorer.cache.forget_unasked()
        snapshot = encode_state(state)
        names = frozenset(snapshot.chunks)
        found.append(
            Hour(
                hour=hour + 1,
                posts=state.core.folded,
                alerts=alerts,
                memory_mb=_memory_mb(),
                state_mb=_megabytes(snapshot.chunks.values()),
                written_mb=_megabytes(snapshot.chunks[name] for name in names - kept),
                narratives=len(state.narratives.narratives),
                micro_clusters=len(state.narratives.micros),
                cached_texts=len(scorer.cache),
                seconds=round(time.monotonic() - began_s, 1),
            )
        )
        kept = names
        told(found[-1])
    return found


def with_horizon(configuration: Configuration, horizon_s: float) -> Configuration:
    """The same configuration, remembering posts and wordings for so long: a day shorter than that only grows."""
    narratives = msgspec.structs.replace(configuration.narratives, post_horizon_s=horizon_s, idle_after_s=horizon_s)
    return msgspec.structs.replace(configuration, narratives=narratives)


def _batches(hour: int, posts: int) -> Iterator[list[float]]:
    """Times of the posts of an hour, some at a time: three times as many at its height as at its low."""
    share = (1.0 + 0.5 * math.sin(2 * math.pi * (hour - 9) / 24)) / 24
    count = max(1, round(posts * share))
    times = [BEGINS_S + hour * HOUR_S + HOUR_S * number / count for number in range(count)]
    for start in range(0, count, SCORED_TOGETHER):
        yield times[start : start + SCORED_TOGETHER]


def _megabytes(chunks: Iterable[bytes]) -> float:
    return round(sum(map(len, chunks)) / 1e6, 2)


def _memory_mb() -> float:
    file = Path("/proc/self/statm")
    if not file.exists():
        return 0.0
    return round(int(file.read_text(encoding="ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6, 1)
