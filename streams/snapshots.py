"""Snapshots of a shard's state on the compacted topic `snapshots`: chunks named by their content, the manifest last.

Two manifests live side by side under two keys, written in turn, so that a damaged one leaves the one before it. A
chunk is written once and stays until neither of them names it. Blocking: for a thread that owns it.
"""

import hashlib
import logging
from collections.abc import Callable, Mapping
from typing import Generic, TypeVar

import msgspec
from kafka import TopicPartition
from kafka.errors import KafkaError
from msgspec import Struct

from detectors.codec import CorruptSnapshotError, OtherVersionError, Snapshot, decode_record, read_manifest
from streams.kafka_clients import consumer, read_partition
from streams.settings import Settings
from streams.shard_sender import Output, ShardSender
from streams.topics import topic_name

CHUNK_PREFIX = b"chunk/"
MANIFEST_PREFIX = b"manifest/"
STALLS_AFTER_S = 20.0
"""Without an answer for so long, the topic counts as unreadable."""

StateT = TypeVar("StateT")

_log = logging.getLogger("streams.snapshots")


class Envelope(Struct, frozen=True, kw_only=True):
    """What is written under a manifest's key."""

    sequence: int
    """Rises with every snapshot of the shard; the greatest that can be read is the state."""
    manifest: bytes
    digest: str
    """Of the manifest: the chunks carry theirs in their names."""
    chunks: tuple[str, ...]
    """Names of all chunks it is made of."""
    published: dict[str, int] = {}
    """Offset up to which each `topic/partition` of outputs was written by entries of this state or before."""


class Loaded(Struct, Generic[StateT], frozen=True):
    """A state that was read back."""

    state: StateT
    published: dict[str, int]


class Snapshots(Generic[StateT]):
    """Writes and reads the snapshots of one shard.

    Parameters
    ----------
    decode : manifest and chunks to a state; raises `CorruptSnapshotError`.
    sender : writes for the shard; closed by whoever made it.
    """

    def __init__(
        self,
        settings: Settings,
        shard: int,
        decode: Callable[[bytes, Mapping[str, bytes]], StateT],
        sender: ShardSender,
    ) -> None:
        self._settings = settings
        self._shard = shard
        self._decode = decode
        self._topic = topic_name(settings, "snapshots")
        self._sender = sender
        self.are_of_another_version = False
        """Whether there were only snapshots of another version of the state, or damaged ones."""
        self.is_unreadable = False
        """Whether the broker does not give what is on the topic."""
        self._sequence = 0
        self._kept: list[frozenset[str]] = []
        """Names in the last two manifests, the newer one last."""
        self._there: set[str] = set()
        """Names of all chunks on the topic."""
        self._sound: set[str] = set()
        """Names of those that need not be written again: they were, or they were read and found whole."""

    def load(self) -> Loaded[StateT] | None:
        """Read the newest snapshot that is whole; None where there is none, or where none can be read."""
        try:
            chunks, envelopes = self._take_stock()
        except KafkaError as error:
            _log.error("the snapshots of shard %d cannot be read: %r", self._shard, error)
            self.is_unreadable = True
            return None
        for envelope in reversed(envelopes):
            try:
                state = self._decode(_checked(envelope), chunks)
            except OtherVersionError as error:
                _log.error(
                    "snapshot %d of shard %d is not read: %s; the journal is folded anew",
                    envelope.sequence,
                    self._shard,
                    error,
                )
                self.are_of_another_version = True
            except CorruptSnapshotError as error:
                _log.error("snapshot %d of shard %d is damaged: %s", envelope.sequence, self._shard, error)
            else:
                self._sound = set(envelope.chunks)
                self.are_of_another_version = False
                return Loaded(state, envelope.published)
        return None

    def write(self, snapshot: Snapshot, published: dict[str, int]) -> int:
        """Write a snapshot; gives how many chunks were new. Raises `KafkaError` where the broker refuses."""
        if self.is_unreadable:
            self._take_stock()
            self.is_unreadable = False
        names = frozenset(read_manifest(snapshot.manifest).chunk_names())
        new = names - self._sound
        sequence = self._sequence + 1
        envelope = Envelope(
            sequence=sequence,
            manifest=snapshot.manifest,
            digest=_digest(snapshot.manifest),
            chunks=tuple(sorted(names)),
            published=published,
        )
        key = MANIFEST_PREFIX + f"{self._shard}/{sequence % 2}".encode()
        chunks = [self._record(CHUNK_PREFIX + name.encode(), snapshot.chunks[name]) for name in sorted(new)]
        self._sender.send(chunks, [self._record(key, msgspec.json.encode(envelope))])
        self._there |= new
        self._sound |= new
        self._sequence = sequence
        self._kept = [*self._kept[-1:], names]
        self._forget()
        return len(new)

    def _take_stock(self) -> tuple[dict[str, bytes], list[Envelope]]:
        """Shut out whoever wrote before, and read what is there: chunks by name, and manifests by age."""
        self._sender.take_over()
        chunks, envelopes = self._read()
        self._there = set(chunks)
        self._kept = [frozenset(envelope.chunks) for envelope in envelopes[-2:]]
        self._sequence = max((envelope.sequence for envelope in envelopes), default=0)
        return chunks, envelopes

    def _forget(self) -> None:
        """Delete the chunks that neither of the two last manifests names."""
        stale = self._there.difference(*self._kept)
        self._sender.send([self._record(CHUNK_PREFIX + name.encode(), None) for name in sorted(stale)])
        self._there -= stale
        self._sound -= stale

    def _record(self, key: bytes, value: bytes | None) -> Output:
        return Output(self._topic, key, value, partition=self._shard)

    def _read(self) -> tuple[dict[str, bytes], list[Envelope]]:
        """Chunks by name, and manifests by age; the last record of a key holds."""
        kept: dict[bytes, bytes] = {}
        reader = consumer(self._settings)
        try:
            partition = TopicPartition(self._topic, self._shard)
            end = reader.end_offsets([partition], timeout_ms=1000 * STALLS_AFTER_S)[partition]
            for record in read_partition(reader, partition, end, stalls_after_s=STALLS_AFTER_S):
                if record.value is None:
                    kept.pop(record.key, None)
                elif record.key is not None:
                    kept[record.key] = record.value
        finally:
            reader.close()
        chunks = {
            key.removeprefix(CHUNK_PREFIX).decode(): value
            for key, value in kept.items()
            if key.startswith(CHUNK_PREFIX)
        }
        envelopes = [
            envelope
            for key, value in kept.items()
            if key.startswith(MANIFEST_PREFIX) and (envelope := self._envelope(value)) is not None
        ]
        return chunks, sorted(envelopes, key=lambda envelope: envelope.sequence)

    def _envelope(self, value: bytes) -> Envelope | None:
        try:
            return decode_record(Envelope, value)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            _log.error("a manifest of shard %d is damaged: %s", self._shard, error)
            return None


def _checked(envelope: Envelope) -> bytes:
    if _digest(envelope.manifest) != envelope.digest:
        raise CorruptSnapshotError("the manifest is not what was written")
    return envelope.manifest


def _digest(content: bytes) -> str:
    return hashlib.blake2b(content, digest_size=16).hexdigest()
