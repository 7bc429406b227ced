"""`emberwatch crisis`: declare a crisis, stand it down, and report what was done under it."""

import getpass
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

import click
import msgspec
from kafka.errors import KafkaError
from msgspec import Struct

from detectors.codec import decode_record, encode_record
from detectors.crises import LEAST_RATIO, markdown, report
from detectors.posts import BadRecord, decode_crisis
from detectors.records import Alert, Crisis
from streams import audit
from streams.errors import EmberwatchError
from streams.kafka_clients import demand_topic, producer, read_to_end
from streams.settings import Settings
from streams.topics import Name, topic_name
from streams.until import end_of

Record = TypeVar("Record", bound=Struct)


def declare(
    settings: Settings,
    *,
    crisis_id: str | None,
    why: str,
    by: str | None,
    scope: Sequence[str],
    thresholds: str,
    until: str,
) -> int:
    """Declare a crisis, or change one that holds, by its id; returns when the broker has confirmed it.

    Parameters
    ----------
    scope : each `KIND=VALUES`, as `lang=en,cy` or `place=Southport`.
    thresholds : per cent of the usual ones, as `50%`.
    until : a span (`90m`, `24h`, `3d`) or a time (RFC 3339).
    """
    now = datetime.now(UTC)
    crisis = Crisis(
        crisis_id=crisis_id or f"crisis-{now:%Y%m%d-%H%M%S}",
        word="declare",
        by=by or getpass.getuser(),
        why=why,
        at=now,
        scope=_scope(scope),
        threshold_ratio=_ratio(thresholds),
        expires_at=end_of(until, now),
    )
    send(settings, crisis)
    click.echo(crisis.crisis_id)
    click.echo(f"Declared by {crisis.by} until {crisis.expires_at:%Y-%m-%d %H:%M:%S} UTC.", err=True)
    return 0


def stand_down(settings: Settings, *, crisis_id: str, why: str, by: str | None) -> int:
    """End a crisis before its expiry; raises `EmberwatchError` where it was not declared."""
    own = [one for one in _records(settings, "crisis", Crisis) if one.crisis_id == crisis_id]
    if not own:
        raise EmberwatchError(f"{crisis_id}: no such crisis on {settings.broker}")
    if own[-1].word == "stand_down":
        raise EmberwatchError(f"{crisis_id}: {own[-1].by} has stood it down already")
    send(
        settings,
        Crisis(crisis_id=crisis_id, word="stand_down", by=by or getpass.getuser(), why=why, at=datetime.now(UTC)),
    )
    click.echo(f"{crisis_id} is stood down")
    return 0


def run_report(settings: Settings, *, crisis_id: str, as_json: bool, out: Path | None) -> int:
    """Write the report of a crisis, in Markdown or as JSON, to a file or to standard output."""
    decisions = _records(settings, "crisis", Crisis)
    whole = report(crisis_id, decisions, _records(settings, "alert-history", Alert))
    if whole is None:
        raise EmberwatchError(f"{crisis_id}: no such crisis on {settings.broker}")
    text = msgspec.json.format(msgspec.json.encode(whole), indent=2).decode() + "\n" if as_json else markdown(whole)
    if out is None:
        click.echo(text, nl=False)
    else:
        out.write_text(text, encoding="utf-8")
    return 0


def send(settings: Settings, crisis: Crisis) -> None:
    """Send a decision, checked as the scorer will, once it is on the audit log; raises `EmberwatchError`."""
    value = encode_record(crisis)
    try:
        decode_crisis(value, received_at_s=time.time())
    except BadRecord as bad:
        raise EmberwatchError(f"crisis: {bad.field}: {bad.error}") from bad
    topic = topic_name(settings, "crisis")
    demand_topic(settings, topic)
    audit.note_command(settings, "crisis", by=crisis.by, about=crisis.crisis_id, detail=crisis.word)
    sender = producer(settings)
    try:
        sender.send(topic, key=crisis.crisis_id.encode(), value=value).get(timeout=30.0)
    except KafkaError as error:
        raise EmberwatchError(f"the broker has not confirmed it: {type(error).__name__}: {error}") from error
    finally:
        sender.close(timeout=10.0)


def _records(settings: Settings, name: Name, record_type: type[Record]) -> Iterator[Record]:
    for record in read_to_end(settings, [topic_name(settings, name)]):
        if record.value:
            try:
                yield decode_record(record_type, record.value)
            except (msgspec.MsgspecError, UnicodeDecodeError) as error:
                click.echo(f"{name}, offset {record.offset}: left out, unreadable: {error}", err=True)


def _scope(parts: Sequence[str]) -> dict[str, str]:
    scope: dict[str, str] = {}
    for part in parts:
        kind, equals, values = part.partition("=")
        if not equals:
            raise EmberwatchError(f"scope {part!r}: write KIND=VALUES, as lang=en or place=Southport")
        scope[kind.strip()] = values.strip()
    return scope


def _ratio(thresholds: str) -> float:
    try:
        ratio = float(thresholds.removesuffix("%")) / 100.0
    except ValueError:
        raise EmberwatchError(f"thresholds {thresholds!r}: write per cent, as 50%") from None
    if not LEAST_RATIO <= ratio <= 1.0:
        raise EmberwatchError(f"thresholds {thresholds!r}: from {100 * LEAST_RATIO:.0f}% to 100%")
    return ratio
