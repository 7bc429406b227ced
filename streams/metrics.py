"""Every measurement that the project exports, each defined once: name, kind, unit, labels and help.

`FAMILIES` is the listing that dashboards, rules and their tests check names against. `Metrics(registry)` registers
the families and starts every enumerable series at zero, so that a rate exists before the first event. Times are
epoch seconds, and 0 means "not yet".

No label names an author, a text, a link, a post or a narrative. The one label that grows with the input is the
opaque id of an open alert, through `OpenAlerts`, which shows at most `SHOWN_ALERTS` of them and forgets them when
they close.
"""

from collections.abc import Iterator, Mapping
from itertools import product
from typing import Literal, TypeVar, get_args

import prometheus_client
from msgspec import Struct
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.metrics import MetricWrapperBase

from detectors.entries import Entry
from detectors.records import KINDS, SEVERITIES, Alert, Narrative, Severity, Transition
from streams.settings import Stage

# A second series for each counter, holding its birth time, doubles the page, and no rule reads it.
prometheus_client.disable_created_metrics()  # type: ignore[no-untyped-call]

Unit = Literal["", "seconds", "records"]

MetricT = TypeVar("MetricT", bound=MetricWrapperBase)

SHOWN_ALERTS = 100
"""Open alerts with a series of their own; the rest are counted in `emberwatch_alerts_open_omitted`."""

CLOSING_TRANSITIONS: frozenset[Transition] = frozenset({"cleared", "merged", "retracted"})
"""After these an alert is no longer open."""

ENTRY_TAGS: tuple[str, ...] = tuple(str(entry.__struct_config__.tag) for entry in get_args(Entry))
NARRATIVE_STATES: tuple[str, ...] = get_args(Narrative.__annotations__["state"])
SCORE_STAGES = ("decode", "embed", "score", "journal")
CONTROL_TOPICS = ("claims", "feedback", "crisis", "deletions", "configuration")
NOT_JUDGED = ("language", "space")
"""Why no trained head judged a post: its language is not covered (incitement is unknown), or no head was trained on
vectors of this model (the wording alone is read, which finds less)."""
LEFT_OUT = {
    "repeated_record": "repeat",
    "repeated_post": "repeat",
    "index_evicted": "indexed_post",
    "micro_cluster_cap": "micro_cluster",
    "closed_alert_cap": "alert",
    "page_over_budget": "page_over_budget",
    "skipped_entry": "skipped_entry",
    "orphan": "orphan",
    "deleted": "deleted",
    "deleted_before_it_came": "deleted",
    "reshare_of_deleted": "deleted",
    "coordination_cap": "coordination",
    "named_person_cap": "named_person",
    "name_history_evicted": "named_person",
    "look_unasked": "look_unasked",
    "look_cap": "look",
    "look_unanswered": "look",
    "look_not_needed": "look",
    "date_distrusted": "date_distrusted",
    "feedback_on_unknown": "feedback_on_unknown",
}
"""What the fold calls each reason for leaving something out, and the label under which it is counted."""

DROPS = (*dict.fromkeys(LEFT_OUT.values()), "other")

STAGE_BUCKETS_S = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
LATENCY_BUCKETS_S = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0)


class Family(Struct, frozen=True, kw_only=True):
    """One family of series, as it is exposed."""

    name: str
    """As exposed: counters end in `_total`; histograms expose `_bucket`, `_sum` and `_count` after it."""
    kind: Literal["counter", "gauge", "histogram"]
    unit: Unit
    help: str
    labels: dict[str, tuple[str, ...] | None] = {}
    """Name of the label to its values; None where the values cannot be listed beforehand."""
    stages: tuple[Stage, ...] = ("score", "monitor")
    """Workers that export it."""
    buckets: tuple[float, ...] = ()

    @property
    def series(self) -> tuple[str, ...]:
        """Names of the series in the exposition, without labels.

        >>> POSTS_SCORED.series
        ('emberwatch_posts_scored_total',)
        """
        if self.kind != "histogram":
            return (self.name,)
        return tuple(f"{self.name}_{suffix}" for suffix in ("bucket", "sum", "count"))


