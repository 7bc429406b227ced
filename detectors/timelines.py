"""The course of a narrative, as a picture needs it: counts, what was expected, bursts, forecasts, and its alert.

Two sources give one: the records that a run published (`published_timeline`), and a journal, folded again while a
`Recorder` looks at every narrative once a minute of event time. The second knows the expectation of each minute, the
first only that of each revision.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from msgspec import Struct

from detectors.entries import Entry, ScoredPost
from detectors.monitor import Output
from detectors.records import Alert, Assignment, Forecast, Narrative, NarrativeChange, Severity, Transition
from detectors.replay import Replay
from detectors.virality import MINUTE_S, assess

LEAST_WATCHED = 5
"""Posts from which a narrative is looked at every minute."""


class Moment(Struct, frozen=True, kw_only=True):
    """A revision of the alert, as it was sent."""

    at_s: float
    transition: Transition
    severity: Severity
    posts: int
    """Of the narrative, then."""
    forecast: Forecast | None = None


class Timeline(Struct, frozen=True, kw_only=True):
    """Counts of a narrative in buckets of event time, first to last, and what is known of each."""

    narrative_id: str
    alert_id: str | None
    label: str
    bucket_s: int
    start_s: float
    """Of the first bucket."""
    posts: tuple[int, ...]
    expected: tuple[float | None, ...]
    """Posts that were expected in the bucket; None where nobody looked."""
    bursting: tuple[bool, ...]
    moments: tuple[Moment, ...] = ()
    earlier_posts: int = 0
    """Posts before the first bucket: a long story keeps its last minutes only."""

    @property
    def end_s(self) -> float:
        """End of the last bucket."""
        return self.start_s + self.bucket_s * len(self.posts)


class Sight(NamedTuple):
    """A narrative in one minute."""

    window_posts: int
    expected: float
    """In that minute."""
    bursting: bool


def moments_of(history: Iterable[Alert]) -> tuple[Moment, ...]:
    """Revisions of one alert, in order, each once."""
    revisions = {alert.revision: alert for alert in history}
    return tuple(
        Moment(
            at_s=alert.changed_at.timestamp(),
            transition=alert.transition,
            severity=alert.severity,
            posts=alert.counts.posts,
            forecast=alert.forecast,
        )
        for _, alert in sorted(revisions.items())
    )


def published_timeline(narrative: Narrative, history: Sequence[Alert]) -> Timeline:
    """Timeline from what was published: the expectation, and whether it burst, are those of the last revision before.

    `history` are the revisions of the narrative's alert, none where it has none.
    """
    known = sorted((alert.changed_at.timestamp(), alert.growth, alert.counts.window_s) for alert in history)
    buckets = narrative.timeline
    expected: list[float] = []
    bursting: list[bool] = []
    for bucket in buckets:
        end_s = bucket.at.timestamp() + narrative.timeline_bucket_s
        before = [one for one in known if one[0] < end_s]
        growth, window_s = before[-1][1:] if before else (narrative.growth, narrative.counts.window_s)
        expected.append(growth.expected * narrative.timeline_bucket_s / window_s)
        bursting.append(bool(before) and growth.state == "bursting")
    return Timeline(
        narrative_id=narrative.narrative_id,
        alert_id=history[0].alert_id if history else None,
        label=history[-1].label if history else narrative.label,
        bucket_s=narrative.timeline_bucket_s,
        start_s=buckets[0].at.timestamp() if buckets else narrative.first_seen.timestamp(),
        posts=tuple(bucket.posts for bucket in buckets),
        expected=tuple(expected),
        bursting=tuple(bursting),
        moments=moments_of(history),
        earlier_posts=max(0, narrative.counts.posts - narrative.counts.late - sum(one.posts for one in buckets)),
    )


class Recorder:
    """Folds the journal of one shard, and writes down what every narrative looked like, minute by minute."""

    def __init__(self) -> None:
        self.replay = Replay(look=self._look)
        self._at_s: dict[str, float] = {}
        self._sights: dict[str, dict[int, Sight]] = defaultdict(dict)
        self._merged: dict[str, str] = {}
        self._minute = -1

    def run(self, items: Iterable[tuple[int, Entry]]) -> None:
        """Fold entries with their offsets. Raises `JournalGapError`."""
        self.replay.run(self._noted(items))

    def find(self, wanted: str) -> str | None:
        """Id of the narrative that an id means: its own, or that of an alert; None where neither is known."""
        if wanted in self._sights or wanted in self.replay.narratives:
            return wanted
        alert = self.replay.alerts.get(wanted)
        return None if alert is None else alert.narrative_id

    def timeline(self, narrative_id: str) -> Timeline | None:
        """Course of a narrative with all that merged into it; None where it held no post."""
        lineage = self._lineage(narrative_id)
        times_s = [self._at_s[one.post_id] for one in self.replay.assignments() if one.narrative_at_end in lineage]
        if not times_s:
            return None
        minutes = Counter(int(at_s // MINUTE_S) for at_s in times_s)
        first, last = min(minutes), max(minutes)
        sights = self._sights_of(lineage)
        history = self._history(lineage)
        shown = history[-1] if history else self.replay.narratives.get(narrative_id)
        return Timeline(
            narrative_id=narrative_id,
            alert_id=history[0].alert_id if history else None,
            label=shown.label if shown else "",
            bucket_s=MINUTE_S,
            start_s=float(first * MINUTE_S),
            posts=tuple(minutes[minute] for minute in range(first, last + 1)),
            expected=tuple(sights[minute].expected if minute in sights else None for minute in range(first, last + 1)),
            bursting=tuple(minute in sights and sights[minute].bursting for minute in range(first, last + 1)),
            moments=moments_of(history),
        )

    def _noted(self, items: Iterable[tuple[int, Entry]]) -> Iterator[tuple[int, Entry]]:
        for offset, entry in items:
            if isinstance(entry, ScoredPost):
                self._at_s.setdefault(entry.post_id, entry.created_at_s)
            yield offset, entry

    def _look(self, output: Output) -> None:
        match output:
            case NarrativeChange() if output.change == "merge" and output.other_id is not None:
                self._merged[output.narrative_id] = output.other_id
            case Assignment():
                now_s = self.replay.state.core.time.greatest_at_s
                if int(now_s // MINUTE_S) > self._minute:
                    self._look_around(now_s)

    def _look_around(self, now_s: float) -> None:
        """Look at every narrative that had a post in the window that ends now."""
        self._minute = int(now_s // MINUTE_S)
        core = self.replay.state.core
        parameters = core.configuration.virality
        for narrative in self.replay.state.narratives.narratives.values():
            tally = narrative.tally
            if tally.posts < LEAST_WATCHED or tally.last_at_s < now_s - parameters.window_s:
                continue
            growth = assess(tally, now_s, core.population, parameters)
            window_posts = tally.window_posts(now_s, parameters.window_s)
            expected = growth.expected * MINUTE_S / parameters.window_s
            self._sights[narrative.narrative_id][self._minute] = Sight(
                window_posts, expected, growth.state == "bursting"
            )

    def _lineage(self, narrative_id: str) -> set[str]:
        """Its own id and those of all narratives that merged into it, at whatever remove."""
        lineage = {narrative_id}
        grew = True
        while grew:
            more = {gone for gone, into in self._merged.items() if into in lineage} - lineage
            lineage |= more
            grew = bool(more)
        return lineage

    def _sights_of(self, lineage: Iterable[str]) -> Mapping[int, Sight]:
        """Of each minute the sight of the one that had most posts then: the narrative's main line."""
        best: dict[int, Sight] = {}
        for narrative_id in sorted(lineage):
            for minute, sight in self._sights.get(narrative_id, {}).items():
                if minute not in best or sight.window_posts > best[minute].window_posts:
                    best[minute] = sight
        return best

    def _history(self, lineage: set[str]) -> list[Alert]:
        """Revisions of the alert that the narrative has in the end, else of the one that its line had first."""
        alerts = [alert for alert in self.replay.alert_history if alert.narrative_id in lineage]
        if not alerts:
            return []
        own = [alert for alert in alerts if alert.transition != "merged"] or alerts
        alert_id = own[-1].alert_id
        return [alert for alert in self.replay.alert_history if alert.alert_id == alert_id]
