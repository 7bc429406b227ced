import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
GRAFANA = ROOT / "grafana"
PROVISIONING = GRAFANA / "provisioning"
DASHBOARD = json.loads((PROVISIONING / "dashboards/emberwatch.json").read_text())
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
TARGETS = [(panel["title"], target) for panel in PANELS for target in panel["targets"]]

PROMETHEUS_RULES = yaml.safe_load((ROOT / "deploy/prometheus/emberwatch.rules.yml").read_text())
ALERTMANAGER = yaml.safe_load((ROOT / "deploy/alertmanager/alertmanager.yml").read_text())
ALERTING = [rule for group in PROMETHEUS_RULES["groups"] for rule in group["rules"] if "alert" in rule]

PANEL_TYPES = {"stat", "timeseries", "table", "heatmap"}
UNITS = {"none", "short", "s", "cps", "percentunit"}
VARIABLES_OF_GRAFANA = {"__rate_interval", "__range", "__value"}

each_panel = pytest.mark.parametrize("panel", PANELS, ids=lambda panel: f"{panel['id']} {panel['title']}")
each_target = pytest.mark.parametrize(("title", "target"), TARGETS)


def provisioned(name):
    return yaml.safe_load((PROVISIONING / name).read_text())


GRAFANA_RULES = [rule for group in provisioned("alerting/rules.yml")["groups"] for rule in group["rules"]]


