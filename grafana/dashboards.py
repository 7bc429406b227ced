#!/usr/bin/env python3
"""The dashboard as code: `python grafana/dashboards.py` writes it, `--check` fails where the file differs.

A panel is a title, a sentence that says how to read it, a unit and its queries; `layout` places the panels. Names of
metrics are those of `streams/metrics.py` and of the recording rules; a test compares them.
"""

import argparse
import json
import sys
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

TARGET = Path(__file__).parent / "provisioning" / "dashboards" / "emberwatch.json"
UID = "emberwatch-overview"
SCHEMA_VERSION = 39
"""Of Grafana 11; later ones read it and migrate it while loading."""

COLUMNS = 24
DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}
SEVERITY_COLOURS = {"page": "red", "notice": "orange", "watch": "blue"}

Json = dict[str, Any]


@dataclass(frozen=True)
class Query:
    """A PromQL expression and the name of its series; `form` is how Grafana shall read the answer."""

    expr: str
    legend: str = ""
    form: str = "time_series"


@dataclass(frozen=True)
class Panel:
    """One picture: `kind` is Grafana's panel type, width and height are in its grid."""

    kind: str
    title: str
    description: str
    unit: str
    queries: tuple[Query, ...]
    width: int
    height: int
    options: Json = field(default_factory=dict)
    defaults: Json = field(default_factory=dict)
    overrides: tuple[Json, ...] = ()
    transformations: tuple[Json, ...] = ()


@dataclass(frozen=True)
class Row:
    """A heading and the panels under it."""

    title: str
    panels: tuple[Panel, ...]


def thresholds(*steps: tuple[float | None, str]) -> Json:
    """Colours from a value on; the first value is None, minus infinity."""
    return {
        "color": {"mode": "thresholds"},
        "thresholds": {
            "mode": "absolute",
            "steps": [{"value": value, "color": colour} for value, colour in steps],
        },
    }


def stat(title: str, description: str, unit: str, *queries: Query, width: int = 4, **more: Any) -> Panel:
    """Give the present value, large."""
    options = {
        "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
        "colorMode": "value",
        "graphMode": "area",
        "textMode": "auto",
        "justifyMode": "auto",
        "orientation": "auto",
    }
    return Panel("stat", title, description, unit, queries, width, 4, options=options, **more)


def lines(title: str, description: str, unit: str, *queries: Query, width: int = 12, **more: Any) -> Panel:
    """Show how values went over time."""
    options = {
        "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True, "calcs": []},
        "tooltip": {"mode": "multi", "sort": "desc"},
    }
    return Panel("timeseries", title, description, unit, queries, width, 8, options=options, **more)


def stacked_bars() -> Json:
    """Draw a series as stacked bars: for counts of events in an interval."""
    return {"custom": {"drawStyle": "bars", "fillOpacity": 80, "lineWidth": 0, "stacking": {"mode": "normal"}}}


def table(
    title: str, description: str, query: Query, *, width: int, hidden: Iterable[str], overrides: tuple[Json, ...] = ()
) -> Panel:
    """List series by their labels."""
    organise = {
        "id": "organize",
        "options": {"excludeByName": dict.fromkeys(("Time", *hidden), True), "renameByName": {}, "indexByName": {}},
    }
    return Panel(
        "table",
        title,
        description,
        "none",
        (query,),
        width,
        8,
        options={"showHeader": True, "cellHeight": "sm", "footer": {"show": False}},
        overrides=overrides,
        transformations=(organise,),
    )


def coloured(colours: dict[str, str]) -> tuple[Json, ...]:
    """Give each series of that name its colour."""
    return tuple(
        {
            "matcher": {"id": "byName", "options": name},
            "properties": [{"id": "color", "value": {"mode": "fixed", "fixedColor": colour}}],
        }
        for name, colour in colours.items()
    )


def quantile(share: float, histogram: str, by: str = "") -> str:
    """PromQL of a quantile of a histogram; `by` names further labels to keep."""
    labels = f"le, {by}" if by else "le"
    rate = f'rate({histogram}_bucket{{backfill=~"$backfill"}}[$__rate_interval])'
    return f"histogram_quantile({share}, sum by ({labels}) ({rate}))"