POSTS_SCORED = Family(
    name="emberwatch_posts_scored_total",
    kind="counter",
    unit="",
    help="Posts handled by the scorer, by what became of them.",
    labels={"outcome": ("scored", "dead_letter")},
    stages=("score",),
)
POSTS_NOT_JUDGED = Family(
    name="emberwatch_posts_not_judged_total",
    kind="counter",
    unit="",
    help="Posts with words that no trained head judged, because of their language or of the model's space.",
    labels={"reason": NOT_JUDGED},
    stages=("score",),
)
SCORE_STAGE = Family(
    name="emberwatch_score_stage_seconds",
    kind="histogram",
    unit="seconds",
    help="Time a batch takes in each stage of scoring; `embed` is a part of `score`.",
    labels={"stage": SCORE_STAGES},
    stages=("score",),
    buckets=STAGE_BUCKETS_S,
)
SCORE_LATENCY = Family(
    name="emberwatch_score_latency_seconds",
    kind="histogram",
    unit="seconds",
    help="From the arrival of a post (ingested_at) to its confirmation in the journal.",
    stages=("score",),
    buckets=LATENCY_BUCKETS_S,
)
CONTROL_RECORDS = Family(
    name="emberwatch_control_records_total",
    kind="counter",
    unit="records",
    help="Claims, feedback, crises, deletions and configurations appended to the journal, by topic.",
    labels={"topic": CONTROL_TOPICS},
    stages=("score",),
)
DEAD_LETTERS = Family(
    name="emberwatch_dead_letters_total",
    kind="counter",
    unit="",
    help="Records that could not be used and went to the dead letters, by the topic they came from.",
    labels={"topic": ("posts", *CONTROL_TOPICS, "looks", "journal")},
)
CONSUMER_LAG = Family(
    name="emberwatch_consumer_lag_records",
    kind="gauge",
    unit="records",
    help="Records between the end of the log and what this stage has handled, over its partitions.",
    labels={"stage": ("score", "monitor")},
)
CONSUMER_WAIT = Family(
    name="emberwatch_consumer_lag_seconds",
    kind="gauge",
    unit="seconds",
    help="How long the oldest record that this stage has not handled has been waiting; 0 where none waits.",
    labels={"stage": ("score", "monitor")},
)
LAST_ENTRY = Family(
    name="emberwatch_last_entry_timestamp_seconds",
    kind="gauge",
    unit="seconds",
    help="Wall clock when the last record was handled; 0 before the first.",
)
HEARTBEAT = Family(
    name="emberwatch_heartbeat_timestamp_seconds",
    kind="gauge",
    unit="seconds",
    help="Wall clock of the last turn of the worker's loop; 0 before the first.",
)
BUILD = Family(
    name="emberwatch_build_info",
    kind="gauge",
    unit="",
    help="Version, configuration and embedding space in force; the value is 1.",
    labels={"version": None, "config_hash": None, "embedding_space": None},
)
JOURNAL_ENTRIES = Family(
    name="emberwatch_journal_entries_total",
    kind="counter",
    unit="",
    help="Journal entries folded by the monitor, by kind of entry.",
    labels={"entry": ENTRY_TAGS},
    stages=("monitor",),
)
FOLD = Family(
    name="emberwatch_fold_seconds_total",
    kind="counter",
    unit="seconds",
    help="Time spent folding journal entries.",
    stages=("monitor",),
)
WATERMARK = Family(
    name="emberwatch_watermark_timestamp_seconds",
    kind="gauge",
    unit="seconds",
    help="Event time up to which the input is believed complete; 0 before the first post.",
    stages=("monitor",),
)
SILENT_PARTITIONS = Family(
    name="emberwatch_silent_partitions",
    kind="gauge",
    unit="",
    help="Source partitions declared idle, which no longer hold the watermark back.",
    stages=("monitor",),
)
NARRATIVES = Family(
    name="emberwatch_narratives",
    kind="gauge",
    unit="",
    help="Narratives in the monitor's state, by state.",
    labels={"state": NARRATIVE_STATES},
    stages=("monitor",),
)
MICRO_CLUSTERS = Family(
    name="emberwatch_micro_clusters",
    kind="gauge",
    unit="",
    help="Live micro-clusters; the cost of clustering grows with them.",
    stages=("monitor",),
)
LATE_POSTS = Family(
    name="emberwatch_late_posts_total",
    kind="counter",
    unit="",
    help="Posts behind the watermark: counted in totals, not in rates.",
    stages=("monitor",),
)
DROPPED = Family(
    name="emberwatch_dropped_total",
    kind="counter",
    unit="",
    help="What was left out or forgotten before its time, by what it was; repeats, orphans, deletions are expected.",
    labels={"what": DROPS},
    stages=("monitor",),
)
ALERT_TRANSITIONS = Family(
    name="emberwatch_alert_transitions_total",
    kind="counter",
    unit="",
    help="Revisions of alerts published, by transition and severity.",
    labels={"transition": get_args(Transition), "severity": SEVERITIES},
    stages=("monitor",),
)
SNAPSHOTS = Family(
    name="emberwatch_snapshots_total",
    kind="counter",
    unit="",
    help="Snapshots of the state, by outcome.",
    labels={"outcome": ("written", "failed")},
    stages=("monitor",),
)
LAST_SNAPSHOT = Family(
    name="emberwatch_snapshot_timestamp_seconds",
    kind="gauge",
    unit="seconds",
    help="Wall clock of the last snapshot written; 0 before the first.",
    stages=("monitor",),
)
COLD_START = Family(
    name="emberwatch_cold_start",
    kind="gauge",
    unit="",
    help="1 while the state was rebuilt without a snapshot and without the whole journal, else 0.",
    stages=("monitor",),
)
ALERT_OPEN = Family(
    name="emberwatch_alert_open",
    kind="gauge",
    unit="",
    help=f"1 for each open alert, the {SHOWN_ALERTS} most severe and newest; the series vanishes when it closes.",
    labels={"alert_id": None, "severity": SEVERITIES, "kind": KINDS},
    stages=("monitor",),
)
ALERTS_OPEN = Family(
    name="emberwatch_alerts_open",
    kind="gauge",
    unit="",
    help="Open alerts, all of them, by severity.",
    labels={"severity": SEVERITIES},
    stages=("monitor",),
)
ALERTS_OPEN_OMITTED = Family(
    name="emberwatch_alerts_open_omitted",
    kind="gauge",
    unit="",
    help="Open alerts without a series of their own in emberwatch_alert_open.",
    stages=("monitor",),
)