@pytest.mark.parametrize("script", ["dashboards.py", "alerting.py"])
def test_what_is_checked_in_is_what_the_scripts_make(script):
    done = subprocess.run([sys.executable, GRAFANA / script, "--check"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_dashboard_keeps_its_address_and_its_schema():
    assert DASHBOARD["uid"] == "emberwatch-overview"
    assert DASHBOARD["schemaVersion"] == 39
    assert "id" not in DASHBOARD
    assert {"title", "description", "tags", "time", "refresh", "templating", "annotations", "links"} <= set(DASHBOARD)


def test_no_two_panels_share_an_id_or_a_title():
    ids = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(set(ids)) == len(ids)
    named = [(panel["type"], panel["title"]) for panel in DASHBOARD["panels"]]
    assert len(set(named)) == len(named)


def test_no_two_panels_overlap_and_none_leaves_the_grid():
    taken = {}
    for panel in DASHBOARD["panels"]:
        at = panel["gridPos"]
        assert at["w"] > 0
        assert at["h"] > 0
        assert 0 <= at["x"] <= at["x"] + at["w"] <= 24
        for column in range(at["x"], at["x"] + at["w"]):
            for line in range(at["y"], at["y"] + at["h"]):
                assert taken.setdefault((column, line), panel["id"]) == panel["id"]


def test_every_line_of_panels_fills_the_grid():
    lines = {}
    for panel in PANELS:
        lines[panel["gridPos"]["y"]] = lines.get(panel["gridPos"]["y"], 0) + panel["gridPos"]["w"]
    assert set(lines.values()) == {24}


def test_the_health_of_the_data_comes_first():
    assert "health of the data" in DASHBOARD["panels"][0]["title"]
    first_row = {panel["title"] for panel in PANELS if panel["gridPos"]["y"] == 1}
    assert first_row == {
        "Watermark behind the clock",
        "Lag",
        "Dead letters",
        "Posts",
        "Last record handled",
        "Workers that answer",
    }


@each_panel
def test_each_panel_says_what_it_shows_in_which_unit(panel):
    assert panel["type"] in PANEL_TYPES
    assert panel["title"]
    assert panel["description"].endswith(".")
    assert panel["fieldConfig"]["defaults"]["unit"] in UNITS
    assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
    assert [target["refId"] for target in panel["targets"]] == list("ABCDEF"[: len(panel["targets"])])


@each_target
def test_each_query_reads_through_the_data_source_variable(title, target):
    assert target["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
    assert target["instant"] != target["range"]
    assert target["legendFormat"] or target["format"] == "table"


@each_target
def test_each_rate_follows_the_resolution_of_the_picture(title, target):
    windows = set(re.findall(r"\[([^\]]+)\]", target["expr"]))
    assert windows <= {"$__rate_interval", "$__range"}


@each_target
def test_each_query_tells_live_workers_from_those_that_play_history(title, target):
    of_workers = re.findall(r"\b(?:emberwatch_\w+|up)\b(\{[^}]*\})?", target["expr"])
    assert all('backfill=~"$backfill"' in matchers for matchers in of_workers)


def test_each_variable_that_is_used_is_defined():
    defined = {variable["name"] for variable in DASHBOARD["templating"]["list"]}
    used = set(re.findall(r"\$\{?(\w+)", json.dumps(DASHBOARD["panels"])))
    assert used <= defined | VARIABLES_OF_GRAFANA
    assert defined <= used


def test_an_open_alert_leads_to_its_page_in_the_console():
    (table,) = (panel for panel in PANELS if panel["type"] == "table" and panel["title"] == "Open alerts")
    links = [
        link["url"]
        for override in table["fieldConfig"]["overrides"]
        if override["matcher"]["options"] == "alert_id"
        for entry in override["properties"]
        if entry["id"] == "links"
        for link in entry["value"]
    ]
    assert links == ["${console_url}/alerts/${__value.raw}"]


def test_grafana_finds_its_dashboard_and_its_data_sources():
    (provider,) = provisioned("dashboards/emberwatch.yml")["providers"]
    assert provider["type"] == "file"
    assert provider["options"]["path"] == "/etc/grafana/provisioning/dashboards"
    sources = {source["uid"]: source for source in provisioned("datasources/emberwatch.yml")["datasources"]}
    assert {uid: source["type"] for uid, source in sources.items()} == {
        "emberwatch-prometheus": "prometheus",
        "emberwatch-alertmanager": "alertmanager",
    }


def test_grafana_alerts_on_the_expressions_of_prometheus():
    theirs = [(rule["data"][0]["model"]["expr"], rule["for"], rule["labels"]) for rule in GRAFANA_RULES]
    ours = [(rule["expr"], rule.get("for", "0s"), rule["labels"]) for rule in ALERTING]
    assert theirs == ours


@pytest.mark.parametrize("rule", GRAFANA_RULES, ids=lambda rule: rule["title"])
def test_each_rule_of_grafana_is_whole(rule):
    query, condition = rule["data"]
    assert query["datasourceUid"] == "emberwatch-prometheus"
    assert query["model"]["instant"] is True
    assert condition["datasourceUid"] == "__expr__"
    assert condition["model"]["expression"] == "is_number($A)"
    assert rule["condition"] == condition["refId"]
    assert re.fullmatch(r"[a-z0-9-]{1,40}", rule["uid"])
    # Grafana knows neither of these in a template, and expands ${...} from the environment.
    assert not re.search(r"\$externalLabels|\$value\b|\$\{", str(rule["annotations"]))
    assert {"summary", "description", "runbook_url"} <= set(rule["annotations"])


def test_the_rules_of_grafana_have_names_of_their_own():
    assert len({rule["uid"] for rule in GRAFANA_RULES}) == len(GRAFANA_RULES)
    assert len({rule["title"] for rule in GRAFANA_RULES}) == len(GRAFANA_RULES)


def test_grafana_tells_the_same_people_as_alertmanager():
    def routes(tree, matchers_of):
        return [
            (sorted(matchers_of(route)), route["receiver"], route.get("group_by"), route.get("repeat_interval"))
            for route in tree["routes"]
            if sorted(matchers_of(route)) != ["concern=narrative", "severity=watch"]
        ]

    (policy,) = provisioned("alerting/policies.yml")["policies"]
    theirs = routes(policy, lambda route: ["".join(matcher) for matcher in route["object_matchers"]])
    ours = routes(ALERTMANAGER["route"], lambda route: [matcher.replace('"', "") for matcher in route["matchers"]])
    assert theirs == ours
    assert policy["receiver"] == ALERTMANAGER["route"]["receiver"]


def test_nobody_is_told_of_a_watch_by_grafana():
    (policy,) = provisioned("alerting/policies.yml")["policies"]
    (watch,) = (route for route in policy["routes"] if ["severity", "=", "watch"] in route["object_matchers"])
    (muted,) = provisioned("alerting/mute-timings.yml")["muteTimes"]
    assert watch["mute_time_intervals"] == [muted["name"]]
    assert muted["time_intervals"] == [{"weekdays": ["sunday:saturday"]}]


def test_the_contact_points_are_the_receivers_and_load_without_their_variable():
    points = provisioned("alerting/contact-points.yml")["contactPoints"]
    receivers = {receiver["name"] for receiver in ALERTMANAGER["receivers"]} - {"none"}
    assert {point["name"] for point in points} == receivers
    for point in points:
        (receiver,) = point["receivers"]
        # Grafana refuses an empty url, and then does not start: the path keeps it from being empty.
        assert receiver["settings"]["url"] == f"${{EMBERWATCH_WEBHOOK_URL}}/{point['name']}"
