"""The central promise: the journal, folded offline, gives exactly what the live run published."""

import msgspec
import pytest

from detectors.codec import decode_record
from detectors.entries import ConfigurationEntry, ScoredPost, SourceEnd
from detectors.records import Alert
from streams import publish, topics


@pytest.mark.slow
@pytest.mark.parametrize("partitions", [1, 3])
def test_the_exported_journal_gives_the_live_alerts_byte_for_byte(each_broker, partitions, workers, story, oracle):
    settings = msgspec.structs.replace(each_broker, posts_partitions=partitions)
    topics.create(settings)
    scorer, monitor = workers.start(settings, "score"), workers.start(settings, "monitor")
    publish.publish_posts(settings, story.file, speed=0.0)
    workers.until(lambda: len(oracle.values(settings, "journal")) >= 1 + story.posts + partitions)
    workers.until_caught_up(settings, "monitor", ["journal"])
    entries, state = oracle.check(settings)
    assert isinstance(entries[0], ConfigurationEntry)
    assert sum(isinstance(entry, ScoredPost) for entry in entries) == story.posts
    assert sum(isinstance(entry, SourceEnd) for entry in entries) == partitions
    assert state.core.folded == story.posts
    published = [decode_record(Alert, value) for value in oracle.values(settings, "alert-history")]
    assert {alert.config_hash for alert in published} != {""}
    assert (workers.stop(scorer), workers.stop(monitor)) == (0, 0)