DATA_HEALTH = Row(
    "Is what follows to be trusted? The health of the data",
    (
        stat(
            "Watermark behind the clock",
            "How far event time is behind. Live, some minutes; a replay is as far behind as its posts are old.",
            "s",
            Query('time() - max(emberwatch_watermark_timestamp_seconds{backfill=~"$backfill"} > 0)', "behind"),
            defaults=thresholds((None, "green"), (300, "orange"), (900, "red")),
        ),
        stat(
            "Lag",
            "Records that wait before each stage. It rises in a burst and must fall again.",
            "short",
            Query('sum by (stage) (emberwatch_consumer_lag_records{backfill=~"$backfill"})', "{{stage}}"),
            defaults=thresholds((None, "green"), (1000, "orange"), (100000, "red")),
        ),
        stat(
            "Dead letters",
            "Records that could not be used, in the time shown. They are kept, with the reason.",
            "short",
            Query('sum(increase(emberwatch_dead_letters_total{backfill=~"$backfill"}[$__range]))', "refused"),
            defaults=thresholds((None, "green"), (1, "orange")),
        ),
        stat(
            "Posts",
            "Posts scored each second. Zero is a gap in the data, not calm.",
            "cps",
            Query('sum(rate(emberwatch_posts_scored_total{backfill=~"$backfill"}[$__rate_interval]))', "posts"),
            defaults=thresholds((None, "red"), (0.001, "green")),
        ),
        stat(
            "Last record handled",
            "How long ago each stage handled anything, ticks included.",
            "s",
            Query(
                'time() - max by (job) (emberwatch_last_entry_timestamp_seconds{backfill=~"$backfill"} > 0)', "{{job}}"
            ),
            defaults=thresholds((None, "green"), (60, "orange"), (300, "red")),
        ),
        stat(
            "Workers that answer",
            "Workers whose metrics Prometheus can read, by job.",
            "short",
            Query('sum by (job) (up{job=~"emberwatch-.*", backfill=~"$backfill"})', "{{job}}"),
            defaults=thresholds((None, "red"), (1, "green")),
        ),
    ),
)

OPEN_ALERTS = Row(
    "Open alerts",
    (
        stat(
            "Open by severity",
            "All open alerts. A page needs a person now, a notice today; a watch only spreads.",
            "short",
            Query('sum by (severity) (emberwatch_alerts_open{backfill=~"$backfill"})', "{{severity}}"),
            width=6,
            overrides=coloured(SEVERITY_COLOURS),
        ),
        stat(
            "Open, not listed",
            "Open alerts beyond the hundred most severe and newest. They are in the console.",
            "short",
            Query('sum(emberwatch_alerts_open_omitted{backfill=~"$backfill"})', "not listed"),
            width=3,
            defaults=thresholds((None, "green"), (1, "orange")),
        ),
        stat(
            "Memory",
            "Cold: the state was rebuilt without a snapshot and the whole journal, so old narratives may look new.",
            "none",
            Query('max(emberwatch_cold_start{backfill=~"$backfill"})', "memory"),
            width=3,
            defaults=thresholds((None, "green"), (1, "orange"))
            | {
                "mappings": [
                    {"type": "value", "options": {"0": {"text": "whole"}, "1": {"text": "cold"}}},
                ]
            },
        ),
        stat(
            "Posts later than 5 s",
            "Share of posts that took longer than five seconds from arrival to journal, over an hour. 1 % is allowed.",
            "percentunit",
            Query("emberwatch:late_posts:ratio_rate1h", "late"),
            width=6,
            defaults=thresholds((None, "green"), (0.01, "orange"), (0.144, "red")),
        ),
        stat(
            "Rules firing on Emberwatch itself",
            "Rules of Prometheus about the health of the monitor that fire now; their names are in the list below.",
            "short",
            Query('count(ALERTS{alertstate="firing", concern="monitor"}) or vector(0)', "firing"),
            width=6,
            defaults=thresholds((None, "green"), (1, "red")),
        ),
        table(
            "Open alerts",
            "The hundred most severe and newest. A click on an alert opens it in the console, with its evidence.",
            Query(
                'max by (alert_id, severity, kind) (emberwatch_alert_open{backfill=~"$backfill"})',
                form="table",
            ),
            width=14,
            hidden=["Value"],
            overrides=(
                {
                    "matcher": {"id": "byName", "options": "alert_id"},
                    "properties": [
                        {
                            "id": "links",
                            "value": [
                                {
                                    "title": "Open in the console",
                                    "url": "${console_url}/alerts/${__value.raw}",
                                    "targetBlank": True,
                                }
                            ],
                        }
                    ],
                },
                {
                    "matcher": {"id": "byName", "options": "severity"},
                    "properties": [
                        {"id": "custom.cellOptions", "value": {"type": "color-text"}},
                        {
                            "id": "mappings",
                            "value": [
                                {
                                    "type": "value",
                                    "options": {
                                        name: {"color": colour, "index": rank}
                                        for rank, (name, colour) in enumerate(SEVERITY_COLOURS.items())
                                    },
                                }
                            ],
                        },
                    ],
                },
            ),
        ),
        table(
            "Rules firing on Emberwatch itself, by name",
            "Each has a page of its name among the runbooks.",
            Query('max by (alertname, severity) (ALERTS{alertstate="firing", concern="monitor"})', form="table"),
            width=10,
            hidden=["Value"],
        ),
    ),
)

