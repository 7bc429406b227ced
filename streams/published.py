"""What was published already, so that recovery publishes nothing twice.

The fold gives the same outputs again when it folds the same entries again. After a crash, outputs of entries behind
the snapshot may be on the topics or not; they are read from where they stood at the snapshot, and what is found is
left out: revisions of alerts by their number, changes of narratives by their content.
"""

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
from kafka import KafkaConsumer, TopicPartition
from msgspec import Struct

from detectors.codec import decode_record
from detectors.records import Alert
from streams.kafka_clients import consumer, partitions_of, read_partition
from streams.settings import Settings
from streams.topics import Name, topic_name

APPENDED: tuple[Name, ...] = ("alert-history", "alerts", "narrative-history")
"""Topics on which a record must not come twice. On `narratives` the last one of a key holds, whatever was before."""


class _Revision(Struct):
    """Of an alert, what tells it from its other revisions."""

    alert_id: str
    revision: int


class Published:
    """Outputs that are on the topics, beyond a point in time, and where that point is.

    Parameters
    ----------
    positions : offset of the first record to look at, by `topic/partition`; 0 where there is none.
    """

    def __init__(self, settings: Settings, positions: Mapping[str, int]) -> None:
        self._settings = settings
        self.positions = dict(positions)
        self._revisions: dict[tuple[str, str], int] = {}
        self._changes: set[bytes] = set()

    def read(self) -> None:
        """Read on from where it stands; blocking."""
        reader = consumer(self._settings)
        try:
            for name in APPENDED:
                for partition in partitions_of(reader, topic_name(self._settings, name)):
                    self._read(reader, name, partition)
        finally:
            reader.close()

    def has_alert(self, topic: Name, alert: Alert) -> bool:
        """Whether this revision, or a later one, is on the topic."""
        return self._revisions.get((topic, alert.alert_id), -1) >= alert.revision

    def has_change(self, value: bytes) -> bool:
        """Whether this change is on the topic."""
        return _digest(value) in self._changes

    def confirmed(self, deliveries: Iterable[Any]) -> None:
        """Note where the broker put records of ours."""
        for delivery in deliveries:
            self._move(f"{delivery.topic}/{delivery.partition}", delivery.offset + 1)

    def forget(self) -> None:
        """Everything up to the positions follows from entries that a snapshot holds."""
        self._revisions.clear()
        self._changes.clear()

    def _read(self, reader: KafkaConsumer, name: Name, partition: TopicPartition) -> None:
        place = f"{partition.topic}/{partition.partition}"
        end = reader.end_offsets([partition])[partition]
        start = max(self.positions.get(place, 0), reader.beginning_offsets([partition])[partition])
        if start < end:
            for record in read_partition(reader, partition, end, start=start):
                self._note(name, record.value)
        self._move(place, end)

    def _note(self, name: Name, value: bytes | None) -> None:
        if value is None:
            return
        if name == "narrative-history":
            self._changes.add(_digest(value))
            return
        try:
            read = decode_record(_Revision, value)
        except msgspec.MsgspecError:
            return  # not a record of ours
        key = (name, read.alert_id)
        self._revisions[key] = max(self._revisions.get(key, -1), read.revision)

    def _move(self, place: str, position: int) -> None:
        self.positions[place] = max(self.positions.get(place, 0), position)


def _digest(value: bytes) -> bytes:
    return hashlib.blake2b(value, digest_size=16).digest()
