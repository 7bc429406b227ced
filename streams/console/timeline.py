"""Geometry of the timeline: posts a bucket against what was expected, in the units of one drawing."""

import math
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta

from msgspec import Struct

from detectors.records import Alert, Narrative, TimelineBucket
from streams.console import words

WIDTH, HEIGHT = 960.0, 200.0
"""Of the drawing; the browser stretches it."""

LARGEST_BUCKETS = 240
"""More are joined, so that a bar stays visible."""

LABELS_BELOW = 4


class Bar(Struct, frozen=True):
    """One bucket, as drawn."""

    x: float
    y: float
    width: float
    height: float
    words: str


class Mark(Struct, frozen=True):
    """A moment on the drawing: a revision of the alert."""

    x: float
    transition: str
    words: str


class Timeline(Struct, frozen=True, kw_only=True):
    """A drawing of `WIDTH` by `HEIGHT`, and the words around it."""

    bars: tuple[Bar, ...]
    expected_path: str
    marks: tuple[Mark, ...]
    heights: tuple[str, ...]
    """Labels beside it, from the top down."""
    moments: tuple[str, ...]
    """Labels below it, from left to right."""
    bucket: str
    expected: str
    """What the line is called: only a narrative with a history has an expectation."""
    summary: str
    """The drawing in words, for those who cannot see it."""


def draw(narrative: Narrative, revisions: list[Alert]) -> Timeline | None:
    """Draw a narrative's timeline with the steps of its alert on it; None without buckets."""
    if not narrative.timeline:
        return None
    buckets, bucket_s = _joined(sorted(narrative.timeline, key=lambda b: b.at), float(narrative.timeline_bucket_s))
    start, end = buckets[0].at, buckets[-1].at + timedelta(seconds=bucket_s)
    span_s = max(bucket_s, (end - start).total_seconds())
    top = _round_up(max(max(b.posts, b.expected) for b in buckets))

    def x_of(at: datetime) -> float:
        return WIDTH * (at - start).total_seconds() / span_s

    def y_of(value: float) -> float:
        return HEIGHT * (1 - value / top)

    expected = "expected" if narrative.growth.basis == "own_history" else "typical at this age"
    width = WIDTH * bucket_s / span_s
    gap = min(2.0, width * 0.15)
    return Timeline(
        bars=tuple(
            Bar(
                _r(x_of(b.at)),
                _r(y_of(b.posts)),
                _r(width - gap),
                _r(HEIGHT - y_of(b.posts)),
                f"{words.moment(b.at)}: {words.plural(b.posts, 'post')}, {words.figure(b.expected)} {expected}",
            )
            for b in buckets
        ),
        expected_path=_path([(x_of(b.at), x_of(b.at) + width, y_of(b.expected)) for b in buckets]),
        marks=tuple(_marks(revisions, start, end, x_of)),
        heights=(words.figure(top), words.figure(top / 2), "0"),
        moments=tuple(_moment(start, span_s, i / (LABELS_BELOW - 1)) for i in range(LABELS_BELOW)),
        bucket=words.duration(bucket_s),
        expected=expected,
        summary=_summary(buckets, bucket_s, expected),
    )


def _joined(buckets: list[TimelineBucket], bucket_s: float) -> tuple[list[TimelineBucket], float]:
    """Join neighbours until no more than `LARGEST_BUCKETS` fit into the span."""
    span = (buckets[-1].at - buckets[0].at).total_seconds() / bucket_s + 1
    factor = math.ceil(span / LARGEST_BUCKETS)
    if factor == 1:
        return buckets, bucket_s
    first = buckets[0].at
    joined: dict[int, TimelineBucket] = {}
    for bucket in buckets:
        number = int((bucket.at - first).total_seconds() // (bucket_s * factor))
        before = joined.get(number)
        joined[number] = TimelineBucket(
            at=first + timedelta(seconds=number * bucket_s * factor),
            posts=bucket.posts + (before.posts if before else 0),
            expected=bucket.expected + (before.expected if before else 0.0),
        )
    return list(joined.values()), bucket_s * factor


def _path(steps: list[tuple[float, float, float]]) -> str:
    """Draw a line of steps: from left to right edge of each bucket at its height; a gap in time lifts the pen."""
    parts: list[str] = []
    pen: float | None = None
    for left, right, y in steps:
        parts.append(f"{'L' if pen is not None and left - pen < 0.5 else 'M'}{_r(left)} {_r(y)}H{_r(right)}")
        pen = right
    return "".join(parts)


def _marks(revisions: list[Alert], start: datetime, end: datetime, x_of: Callable[[datetime], float]) -> Iterator[Mark]:
    for revision in sorted(revisions, key=lambda r: r.changed_at):
        if revision.transition != "updated" and start <= revision.changed_at <= end:
            said = f"{words.TRANSITION_WORDS[revision.transition]}, {words.moment(revision.changed_at)}"
            yield Mark(_r(x_of(revision.changed_at)), revision.transition, said)


def _summary(buckets: list[TimelineBucket], bucket_s: float, expected: str) -> str:
    highest = max(buckets, key=lambda b: b.posts)
    return (
        f"Posts per {words.duration(bucket_s)}, from {words.moment(buckets[0].at)} to {words.moment(buckets[-1].at)}."
        f" Highest: {words.plural(highest.posts, 'post')} at {words.moment(highest.at)},"
        f" beside {words.figure(highest.expected)} {expected}."
    )


def _moment(start: datetime, span_s: float, ratio: float) -> str:
    at = start + timedelta(seconds=span_s * ratio)
    return f"{at:%H:%M}" if span_s < 86400 else f"{at.day} {at:%b %H:%M}"


def _round_up(value: float) -> float:
    """Give the next even figure that leaves room above a value."""
    if value <= 4:
        return 4.0
    unit = 10.0 ** math.floor(math.log10(value))
    return next(unit * step for step in (1, 2, 4, 6, 8, 10) if unit * step >= value)


def _r(value: float) -> float:
    return round(value, 2)
