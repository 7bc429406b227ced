import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import prometheus_client
import pytest
from prometheus_client import CollectorRegistry, generate_latest

from detectors import monitor
from detectors.records import Alert, Counts, DataHealth, Growth, Handling, Review, Spread, Stance
from streams.metrics import DROPS, FAMILIES, LEFT_OUT, SHOWN_ALERTS, Metrics, OpenAlerts, first_kind

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
GOLDEN = Path(__file__).parent / "golden" / "metrics.txt"
"""Rewritten by `WRITE_GOLDEN=1 pytest tests/streams/test_metrics.py`."""

UNITS = {"seconds", "records", "bytes"}
FORBIDDEN_LABELS = {
    "author",
    "author_id",
    "text",
    "url",
    "link",
    "post",
    "post_id",
    "narrative",
    "narrative_id",
    "name",
}


def alert(alert_id="a1", *, severity="page", kinds=("false_narrative", "viral"), transition="opened", minute=0):
    at = NOW + timedelta(minutes=minute)
    return Alert(
        alert_id=alert_id,
        revision=1,
        epoch=1,
        transition=transition,
        narrative_id="n-secret",
        event_id="e-secret",
        severity=severity,
        kinds=kinds,
        reasons=(),
        counts=Counts(
            posts=1, authors=1, reshares=0, replies=0, late=0, window_s=600, window_posts=1, window_authors=1
        ),
        growth=Growth(state="bursting", velocity_per_s=0.1, expected=1.0, basis="own_history", burst_z=5.0),
        forecast=None,
        stance=Stance(),
        matched_claims=(),
        verdict="unreviewed",
        coordination=None,
        spread=Spread(platforms={}, languages={}, communities={}),
        exemplars=(),
        label="words of a post",
        merged_into=None,
        data_health=DataHealth(watermark_at=at, behind_s=0.0, late_ratio=0.0, silent_partitions=0),
        model="m",
        config_hash="c",
        first_seen=at,
        detected_at=at,
        changed_at=at,
        review=Review(),
        handling=Handling(contains_named_person=False, retain_until=NOW + timedelta(days=90)),
    )


@pytest.fixture
def registry():
    return CollectorRegistry()


def shown(registry):
    family = next(family for family in registry.collect() if family.name == "emberwatch_alert_open")
    return [(sample.labels["alert_id"], sample.labels["severity"], sample.labels["kind"]) for sample in family.samples]


def test_exposition_is_the_golden_one(registry, monkeypatch, golden):
    monkeypatch.setattr(prometheus_client.metrics.time, "time", lambda: 123.456)
    metrics = Metrics(registry)
    metrics.set_build(version="0.1.0", config_hash="000000000001", embedding_space="hash-64")
    metrics.posts_scored.labels(outcome="scored").inc(3)
    metrics.score_stage.labels(stage="embed").observe(0.02)
    metrics.heartbeat.set_to_current_time()
    metrics.watermark.set(NOW.timestamp())
    metrics.alert_published(alert())
    metrics.alert_published(alert("a2", severity="watch", kinds=("viral",), minute=1))
    golden(GOLDEN, generate_latest(registry).decode())


def test_every_family_that_is_listed_is_exposed_and_every_family_that_is_exposed_is_listed(registry):
    metrics = Metrics(registry)
    metrics.set_build(version="v", config_hash="c", embedding_space="s")
    metrics.open_alerts.put(alert())
    exposed = {sample.name for family in registry.collect() for sample in family.samples}
    assert exposed == {name for family in FAMILIES for name in family.series}


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_a_family_has_help_a_base_unit_in_its_name_and_no_label_that_identifies_anyone(family):
    assert family.help.endswith(".")
    assert family.name.startswith("emberwatch_")
    assert (family.kind == "counter") == family.name.endswith("_total")
    stem = family.name.removesuffix("_total")
    assert stem.endswith(f"_{family.unit}") if family.unit else not stem.endswith(tuple(UNITS))
    assert not FORBIDDEN_LABELS & set(family.labels)
    assert (family.kind == "histogram") == bool(family.buckets)


def test_no_label_value_of_an_open_alert_is_taken_from_its_posts_or_its_narrative(registry):
    metrics = Metrics(registry)
    metrics.alert_published(alert())
    exposition = generate_latest(registry).decode()
    assert "secret" not in exposition
    assert "words of a post" not in exposition


