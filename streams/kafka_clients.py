"""kafka-python clients made from the settings: admin, producer, and a reader that belongs to no group."""

import ssl
import time
from collections.abc import Iterable, Iterator
from typing import Any

from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import KafkaAdminClient
from kafka.consumer.fetcher import ConsumerRecord
from kafka.errors import KafkaError, KafkaTimeoutError

from streams.errors import EmberwatchError
from streams.settings import Settings, variable_of

SCOUT_WITHIN_S = 30.0
LARGEST_RECORD_BYTES = 4 * 1024 * 1024
"""Snapshots come in chunks of up to a megabyte; dead letters carry a whole bad record and its headers."""


def connection_options(settings: Settings) -> dict[str, Any]:
    """What every client needs to reach the broker, SASL and TLS included."""
    options: dict[str, Any] = {
        "bootstrap_servers": settings.broker.split(","),
        "security_protocol": settings.security_protocol,
        "bootstrap_timeout_ms": 5_000,
    }
    if settings.security_protocol.startswith("SASL") and settings.sasl_password is not None:
        options |= {
            "sasl_mechanism": settings.sasl_mechanism,
            "sasl_plain_username": settings.sasl_username,
            "sasl_plain_password": settings.sasl_password.reveal(),
        }
    if context := tls_context(settings):
        options["ssl_context"] = context
    return options


def tls_context(settings: Settings) -> ssl.SSLContext | None:
    """Context that checks the broker's certificate and shows ours; None where the connection is plain text."""
    if not settings.security_protocol.endswith("SSL"):
        return None
    context = ssl.create_default_context(cafile=settings.ssl_cafile)
    if settings.ssl_certfile is not None and settings.ssl_keyfile is not None:
        context.load_cert_chain(settings.ssl_certfile, settings.ssl_keyfile)
    return context


def admin_client(settings: Settings) -> KafkaAdminClient:
    """Client for topics and offsets; raises `EmberwatchError` when no broker answers."""
    return _connected(settings, lambda options: KafkaAdminClient(**options))


def producer(settings: Settings, **more: Any) -> KafkaProducer:
    """Idempotent producer that waits for all replicas; keys and values are bytes."""
    options = {"max_request_size": LARGEST_RECORD_BYTES, "linger_ms": 5, "allow_auto_create_topics": False, **more}
    return _connected(settings, lambda common: KafkaProducer(**common, **options))


class Reader(KafkaConsumer):  # type: ignore[misc]
    """Consumer whose `end_offsets` are right on the embedded broker too.

    That one answers with the first offset of the last batch, plus one: records that were sent together would be
    missed. What it says of the end when it is read from there is right, so a scout reads from there.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._options = options
        self._scout: KafkaConsumer | None = None

    def end_offsets(
        self, partitions: Iterable[TopicPartition], timeout_ms: float | None = None
    ) -> dict[TopicPartition, int]:
        """Offset of the next record of each partition; the positions of this reader stay as they are."""
        ends: dict[TopicPartition, int] = super().end_offsets(list(partitions), timeout_ms)
        if not is_embedded_id(self._cluster.cluster_id):
            return ends
        return ends | self._scouted({partition: end for partition, end in ends.items() if end})

    def close(self, *arguments: Any, **options: Any) -> None:
        """Close the scout as well."""
        if self._scout is not None:
            self._scout.close()
        super().close(*arguments, **options)

    def _scouted(self, ends: dict[TopicPartition, int]) -> dict[TopicPartition, int]:
        if self._scout is None:
            self._scout = KafkaConsumer(**self._options)
        self._scout.unsubscribe()  # forgets what it knew of the ends
        self._scout.assign(list(ends))
        for partition, end in ends.items():
            self._scout.seek(partition, end - 1)
        found: dict[TopicPartition, int] = {}
        deadline_s = time.monotonic() + SCOUT_WITHIN_S
        while len(found) < len(ends):
            if time.monotonic() > deadline_s:
                raise EmberwatchError(f"the embedded broker does not tell where {ends.keys() - found.keys()} end")
            self._scout.poll(timeout_ms=50)
            found |= {partition: end for partition in ends if (end := self._scout.highwater(partition)) is not None}
        return found


def consumer(settings: Settings, **more: Any) -> Reader:
    """Consumer without a group: the caller assigns partitions and seeks. It sees committed records only."""
    options = {
        "group_id": None,
        "enable_auto_commit": False,
        "auto_offset_reset": "earliest",
        "isolation_level": "read_committed",
        **more,
    }
    reader: Reader = _connected(settings, lambda common: Reader(**common, **options))
    return reader


def is_embedded_id(cluster_id: str | None) -> bool:
    """Tell by its cluster's id whether a broker is the embedded one."""
    return cluster_id is not None and cluster_id.startswith(("emberwatch-embedded", "tansu"))


def demand_topic(settings: Settings, topic: str) -> None:
    """Raise `EmberwatchError` where the broker has no such topic."""
    admin = admin_client(settings)
    try:
        if topic not in admin.list_topics():
            raise _no_topic(topic)
    finally:
        admin.close()


def partitions_of(reader: KafkaConsumer, topic: str) -> list[TopicPartition]:
    """Partitions of a topic, in order; raises `EmberwatchError` when there is no such topic."""
    numbers = reader.partitions_for_topic(topic)
    if not numbers:
        raise _no_topic(topic)
    return [TopicPartition(topic, number) for number in sorted(numbers)]


def read_to_end(settings: Settings, topics: Iterable[str]) -> Iterator[ConsumerRecord]:
    """Read all that the topics hold now, partition by partition in order of offsets, and stop there."""
    reader = consumer(settings)
    try:
        partitions = [partition for topic in topics for partition in partitions_of(reader, topic)]
        for partition, end in sorted(reader.end_offsets(partitions).items()):
            yield from read_partition(reader, partition, end)
    finally:
        reader.close()


def _no_topic(topic: str) -> EmberwatchError:
    return EmberwatchError(f"there is no topic {topic} on this broker; `emberwatch topics create` makes it")


def read_partition(
    reader: KafkaConsumer,
    partition: TopicPartition,
    end: int,
    *,
    start: int | None = None,
    stalls_after_s: float = float("inf"),
) -> Iterator[ConsumerRecord]:
    """Read one partition up to an offset, from another or from what is kept first; the reader is given up to it.

    Raises `KafkaTimeoutError` where nothing comes for `stalls_after_s`.
    """
    reader.assign([partition])
    if start is None:
        reader.seek_to_beginning(partition)
    else:
        reader.seek(partition, start)
    # A compacted log may lack its last offsets: the position, not the last record, says that the end is reached.
    position, came_at_s = -1, time.monotonic()
    while (now_at := reader.position(partition)) < end:
        if now_at != position:
            position, came_at_s = now_at, time.monotonic()
        elif time.monotonic() > came_at_s + stalls_after_s:
            raise KafkaTimeoutError(f"{partition.topic}/{partition.partition} stands at {position} of {end}")
        for record in reader.poll(timeout_ms=500).get(partition, []):
            if record.offset < end:
                yield record


def _connected(settings: Settings, make: Any) -> Any:
    try:
        return make(connection_options(settings))
    except KafkaTimeoutError as error:
        raise EmberwatchError(
            f"no Kafka broker answers at {settings.broker} ({variable_of('broker')});"
            " `emberwatch broker start` runs one here, `make kafka` a real Apache Kafka"
        ) from error
    except KafkaError as error:
        raise EmberwatchError(f"the broker at {settings.broker} refused: {type(error).__name__}: {error}") from error