FAMILIES: tuple[Family, ...] = (
    POSTS_SCORED,
    POSTS_NOT_JUDGED,
    SCORE_STAGE,
    SCORE_LATENCY,
    CONTROL_RECORDS,
    DEAD_LETTERS,
    CONSUMER_LAG,
    CONSUMER_WAIT,
    LAST_ENTRY,
    HEARTBEAT,
    BUILD,
    JOURNAL_ENTRIES,
    FOLD,
    WATERMARK,
    SILENT_PARTITIONS,
    NARRATIVES,
    MICRO_CLUSTERS,
    LATE_POSTS,
    DROPPED,
    ALERT_TRANSITIONS,
    SNAPSHOTS,
    LAST_SNAPSHOT,
    COLD_START,
    ALERT_OPEN,
    ALERTS_OPEN,
    ALERTS_OPEN_OMITTED,
)
"""All of them; the last three are collected from `OpenAlerts` at each scrape."""


class OpenAlerts:
    """The open alerts, as the fold last said, collected afresh at each scrape."""

    def __init__(self) -> None:
        self._open: dict[str, Alert] = {}

    def put(self, alert: Alert) -> None:
        """Take a revision of an alert; one that closes it removes its series."""
        if alert.transition in CLOSING_TRANSITIONS:
            self._open.pop(alert.alert_id, None)
        else:
            self._open[alert.alert_id] = alert

    def clear(self) -> None:
        """Forget them all: the shard went to another worker, which shows them now."""
        self._open.clear()

    def __len__(self) -> int:
        return len(self._open)

    def collect(self) -> Iterator[Metric]:
        """Yield the three families of open alerts."""
        ranked = sorted(self._open.values(), key=_rank)
        open_alerts = _gauge_family(ALERT_OPEN)
        for alert in ranked[:SHOWN_ALERTS]:
            open_alerts.add_metric([alert.alert_id, alert.severity, first_kind(alert)], 1)
        totals = _gauge_family(ALERTS_OPEN)
        for severity in SEVERITIES:
            totals.add_metric([severity], sum(alert.severity == severity for alert in ranked))
        omitted = _gauge_family(ALERTS_OPEN_OMITTED)
        omitted.add_metric([], max(0, len(ranked) - SHOWN_ALERTS))
        yield from (open_alerts, totals, omitted)