OVER_TIME = Row(
    "Alerts over time",
    (
        lines(
            "Transitions",
            "What happened to alerts in each interval: opened, updated, peaked, cleared, resurged, merged, retracted.",
            "short",
            Query(
                "sum by (transition) "
                '(increase(emberwatch_alert_transitions_total{backfill=~"$backfill"}[$__rate_interval]))',
                "{{transition}}",
            ),
            defaults=stacked_bars(),
        ),
        lines(
            "Open alerts",
            "Open alerts by severity. In a flood everything spikes; the page budget holds pages back and counts them.",
            "short",
            Query('sum by (severity) (emberwatch_alerts_open{backfill=~"$backfill"})', "{{severity}}"),
            overrides=coloured(SEVERITY_COLOURS),
        ),
    ),
)

SCORING = Row(
    "Scoring",
    (
        lines(
            "Posts by outcome",
            "Posts handled each second, and what became of them.",
            "cps",
            Query(
                'sum by (outcome) (rate(emberwatch_posts_scored_total{backfill=~"$backfill"}[$__rate_interval]))',
                "{{outcome}}",
            ),
        ),
        lines(
            "Lag",
            "Records that wait before each stage.",
            "short",
            Query('sum by (stage) (emberwatch_consumer_lag_records{backfill=~"$backfill"})', "{{stage}}"),
        ),
        Panel(
            "heatmap",
            "Arrival to journal",
            "Each column is an interval, each cell the posts that took so long from arrival to the journal.",
            "s",
            (
                Query(
                    "sum by (le) "
                    '(increase(emberwatch_score_latency_seconds_bucket{backfill=~"$backfill"}[$__rate_interval]))',
                    "{{le}}",
                    form="heatmap",
                ),
            ),
            12,
            8,
            options={
                "calculate": False,
                "cellGap": 1,
                "color": {"mode": "scheme", "scheme": "Oranges", "scale": "exponential", "exponent": 0.5, "steps": 64},
                "yAxis": {"axisPlacement": "left", "unit": "s"},
                "legend": {"show": True},
                "tooltip": {"mode": "single", "yHistogram": False},
            },
        ),
        lines(
            "Arrival to journal, quantiles",
            "Half, 95 % and 99 % of posts were in the journal within so long. The objective is 99 % within 5 s.",
            "s",
            *(
                Query(quantile(share, "emberwatch_score_latency_seconds"), f"{share:.0%}")
                for share in (0.5, 0.95, 0.99)
            ),
        ),
        lines(
            "Time of each stage of scoring",
            "95 % of batches take no longer in each stage; embed is a part of score.",
            "s",
            Query(quantile(0.95, "emberwatch_score_stage_seconds", by="stage"), "{{stage}}"),
            width=8,
        ),
        lines(
            "Not judged by a trained head",
            "Share of the posts whose language no head covers (of their incitement nothing is known), or for whose "
            "model none was trained (the wording alone is read).",
            "percentunit",
            Query(
                'sum by (reason) (rate(emberwatch_posts_not_judged_total{backfill=~"$backfill"}[$__rate_interval]))'
                " / on () group_left () "
                'sum(rate(emberwatch_posts_scored_total{outcome="scored", backfill=~"$backfill"}[$__rate_interval]))',
                "{{reason}}",
            ),
            width=8,
        ),
        lines(
            "Refused and control records",
            "Control records that took effect, and records of any topic that were refused, each second.",
            "cps",
            Query(
                'sum by (topic) (rate(emberwatch_control_records_total{backfill=~"$backfill"}[$__rate_interval]))',
                "{{topic}}",
            ),
            Query(
                'sum by (topic) (rate(emberwatch_dead_letters_total{backfill=~"$backfill"}[$__rate_interval]))',
                "{{topic}} refused",
            ),
            width=8,
        ),
    ),
)

