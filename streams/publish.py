"""Play files of posts and of fact-checks into their topics: at the original pace, N times it, or unpaced."""

import time
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple, Self

import msgspec
from kafka import KafkaProducer
from kafka.errors import KafkaError
from msgspec import Struct
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn

from detectors.claim_feeds import Withdrawal
from detectors.posts import BadRecord, decode_post
from streams import audit
from streams.author_hash import hash_author, salt_of
from streams.claim_files import read_claims
from streams.errors import EmberwatchError, SettingsError
from streams.json_lines import read_lines
from streams.kafka_clients import demand_topic, producer
from streams.settings import Settings
from streams.topics import Name, topic_name

END_HEADER = "emberwatch-end"
"""On the last record of every partition of `posts`: this source has nothing more."""
SPEED_HEADER = "emberwatch-speed"
"""Event seconds a second at which a post is played; 0 is as fast as possible, absent is 1."""

MOST_UNCONFIRMED = 20_000
"""Records on their way at once: bounds memory where the file is faster than the broker."""
LONGEST_RAW_BYTES = 1_000_000
"""Just under what a topic takes."""
SHOWN_BAD_LINES = 20
FLUSH_WITHIN_S = 120.0
HELD_BACK = (
    "At maximum speed the partitions are put back in the order of event time, so without an end the last posts of this"
    " file are held until more come, or until a source ends."
)


class Row(NamedTuple):
    """One record to be sent."""

    key: bytes | None
    value: bytes
    created_at_s: float | None
    """Event time, for the pace."""
    read_bytes: int


class Counts(Struct):
    """What became of a file; at the end `confirmed` is `sent`, or an error was raised."""

    sent: int = 0
    confirmed: int = 0
    failed: int = 0
    bad: int = 0
    """Lines that are not records, and were not sent."""
    event_at_s: float | None = None
    """Event time reached."""
    behind_s: float = 0.0
    """How far the last record was sent after its time."""
    read_bytes: int = 0


Watch = Callable[[Counts], None]
"""Called after each record, with how far it has come."""
Complain = Callable[[str], None]
"""Called with one line of words for each line of a file that is not a record."""


def parse_speed(speed: str) -> float:
    """Factor of the original pace; 0 stands for `max`.

    >>> parse_speed("60"), parse_speed("max")
    (60.0, 0.0)
    """
    if speed == "max":
        return 0.0
    try:
        factor = float(speed)
    except ValueError:
        factor = 0.0
    if not 0.0 < factor < float("inf"):
        raise SettingsError(f"--speed: expected a number above 0, or max, not {speed}")
    return factor


def publish_posts(
    settings: Settings,
    file: Path,
    *,
    speed: float,
    hash_authors: bool = False,
    raw: bool = False,
    end: bool = True,
    watch: Watch | None = None,
    complain: Complain | None = None,
) -> Counts:
    """Send a file of posts; returns when the broker has confirmed each of them.

    Parameters
    ----------
    speed : times the original pace, 0 for as fast as possible.
    hash_authors : replace author ids by keyed hashes.
    raw : send every line unchanged, whatever it is.
    end : mark the end of the source on every partition.
    watch : is called after each record.
    complain : is called with a line of words for each line of the file that is no post.

    Raises `EmberwatchError` when the broker does not confirm a record.
    """
    counts = Counts()
    if raw:
        rows: Iterable[Row] = _raw_rows(file)
    else:
        rows = _post_rows(settings, file, hash_authors=hash_authors, counts=counts, complain=complain)
    with _Sender(settings, "posts", counts) as sender:
        headers = [(SPEED_HEADER, f"{speed:g}".encode())]
        for row in _paced(rows, speed, counts):
            sender.send(key=row.key, value=row.value, headers=headers)
            if watch:
                watch(counts)
        if end:
            sender.mark_end()
    return counts


