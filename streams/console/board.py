"""What the console knows, built from topics: alerts, narratives, their histories, and how alive the input is.

One thread reads (`streams.console.follower`), the web server looks. Records are immutable, so a look costs a copy
of references under a lock. Everything is bounded: open alerts are all kept, of the rest only the newest.
"""

import threading
import time
from collections import defaultdict, deque
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

from msgspec import Struct

from detectors.records import SEVERITIES, Alert, DataHealth, Feedback, Narrative, NarrativeChange
from streams.heads import heads_come_for
from streams.metrics import CLOSING_TRANSITIONS

CLOSED_ALERTS = 200
"""Closed alerts that are kept, the newest."""

NARRATIVES = 2000
"""Narratives without an alert that are kept, the most recently active."""

HISTORY = 50
"""Changes kept of one alert or one narrative."""

STALLED_AFTER_S = 60.0
"""Without a new entry in the journal for so long, silence no longer reads as calm: ticks alone come more often."""

LinkState = Literal["connecting", "catching_up", "following", "lost"]
PulseState = Literal["connecting", "catching_up", "lost", "empty", "stalled", "ended", "live"]


class Sent(Struct, frozen=True):
    """A person's word that is on its way through the journal."""

    feedback: Feedback
    sent_at_s: float


class Pulse(Struct, frozen=True, kw_only=True):
    """How far the board can be trusted now."""

    state: PulseState
    fault: str
    """What is wrong with the link, in words; empty when nothing is."""
    now_s: float
    last_entry_at_s: float | None
    """Wall clock when the journal was last seen to grow."""
    last_record_at_s: float | None
    """Wall clock of the last record on the topics that the console reads."""
    event_time: datetime | None
    """Event time that the input has reached."""
    watermark_at: datetime | None
    behind_s: float | None
    late_ratio: float | None
    silent_partitions: int | None
    unjudged_ratio: float | None
    """Share of the posts of the newest alert's narrative in languages that the heads do not cover."""
    unjudged_narratives_ratio: float | None
    """The same of all live narratives together: seen also while nothing alerts. None without a narrative."""
    untrained_model: str
    """Embedding space of the newest alert where no head was trained on its vectors; else empty."""
    unreadable_records: int


class EventGroup(Struct, frozen=True):
    """Open alerts about one event, the most severe first."""

    event_id: str
    alerts: tuple[Alert, ...]