def test_zero_exists_before_the_first_event(registry):
    Metrics(registry)
    assert registry.get_sample_value("emberwatch_posts_scored_total", {"outcome": "dead_letter"}) == 0
    labels = {"transition": "opened", "severity": "page"}
    assert registry.get_sample_value("emberwatch_alert_transitions_total", labels) == 0
    assert registry.get_sample_value("emberwatch_alerts_open", {"severity": "page"}) == 0
    assert registry.get_sample_value("emberwatch_alerts_open_omitted") == 0


def test_a_scorer_does_not_export_what_only_a_monitor_knows(registry):
    metrics = Metrics(registry, "score")
    metrics.watermark.set(1)  # accepted, shown nowhere
    assert registry.get_sample_value("emberwatch_watermark_timestamp_seconds") is None
    assert registry.get_sample_value("emberwatch_alerts_open_omitted") is None
    assert registry.get_sample_value("emberwatch_consumer_lag_records", {"stage": "score"}) == 0
    assert registry.get_sample_value("emberwatch_consumer_lag_records", {"stage": "monitor"}) is None


@pytest.mark.parametrize("closing", ["cleared", "merged", "retracted"])
def test_the_series_of_an_alert_vanishes_when_it_closes_and_returns_when_it_resurges(registry, closing):
    metrics = Metrics(registry)
    metrics.alert_published(alert())
    assert shown(registry) == [("a1", "page", "false_narrative")]
    metrics.alert_published(alert(transition=closing))
    assert shown(registry) == []
    metrics.alert_published(alert(transition="resurged"))
    assert len(shown(registry)) == 1


def test_a_revision_with_another_severity_replaces_the_series(registry):
    metrics = Metrics(registry)
    metrics.alert_published(alert(severity="watch"))
    metrics.alert_published(alert(severity="page", transition="updated"))
    assert shown(registry) == [("a1", "page", "false_narrative")]


def test_in_a_flood_the_most_severe_and_newest_are_shown_and_the_rest_are_counted(registry):
    open_alerts = OpenAlerts()
    registry.register(open_alerts)
    for minute in range(SHOWN_ALERTS):
        open_alerts.put(alert(f"watch-{minute}", severity="watch", minute=minute))
    for minute in range(3):
        open_alerts.put(alert(f"page-{minute}", severity="page", minute=minute))
    ids = [alert_id for alert_id, _, _ in shown(registry)]
    assert ids[:4] == ["page-2", "page-1", "page-0", f"watch-{SHOWN_ALERTS - 1}"]
    assert len(ids) == SHOWN_ALERTS
    assert "watch-0" not in ids
    assert registry.get_sample_value("emberwatch_alerts_open_omitted") == 3
    assert registry.get_sample_value("emberwatch_alerts_open", {"severity": "watch"}) == SHOWN_ALERTS


def test_the_kind_of_a_series_is_the_first_in_the_fixed_order_whatever_the_order_in_the_alert():
    assert first_kind(alert(kinds=("viral", "incitement"))) == "incitement"
    assert first_kind(alert(kinds=("viral", "named_person", "false_narrative"))) == "named_person"


def test_a_new_build_replaces_the_old_one(registry):
    metrics = Metrics(registry)
    metrics.set_build(version="1", config_hash="a", embedding_space="s")
    metrics.set_build(version="1", config_hash="b", embedding_space="s")
    family = next(family for family in registry.collect() if family.name == "emberwatch_build_info")
    assert [sample.labels["config_hash"] for sample in family.samples] == ["b"]


def test_what_a_snapshot_brings_along_is_not_counted_again(registry):
    metrics = Metrics(registry)
    metrics.left_out_before({"repeated_post": 40})
    metrics.count_left_out({"repeated_post": 42, "repeated_record": 1, "index_evicted": 5, "a_new_reason": 1})
    metrics.count_left_out({"repeated_post": 42, "repeated_record": 1, "index_evicted": 6, "a_new_reason": 1})
    metrics.count_left_out({"orphan": 2}, shard=1)
    counted = {what: registry.get_sample_value("emberwatch_dropped_total", {"what": what}) for what in DROPS}
    assert {what: value for what, value in counted.items() if value} == {
        "repeat": 3,
        "indexed_post": 6,
        "orphan": 2,
        "other": 1,
    }


def test_every_reason_of_the_fold_has_a_label_of_its_own():
    sources = "".join(path.read_text() for path in (Path(__file__).parents[2] / "detectors").glob("*.py"))
    reasons = {*re.findall(r'leave_out\("(\w+)"', sources), *monitor.new_state().left_out()}
    assert reasons <= set(LEFT_OUT)