class Metrics:
    """The families, registered, one attribute each.

    Parameters
    ----------
    registry : where they are registered; a fresh one in tests.
    stage : register only what this worker exports, so that no scorer shows a watermark it does not have; None
        registers all.
    """

    def __init__(self, registry: CollectorRegistry, stage: Stage | None = None) -> None:
        self.registry = registry
        self._stage = stage
        self.posts_scored = self._counter(POSTS_SCORED)
        self.posts_not_judged = self._counter(POSTS_NOT_JUDGED)
        self.score_stage = self._histogram(SCORE_STAGE)
        self.score_latency = self._histogram(SCORE_LATENCY)
        self.control_records = self._counter(CONTROL_RECORDS)
        self.dead_letters = self._counter(DEAD_LETTERS)
        self.consumer_lag = self._gauge(CONSUMER_LAG)
        self.consumer_wait = self._gauge(CONSUMER_WAIT)
        self.last_entry = self._gauge(LAST_ENTRY)
        self.heartbeat = self._gauge(HEARTBEAT)
        self.build = self._gauge(BUILD)
        self.journal_entries = self._counter(JOURNAL_ENTRIES)
        self.fold = self._counter(FOLD)
        self.watermark = self._gauge(WATERMARK)
        self.silent_partitions = self._gauge(SILENT_PARTITIONS)
        self.narratives = self._gauge(NARRATIVES)
        self.micro_clusters = self._gauge(MICRO_CLUSTERS)
        self.late_posts = self._counter(LATE_POSTS)
        self.dropped = self._counter(DROPPED)
        self.alert_transitions = self._counter(ALERT_TRANSITIONS)
        self.snapshots = self._counter(SNAPSHOTS)
        self.last_snapshot = self._gauge(LAST_SNAPSHOT)
        self.cold_start = self._gauge(COLD_START)
        self._left_out: dict[int, dict[str, int]] = {}
        self.open_alerts = OpenAlerts()
        if self._exports(ALERT_OPEN):
            registry.register(self.open_alerts)

    def alert_published(self, alert: Alert) -> None:
        """Count a published revision of an alert and keep the gauge of open ones."""
        self.alert_transitions.labels(transition=alert.transition, severity=alert.severity).inc()
        self.open_alerts.put(alert)

    def left_out_before(self, totals: Mapping[str, int], shard: int = 0) -> None:
        """Say where counting starts, when a shard's state was loaded: what it brings along happened before."""
        self._left_out[shard] = dict(totals)

    def count_left_out(self, totals: Mapping[str, int], shard: int = 0) -> None:
        """Take the fold's totals of what it left out, by its reasons, and count what is new in them."""
        before = self._left_out.get(shard, {})
        for reason, total in totals.items():
            self.dropped.labels(what=LEFT_OUT.get(reason, "other")).inc(max(0, total - before.get(reason, 0)))
        self._left_out[shard] = dict(totals)

    def set_build(self, *, version: str, config_hash: str, embedding_space: str) -> None:
        """Say what is in force; what was in force before vanishes."""
        self.build.clear()
        self.build.labels(version=version, config_hash=config_hash, embedding_space=embedding_space).set(1)

    def _exports(self, family: Family) -> bool:
        return self._stage is None or self._stage in family.stages

    def _registry_for(self, family: Family) -> CollectorRegistry | None:
        return self.registry if self._exports(family) else None

    def _counter(self, family: Family) -> Counter:
        counter = Counter(family.name, family.help, tuple(family.labels), registry=self._registry_for(family))
        return self._from_zero(family, counter)

    def _gauge(self, family: Family) -> Gauge:
        gauge = Gauge(family.name, family.help, tuple(family.labels), registry=self._registry_for(family))
        return self._from_zero(family, gauge)

    def _histogram(self, family: Family) -> Histogram:
        histogram = Histogram(
            family.name,
            family.help,
            tuple(family.labels),
            registry=self._registry_for(family),
            buckets=family.buckets,
        )
        return self._from_zero(family, histogram)

    def _from_zero(self, family: Family, metric: MetricT) -> MetricT:
        for values in _label_values(family):
            # A worker has the lag of its own stage only.
            if (family is not CONSUMER_LAG and family is not CONSUMER_WAIT) or self._stage in {None, *values}:
                metric.labels(*values)
        return metric


def first_kind(alert: Alert) -> str:
    """Name the kind under which an alert's series runs: the first of its kinds in the fixed order."""
    return next((kind for kind in KINDS if kind in alert.kinds), "viral")


def _rank(alert: Alert) -> tuple[int, float, str]:
    return (-_SEVERITY_RANK[alert.severity], -alert.detected_at.timestamp(), alert.alert_id)


_SEVERITY_RANK: dict[Severity, int] = {severity: rank for rank, severity in enumerate(SEVERITIES)}


def _gauge_family(family: Family) -> GaugeMetricFamily:
    return GaugeMetricFamily(family.name, family.help, labels=tuple(family.labels))


def _label_values(family: Family) -> Iterator[tuple[str, ...]]:
    """Yield the combinations of label values that can be listed; none for a family without labels."""
    listed = [values for values in family.labels.values() if values is not None]
    if listed and len(listed) == len(family.labels):
        yield from product(*listed)