class Board:
    """Alerts and narratives as the topics last said.

    Parameters
    ----------
    wall_s : clock that ages are told by; another one in tests.
    own_heads : folder of heads of one's own (`Settings.heads`).
    """

    def __init__(self, wall_s: Callable[[], float] = time.time, own_heads: Path | None = None) -> None:
        self._wall_s = wall_s
        self._own_heads = own_heads
        self._lock = threading.Lock()
        self._sent: dict[str, Sent] = {}
        self._link: LinkState = "connecting"
        self._fault = ""
        self._clear()

    def _clear(self) -> None:
        self._alerts: dict[str, Alert] = {}
        self._narratives: dict[str, Narrative] = {}
        self._revisions: dict[str, deque[Alert]] = defaultdict(lambda: deque(maxlen=HISTORY))
        self._changes: dict[str, deque[NarrativeChange]] = defaultdict(lambda: deque(maxlen=HISTORY))
        self._journal_end: int | None = None
        self._last_entry_at_s: float | None = None
        self._ended = False
        self._last_record_at_s: float | None = None
        self._event_time_s: float | None = None
        self._unreadable = 0

    # What the follower says.

    def start_over(self) -> None:
        """Forget what was read: the topics are read from their beginning."""
        with self._lock:
            self._clear()
            self._link, self._fault = "catching_up", ""

    def caught_up(self) -> None:
        """Say that all that was there at the start has been read."""
        with self._lock:
            self._link = "following"

    def lost(self, fault: str) -> None:
        """Say that the broker cannot be read, and why."""
        with self._lock:
            self._link, self._fault = "lost", fault

    def put_alert(self, alert: Alert) -> None:
        """Take the present revision of an alert."""
        with self._lock:
            self._record_came()
            known = self._alerts.get(alert.alert_id)
            if known is not None and (known.epoch, known.revision) > (alert.epoch, alert.revision):
                return
            self._alerts[alert.alert_id] = alert
            self._settle(alert)
            self._prune_alerts()

    def put_revision(self, alert: Alert) -> None:
        """Take one step of an alert's history; a repeat is left out."""
        with self._lock:
            self._record_came()
            steps = self._revisions[alert.alert_id]
            if all((step.epoch, step.revision) != (alert.epoch, alert.revision) for step in steps):
                steps.append(alert)

    def put_narrative(self, narrative: Narrative) -> None:
        """Take the present state of a narrative."""
        with self._lock:
            self._record_came()
            self._narratives[narrative.narrative_id] = narrative
            self._prune_narratives()

    def put_change(self, change: NarrativeChange) -> None:
        """Take a birth, merge, split or death; a repeat is left out."""
        with self._lock:
            self._record_came()
            for narrative_id in filter(None, (change.narrative_id, change.other_id)):
                changes = self._changes[narrative_id]
                if change not in changes:
                    changes.append(change)

    def forget_alert(self, alert_id: str) -> None:
        """Take a tombstone."""
        with self._lock:
            self._alerts.pop(alert_id, None)
            self._revisions.pop(alert_id, None)

    def forget_narrative(self, narrative_id: str) -> None:
        """Take a tombstone."""
        with self._lock:
            self._narratives.pop(narrative_id, None)

    def unreadable(self) -> None:
        """Count a record that could not be decoded: another version wrote it."""
        with self._lock:
            self._record_came()
            self._unreadable += 1

    def put_journal_tail(
        self, end: int, *, event_time_s: float | None, written_at_s: float | None, ended: bool = False
    ) -> None:
        """Take a look at the end of the journal.

        Parameters
        ----------
        end : entries ever written, over all shards.
        event_time_s : event time of the last entry, where it has one.
        written_at_s : when the broker or the writer says it was written.
        ended : the last entry of every shard says that a source has nothing more.
        """
        now_s = self._wall_s()
        with self._lock:
            self._ended = ended
            if self._journal_end is None:
                self._last_entry_at_s = min(now_s, written_at_s) if end and written_at_s else None
            elif end > self._journal_end:
                self._last_entry_at_s = now_s
            self._journal_end = end
            if event_time_s is not None:
                self._event_time_s = max(event_time_s, self._event_time_s or event_time_s)

    # What the web server says and asks.

    def note_sent(self, feedback: Feedback) -> None:
        """Remember a word until it comes back through the journal."""
        if feedback.alert_id is not None:
            with self._lock:
                self._sent[feedback.alert_id] = Sent(feedback, self._wall_s())

    def sent(self, alert_id: str) -> Sent | None:
        """Word on this alert that has not come back yet."""
        with self._lock:
            return self._sent.get(alert_id)

    def alert(self, alert_id: str) -> Alert | None:
        """Present revision of an alert."""
        with self._lock:
            return self._alerts.get(alert_id)

    def narrative(self, narrative_id: str) -> Narrative | None:
        """Present state of a narrative."""
        with self._lock:
            return self._narratives.get(narrative_id)

    def alerts_of(self, narrative_id: str) -> list[Alert]:
        """Alerts on a narrative, open ones first, then the newest."""
        with self._lock:
            found = [alert for alert in self._alerts.values() if alert.narrative_id == narrative_id]
        return sorted(found, key=lambda alert: (not is_open(alert), -alert.detected_at.timestamp(), alert.alert_id))

    def revisions(self, alert_id: str) -> list[Alert]:
        """Steps of an alert, the newest first."""
        with self._lock:
            steps = list(self._revisions.get(alert_id, ()))
        return sorted(steps, key=lambda step: (step.epoch, step.revision), reverse=True)

    def changes(self, narrative_id: str) -> list[NarrativeChange]:
        """Births, merges, splits and deaths that touch a narrative, the newest first."""
        with self._lock:
            return list(reversed(self._changes.get(narrative_id, ())))

    def open_alerts(self) -> list[Alert]:
        """Open alerts, the most severe first, then the newest."""
        with self._lock:
            found = [alert for alert in self._alerts.values() if is_open(alert)]
        return sorted(found, key=_rank)

    def open_events(self) -> list[EventGroup]:
        """Open alerts grouped by event; events in order of their most severe, then newest, alert."""
        groups: dict[str, list[Alert]] = {}
        for alert in self.open_alerts():
            groups.setdefault(alert.event_id, []).append(alert)
        return [EventGroup(event_id, tuple(alerts)) for event_id, alerts in groups.items()]

    def closed_alerts(self, count: int) -> list[Alert]:
        """Alerts closed last, the newest first."""
        with self._lock:
            return self._closed()[:count]

    def pulse(self) -> Pulse:
        """Say how alive the input is, and whether the board can be believed."""
        now_s = self._wall_s()
        with self._lock:
            newest = max(self._alerts.values(), key=lambda alert: _watermark(alert.data_health), default=None)
            health = None if newest is None else newest.data_health
            event_time_s = self._event_time_s
            if event_time_s is None and health is not None:
                event_time_s = _watermark(health)
            model = "" if newest is None else newest.model
            return Pulse(
                state=self._state(now_s),
                fault=self._fault,
                now_s=now_s,
                last_entry_at_s=self._last_entry_at_s,
                last_record_at_s=self._last_record_at_s,
                event_time=None if event_time_s is None else datetime.fromtimestamp(event_time_s, UTC),
                watermark_at=None if health is None else health.watermark_at,
                behind_s=None if health is None else health.behind_s,
                late_ratio=None if health is None else health.late_ratio,
                silent_partitions=None if health is None else health.silent_partitions,
                unjudged_ratio=None if health is None else health.unjudged_ratio,
                unjudged_narratives_ratio=self._unjudged_ratio(),
                untrained_model="" if not model or heads_come_for(model, self._own_heads) else model,
                unreadable_records=self._unreadable,
            )

    def _unjudged_ratio(self) -> float | None:
        told = [narrative.incitement for narrative in self._narratives.values() if narrative.state == "live"]
        posts = sum(one.judged + one.unjudged for one in told)
        return sum(one.unjudged for one in told) / posts if posts else None

    def _state(self, now_s: float) -> PulseState:
        if self._link != "following":
            return self._link
        if not self._journal_end:
            return "empty"
        if self._last_entry_at_s is None or now_s - self._last_entry_at_s > STALLED_AFTER_S:
            return "ended" if self._ended else "stalled"
        return "live"

    def _record_came(self) -> None:
        self._last_record_at_s = self._wall_s()

    def _settle(self, alert: Alert) -> None:
        """Drop the word that was on its way, if this revision carries it."""
        sent = self._sent.get(alert.alert_id)
        # Event time is kept in floating seconds on the way, which rounds below the microsecond.
        if sent and alert.review.at and alert.review.at >= sent.feedback.at - timedelta(milliseconds=1):
            del self._sent[alert.alert_id]

    def _closed(self) -> list[Alert]:
        closed = [alert for alert in self._alerts.values() if not is_open(alert)]
        return sorted(closed, key=lambda alert: (alert.changed_at, alert.alert_id), reverse=True)

    def _prune_alerts(self) -> None:
        if len(self._alerts) % CLOSED_ALERTS:
            return
        for alert in self._closed()[CLOSED_ALERTS:]:
            del self._alerts[alert.alert_id]
            self._revisions.pop(alert.alert_id, None)

    def _prune_narratives(self) -> None:
        if len(self._narratives) < 2 * NARRATIVES:
            return
        alerted = {alert.narrative_id for alert in self._alerts.values()}
        others = [narrative for key, narrative in self._narratives.items() if key not in alerted]
        others.sort(key=lambda narrative: (narrative.last_seen, narrative.narrative_id), reverse=True)
        for narrative in others[NARRATIVES:]:
            del self._narratives[narrative.narrative_id]
            self._changes.pop(narrative.narrative_id, None)


def is_open(alert: Alert) -> bool:
    """Tell whether an alert still wants eyes."""
    return alert.transition not in CLOSING_TRANSITIONS


def _rank(alert: Alert) -> tuple[int, float, str]:
    return (-SEVERITIES.index(alert.severity), -alert.detected_at.timestamp(), alert.alert_id)


def _watermark(health: DataHealth) -> float:
    return health.watermark_at.timestamp()
