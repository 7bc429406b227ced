"""Reads the topics into the board, in a thread of its own, for as long as the console runs."""

import threading
import time
from collections.abc import Callable
from typing import Any

import msgspec
from kafka import KafkaConsumer, TopicPartition
from kafka.errors import KafkaError
from msgspec import Struct

from detectors.codec import decode_record
from detectors.records import Alert, Narrative, NarrativeChange
from streams import kafka_clients
from streams.console.board import Board
from streams.errors import EmberwatchError
from streams.log import get_logger, values
from streams.settings import Settings
from streams.topics import Name, topic_name

RETRY_AFTER_S = 2.0
ANSWER_WITHIN_MS = 5_000
"""A broker that takes longer counts as lost: an analyst must not look at an old board for half a minute."""
JOURNAL_LOOK_EVERY_S = 2.0
JOURNAL_LOOK_BYTES = 128 * 1024
"""Enough for one entry: only the last is looked at, however many there are."""

_log = get_logger("console")


class _LastEntry(Struct):
    """As much of a journal entry as tells event time; the rest is left undecoded."""

    entry: str = ""
    now_at_s: float | None = None
    created_at_s: float | None = None


class _TopicsChangedError(Exception):
    """A log is shorter than it was: the broker was replaced, so all is read again."""


class Follower:
    """Follows `alerts`, `narratives` and their histories from the beginning, and looks at the end of the journal."""

    def __init__(self, settings: Settings, board: Board) -> None:
        self._settings = settings
        self._board = board
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="console-follower", daemon=True)
        self._put: dict[str, Callable[[Any], None]] = {
            topic_name(settings, "narratives"): self._take_narrative,
            topic_name(settings, "alerts"): self._take_alert,
            topic_name(settings, "narrative-history"): self._take_change,
            topic_name(settings, "alert-history"): self._take_revision,
        }

    def start(self) -> None:
        """Begin; faults are shown on the board, and retried."""
        self._thread.start()

    def stop(self) -> None:
        """End, and wait for it."""
        self._stop.set()
        self._thread.join(timeout=15)

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self._follow()
            except _TopicsChangedError:
                _log.warning("topics are shorter than they were and are read again")
            except (KafkaError, EmberwatchError, OSError) as error:
                words = str(error) or type(error).__name__
                _log.warning("broker cannot be read", extra=values(error=words))
                self._board.lost(words)
                self._stop.wait(RETRY_AFTER_S)

    def _follow(self) -> None:
        reader = kafka_clients.consumer(self._settings)
        try:
            journal = _Journal(self._settings, self._board)
            try:
                self._read(reader, journal)
            finally:
                journal.close()
        finally:
            reader.close()

    def _read(self, reader: KafkaConsumer, journal: "_Journal") -> None:
        partitions = [p for topic in self._put for p in kafka_clients.partitions_of(reader, topic)]
        reader.assign(partitions)
        reader.seek_to_beginning(*partitions)
        ends = reader.end_offsets(partitions, timeout_ms=ANSWER_WITHIN_MS)
        self._board.start_over()
        behind = set(partitions)
        while not self._stop.is_set():
            for records in reader.poll(timeout_ms=250).values():
                for record in records:
                    self._take(record)
            if behind:
                behind = {p for p in behind if reader.position(p) < ends[p]}
                if behind:
                    continue
                journal.look()
                self._board.caught_up()
            elif journal.is_due():
                journal.look()
                _check_not_shorter(reader, partitions)

    def _take(self, record: Any) -> None:
        try:
            self._put[record.topic](record)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            where = values(topic=record.topic, partition=record.partition, offset=record.offset, error=str(error))
            _log.warning("record is unreadable", extra=where)
            self._board.unreadable()

    def _take_alert(self, record: Any) -> None:
        if record.value is None:
            self._board.forget_alert(record.key.decode())
        else:
            self._board.put_alert(decode_record(Alert, record.value))

    def _take_revision(self, record: Any) -> None:
        if record.value is not None:
            self._board.put_revision(decode_record(Alert, record.value))

    def _take_narrative(self, record: Any) -> None:
        if record.value is None:
            self._board.forget_narrative(record.key.decode())
        else:
            self._board.put_narrative(decode_record(Narrative, record.value))

    def _take_change(self, record: Any) -> None:
        if record.value is not None:
            self._board.put_change(decode_record(NarrativeChange, record.value))


class _Journal:
    """The end of the journal: it says whether anything moves at all, and which event time that has reached."""

    def __init__(self, settings: Settings, board: Board) -> None:
        self._board = board
        self._reader = kafka_clients.consumer(
            settings, max_poll_records=1, max_partition_fetch_bytes=JOURNAL_LOOK_BYTES
        )
        name: Name = "journal"
        self._partitions = kafka_clients.partitions_of(self._reader, topic_name(settings, name))
        self._reader.assign(self._partitions)
        self._looked_at_s = 0.0

    def is_due(self) -> bool:
        return time.monotonic() - self._looked_at_s >= JOURNAL_LOOK_EVERY_S

    def look(self) -> None:
        self._looked_at_s = time.monotonic()
        ends = self._reader.end_offsets(self._partitions, timeout_ms=ANSWER_WITHIN_MS)
        records = [record for p in self._partitions if ends[p] and (record := self._last(p, ends[p]))]
        entries = [entry for record in records if (entry := _last_entry(record.value)) is not None]
        times_s = [at_s for entry in entries if (at_s := _event_time_s(entry)) is not None]
        self._board.put_journal_tail(
            sum(ends.values()),
            event_time_s=max(times_s, default=None),
            written_at_s=max((record.timestamp / 1000 for record in records if record.timestamp > 0), default=None),
            ended=bool(entries) and all(entry.entry == "source_end" for entry in entries),
        )

    def _last(self, partition: TopicPartition, end: int) -> Any:
        others = [p for p in self._partitions if p != partition]
        self._reader.pause(*others)
        self._reader.seek(partition, end - 1)
        records = self._reader.poll(timeout_ms=500).get(partition, [])
        self._reader.resume(*others)
        return records[-1] if records else None

    def close(self) -> None:
        self._reader.close()


def _last_entry(value: bytes | None) -> _LastEntry | None:
    try:
        return decode_record(_LastEntry, value or b"")
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def _event_time_s(entry: _LastEntry) -> float | None:
    return entry.now_at_s if entry.now_at_s is not None else entry.created_at_s


def _check_not_shorter(reader: KafkaConsumer, partitions: list[TopicPartition]) -> None:
    ends = reader.end_offsets(partitions, timeout_ms=ANSWER_WITHIN_MS)
    if any(reader.position(p) > ends[p] for p in partitions):
        raise _TopicsChangedError
