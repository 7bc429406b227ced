"""One shard in the hands of one monitor: its state, loaded and kept, and what the state gives published once."""

import asyncio
import copy
import functools
import logging
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import msgspec
from kafka import TopicPartition
from msgspec import Struct

from detectors.codec import Snapshot, decode_entry, decode_record, decode_state, encode_record, encode_state
from detectors.entries import ConfigurationEntry, Entry, Origin, ScoredPost, Seeded, Skip
from detectors.event_time import EventTime
from detectors.grouping import get_ready
from detectors.monitor import Output, fold, new_state
from detectors.policy import Configuration, config_hash
from detectors.records import Alert, Look, Narrative, NarrativeChange
from detectors.seeded import begun, seeded
from detectors.skipped import announced, leave_out
from detectors.state import MonitorState
from streams.attempts import MOST_ATTEMPTS, Attempts
from streams.control_records import append_to_journal
from streams.errors import EmberwatchError
from streams.journal_file import AHEAD_TAGS
from streams.kafka_clients import Reader, consumer, partitions_of, read_partition, read_to_end
from streams.metrics import Metrics
from streams.models import load_scorer
from streams.published import Published
from streams.seeds import open_alerts, seeds
from streams.settings import Settings
from streams.shard_sender import FencedError, ShardSender
from streams.shard_sender import Output as Record
from streams.snapshots import Snapshots
from streams.ticks import Ticks
from streams.topics import Name, topic_name

LOOK_MARGIN = 10.0
"""Looks asked longer ago than so many times the wait are not sent any more; a late answer is still of use."""

SNAPSHOT_WITHIN_S = 20.0
"""A part of a snapshot that is not confirmed by then has failed."""

RETIRES_WITHIN_S = 10.0
"""How long a shard that is given up waits for the snapshot that is being written."""

CHUNK_ENTRIES = 256
"""Entries that recovery folds before it publishes what they gave."""

Result = TypeVar("Result")

_log = logging.getLogger("streams.monitor")


class _Folded(Struct, frozen=True):
    """What some entries gave, and how long it took."""

    outputs: list[Output]
    entries: list[Entry]
    seconds: float