NARRATIVES = Row(
    "Narratives",
    (
        lines(
            "Narratives",
            "Narratives in memory by state, and the micro-clusters that they are made of.",
            "short",
            Query('sum by (state) (emberwatch_narratives{backfill=~"$backfill"})', "narratives, {{state}}"),
            Query('sum(emberwatch_micro_clusters{backfill=~"$backfill"})', "micro-clusters"),
        ),
        lines(
            "Time spent folding",
            "Share of one core that the fold takes. Near 100 % a shard has reached its limit.",
            "percentunit",
            Query(
                'sum by (instance) (rate(emberwatch_fold_seconds_total{backfill=~"$backfill"}[$__rate_interval]))',
                "{{instance}}",
            ),
        ),
        lines(
            "Journal entries folded",
            "What the monitor learned each second, by kind of entry.",
            "cps",
            Query(
                'sum by (entry) (rate(emberwatch_journal_entries_total{backfill=~"$backfill"}[$__rate_interval]))',
                "{{entry}}",
            ),
            defaults=stacked_bars(),
        ),
        lines(
            "Time to fold an entry",
            "Mean time of one journal entry.",
            "s",
            Query(
                'sum(rate(emberwatch_fold_seconds_total{backfill=~"$backfill"}[$__rate_interval]))'
                ' / sum(rate(emberwatch_journal_entries_total{backfill=~"$backfill"}[$__rate_interval]))',
                "an entry",
            ),
        ),
        lines(
            "Dropped and late",
            "What was left out or forgotten before its time, repeats recognised, and posts behind the watermark.",
            "short",
            Query(
                'sum by (what) (increase(emberwatch_dropped_total{backfill=~"$backfill"}[$__rate_interval]))',
                "{{what}}",
            ),
            Query('sum(increase(emberwatch_late_posts_total{backfill=~"$backfill"}[$__rate_interval]))', "late post"),
            defaults=stacked_bars(),
        ),
        lines(
            "Silent partitions",
            "Source partitions declared idle: they no longer hold the watermark back; what comes there may be late.",
            "short",
            Query('sum by (instance) (emberwatch_silent_partitions{backfill=~"$backfill"})', "{{instance}}"),
        ),
    ),
)

RUNNING = Row(
    "What runs",
    (
        table(
            "Versions and configurations",
            "More than one line for long means that workers disagree about version, configuration or model.",
            Query(
                'count by (version, config_hash, embedding_space, job) (emberwatch_build_info{backfill=~"$backfill"})',
                form="table",
            ),
            width=12,
            hidden=[],
        ),
        lines(
            "Age of the last snapshot",
            "A restart reads the journal from there on.",
            "s",
            Query('time() - max(emberwatch_snapshot_timestamp_seconds{backfill=~"$backfill"} > 0)', "age"),
            Query(
                'sum(increase(emberwatch_snapshots_total{outcome="failed", backfill=~"$backfill"}[$__rate_interval]))',
                "failed",
            ),
            overrides=(
                {
                    "matcher": {"id": "byName", "options": "failed"},
                    "properties": [{"id": "unit", "value": "short"}],
                },
            ),
        ),
    ),
)

ROWS = (DATA_HEALTH, OPEN_ALERTS, OVER_TIME, SCORING, NARRATIVES, RUNNING)


def layout(rows: Iterable[Row]) -> list[Json]:
    """Place panels left to right, a new line where the 24 columns are full, each row under its heading."""
    placed: list[Json] = []
    top = 0
    for row in rows:
        placed.append(_row_json(len(placed) + 1, row.title, top))
        left, top, tallest = 0, top + 1, 0
        for panel in row.panels:
            if left + panel.width > COLUMNS:
                left, top, tallest = 0, top + tallest, 0
            position = {"x": left, "y": top, "w": panel.width, "h": panel.height}
            placed.append(_panel_json(len(placed) + 1, panel, position))
            left, tallest = left + panel.width, max(tallest, panel.height)
        top += tallest
    return placed