def publish_claims(settings: Settings, file: Path, *, complain: Complain | None = None) -> Counts:
    """Send a file of fact-checks, a withdrawal as a record without a value; returns when all are confirmed."""
    counts = Counts()
    with _Sender(settings, "claims", counts) as sender:
        for item in read_claims(file):
            if isinstance(item, BadRecord):
                counts.bad += 1
                if complain:
                    complain(f"{file}: {item.field}: {item.error}")
                continue
            value = None if isinstance(item, Withdrawal) else msgspec.json.encode(item)
            sender.send(key=item.claim_id.encode(), value=value)
    return counts


def run(settings: Settings, *, file: Path, speed: str, hash_authors: bool, raw: bool, end: bool) -> int:
    """Play a file of posts, with a progress bar; 1 where no line of it could be sent."""
    factor = parse_speed(speed)
    console = Console(stderr=True)
    columns = (TextColumn("publish"), BarColumn(bar_width=20), TaskProgressColumn(), TextColumn("{task.fields[words]}"))
    started_s = time.monotonic()
    with Progress(*columns, console=console) as progress:
        bar = progress.add_task("publish", total=file.stat().st_size, words="")

        def watch(counts: Counts) -> None:
            if counts.sent % 100 == 1 or factor:
                words = _words(counts, time.monotonic() - started_s, factor)
                progress.update(bar, completed=counts.read_bytes, words=words)

        counts = publish_posts(
            settings,
            file,
            speed=factor,
            hash_authors=hash_authors,
            raw=raw,
            end=end,
            watch=watch,
            complain=_told(progress.console),
        )
        progress.update(bar, completed=file.stat().st_size, words=_words(counts, time.monotonic() - started_s, factor))
    if not factor and not end and settings.posts_partitions > 1:
        console.print(HELD_BACK, highlight=False)
    return _report(console, counts, topic_name(settings, "posts"), time.monotonic() - started_s)


def run_claims(settings: Settings, *, file: Path) -> int:
    """Send a file of fact-checks; 1 where no line of it could be sent."""
    console = Console(stderr=True)
    audit.note_command(settings, "claims", about="claims", detail=file.name[:512])
    started_s = time.monotonic()
    counts = publish_claims(settings, file, complain=_told(console))
    return _report(console, counts, topic_name(settings, "claims"), time.monotonic() - started_s)


class _Sender:
    """A producer that counts what was confirmed, and fails loudly at its end if anything was not."""

    def __init__(self, settings: Settings, name: Name, counts: Counts) -> None:
        self._topic = topic_name(settings, name)
        demand_topic(settings, self._topic)
        self._counts = counts
        self._error: BaseException | None = None
        self._producer: KafkaProducer = producer(settings)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_rest: object) -> None:
        try:
            self._producer.flush(timeout=FLUSH_WITHIN_S)
        except KafkaError as error:
            self._error = self._error or error
        finally:
            self._producer.close(timeout=10.0)
        if kind is None and self._counts.confirmed != self._counts.sent:
            lost = self._counts.sent - self._counts.confirmed
            raise EmberwatchError(
                f"the broker has not confirmed {lost:,} of {self._counts.sent:,} records{self._why()}"
            )

    def send(self, *, key: bytes | None, value: bytes | None, headers: list[tuple[str, bytes]] | None = None) -> None:
        """Send one record, waiting where too many are on their way; raises `EmberwatchError` once one was refused."""
        counts = self._counts
        while counts.sent - counts.confirmed - counts.failed > MOST_UNCONFIRMED:
            time.sleep(0.005)
        if self._error:
            raise EmberwatchError(f"the broker refused a record{self._why()}")
        try:
            delivery = self._producer.send(self._topic, key=key, value=value, headers=headers or [])
        except KafkaError as error:
            raise EmberwatchError(f"the broker refused a record: {type(error).__name__}: {error}") from error
        counts.sent += 1
        delivery.add_callback(self._confirmed)
        delivery.add_errback(self._failed)

    def mark_end(self) -> None:
        """Say on every partition that nothing more comes; these records are not counted."""
        headers = [(END_HEADER, b"1")]
        try:
            ends = [
                self._producer.send(self._topic, value=b"{}", partition=number, headers=headers)
                for number in sorted(self._producer.partitions_for(self._topic))
            ]
            self._producer.flush(timeout=FLUSH_WITHIN_S)
            for end in ends:
                end.get(timeout=1.0)
        except KafkaError as error:
            raise EmberwatchError(f"the end was not marked: {type(error).__name__}: {error}") from error

    def _confirmed(self, _delivered: object) -> None:
        self._counts.confirmed += 1

    def _failed(self, error: BaseException) -> None:
        self._counts.failed += 1
        self._error = self._error or error

    def _why(self) -> str:
        return f": {type(self._error).__name__}: {self._error}" if self._error else ""


