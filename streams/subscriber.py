"""`emberwatch alerts`: the alerts on the broker, readable or as JSON, as they are now or as they come."""

from collections.abc import Callable, Iterator

import click
import msgspec
from kafka.consumer.fetcher import ConsumerRecord
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from detectors.codec import decode_record
from detectors.records import SEVERITIES, Alert, Severity
from streams.kafka_clients import consumer, partitions_of, read_to_end
from streams.log import get_logger, values
from streams.settings import Settings
from streams.topics import topic_name

COLOURS: dict[Severity, str] = {"watch": "cyan", "notice": "yellow", "page": "bold red"}
OPEN_LAST = ("cleared", "merged", "retracted")
"""Transitions after which an alert is no longer open: shown last."""

_log = get_logger("subscriber")


def run(settings: Settings, *, follow: bool, as_json: bool, severity: Severity | None) -> int:
    """Print the alerts; with `follow` each further revision as it comes, until Ctrl-C."""
    console = Console()
    least = SEVERITIES.index(severity or SEVERITIES[0])

    def wanted(alert: Alert) -> bool:
        return SEVERITIES.index(alert.severity) >= least

    # Positions are taken first, so that no revision falls between what is shown and what is followed.
    further = follow_history(settings) if follow else None
    present = [alert for alert in present_alerts(settings) if wanted(alert)]
    if as_json:
        for alert in present:
            click.echo(_json(alert))
    else:
        console.print(_table(present, settings))
    if further is None:
        return 0
    show: Callable[[Alert], None] = (lambda alert: click.echo(_json(alert))) if as_json else _shower(console, settings)
    try:
        for alert in further:
            if wanted(alert):
                show(alert)
    except KeyboardInterrupt:
        pass
    return 0


def present_alerts(settings: Settings) -> list[Alert]:
    """Last revision of each alert: open ones first, then by severity, the latest first."""
    alerts: dict[str, Alert] = {}
    for record in read_to_end(settings, [topic_name(settings, "alerts")]):
        key = (record.key or b"").decode("utf-8", errors="replace")
        if record.value is None:
            alerts.pop(key, None)
        elif alert := _alert(record):
            alerts[alert.alert_id] = alert
    return sorted(alerts.values(), key=_rank)


def follow_history(settings: Settings) -> Iterator[Alert]:
    """Give each revision that is published from now on, for ever."""
    reader = consumer(settings)
    partitions = partitions_of(reader, topic_name(settings, "alert-history"))
    reader.assign(partitions)
    for partition, end in reader.end_offsets(partitions).items():
        reader.seek(partition, end)

    def revisions() -> Iterator[Alert]:
        try:
            while True:
                for records in reader.poll(timeout_ms=500).values():
                    yield from filter(None, map(_alert, records))
        finally:
            reader.close()

    return revisions()


def alert_link(settings: Settings, alert: Alert) -> str:
    """Where the console shows the narrative of an alert."""
    return f"{settings.console_url.rstrip('/')}/narratives/{alert.narrative_id}"


def _alert(record: ConsumerRecord) -> Alert | None:
    """Read one record; what is not an alert is logged and left out, for the reader must go on."""
    try:
        return decode_record(Alert, record.value)
    except (msgspec.MsgspecError, ValueError, TypeError) as error:
        _log.warning("not an alert", extra=values(topic=record.topic, offset=record.offset, error=str(error)))
        return None


def _rank(alert: Alert) -> tuple[bool, int, float]:
    is_over = alert.transition in OPEN_LAST
    return is_over, -SEVERITIES.index(alert.severity), -alert.changed_at.timestamp()


def _table(alerts: list[Alert], settings: Settings) -> Table:
    open_count = sum(alert.transition not in OPEN_LAST for alert in alerts)
    table = Table(title=f"{len(alerts)} alerts, {open_count} open", expand=True, show_lines=True)
    for heading in ("severity", "state", "what", "why", "posts", "since"):
        table.add_column(heading, overflow="fold", ratio={"what": 2, "why": 3}.get(heading))
    for alert in alerts:
        table.add_row(
            f"[{COLOURS[alert.severity]}]{alert.severity}[/]",
            alert.transition,
            f"{escape(alert.label)}\n[dim]{escape(', '.join(alert.kinds))}\n{escape(alert.alert_id)}[/]",
            escape("\n".join(reason.words for reason in alert.reasons)),
            f"{alert.counts.posts:,}",
            f"{alert.detected_at:%Y-%m-%d %H:%M}",
        )
    if alerts:
        table.caption = f"emberwatch why ALERT_ID tells more; {escape(settings.console_url)} shows it"
    return table


def _shower(console: Console, settings: Settings) -> Callable[[Alert], None]:
    def show(alert: Alert) -> None:
        severity = f"[{COLOURS[alert.severity]}]{alert.severity:6}[/]"
        head = f"{alert.changed_at:%H:%M:%S} {severity} {alert.transition:9} {escape(alert.label)}"
        console.print(f"{head} [dim]{alert.counts.posts:,} posts, {escape(', '.join(alert.kinds))}[/]", highlight=False)
        if alert.transition in {"opened", "resurged", "updated"}:
            for reason in alert.reasons:
                console.print(f"         {escape(reason.words)}", highlight=False)
            console.print(f"         {escape(alert_link(settings, alert))}", highlight=False)

    return show


def _json(alert: Alert) -> str:
    return msgspec.json.encode(alert).decode()
