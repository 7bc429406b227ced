#!/usr/bin/env python3
"""Grafana's own alert rules, for teams that run no Alertmanager: `python grafana/alerting.py`, or `--check`.

They are the rules of `deploy/prometheus/emberwatch.rules.yml`, word for word in their expressions: this script copies
them into the form that Grafana provisions. Prometheus must still load that file, for its recording rules.
"""

import argparse
import re
import sys
from pathlib import Path
from typing import Any

import yaml

SOURCE = Path(__file__).parents[1] / "deploy" / "prometheus" / "emberwatch.rules.yml"
TARGET = Path(__file__).parent / "provisioning" / "alerting" / "rules.yml"
HEADER = """\
# Made from deploy/prometheus/emberwatch.rules.yml by grafana/alerting.py. Do not edit.
# With an Alertmanager, leave this folder out: everything would be told twice.
"""
DATASOURCE_UID = "emberwatch-prometheus"
EXPRESSION_UID = "__expr__"

Yaml = dict[str, Any]


def provisioned(source: Yaml, *, console_url: str, runbooks_url: str) -> Yaml:
    """Give the file that Grafana reads, from the rules as Prometheus reads them."""
    links = {"console_url": console_url, "runbooks_url": runbooks_url}
    groups = []
    for group in source["groups"]:
        rules = [_rule(rule, links) for rule in group["rules"] if "alert" in rule]
        groups.append({"orgId": 1, "name": group["name"], "folder": "Emberwatch", "interval": "15s", "rules": rules})
    return {"apiVersion": 1, "groups": groups}


def _rule(rule: Yaml, links: dict[str, str]) -> Yaml:
    title = " ".join([rule["alert"], *filter(None, [rule["labels"].get("window")])])
    return {
        "uid": _uid(title),
        "title": title,
        "condition": "B",
        "data": [_query(rule["expr"]), _any_answer()],
        # No series is the healthy state of these expressions; a data source that does not answer is not.
        "noDataState": "OK",
        "execErrState": "Error",
        "for": rule.get("for", "0s"),
        "keepFiringFor": rule.get("keep_firing_for", "0s"),  # Grafana before 12 ignores it
        "annotations": {name: _template(text, links) for name, text in rule["annotations"].items()},
        "labels": rule["labels"],
        "isPaused": False,
    }


def _query(expr: str) -> Yaml:
    return {
        "refId": "A",
        "datasourceUid": DATASOURCE_UID,
        "relativeTimeRange": {"from": 600, "to": 0},
        "model": {
            "refId": "A",
            "expr": expr,
            "instant": True,
            "range": False,
            "editorMode": "code",
            "intervalMs": 1000,
            "maxDataPoints": 43200,
        },
    }


def _any_answer() -> Yaml:
    """Fire for each series, whatever its value, as Prometheus does: a worker that is down has the value 0."""
    return {
        "refId": "B",
        "datasourceUid": EXPRESSION_UID,
        "relativeTimeRange": {"from": 0, "to": 0},
        "model": {
            "refId": "B",
            "type": "math",
            "expression": "is_number($A)",
            "datasource": {"type": EXPRESSION_UID, "uid": EXPRESSION_UID},
            "intervalMs": 1000,
            "maxDataPoints": 43200,
        },
    }


def _template(text: str, links: dict[str, str]) -> str:
    """Translate a template: Grafana names the value of a query, and has no external labels."""
    for name, url in links.items():
        text = text.replace(f"{{{{ $externalLabels.{name} }}}}", url)
    return text.replace("$value", "$values.A.Value")


def _uid(title: str) -> str:
    """Name a rule for good: lower case with hyphens, at most the 40 characters that Grafana allows."""
    words = re.sub(r"(?<=[a-z])(?=[A-Z])", "-", title).replace(" ", "-")
    return words.lower()[:40].rstrip("-")


def main() -> int:
    """Write the file, or with `--check` compare it."""
    parser = argparse.ArgumentParser(description="Generate Grafana's alert rules from those of Prometheus.")
    parser.add_argument("--check", action="store_true", help="write nothing; fail where the file differs")
    parser.add_argument("--console-url", default="http://127.0.0.1:8080", help="where links to alerts lead")
    parser.add_argument("--runbooks-url", default="deploy/runbooks", help="where the runbooks can be read")
    arguments = parser.parse_args()
    rules = provisioned(
        yaml.safe_load(SOURCE.read_text(encoding="utf-8")),
        console_url=arguments.console_url,
        runbooks_url=arguments.runbooks_url,
    )
    text = HEADER + yaml.dump(rules, Dumper=_WithoutAnchors, sort_keys=False, width=120, allow_unicode=True)
    if not arguments.check:
        TARGET.write_text(text, encoding="utf-8")
        return 0
    if TARGET.read_text(encoding="utf-8") == text:
        return 0
    sys.stderr.write(f"{TARGET.name} differs from {SOURCE.name}: run `python grafana/alerting.py`\n")
    return 1


class _WithoutAnchors(yaml.SafeDumper):
    """The rules share annotations by anchors; in a generated file they are written out."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002
        return True


if __name__ == "__main__":
    sys.exit(main())