def _post_rows(
    settings: Settings, file: Path, *, hash_authors: bool, counts: Counts, complain: Complain | None
) -> Iterator[Row]:
    """Posts of a file as they go on the wire: known fields only, `ingested_at` now where there is none."""
    salt = salt_of(settings) if hash_authors else None
    for line in read_lines(file):
        try:
            post = decode_post(line.value, received_at_s=time.time())
        except BadRecord as bad:
            counts.bad += 1
            if complain:
                complain(f"{file}:{line.number}: {bad.field}: {bad.error}")
            continue
        if salt:
            post = msgspec.structs.replace(post, author_id=hash_author(post.platform, post.author_id, salt))
        yield Row(post.key.encode(), msgspec.json.encode(post), post.created_at.timestamp(), line.read_bytes)


def _raw_rows(file: Path) -> Iterator[Row]:
    for line in read_lines(file, most_bytes=LONGEST_RAW_BYTES):
        try:
            post = decode_post(line.value, received_at_s=time.time())
        except BadRecord:
            yield Row(None, line.value, None, line.read_bytes)
        else:
            yield Row(post.key.encode(), line.value, post.created_at.timestamp(), line.read_bytes)


def _paced(rows: Iterable[Row], speed: float, counts: Counts) -> Iterator[Row]:
    """Hold each row back until its time has come: event time since the first row, over `speed`."""
    first_event_s = first_s = 0.0
    for row in rows:
        if speed and row.created_at_s is not None:
            if not first_s:
                first_event_s, first_s = row.created_at_s, time.monotonic()
            wait_s = first_s + (row.created_at_s - first_event_s) / speed - time.monotonic()
            counts.behind_s = max(-wait_s, 0.0)
            if wait_s > 0.0:
                time.sleep(wait_s)
        if row.created_at_s is not None:
            counts.event_at_s = max(row.created_at_s, counts.event_at_s or row.created_at_s)
        counts.read_bytes = row.read_bytes
        yield row


def _words(counts: Counts, elapsed_s: float, speed: float) -> str:
    """One line of progress: posts, posts a second, event time, and how far behind the pace it is."""
    words = f"{counts.sent:,} posts, {counts.sent / max(elapsed_s, 1e-3):,.0f}/s"
    if counts.event_at_s is not None:
        words += f", event time {datetime.fromtimestamp(counts.event_at_s, UTC):%Y-%m-%d %H:%M:%S}"
    return f"{words}, {counts.behind_s:.1f} s behind" if speed and counts.behind_s > 1.0 else words


def _report(console: Console, counts: Counts, topic: str, seconds: float) -> int:
    rate = counts.confirmed / max(seconds, 1e-3)
    words = f"{counts.confirmed:,} records confirmed on {topic} in {seconds:.1f} s ({rate:,.0f}/s)"
    console.print(words + (f"; {counts.bad:,} bad lines were not sent" if counts.bad else ""), highlight=False)
    return 1 if counts.bad and not counts.sent else 0


def _told(console: Console) -> Complain:
    """Print the first complaints, then one line that there are more."""
    told = 0

    def complain(line: str) -> None:
        nonlocal told
        told += 1
        if told <= SHOWN_BAD_LINES:
            console.print(line, markup=False, highlight=False, soft_wrap=True)
        elif told == SHOWN_BAD_LINES + 1:
            console.print("... and more; only their number is told at the end.", highlight=False)

    return complain