class ShardOwner:
    """The state of a shard and everything that may change it, one thing at a time.

    The fold runs in a thread of its own, so that the event loop keeps answering.

    Parameters
    ----------
    progressed : called whenever something was done, also while the state is loaded.
    """

    def __init__(self, settings: Settings, shard: int, metrics: Metrics, progressed: Callable[[], None]) -> None:
        self.shard = shard
        self.ticks = Ticks()
        self.is_loaded = asyncio.Event()
        self.missing_entries = 0
        """Entries that retention took before any snapshot held them."""
        self._settings = settings
        self._metrics = metrics
        self._progressed = progressed
        self._journal = TopicPartition(topic_name(settings, "journal"), shard)
        self._sender = ShardSender(settings, shard)
        self._snapshot_sender = ShardSender(settings, shard, purpose="snapshots", confirmed_within_s=SNAPSHOT_WITHIN_S)
        self._snapshots: Snapshots[MonitorState] = Snapshots(settings, shard, decode_state, self._snapshot_sender)
        self._published = Published(settings, {})
        self._state = new_state()
        self._attempts = Attempts(settings.data_dir / "folding")
        self._skips: dict[int, Skip] = {}
        """Entries that are not folded, by offset: announced further on in the journal."""
        self._thread = ThreadPoolExecutor(1, f"shard-{shard}")
        self._snapshot_thread = ThreadPoolExecutor(1, f"snapshots-{shard}")
        self._writing: asyncio.Task[None] | None = None
        """The snapshot that is being written: where its disk is full that takes long, and entries do not wait."""
        self._lock = asyncio.Lock()
        self._retired = False
        self._snapshot_due_s = time.monotonic() + settings.snapshot_every_s
        self._snapshot_offset = -1
        """Next offset of the state that was written last; -1 before that."""
        self._late = 0
        self._has_begun = False
        """Whether what comes before the journal's first entry was folded, if there is any."""

    async def load(self) -> None:
        """Read the last snapshot and the journal from there to its end, publishing what is not out yet."""
        started_s = time.monotonic()
        async with self._lock:
            # First of all: whoever had the shard may write nothing behind what is read here.
            await self._in_thread(self._sender.take_over)
            loaded = await self._in_snapshot_thread(self._snapshots.load)
            if loaded is not None:
                self._state = loaded.state
                self._published = Published(self._settings, loaded.published)
            await self._in_thread(self._published.read)
        from_offset = self._state.next_offset
        self._metrics.left_out_before(self._state.left_out(), self.shard)
        self._late = self._state.core.late
        await self.catch_up()
        await self._in_thread(get_ready)
        await self._in_thread(self._show_open_alerts)
        show_configuration(self._metrics, self._state.configuration)
        self.is_loaded.set()
        _log.info(
            "shard %d is loaded: snapshot up to offset %d, journal up to %d, %.1f s",
            self.shard,
            from_offset,
            self._state.next_offset,
            time.monotonic() - started_s,
        )

    async def take(self, items: Sequence[tuple[int, bytes]]) -> None:
        """Fold entries as they come; returns when what they gave is confirmed. A gap is read from the journal."""
        if items[0][0] > self._state.next_offset:
            _log.warning("shard %d: offset %d after %d", self.shard, items[0][0], self._state.next_offset)
            await self.catch_up()
        async with self._lock:
            await self._fold_and_publish(items)
            await self._take_due_snapshot()

    async def catch_up(self) -> None:
        """Read the journal on to its present end."""
        chunks = await self._in_thread(self._begin_reading)
        try:
            while rows := await self._in_thread(functools.partial(next, chunks, None)):
                async with self._lock:
                    if self._retired:
                        return
                    await self._fold_and_publish(rows)
        finally:
            await asyncio.to_thread(chunks.close)

    async def snapshot(self) -> None:
        """Write a snapshot now; returns when it is there, or has failed."""
        if self._writing is not None:
            await asyncio.wait({self._writing})
        async with self._lock:
            if self.is_loaded.is_set() and not self._retired:
                await self._begin_snapshot()
        if self._writing is not None:
            await asyncio.wait({self._writing})

    async def snapshot_if_due(self) -> None:
        """Write a snapshot where one is due, also when nothing more comes."""
        async with self._lock:
            if self.is_loaded.is_set() and not self._retired:
                await self._take_due_snapshot()

    async def event_time(self) -> EventTime:
        """Copy of the state's event time, between two batches."""
        async with self._lock:
            return copy.deepcopy(self._state.core.time)

    async def retire(self) -> None:
        """Publish nothing more: the shard is somebody else's."""
        self._retired = True
        async with self._lock:
            await self._in_thread(self._sender.close)
            self._thread.shutdown(wait=False)
        if self._writing is not None:
            await asyncio.wait({self._writing}, timeout=RETIRES_WITHIN_S)
        self._snapshot_thread.submit(self._snapshot_sender.close)
        self._snapshot_thread.shutdown(wait=False)

    async def _fold_and_publish(self, items: Sequence[tuple[int, bytes]]) -> None:
        folded = await self._in_thread(lambda: self._fold(items))
        if not folded.entries:
            return
        await self._in_thread(lambda: self._publish(folded.outputs))
        self.ticks.folded(self._state.core.time)
        self._show(folded)
        self._progressed()

    def _fold(self, items: Sequence[tuple[int, bytes]]) -> _Folded:
        entries = [(offset, _entry(offset, value)) for offset, value in items if offset >= self._state.next_offset]
        entries = list(leave_out(entries, self._skips))
        started_s = time.perf_counter()
        origins = [self._origin(offset) for offset, _ in entries]
        if any(map(self._attempts.deaths, origins)):
            outputs = [output for item in entries for output in self._fold_alone(item)]
        else:
            # What escapes from here ends the process: the notes tell the next one what was in hand.
            self._attempts.begin(origins)
            outputs = list(fold(self._state, entries))
            self._attempts.done(origins)
        return _Folded(outputs, [entry for _, entry in entries], time.perf_counter() - started_s)

    def _fold_alone(self, item: tuple[int, Entry]) -> list[Output]:
        """Fold one of several entries one of which brought a process down, or leave it out for good."""
        offset, entry = item
        origin = self._origin(offset)
        if self._attempts.deaths(origin) >= MOST_ATTEMPTS:
            entry = Skip(offset=offset, why=f"the monitor died of it {MOST_ATTEMPTS} times")
            _log.error("shard %d: the entry at offset %d is left out: %s", self.shard, offset, entry.why)
            append_to_journal(self._settings, {self.shard: [entry]})
            self._skips[offset] = entry
        self._attempts.begin([origin])
        outputs = list(fold(self._state, [(offset, entry)]))
        self._attempts.done([origin])
        return outputs

    def _origin(self, offset: int) -> Origin:
        return Origin(self._journal.topic, self.shard, offset)

    def _publish(self, outputs: Sequence[Output]) -> None:
        """Write what is not out yet. History first: what is on `alerts` is there too."""
        narratives = {output.narrative_id: output for output in outputs if isinstance(output, Narrative)}
        history = [  # the last one of a key holds
            self._record("narratives", narrative_id, encode_record(narrative))
            for narrative_id, narrative in narratives.items()
        ]
        alerts = [output for output in outputs if isinstance(output, Alert)]
        for output in outputs:
            if isinstance(output, Alert) and not self._published.has_alert("alert-history", output):
                history.append(self._record("alert-history", output.alert_id, encode_record(output)))
            elif isinstance(output, NarrativeChange):
                value = encode_record(output)
                if not self._published.has_change(value):
                    history.append(self._record("narrative-history", output.narrative_id, value))
        history += [
            self._record("looks", look.look_id, encode_record(msgspec.structs.replace(look, shard=self.shard)))
            for look in outputs
            if isinstance(look, Look) and self._is_open(look)
        ]
        fresh = [alert for alert in alerts if not self._published.has_alert("alerts", alert)]
        last = [self._record("alerts", alert.alert_id, encode_record(alert)) for alert in fresh]
        self._published.confirmed(self._sender.send(history, last))
        for alert in fresh:
            self._metrics.alert_published(alert)

    def _is_open(self, look: Look) -> bool:
        """Whether an answer can still come in time: recovery asks nothing of the past again."""
        looked = self._state.core.looks.by_post.get(look.post_id)
        now_s, wait_s = self._state.core.time.greatest_at_s, self._state.configuration.looks.wait_s
        return looked is not None and not looked.model and now_s <= looked.asked_at_s + LOOK_MARGIN * wait_s

    def _record(self, name: Name, key: str, value: bytes) -> Record:
        return Record(topic_name(self._settings, name), key.encode(), value)

    async def _take_due_snapshot(self) -> None:
        is_writing = self._writing is not None and not self._writing.done()
        if is_writing or time.monotonic() < self._snapshot_due_s or self._state.next_offset == self._snapshot_offset:
            return
        await self._begin_snapshot()

    async def _begin_snapshot(self) -> None:
        """Encode between two batches; what was published so far follows from what the state has folded."""
        offset, positions = self._state.next_offset, dict(self._published.positions)
        try:
            snapshot = await self._in_thread(lambda: encode_state(self._state))
        except Exception:  # noqa: BLE001  an older snapshot and a longer journal serve as well
            self._failed()
        else:
            self._writing = asyncio.create_task(self._write_snapshot(snapshot, offset, positions))

    async def _write_snapshot(self, snapshot: Snapshot, offset: int, positions: dict[str, int]) -> None:
        try:
            written = await self._in_snapshot_thread(lambda: self._snapshots.write(snapshot, positions))
        except FencedError as error:  # what is published next says so too, and ends the process
            _log.warning("shard %d: %s", self.shard, error)
        except Exception:  # noqa: BLE001  an older snapshot and a longer journal serve as well
            self._failed()
        else:
            self._published.forget()
            self._snapshot_offset = offset
            self._metrics.snapshots.labels(outcome="written").inc()
            self._metrics.last_snapshot.set_to_current_time()
            _log.info("snapshot of shard %d at offset %d: %d new chunks", self.shard, offset, written)
        self._snapshot_due_s = time.monotonic() + self._settings.snapshot_every_s

    def _failed(self) -> None:
        """Say that a snapshot failed; to be called where the error is in hand."""
        _log.exception("no snapshot of shard %d was written", self.shard)
        self._metrics.snapshots.labels(outcome="failed").inc()
        self._snapshot_due_s = time.monotonic() + self._settings.snapshot_every_s

    def _begin_reading(self) -> "_JournalChunks":
        chunks = _JournalChunks(self._settings, self._journal, self._state.next_offset)
        if self._state.next_offset > chunks.end:
            _log.warning("shard %d: the journal ends before the snapshot; it is another journal", self.shard)
            self._state = new_state()
            chunks.start = 0
        is_cold = chunks.start < chunks.begins_at
        if is_cold and not self._has_begun and self._snapshots.is_unreadable:
            chunks.close()
            raise EmberwatchError(
                f"the snapshots of shard {self.shard} cannot be read, and the journal begins at {chunks.begins_at}:"
                " a start without them would lose what they hold"
            )
        if is_cold:
            # What they held stays unknown: that is an alarm, on every way out that there is.
            self.missing_entries += chunks.begins_at - chunks.start
            _log.error(
                "shard %d: cold start: the entries from %d to %d are gone from the journal, and no snapshot holds them",
                self.shard,
                chunks.start,
                chunks.begins_at - 1,
            )
            self._metrics.cold_start.set(1)
            chunks.start = self._state.core.next_offset = chunks.begins_at
        ahead = chunks.ahead()
        self._skips |= announced(ahead)
        if not self._has_begun and not self._state.core.folded and chunks.start == chunks.begins_at:
            self._begin_with(begun(ahead, chunks.begins_at) or self._new_seeds(chunks, is_cold=is_cold))
        self._has_begun = True
        return chunks

    def _new_seeds(self, chunks: "_JournalChunks", *, is_cold: bool) -> list[tuple[int, Entry]]:
        """What a state without a snapshot has to be told; it is in the journal before it is folded.

        Where the journal is whole it says everything but which alerts code of another version has left open: the same
        code opens them again, under the same ids.
        """
        entries: list[Seeded] = []
        scorer = functools.cache(lambda: load_scorer(self._settings))
        if is_cold:
            entries += seeds(self._settings, scorer(), chunks.first_post_at_s())
        if is_cold or self._snapshots.are_of_another_version:
            entries += open_alerts(self._settings, self.shard, scorer)
        told = seeded(entries, chunks.begins_at)
        if told:
            append_to_journal(self._settings, {self.shard: told})
        return begun(enumerate(told), chunks.begins_at)

    def _begin_with(self, first: Sequence[tuple[int, Entry]]) -> None:
        """Fold what comes before the journal's first entry; nothing is published for it."""
        if first:
            self._state.core.next_offset = first[0][0]
            list(fold(self._state, first))

    def _show_open_alerts(self) -> None:
        """Open alerts that were published before this worker had the shard, for the gauge."""
        live = {case.alert_id for case in self._state.core.cases.values() if case.is_live()}
        live |= {alert_id for alert_id, one in self._state.core.inherited.items() if one.case.is_live()}
        if not live:
            return
        last: dict[str, Alert] = {}
        for record in read_to_end(self._settings, [topic_name(self._settings, "alerts")]):
            if record.key is not None and record.key.decode() in live and record.value is not None:
                alert = decode_record(Alert, record.value)
                last[alert.alert_id] = alert
        for alert in last.values():
            self._metrics.open_alerts.put(alert)

    def _show(self, folded: _Folded) -> None:
        core, metrics = self._state.core, self._metrics
        for entry in folded.entries:
            metrics.journal_entries.labels(entry=str(entry.__struct_config__.tag)).inc()
        metrics.fold.inc(folded.seconds)
        metrics.last_entry.set_to_current_time()
        metrics.watermark.set(max(0.0, core.time.watermark_at_s))
        metrics.silent_partitions.set(sum(one.idle for one in core.time.partitions.values()))
        metrics.narratives.labels(state="live").set(len(self._state.narratives.narratives))
        metrics.micro_clusters.set(len(self._state.narratives.micros))
        if any(isinstance(entry, ConfigurationEntry) for entry in folded.entries):
            show_configuration(metrics, core.configuration)
        metrics.count_left_out(self._state.left_out(), self.shard)
        metrics.late_posts.inc(core.late - self._late)
        self._late = core.late

    async def _in_snapshot_thread(self, work: Callable[[], Result]) -> Result:
        return await asyncio.get_running_loop().run_in_executor(self._snapshot_thread, work)

    async def _in_thread(self, work: Callable[[], Result]) -> Result:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)


