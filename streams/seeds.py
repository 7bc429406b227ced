"""What a cold state begins with: what people and commands said, from their own topics.

Where retention has eaten the journal and no snapshot is left, posts of that time are lost. The configuration, claims,
crises and deletions need not be: their topics reach further back. They are folded before what is left of the journal,
under origins of their own, so that the journal's word, which is later, holds.
"""

import logging
from collections import Counter

from kafka.consumer.fetcher import ConsumerRecord

from detectors.entries import ConfigurationEntry, Entry, Origin, Tick
from detectors.posts import BadRecord
from detectors.scoring import Scorer
from streams.control_records import Record, entry_of, last_configuration
from streams.kafka_clients import read_to_end
from streams.settings import Settings
from streams.topics import Name, topic_name

SEEDED: tuple[Name, ...] = ("claims", "crisis", "deletions")

_log = logging.getLogger("streams.monitor")


def seeds(settings: Settings, scorer: Scorer, at_s: float | None) -> list[Entry]:
    """Read the last configuration, and the last record of each claim, crisis and deletion, as entries. Blocking.

    Parameters
    ----------
    at_s : event time at which what is left of the journal begins: from there on deletions are remembered.
    """
    found = last_configuration(settings, scorer.space)
    if found is None:
        return []
    configuration = found[0]
    entries: list[Entry] = [ConfigurationEntry(origin=Origin("seeds/configuration", 0, 0), configuration=configuration)]
    if at_s is not None:
        entries.append(Tick(now_at_s=at_s))
    for name in SEEDED:
        for record in _last_of_each(settings, name):
            origin = Origin(f"seeds/{name}", 0, record.offset)
            said = Record(origin, record.key, record.value, record.timestamp / 1000)
            try:
                entries.append(entry_of(name, said, scorer=scorer, shards=settings.shards, time=configuration.time))
            except BadRecord:
                continue  # a dead letter by now
    kinds = Counter(str(entry.__struct_config__.tag) for entry in entries)
    _log.warning("a cold state begins with %s", ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items())))
    return entries


def _last_of_each(settings: Settings, name: Name) -> list[ConsumerRecord]:
    """Last record of each key, in order; of keys whose last record has no value, none."""
    last: dict[bytes, ConsumerRecord] = {}
    for record in read_to_end(settings, [topic_name(settings, name)]):
        key = record.key or str(record.offset).encode()
        last.pop(key, None)
        if record.value is not None:
            last[key] = record
    return list(last.values())
