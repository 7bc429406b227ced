"""`emberwatch why`: the evidence of an alert in words, from a replay's folder or from the broker."""

from collections.abc import Iterator
from pathlib import Path
from typing import Literal, TypeVar

import click
from msgspec import Struct

from detectors.codec import decode_record
from detectors.records import Alert, Narrative
from detectors.words import explain
from streams import audit
from streams.errors import EmberwatchError
from streams.json_lines import read_lines
from streams.settings import Settings

LARGEST_LINE_BYTES = 16 * 1024 * 1024

Record = TypeVar("Record", bound=Struct)


def run(settings: Settings, *, alert_id: str, out: Path | None) -> int:
    """Print why an alert fired; raises `EmberwatchError` where it is not known."""
    if out is None:
        audit.note_command(settings, "why", about=alert_id[:512])
    history = sorted(
        {
            alert.revision: alert
            for alert in _read(settings, out, "alert-history", Alert)
            if alert.alert_id == alert_id
        }.values(),
        key=lambda alert: alert.revision,
    )
    if not history:
        raise EmberwatchError(f"{alert_id}: no such alert in {out or settings.broker}")
    narratives = _read(settings, out, "narratives", Narrative)
    narrative = _last(one for one in narratives if one.narrative_id == history[-1].narrative_id)
    click.echo(explain(history[-1], narrative, history))
    return 0


def _read(
    settings: Settings, out: Path | None, topic: Literal["alert-history", "narratives"], record_type: type[Record]
) -> Iterator[Record]:
    return records_in(out / f"{topic}.jsonl", record_type) if out else _from_broker(settings, topic, record_type)


def records_in(file: Path, record_type: type[Record]) -> Iterator[Record]:
    """Read records of one type, one a line."""
    for line in read_lines(file, most_bytes=LARGEST_LINE_BYTES):
        yield decode_record(record_type, line.value)


def _from_broker(
    settings: Settings, topic: Literal["alert-history", "narratives"], record_type: type[Record]
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