def _row_json(number: int, title: str, top: int) -> Json:
    position = {"x": 0, "y": top, "w": COLUMNS, "h": 1}
    return {"id": number, "type": "row", "title": title, "collapsed": False, "gridPos": position, "panels": []}


def _panel_json(number: int, panel: Panel, position: Json) -> Json:
    return {
        "id": number,
        "type": panel.kind,
        "title": panel.title,
        "description": panel.description,
        "datasource": DATASOURCE,
        "gridPos": position,
        "fieldConfig": {"defaults": {"unit": panel.unit} | panel.defaults, "overrides": list(panel.overrides)},
        "options": panel.options,
        "targets": [_target_json(ref, query) for ref, query in zip("ABCDEF", panel.queries, strict=False)],
        "transformations": list(panel.transformations),
    }


def _target_json(ref: str, query: Query) -> Json:
    instant = query.form == "table"
    return {
        "refId": ref,
        "datasource": DATASOURCE,
        "expr": query.expr,
        "legendFormat": query.legend,
        "format": query.form,
        "instant": instant,
        "range": not instant,
        "editorMode": "code",
    }


def _variables(console_url: str) -> list[Json]:
    choices = {"live": "()", "history": "yes"}
    options = [{"text": text, "value": value, "selected": text == "live"} for text, value in choices.items()]
    return [
        {
            "name": "datasource",
            "label": "Prometheus",
            "type": "datasource",
            "query": "prometheus",
            "current": {},
            "hide": 0,
            "includeAll": False,
            "multi": False,
            "options": [],
            "refresh": 1,
            "regex": "",
        },
        {
            "name": "backfill",
            "label": "Workers that play",
            "description": "History: targets with the label backfill, on which no rule fires.",
            "type": "custom",
            "query": ", ".join(f"{text} : {value}" for text, value in choices.items()),
            "current": {"text": "live", "value": "()", "selected": True},
            "hide": 0,
            "includeAll": False,
            "multi": False,
            "options": options,
        },
        {
            "name": "console_url",
            "label": "Console",
            "description": "Where links to alerts lead.",
            "type": "constant",
            "query": console_url,
            "current": {"text": console_url, "value": console_url, "selected": True},
            "hide": 2,
            "options": [{"text": console_url, "value": console_url, "selected": True}],
        },
    ]


def dashboard(console_url: str) -> Json:
    """Build the whole dashboard; `console_url` is the base of the links to alerts."""
    return {
        "uid": UID,
        "title": "Emberwatch",
        "description": "Narratives that go viral and look false or inciting, and the health of what watches them.",
        "tags": ["emberwatch"],
        "schemaVersion": SCHEMA_VERSION,
        "version": 1,
        "editable": False,
        "graphTooltip": 1,
        "timezone": "browser",
        "time": {"from": "now-6h", "to": "now"},
        "refresh": "10s",
        "timepicker": {},
        "annotations": {"list": []},
        "links": [
            {
                "title": "Console",
                "type": "link",
                "icon": "external link",
                "url": console_url,
                "tooltip": "The evidence behind each alert",
                "targetBlank": True,
                "asDropdown": False,
                "includeVars": False,
                "keepTime": False,
                "tags": [],
            }
        ],
        "templating": {"list": _variables(console_url)},
        "panels": layout(ROWS),
    }


def main() -> int:
    """Write the file, or with `--check` compare it."""
    parser = argparse.ArgumentParser(description="Generate Grafana's dashboard.")
    parser.add_argument("--check", action="store_true", help="write nothing; fail where the file differs")
    parser.add_argument("--console-url", default="http://127.0.0.1:8080", help="where links to alerts lead")
    arguments = parser.parse_args()
    text = json.dumps(dashboard(arguments.console_url), indent=1) + "\n"
    if not arguments.check:
        TARGET.write_text(text, encoding="utf-8")
        return 0
    if TARGET.read_text(encoding="utf-8") == text:
        return 0
    sys.stderr.write(f"{TARGET.name} differs from {Path(__file__).name}: run `python grafana/dashboards.py`\n")
    return 1


if __name__ == "__main__":
    sys.exit(main())
