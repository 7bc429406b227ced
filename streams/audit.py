"""The audit log: who saw texts and names, who decided what, when and from where. It holds no text of any post.

Append-only: the roles that write it may not delete or change topics, and every record is kept for a year. Who shows a
text writes the record first and waits for the broker to confirm it; where that fails the text is not shown. So while
the broker is away nobody reads texts, but alerts themselves, their figures and the pager do not depend on it.
"""

import getpass
import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Annotated, Literal, Self, get_args

import click
import msgspec
from kafka import KafkaProducer
from kafka.errors import KafkaError
from msgspec import Meta, Struct

from detectors.codec import decode_record, encode_record
from streams.errors import EmberwatchError
from streams.kafka_clients import demand_topic, producer, read_to_end
from streams.settings import Settings
from streams.topics import topic_name

What = Literal[
    "view",
    "reveal",
    "export",
    "why",
    "feedback",
    "deletion",
    "erasure",
    "configuration",
    "claims",
    "crisis",
    "login",
    "login_refused",
]
"""`view`: texts of a narrative were sent to a browser. `reveal`: what was covered there was uncovered. `export`: a
file with texts was written. `why`: the evidence of an alert was printed. The rest are decisions, and who came in."""

WORDS: tuple[What, ...] = get_args(What)
CONFIRMED_WITHIN_S = 10.0


class Entry(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One line of the log."""

    schema_version: int = 1
    what: What
    by: Annotated[str, Meta(min_length=1, max_length=128)]
    """As the person, or the proxy in front of the console, says."""
    about: Annotated[str, Meta(max_length=512)] = ""
    """Id of a narrative, alert, post or configuration; a topic. Never a text, and of an author nothing."""
    detail: Annotated[str, Meta(max_length=512)] = ""
    """The word of a decision, or what was revealed."""
    client: Annotated[str, Meta(max_length=256)] = ""
    """Address of the browser, or `command`."""
    at: datetime


class Log:
    """Writes entries, each confirmed before `write` returns; for one thread at a time.

    Use as a context, or `close` it.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._topic = topic_name(settings, "audit")
        self._sender: KafkaProducer | None = None
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def write(self, entry: Entry) -> None:
        """Append one entry; raises `EmberwatchError` where the broker has not confirmed it."""
        with self._lock:
            try:
                if self._sender is None:
                    demand_topic(self._settings, self._topic)
                    self._sender = producer(self._settings, max_block_ms=int(1000 * CONFIRMED_WITHIN_S))
                self._sender.send(self._topic, key=entry.about.encode(), value=encode_record(entry)).get(
                    timeout=CONFIRMED_WITHIN_S
                )
            except KafkaError as error:
                self._drop()
                raise EmberwatchError(f"the audit log cannot be written: {type(error).__name__}") from error

    def close(self) -> None:
        """Close the connection."""
        with self._lock:
            self._drop()

    def _drop(self) -> None:
        if self._sender is not None:
            self._sender.close(timeout=1.0)
            self._sender = None


def write(settings: Settings, entry: Entry) -> None:
    """Append one entry and wait for it; raises `EmberwatchError`."""
    with Log(settings) as log:
        log.write(entry)


def note_command(settings: Settings, what: What, *, by: str | None = None, about: str = "", detail: str = "") -> None:
    """Write down what is done at the command line now; raises `EmberwatchError`, and then it is not to be done."""
    who = by or getpass.getuser()
    write(settings, Entry(what=what, by=who[:128], about=about, detail=detail, client="command", at=datetime.now(UTC)))


def read(settings: Settings) -> Iterator[Entry | str]:
    """Give all entries, in order; words in place of one that cannot be read."""
    for record in read_to_end(settings, [topic_name(settings, "audit")]):
        try:
            yield decode_record(Entry, record.value or b"")
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            yield f"offset {record.offset} is no entry: {error}"


def run(settings: Settings, *, what: What | None, by: str | None, about: str | None, as_json: bool) -> int:
    """Print the log; 1 where a record of it cannot be read."""
    unreadable = 0
    for entry in read(settings):
        if isinstance(entry, str):
            unreadable += 1
            click.echo(entry, err=True)
        elif (what or entry.what, by or entry.by, about or entry.about) == (entry.what, entry.by, entry.about):
            click.echo(encode_record(entry).decode() if as_json else _line(entry))
    return 1 if unreadable else 0


def _line(entry: Entry) -> str:
    """One line, whatever was given as a name: what is not plain is shown as a JSON string."""
    words = (entry.by, entry.about, entry.detail, entry.client)
    shown = [word if word.isprintable() and " " not in word and word else json.dumps(word) for word in words]
    return f"{entry.at:%Y-%m-%dT%H:%M:%SZ} {entry.what:13} by {shown[0]} about {shown[1]} {shown[2]} from {shown[3]}"
