"""Control records: what people and commands say, from topics of one partition each into every shard's journal.

Claims, feedback, crises, deletions and configurations are decoded, given their origin, appended and confirmed like
posts. A journal begins with a configuration: `open_journal` sees to it before a worker takes its first post.
"""

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from functools import cache

import msgspec
from kafka import TopicPartition

from detectors import codec
from detectors.claim_feeds import Withdrawal, decode_one
from detectors.codec import decode_record, encode_entry
from detectors.entries import (
    ClaimEntry,
    ConfigurationEntry,
    CrisisEntry,
    DeletionEntry,
    Entry,
    FeedbackEntry,
    Origin,
)
from detectors.policy import Configuration, TimeParameters
from detectors.posts import BadRecord, decode_crisis, decode_deletion, decode_feedback
from detectors.scoring import Scorer
from streams.errors import SettingsError
from streams.kafka_clients import consumer, partitions_of, producer, read_to_end
from streams.models import shipped_forecast
from streams.settings import Settings, variable_of
from streams.topics import Name, topic_name

CONTROL_TOPICS: tuple[Name, ...] = ("configuration", "claims", "feedback", "crisis", "deletions")

CONFIRMED_WITHIN_S = 30.0

NO_VALUE = "a record without a value (only a claim can be withdrawn)"

_log = logging.getLogger("streams.score")


class Record(msgspec.Struct, frozen=True):
    """A control record as it came."""

    origin: Origin
    key: bytes | None
    value: bytes | None
    received_at_s: float | None


def entry_of(topic: Name, record: Record, *, scorer: Scorer, shards: int, time: TimeParameters) -> Entry:
    """Entry that a control record becomes; raises `BadRecord`."""
    if topic == "claims":
        return _claim(record, scorer)
    if record.value is None:
        raise BadRecord("value", NO_VALUE)
    if topic == "configuration":
        configuration = decode_configuration(record.value, space=scorer.space, shards=shards)
        return ConfigurationEntry(origin=record.origin, configuration=configuration, forecast=shipped_forecast())
    return _ENTRY_OF[topic](record.origin, record.value, record.received_at_s, time)


def decode_configuration(
    value: bytes,
    *,
    space: str | None = None,
    shards: int | None = None,
    of_other_code: bool = False,
) -> Configuration:
    """Read a configuration; raises `BadRecord`, also where it is for other vectors or another number of shards.

    `of_other_code` ignores parameters that this code does not know.
    """
    try:
        configuration = codec.decode_configuration(value) if of_other_code else decode_record(Configuration, value)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        words, _, place = str(error).partition(" - at `$.")
        raise BadRecord(place.rstrip("`") or "configuration", words) from None
    if space is not None and configuration.embedding_space not in {"", space}:
        raise BadRecord("embedding_space", f"this worker's vectors are of {space}: that needs a journal of its own")
    if shards is not None and configuration.shards != shards:
        raise BadRecord("shards", f"the journal has {shards}: another number needs a journal of its own")
    return configuration


def last_configuration(settings: Settings, space: str) -> tuple[Configuration, Origin] | None:
    """Give the last configuration on the broker that this journal can take, and where it is; None without one.

    Where all of them are of other code, the last one holds without the parameters that this code does not know.
    """
    name = topic_name(settings, "configuration")
    records = list(read_to_end(settings, [name]))
    for of_other_code in (False, True):
        for record in reversed(records):
            origin = Origin(name, record.partition, record.offset)
            try:
                found = decode_configuration(
                    record.value or b"", space=space, shards=settings.shards, of_other_code=of_other_code
                )
            except BadRecord:
                continue  # it goes to the dead letters when its turn comes
            if of_other_code:
                _say_it_is_of_other_code(origin)
            return found, origin
    return None


@cache
def _say_it_is_of_other_code(origin: Origin) -> None:
    """Once for each: the topic is read again and again."""
    _log.warning(
        "the configuration at offset %d is of other code: parameters that this version does not know are ignored;"
        " `emberwatch config apply` writes one of this version",
        origin.offset,
    )


def open_journal(settings: Settings, space: str, *, within_s: float = 60.0, turn_s: float = 0.25) -> Configuration:
    """Wait for a configuration (the first monitor writes one) and begin every empty shard with it.

    Two workers may both do so: the repeat is recognised by its origin. Raises `SettingsError` when none comes, or
    none fits the model of this worker.
    """
    deadline_s = time.monotonic() + within_s
    while (found := last_configuration(settings, space)) is None:
        if time.monotonic() > deadline_s:
            raise SettingsError(
                f"no configuration for {space} and {settings.shards} shard(s) came within {within_s:.0f} s: start a"
                f" monitor, which writes the first one; compare {variable_of('model')} and {variable_of('shards')}"
            )
        time.sleep(turn_s)
    configuration, origin = found
    empty = [shard for shard, end in _journal_ends(settings).items() if end == 0]
    if empty:
        entry = ConfigurationEntry(origin=origin, configuration=configuration, forecast=shipped_forecast())
        append_to_journal(settings, {shard: [entry] for shard in empty})
        _log.info("the journal begins with the configuration")
    return configuration


def append_to_journal(settings: Settings, entries: Mapping[int, Sequence[Entry]]) -> None:
    """Append entries to the journals of shards; returns when the broker has confirmed them. Blocking."""
    sender = producer(settings)
    try:
        deliveries = [
            sender.send(topic_name(settings, "journal"), value=encode_entry(entry), partition=shard)
            for shard, some in entries.items()
            for entry in some
        ]
        for delivery in deliveries:
            delivery.get(timeout=CONFIRMED_WITHIN_S)
    finally:
        sender.close(timeout=10.0)


def _journal_ends(settings: Settings) -> dict[int, int]:
    reader = consumer(settings)
    try:
        partitions: list[TopicPartition] = partitions_of(reader, topic_name(settings, "journal"))
        return {partition.partition: end for partition, end in reader.end_offsets(partitions).items()}
    finally:
        reader.close()


def _claim(record: Record, scorer: Scorer) -> ClaimEntry:
    if record.value is not None:
        item = decode_one(record.value)
        claim = None if isinstance(item, Withdrawal) else item
        return scorer.claim_entry(claim, item.claim_id, record.origin)
    if not record.key:
        raise BadRecord("key", "a withdrawal is keyed by the claim's id")
    try:
        return scorer.claim_entry(None, record.key.decode(), record.origin)
    except UnicodeDecodeError:
        raise BadRecord("key", "not UTF-8") from None


def _feedback(origin: Origin, value: bytes, received_at_s: float | None, time: TimeParameters) -> Entry:
    return FeedbackEntry(origin=origin, feedback=decode_feedback(value, received_at_s=received_at_s, time=time))


def _crisis(origin: Origin, value: bytes, received_at_s: float | None, time: TimeParameters) -> Entry:
    return CrisisEntry(origin=origin, crisis=decode_crisis(value, received_at_s=received_at_s, time=time))


def _deletion(origin: Origin, value: bytes, received_at_s: float | None, time: TimeParameters) -> Entry:
    return DeletionEntry(origin=origin, deletion=decode_deletion(value, received_at_s=received_at_s, time=time))


_ENTRY_OF: Mapping[Name, Callable[[Origin, bytes, float | None, TimeParameters], Entry]] = {
    "feedback": _feedback,
    "crisis": _crisis,
    "deletions": _deletion,
}
