"""What a state without a snapshot begins with: what people and commands said, and which alerts are open.

Where retention has eaten the journal and no snapshot is left, posts of that time are lost. The configuration, claims,
crises and deletions need not be: their topics reach further back. They are folded before what is left of the journal,
under origins of their own, so that the journal's word, which is later, holds.

Alerts that are open on their topic are taken over (`detectors.inherited`), also where the journal is whole and the
snapshot is of another version: other code names narratives otherwise. What a person muted or snoozed is not on the
record of an alert, and has to be said again.
"""

import logging
from collections import Counter
from collections.abc import Callable

import msgspec
from kafka.consumer.fetcher import ConsumerRecord

from detectors.codec import decode_record
from detectors.entries import ConfigurationEntry, OpenAlert, Origin, Seeded, Tick
from detectors.posts import BadRecord
from detectors.records import Alert, Narrative, Transition
from detectors.scoring import Scorer
from streams.control_records import Record, entry_of, last_configuration
from streams.kafka_clients import read_to_end
from streams.settings import Settings
from streams.topics import SHARD_OF_POSTS, Name, topic_name

SEEDED: tuple[Name, ...] = ("claims", "crisis", "deletions")

OPEN: tuple[Transition, ...] = ("opened", "updated", "resurged", "peaked")
"""Last transitions of alerts that are open."""

_log = logging.getLogger("streams.monitor")


def seeds(settings: Settings, scorer: Scorer, at_s: float | None) -> list[Seeded]:
    """Read the last configuration, and the last record of each claim, crisis and deletion, as entries. Blocking.

    Parameters
    ----------
    at_s : event time at which what is left of the journal begins: from there on deletions are remembered.
    """
    found = last_configuration(settings, scorer.space)
    if found is None:
        return []
    configuration = found[0]
    entries: list[Seeded] = [
        ConfigurationEntry(origin=Origin("seeds/configuration", 0, 0), configuration=configuration)
    ]
    if at_s is not None:
        entries.append(Tick(now_at_s=at_s))
    for name in SEEDED:
        for record in _last_of_each(settings, name):
            origin = Origin(f"seeds/{name}", 0, record.offset)
            said = Record(origin, record.key, record.value, record.timestamp / 1000)
            try:
                entry = entry_of(name, said, scorer=scorer, shards=settings.shards, time=configuration.time)
            except BadRecord:
                continue  # a dead letter by now
            assert isinstance(entry, Seeded)
            entries.append(entry)
    kinds = Counter(str(entry.__struct_config__.tag) for entry in entries)
    _log.warning("a cold state begins with %s", ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items())))
    return entries


def open_alerts(settings: Settings, shard: int, scorer: Callable[[], Scorer]) -> list[OpenAlert]:
    """Read the alerts of a shard that are open, with vectors of the texts that showed their narratives. Blocking."""
    if shard != SHARD_OF_POSTS:
        return []
    found = [(record.offset, alert) for record in _last_of_each(settings, "alerts") if (alert := _open(record))]
    if not found:
        return []
    texts = _texts(settings)
    _log.warning("%d open alerts are taken over; those whose narrative does not come again will clear", len(found))
    return [
        OpenAlert(
            origin=Origin("seeds/alerts", 0, offset),
            alert=alert,
            wordings=tuple(
                scores.vector
                for scores in scorer().score_texts(texts.get(alert.narrative_id, []))
                if scores.vector is not None
            ),
        )
        for offset, alert in found
    ]


def _open(record: ConsumerRecord) -> Alert | None:
    try:
        alert = decode_record(Alert, record.value)
    except msgspec.MsgspecError:
        _log.error("the alert at offset %d of its topic cannot be read, and is not taken over", record.offset)
        return None
    return alert if alert.transition in OPEN else None


def _texts(settings: Settings) -> dict[str, list[str]]:
    """What shows each narrative that is told of, by its id; what speaks against it in it does not."""
    texts = {}
    for record in _last_of_each(settings, "narratives"):
        try:
            narrative = decode_record(Narrative, record.value)
        except msgspec.MsgspecError:
            continue  # its alert is found by its posts, or not at all
        shown = [exemplar.text for exemplar in narrative.exemplars if exemplar.why != "dissenting"]
        texts[narrative.narrative_id] = list(dict.fromkeys(shown))
    return texts


def _last_of_each(settings: Settings, name: Name) -> list[ConsumerRecord]:
    """Last record of each key, in order; of keys whose last record has no value, none."""
    last: dict[bytes, ConsumerRecord] = {}
    for record in read_to_end(settings, [topic_name(settings, name)]):
        key = record.key or str(record.offset).encode()
        last.pop(key, None)
        if record.value is not None:
            last[key] = record
    return list(last.values())
