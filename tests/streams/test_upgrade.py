"""Topics as code with version 1 of the state left them: its snapshot is refused, its journal and open alert are not.

`fixtures/topics_version_1.msgpack.z` (zlib, msgpack) holds keys and values of every topic that matters, written by the
workers of that code (git revision d664940) on an embedded broker: 110 posts, among them a story with an open alert.
"""

import zlib
from pathlib import Path

import msgspec
import pytest

from detectors.codec import OtherVersionError, decode_entry, encode_entry, encode_record, read_manifest
from detectors.embedding import HashEncoder
from detectors.entries import ConfigurationEntry, OpenAlert, Origin, ScoredPost, Seed
from detectors.monitor import fold, new_state
from detectors.posts import decode_post
from detectors.records import Alert
from detectors.scoring import Scorer
from streams import topics
from streams.heads import load_weights
from streams.journal_file import export, read_journal
from streams.kafka_clients import producer, read_to_end
from streams.snapshots import Envelope
from streams.topics import topic_name

LEFT: dict[str, list[tuple[bytes | None, bytes]]] = msgspec.msgpack.decode(
    zlib.decompress((Path(__file__).parent / "fixtures" / "topics_version_1.msgpack.z").read_bytes())
)
STORY = "the water of the old reservoir is poisoned, do not drink"


def test_every_entry_of_the_old_journal_can_be_read_and_parameters_that_are_gone_are_ignored():
    entries = [decode_entry(value) for _, value in LEFT["journal"]]
    assert sum(isinstance(entry, ScoredPost) for entry in entries) == 110
    first = entries[0]
    assert isinstance(first, ConfigurationEntry)
    assert first.configuration.embedding_space.startswith(HashEncoder().space)
    assert b"recluster_changes" in LEFT["configuration"][0][1]


def test_a_manifest_of_version_1_is_refused_by_its_version():
    envelopes = [
        msgspec.json.decode(value, type=Envelope) for key, value in LEFT["snapshots"] if key[:9] == b"manifest/"
    ]
    assert envelopes
    for envelope in envelopes:
        with pytest.raises(OtherVersionError, match="state of version 1, this code reads 2"):
            read_manifest(envelope.manifest)


def _write(settings, name, records):
    sender = producer(settings)
    for key, value in records:
        sender.send(topic_name(settings, name), key=key, value=value, partition=0)
    sender.flush()
    sender.close()


def _more_of_the_story(count):
    """The story goes on a second later, told by others."""
    scorer = Scorer(HashEncoder(), load_weights(HashEncoder().space), cache_texts=100)
    rows = [
        {
            "post_id": f"later-{number}",
            "platform": "x",
            "created_at": f"2026-01-01T00:{2 + number // 60:02d}:{number % 60:02d}Z",
            "author_id": f"author-{number % 97}",
            "text": STORY,
        }
        for number in range(count)
    ]
    posts = [
        (decode_post(msgspec.json.encode(row)), Origin("later", 0, number), 0.0) for number, row in enumerate(rows)
    ]
    return [(None, encode_entry(entry)) for entry in scorer.score(posts)]


@pytest.mark.broker
def test_after_an_upgrade_the_journal_is_folded_anew_and_the_open_alert_goes_on_under_its_id(broker, workers, tmp_path):
    settings = msgspec.structs.replace(broker, posts_partitions=1, snapshot_every_s=3600.0)
    topics.create(settings)
    for name, records in LEFT.items():
        _write(settings, name, records)
    monitor = workers.start(settings, "monitor")
    log = tmp_path / "monitor-0.log"
    workers.until(lambda: "is loaded" in log.read_text())
    _write(settings, "journal", _more_of_the_story(150))
    workers.until_caught_up(settings, "monitor", ["journal"])
    assert workers.stop(monitor) == 0
    words = log.read_text()
    assert "is not read: state of version 1, this code reads 2; the journal is folded anew" in words
    assert "the configuration at offset 0 is of other code" in words
    assert "1 open alerts are taken over" in words
    assert "snapshot up to offset 0, journal" in words

    file = tmp_path / "journal.jsonl.gz"
    export(settings, out=file)
    rows = [(offset, entry) for _, offset, entry in read_journal(file)]
    assert isinstance(rows[0][1], OpenAlert)
    assert [entry.told for _, entry in rows if isinstance(entry, Seed)] == [rows[0][1]]
    state = new_state()
    state.core.next_offset = rows[0][0]
    alerts = [encode_record(one) for one in fold(state, rows) if isinstance(one, Alert)]
    assert state.core.folded == 110 + 150
    history = [record.value for record in read_to_end(settings, [topic_name(settings, "alert-history")])]
    old = [value for _, value in LEFT["alert-history"]]
    assert history == old + alerts
    read = [msgspec.json.decode(value, type=Alert) for value in history]
    assert len({alert.alert_id for alert in read}) == 1
    assert [alert.revision for alert in read] == list(range(1, len(read) + 1))
    assert [alert.transition for alert in read].count("opened") == 1
    assert len(read) > len(old)
