"""A measurement is defined once, in streams/metrics.py: what rules and panels name must exist there."""

import json
import re
from pathlib import Path

import pytest
import yaml
from prometheus_client import CollectorRegistry, start_http_server

from detectors.records import KINDS, SEVERITIES
from streams.metrics import ALERT_OPEN, FAMILIES, Metrics

ROOT = Path(__file__).parents[2]
RULES = [
    rule
    for group in yaml.safe_load((ROOT / "deploy/prometheus/emberwatch.rules.yml").read_text())["groups"]
    for rule in group["rules"]
]
RECORDED = {rule["record"] for rule in RULES if "record" in rule}
DASHBOARD = json.loads((ROOT / "grafana/provisioning/dashboards/emberwatch.json").read_text())

RULE_QUERIES = [(rule.get("alert") or rule["record"], rule["expr"]) for rule in RULES]
PANEL_QUERIES = [
    (f"{panel['title']}, {target['refId']}", target["expr"])
    for panel in DASHBOARD["panels"]
    for target in panel.get("targets", ())
]

FAMILY_OF_SERIES = {series: family for family in FAMILIES for series in family.series}
OF_PROMETHEUS = {"up", "ALERTS"}
LABELS_OF_PROMETHEUS = {"job", "instance", "backfill", "le", "alertname", "alertstate", "severity", "concern"}
WORDS_OF_PROMQL = {"and", "or", "unless", "bool"}


def names_in(expr):
    """Names of the series that a PromQL expression reads, with their label matchers (no value holds a brace)."""
    expr = re.sub(r"\[[^\]]*\]", "", expr)
    expr = re.sub(r"\b(?:by|without|on|ignoring)\s*\([^)]*\)", "", expr)
    found = re.findall(r"(?<![\w:.])([a-zA-Z_:][\w:]*)\s*(\{[^}]*\})?(\s*\()?", expr)
    return [(name, matchers) for name, matchers, call in found if not call and name not in WORDS_OF_PROMQL]


def unknown_in(expr):
    """Everything in an expression that nobody defines: series, labels, values of labels that can be listed."""
    unknown = []
    known_labels = set(LABELS_OF_PROMETHEUS)
    for name, matchers in names_in(expr):
        family = FAMILY_OF_SERIES.get(name)
        if family is None and name not in RECORDED | OF_PROMETHEUS:
            unknown.append(name)
        labels = family.labels if family else {}
        known_labels |= set(labels)
        for label, operator, value in re.findall(r'(\w+)\s*(=~|!~|!=|=)\s*"([^"]*)"', matchers):
            if label not in labels and label not in LABELS_OF_PROMETHEUS:
                unknown.append(f"{name}{{{label}}}")
            listed = labels.get(label)
            named = [value] if operator in {"=", "!="} else value.split("|")
            if listed:
                unknown += [f'{name}{{{label}="{one}"}}' for one in named if one not in listed]
    if any(":" in name for name, _ in names_in(expr)):
        known_labels.add("stage")
    grouped = re.findall(r"\b(?:by|without|on|ignoring)\s*\(([^)]*)\)", expr)
    unknown += [label for label in re.findall(r"\w+", " ".join(grouped)) if label not in known_labels]
    return unknown


@pytest.mark.parametrize(
    ("expr", "unknown"),
    [
        ("sum(rate(emberwatch_post_scored_total[5m]))", ["emberwatch_post_scored_total"]),
        ('emberwatch_alert_open{severity="pager"}', ['emberwatch_alert_open{severity="pager"}']),
        ('emberwatch_dropped_total{what!~"repeat|orphans"}', ['emberwatch_dropped_total{what="orphans"}']),
        ('emberwatch_dropped_total{whta!="repeat"}', ["emberwatch_dropped_total{whta}"]),
        ("sum by (author) (emberwatch_alerts_open)", ["author"]),
        ("emberwatch_score_latency_seconds > 1", ["emberwatch_score_latency_seconds"]),
        ("emberwatch:nothing:ratio_rate5m > 6 * 0.01", ["emberwatch:nothing:ratio_rate5m"]),
        ('sum by (le) (rate(emberwatch_score_latency_seconds_bucket{le="5.0"}[5m])) > 1e3 and up == 0', []),
    ],
)
def test_the_reader_of_expressions_finds_what_nobody_defines(expr, unknown):
    assert unknown_in(expr) == unknown


@pytest.mark.parametrize(("name", "expr"), RULE_QUERIES + PANEL_QUERIES)
def test_each_expression_names_series_labels_and_values_that_exist(name, expr):
    assert unknown_in(expr) == []


def test_every_measurement_is_read_by_a_rule_or_a_panel():
    read = {name for _, expr in RULE_QUERIES + PANEL_QUERIES for name, _ in names_in(expr)}
    assert [family.name for family in FAMILIES if not read & set(family.series)] == []


@pytest.fixture
def busy_worker(alert):
    """A worker with something in every family."""
    metrics = Metrics(CollectorRegistry())
    for number, (severity, kind) in enumerate(zip(SEVERITIES, KINDS, strict=False)):
        metrics.alert_published(alert(f"a{number}", severity, kind))
    metrics.set_build(version="1", config_hash="c", embedding_space="hash-64")
    for gauge in (metrics.watermark, metrics.heartbeat, metrics.last_entry, metrics.last_snapshot):
        gauge.set_to_current_time()
    server, thread = start_http_server(0, addr="127.0.0.1", registry=metrics.registry)
    yield metrics, f"127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.mark.prometheus
def test_every_panel_and_every_rule_gets_an_answer_from_prometheus(watching, wait_for, busy_worker):
    metrics, address = busy_worker
    metrics.score_latency.observe(0.3)
    with watching(score=[address], monitor=[address]) as watch:
        wait_for("two scrapes", lambda: watch.query("count_over_time(up[30s]) > 2"))
        metrics.score_latency.observe(9.0)
        wait_for("late post", lambda: watch.query('rate(emberwatch_score_latency_seconds_bucket{le="+Inf"}[1m]) > 0'))

        empty = [name for name, expr in PANEL_QUERIES if not watch.query(_as_grafana_sends(expr))]
        # Of these, nothing is the answer of a healthy minute: the ratio needs traffic.
        assert empty == ["Posts later than 5 s, A", "Rules firing on Emberwatch itself, by name, A"]

        for _, expr in RULE_QUERIES:
            watch.query(expr)
        rules = watch.rules()
        assert {rule["name"] for rule in rules} == {name for name, _ in RULE_QUERIES}
        assert [(rule["name"], rule["lastError"]) for rule in rules if rule["health"] != "ok"] == []

        shown = {series["metric"]["alert_id"] for series in watch.query(ALERT_OPEN.name)}
        assert shown == {"a0", "a1", "a2"}


def _as_grafana_sends(expr):
    """Fill in the variables as Grafana does: the interval is four scrapes, and live workers are shown."""
    return expr.replace("$__rate_interval", "30s").replace("$__range", "5m").replace("$backfill", "()")
