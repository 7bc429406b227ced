"""kafka-python clients made from the settings: admin, producer, and a reader that belongs to no group."""

import ssl
from collections.abc import Iterable, Iterator
from typing import Any

from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import KafkaAdminClient
from kafka.consumer.fetcher import ConsumerRecord
from kafka.errors import KafkaError, KafkaTimeoutError

from streams.errors import EmberwatchError
from streams.settings import Settings, variable_of

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


def consumer(settings: Settings, **more: Any) -> KafkaConsumer:
    """Consumer without a group: the caller assigns partitions and seeks."""
    options = {"group_id": None, "enable_auto_commit": False, "auto_offset_reset": "earliest", **more}
    return _connected(settings, lambda common: KafkaConsumer(**common, **options))


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
            yield from _read_partition(reader, partition, end)
    finally:
        reader.close()


def _no_topic(topic: str) -> EmberwatchError:
    return EmberwatchError(f"there is no topic {topic} on this broker; `emberwatch topics create` makes it")


def _read_partition(reader: KafkaConsumer, partition: TopicPartition, end: int) -> Iterator[ConsumerRecord]:
    reader.assign([partition])
    reader.seek_to_beginning(partition)
    # A compacted log may lack its last offsets: the position, not the last record, says that the end is reached.
    while reader.position(partition) < end:
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
