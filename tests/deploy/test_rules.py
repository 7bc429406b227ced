import re
import subprocess
from pathlib import Path

import pytest
import yaml

from streams.metrics import SCORE_LATENCY
from streams.settings import METRICS_PORTS, load_settings

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
RULES_FILE = DEPLOY / "prometheus/emberwatch.rules.yml"
PROMETHEUS_FILE = DEPLOY / "prometheus/prometheus.yml"
ALERTMANAGER_FILE = DEPLOY / "alertmanager/alertmanager.yml"
RULE_TESTS = sorted((ROOT / "tests/rules").glob("*.yml"))

ALL_RULES = [rule for group in yaml.safe_load(RULES_FILE.read_text())["groups"] for rule in group["rules"]]
ALERTING = [rule for rule in ALL_RULES if "alert" in rule]
RECORDED = {rule["record"] for rule in ALL_RULES if "record" in rule}
PROMETHEUS = yaml.safe_load(PROMETHEUS_FILE.read_text())

SETTINGS = load_settings({})

BURN_WINDOWS = [
    # long, short, times the budget, for, severity
    ("1h", "5m", "14.4", "2m", "critical"),
    ("6h", "30m", "6", "15m", "critical"),
    ("1d", "2h", "3", "1h", "warning"),
    ("3d", "6h", "1", "3h", "warning"),
]


def rule_id(rule):
    return " ".join([rule["alert"], *filter(None, [rule["labels"].get("window")])])


each_alert = pytest.mark.parametrize("rule", ALERTING, ids=rule_id)


def run(*arguments):
    done = subprocess.run([str(argument) for argument in arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.prometheus
def test_prometheus_accepts_its_configuration_and_its_rules(tool):
    run(tool("promtool"), "check", "config", PROMETHEUS_FILE)


@pytest.mark.prometheus
@pytest.mark.parametrize("file", RULE_TESTS, ids=lambda file: file.stem)
def test_every_rule_fires_and_keeps_silent_as_its_tests_say(tool, file):
    run(tool("promtool"), "test", "rules", file)


@pytest.mark.prometheus
def test_alertmanager_accepts_its_configuration(tool):
    run(tool("amtool"), "check-config", ALERTMANAGER_FILE)


@pytest.mark.prometheus
@each_alert
def test_each_rule_reaches_those_it_concerns(tool, rule):
    labels = {**rule["labels"], "alertname": rule["alert"], "alert_id": "a"}
    expected = {
        ("narrative", "page"): "pager",
        ("narrative", "notice"): "team",
        ("narrative", "watch"): "none",
        ("monitor", "critical"): "operators",
        ("monitor", "warning"): "operators",
        ("deadman", "none"): "deadman",
    }[labels["concern"], labels["severity"]]
    arguments = [f"{name}={value}" for name, value in labels.items()]
    answer = run(tool("amtool"), "config", "routes", "test", f"--config.file={ALERTMANAGER_FILE}", *arguments)
    assert answer.strip() == expected


@pytest.mark.prometheus
def test_a_rule_that_nobody_routed_reaches_the_operators(tool):
    answer = run(tool("amtool"), "config", "routes", "test", f"--config.file={ALERTMANAGER_FILE}", "alertname=New")
    assert answer.strip() == "operators"


@each_alert
def test_each_rule_says_what_it_means_and_where_to_read_on(rule):
    assert {"severity", "concern"} <= set(rule["labels"])
    assert {"summary", "description", "runbook_url"} <= set(rule["annotations"])
    assert rule["annotations"]["runbook_url"] == f"{{{{ $externalLabels.runbooks_url }}}}/{rule['alert']}.md"
    assert (DEPLOY / "runbooks" / f"{rule['alert']}.md").is_file()
    if rule["labels"]["concern"] == "narrative":
        assert rule["annotations"]["console_url"].endswith("/alerts/{{ $labels.alert_id }}")


@each_alert
def test_an_annotation_reads_only_labels_that_its_expression_has(rule):
    # Labels that the rule itself adds are not among $labels; the text would have a hole.
    read = set(re.findall(r"\$labels\.(\w+)", str(rule["annotations"])))
    assert not read & (set(rule["labels"]) - _labels_in(rule["expr"]))


def test_each_runbook_belongs_to_a_rule():
    pages = {page.stem for page in (DEPLOY / "runbooks").glob("*.md")} - {"README"}
    assert pages == {rule["alert"] for rule in ALERTING}


@each_alert
def test_each_rule_has_a_test_that_fires_and_one_that_is_silent(rule):
    cases = [
        case
        for file in RULE_TESTS
        for test in yaml.safe_load(file.read_text())["tests"]
        for case in test.get("alert_rule_test", ())
        if case["alertname"] == rule["alert"]
    ]
    fired = [alert for case in cases for alert in case["exp_alerts"]]
    assert any(rule["labels"].items() <= alert["exp_labels"].items() for alert in fired)
    always = rule["expr"] == "vector(1)"
    assert always or any(not case["exp_alerts"] for case in cases)


@pytest.mark.parametrize("rule", ALL_RULES, ids=lambda rule: rule.get("alert", rule.get("record")))
def test_no_rule_looks_at_workers_that_play_history(rule):
    selectors = re.findall(r"\b(emberwatch_\w+|up)\b(\{[^}]*\})?", _without_recorded(rule["expr"]))
    assert all('backfill=""' in matchers for _, matchers in selectors), selectors


def test_the_burn_rates_are_those_of_the_table():
    burning = [rule for rule in ALERTING if rule["alert"] == "EmberwatchFreshnessBudgetBurning"]
    expected = [
        (
            " and ".join(f"emberwatch:late_posts:ratio_rate{window} > {factor} * 0.01" for window in (long, short)),
            hold,
            {"severity": severity, "concern": "monitor", "window": long},
        )
        for long, short, factor, hold, severity in BURN_WINDOWS
    ]
    assert [(rule["expr"], rule["for"], rule["labels"]) for rule in burning] == expected


def test_each_window_has_its_ratio_over_itself():
    for window in {window for long, short, *_ in BURN_WINDOWS for window in (long, short)}:
        (rule,) = (rule for rule in ALL_RULES if rule.get("record") == f"emberwatch:late_posts:ratio_rate{window}")
        assert set(re.findall(r"\[(\w+)\]", rule["expr"])) == {window}


def test_the_objective_is_a_bucket_of_the_histogram():
    limits = {limit for rule in ALL_RULES for limit in re.findall(r'le="([^"]+)"', rule["expr"])}
    assert limits == {"5.0"}
    assert 5.0 in SCORE_LATENCY.buckets


def test_the_shipped_addresses_are_the_defaults_of_the_settings():
    jobs = {job["job_name"]: job["static_configs"][0]["targets"] for job in PROMETHEUS["scrape_configs"]}
    assert jobs == {f"emberwatch-{stage}": [f"{SETTINGS.metrics_host}:{port}"] for stage, port in METRICS_PORTS.items()}
    assert PROMETHEUS["global"]["external_labels"]["console_url"] == SETTINGS.console_url


def _labels_in(expr):
    return set(re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", expr)) | set(
        re.findall(r"\w+", " ".join(re.findall(r"by \(([^)]*)\)", expr)))
    )


def _without_recorded(expr):
    for name in RECORDED:
        expr = expr.replace(name, "recorded")
    return expr
