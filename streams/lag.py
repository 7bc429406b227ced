"""How far a consumer group is behind, seen from outside: committed offsets against the ends of the logs.

In records, and in seconds: how long the oldest record that waits has been there, by the broker's own stamp.
"""

import time
from collections.abc import Mapping
from typing import Any, TypeAlias

import click
import msgspec
from kafka import KafkaConsumer, TopicPartition
from msgspec import Struct

from streams.kafka_clients import consumer, partitions_of
from streams.settings import Settings, Stage
from streams.topics import Name, topic_name

Offsets: TypeAlias = Mapping[TopicPartition, int]

READ_WITHIN_MS = 1_000
READ_BYTES = 128 * 1024
"""Enough for one record: only the oldest is looked at, however many wait."""


class StageLag(Struct, frozen=True):
    """How far one stage is behind."""

    stage: Stage
    records: int
    seconds: float


class GroupLag:
    """Reads a group's committed offsets without joining it; blocking, for one thread only.

    Parameters
    ----------
    topics : full names of what the group consumes.
    """

    def __init__(self, settings: Settings, group: str, topics: tuple[str, ...]) -> None:
        self._reader: KafkaConsumer = consumer(settings)
        self._group_reader: KafkaConsumer = consumer(settings, group_id=group)
        self._oldest: KafkaConsumer = consumer(settings, max_poll_records=1, max_partition_fetch_bytes=READ_BYTES)
        self._partitions = [partition for topic in topics for partition in partitions_of(self._reader, topic)]

    def ends(self) -> Offsets:
        """Offset after the last record of each partition."""
        ends: Offsets = self._reader.end_offsets(self._partitions)
        return ends

    def committed(self) -> Offsets:
        """Offset after the last acknowledged record of each partition; 0 where there is none."""
        return {partition: self._group_reader.committed(partition) or 0 for partition in self._partitions}

    def waits_s(self, ends: Offsets, committed: Offsets, *, now_s: float | None = None) -> float:
        """Seconds that the oldest waiting record has waited, over all partitions; 0 where nothing waits.

        Parameters
        ----------
        now_s : epoch seconds; the clock without it.
        """
        arrived_s = [
            record.timestamp / 1000
            for partition, end in ends.items()
            if committed.get(partition, 0) < end and (record := self._at(partition, committed.get(partition, 0)))
        ]
        now_s = time.time() if now_s is None else now_s
        return max(0.0, now_s - min(arrived_s)) if arrived_s else 0.0

    def _at(self, partition: TopicPartition, offset: int) -> Any:
        """Give the record at an offset, or the first that is still kept after it; None where it does not come."""
        self._oldest.assign([partition])
        self._oldest.seek(partition, max(offset, self._oldest.beginning_offsets([partition])[partition]))
        rows = self._oldest.poll(timeout_ms=READ_WITHIN_MS, max_records=1).get(partition)
        return rows[0] if rows and rows[0].timestamp > 0 else None

    def close(self) -> None:
        """Close both connections."""
        self._reader.close()
        self._group_reader.close()
        self._oldest.close()


def lag(ends: Offsets, committed: Offsets) -> int:
    """Records that wait, over all partitions.

    >>> a, b = TopicPartition("posts", 0), TopicPartition("posts", 1)
    >>> lag({a: 10, b: 5}, {a: 7, b: 5})
    3
    """
    return sum(max(0, end - committed.get(partition, 0)) for partition, end in ends.items())


CONSUMED: Mapping[Stage, tuple[Name, ...]] = {
    "score": ("posts", "configuration", "claims", "feedback", "crisis", "deletions"),
    "monitor": ("journal",),
}


def measure(settings: Settings) -> list[StageLag]:
    """Measure every stage, without asking any worker; raises `EmberwatchError` where the broker does not answer."""
    measured = []
    for stage, names in CONSUMED.items():
        group = f"{settings.topic_prefix}emberwatch-{stage}"
        reader = GroupLag(settings, group, tuple(topic_name(settings, name) for name in names))
        try:
            ends, committed = reader.ends(), reader.committed()
            measured.append(StageLag(stage, lag(ends, committed), round(reader.waits_s(ends, committed), 3)))
        finally:
            reader.close()
    return measured


def run(settings: Settings, *, as_json: bool, limit_s: float | None) -> int:
    """Print how far each stage is behind; 1 where one is by more than `limit_s` seconds."""
    measured = measure(settings)
    for one in measured:
        words = f"{one.stage:8} {one.records:10,} records wait, the oldest for {one.seconds:,.1f} s"
        click.echo(msgspec.json.encode(one).decode() if as_json else words)
    return 1 if limit_s is not None and any(one.seconds > limit_s for one in measured) else 0
