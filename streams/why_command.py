"""`emberwatch why`: the evidence of an alert in words, from a replay's folder or from the broker."""

from collections.abc import Iterator
from pathlib import Path
from typing import Literal, TypeVar

import click
from msgspec import Struct

from detectors.codec import decode_record
from detectors.records import Alert, Narrative
from detectors.words import explain
from streams.errors import EmberwatchError
from streams.json_lines import read_lines
from streams.settings import Settings

LARGEST_LINE_BYTES = 16 * 1024 * 1024

Record = TypeVar("Record", bound=Struct)


def run(settings: Settings, *, alert_id: str, out: Path | None) -> int:
    """Print why an alert fired; raises `EmberwatchError` where it is not known."""
    alerts = _from_folder(out, "alerts.jsonl", Alert) if out else _from_broker(settings, "alerts", Alert)
    alert = _last(alert for alert in alerts if alert.alert_id == alert_id)
    if alert is None:
        raise EmberwatchError(f"{alert_id}: no such alert in {out or settings.broker}")
    narratives = (
        _from_folder(out, "narratives.jsonl", Narrative) if out else _from_broker(settings, "narratives", Narrative)
    )
    narrative = _last(one for one in narratives if one.narrative_id == alert.narrative_id)
    click.echo(explain(alert, narrative))
    return 0


def _from_folder(out: Path, name: str, record_type: type[Record]) -> Iterator[Record]:
    for line in read_lines(out / name, most_bytes=LARGEST_LINE_BYTES):
        yield decode_record(record_type, line.value)


def _from_broker(
    settings: Settings, topic: Literal["alerts", "narratives"], record_type: type[Record]
) -> Iterator[Record]:
    from streams.kafka_clients import read_to_end
    from streams.topics import topic_name

    for record in read_to_end(settings, [topic_name(settings, topic)]):
        if record.value:
            yield decode_record(record_type, record.value)


def _last(records: Iterator[Record]) -> Record | None:
    last = None
    for record in records:
        last = record
    return last
