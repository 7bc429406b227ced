"""How far a consumer group is behind, seen from outside: committed offsets against the ends of the logs."""

from collections.abc import Mapping
from typing import TypeAlias

from kafka import KafkaConsumer, TopicPartition

from streams.kafka_clients import consumer, partitions_of
from streams.settings import Settings

Offsets: TypeAlias = Mapping[TopicPartition, int]


class GroupLag:
    """Reads a group's committed offsets without joining it; blocking, for one thread only.

    Parameters
    ----------
    topics : full names of what the group consumes.
    """

    def __init__(self, settings: Settings, group: str, topics: tuple[str, ...]) -> None:
        self._reader: KafkaConsumer = consumer(settings)
        self._group_reader: KafkaConsumer = consumer(settings, group_id=group)
        self._partitions = [partition for topic in topics for partition in partitions_of(self._reader, topic)]

    def ends(self) -> Offsets:
        """Offset after the last record of each partition."""
        ends: Offsets = self._reader.end_offsets(self._partitions)
        return ends

    def committed(self) -> Offsets:
        """Offset after the last acknowledged record of each partition; 0 where there is none."""
        return {partition: self._group_reader.committed(partition) or 0 for partition in self._partitions}

    def close(self) -> None:
        """Close both connections."""
        self._reader.close()
        self._group_reader.close()


def lag(ends: Offsets, committed: Offsets) -> int:
    """Records that wait, over all partitions.

    >>> a, b = TopicPartition("posts", 0), TopicPartition("posts", 1)
    >>> lag({a: 10, b: 5}, {a: 7, b: 5})
    3
    """
    return sum(max(0, end - committed.get(partition, 0)) for partition, end in ends.items())
