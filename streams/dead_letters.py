"""Dead letters: records that could not be used, unchanged; headers say where they came from and what is wrong."""

import json
from collections import Counter
from collections.abc import Iterator, Sequence

import click
import msgspec

from detectors.records import DeadLetter
from streams.kafka_clients import read_to_end
from streams.settings import Settings
from streams.topics import topic_name

HEADERS = {
    "topic": "emberwatch-origin-topic",
    "partition": "emberwatch-origin-partition",
    "offset": "emberwatch-origin-offset",
    "field": "emberwatch-field",
    "error": "emberwatch-error",
}
SHOWN_CHARACTERS = 2_000


def headers_of(*, topic: str, partition: int, offset: int, field: str, error: str) -> list[tuple[str, bytes]]:
    """Headers under which a record goes to the dead letters."""
    given = {"topic": topic, "partition": partition, "offset": offset, "field": field, "error": error}
    return [(HEADERS[name], str(value).encode()) for name, value in given.items()]


def letter_of(headers: Sequence[tuple[str, bytes]], value: bytes | None) -> DeadLetter:
    """Read a dead letter from its headers; what they lack is empty, or -1.

    >>> headers = headers_of(topic="posts", partition=1, offset=7, field="text", error="missing")
    >>> letter_of(headers, b"{}").field
    'text'
    """
    found = {name: content.decode("utf-8", errors="replace") for name, content in headers}
    return DeadLetter(
        topic=found.get(HEADERS["topic"], ""),
        partition=_number(found.get(HEADERS["partition"])),
        offset=_number(found.get(HEADERS["offset"])),
        field=found.get(HEADERS["field"], ""),
        error=found.get(HEADERS["error"], ""),
        value=(value or b"")[: 4 * SHOWN_CHARACTERS].decode("utf-8", errors="replace")[:SHOWN_CHARACTERS],
    )


def read_letters(settings: Settings) -> Iterator[DeadLetter]:
    """Give all dead letters that the broker holds now, each once.

    A worker that dies before it has acknowledged a record puts it aside again when it comes back.
    """
    seen: set[tuple[str, int, int]] = set()
    for record in read_to_end(settings, [topic_name(settings, "dead-letters")]):
        letter = letter_of(record.headers, record.value)
        origin = letter.topic, letter.partition, letter.offset
        if letter.offset < 0 or origin not in seen:
            yield letter
        seen.add(origin)


def list_letters(settings: Settings, *, as_json: bool) -> int:
    """Print the dead letters, and at the end how many there are of each kind."""
    reasons: Counter[tuple[str, str]] = Counter()
    for letter in read_letters(settings):
        reasons[letter.field, letter.error] += 1
        click.echo(msgspec.json.encode(letter).decode() if as_json else _line(letter))
    if not as_json:
        click.echo(f"{reasons.total():,} dead letters")
        for (field, error), count in reasons.most_common():
            click.echo(f"{count:9,}  {field}: {error}")
    return 0


def _line(letter: DeadLetter) -> str:
    """One line, whatever the record holds: its start as a JSON string, so that control characters show as such."""
    start = json.dumps(letter.value[:80], ensure_ascii=False)
    return f"{letter.topic}[{letter.partition}]@{letter.offset}  {letter.field}: {letter.error}  {start}"


def _number(text: str | None) -> int:
    return int(text) if text is not None and text.isdecimal() else -1