def show_configuration(metrics: Metrics, configuration: Configuration) -> None:
    """Say what is in force."""
    metrics.set_build(
        version=configuration.code_version,
        config_hash=config_hash(configuration),
        embedding_space=configuration.embedding_space,
    )


class _JournalChunks:
    """The journal from an offset to its present end, some entries at a time; blocking, for one thread."""

    def __init__(self, settings: Settings, journal: TopicPartition, start: int) -> None:
        self.start = start
        self._journal = journal
        self._reader: Reader = consumer(settings)
        partitions_of(self._reader, journal.topic)  # says so where the topic is missing
        self.end: int = self._reader.end_offsets([journal])[journal]
        self.begins_at: int = self._reader.beginning_offsets([journal])[journal]
        self._rows: Iterable[Any] | None = None

    def __next__(self) -> list[tuple[int, bytes]]:
        if self._rows is None:
            self._rows = iter(read_partition(self._reader, self._journal, self.end, start=self.start))
        chunk = []
        for record in self._rows:
            chunk.append((record.offset, record.value))
            if len(chunk) == CHUNK_ENTRIES:
                break
        if not chunk:
            raise StopIteration
        return chunk

    def first_post_at_s(self) -> float | None:
        """Event time of the first post that is left; None where there is none."""
        for row in read_partition(self._reader, self._journal, self.end, start=self.begins_at):
            entry = _entry(row.offset, row.value)
            if isinstance(entry, ScoredPost):
                return entry.created_at_s
        return None

    def ahead(self) -> list[tuple[int, Entry]]:
        """Look ahead for entries that speak of earlier ones: what is left out, what a state began with."""
        rows = read_partition(self._reader, self._journal, self.end, start=self.start)
        return [
            (row.offset, _entry(row.offset, row.value))
            for row in rows
            if any(tag in (row.value or b"") for tag in AHEAD_TAGS)
        ]

    def close(self) -> None:
        """Close the connection."""
        self._reader.close()


def _entry(offset: int, value: bytes | None) -> Entry:
    """Decode an entry; what is none is left out, by every reader alike."""
    try:
        return decode_entry(value or b"")
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        return Skip(offset=offset, why=f"not an entry: {error}")
