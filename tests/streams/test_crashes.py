"""Workers are killed in the middle of their work: no post is lost, none counts twice, no revision comes twice."""

import threading
from collections import Counter

import msgspec
import pytest

from detectors.entries import ScoredPost, SourceEnd
from streams import publish, topics
from streams.kafka_clients import read_to_end
from streams.topics import topic_name


def _sent(settings):
    return {
        (record.topic, record.partition, record.offset)
        for record in read_to_end(settings, [topic_name(settings, "posts")])
    }


@pytest.mark.slow
def test_after_kills_of_both_workers_the_alerts_are_exactly_those_of_the_journal(each_broker, workers, story, oracle):
    settings = msgspec.structs.replace(each_broker, posts_partitions=2, snapshot_every_s=2.0)
    topics.create(settings)
    running = {stage: workers.start(settings, stage) for stage in ("score", "monitor")}
    workers.until(lambda: len(oracle.values(settings, "journal")) >= 1)
    publishing = threading.Thread(target=publish.publish_posts, args=(settings, story.file), kwargs={"speed": 40.0})
    publishing.start()
    for stage, posts in (("monitor", 150), ("score", 250), ("monitor", 300)):
        workers.until(lambda posts=posts: len(oracle.values(settings, "journal")) >= posts)
        workers.kill(running[stage])
        running[stage] = workers.start(settings, stage)
    publishing.join(60)
    ends = {"score": ["posts"], "monitor": ["journal"]}
    for stage, names in ends.items():
        workers.until_caught_up(settings, stage, names)
    entries, state = oracle.check(settings)
    origins = Counter(
        (entry.origin.topic, entry.origin.partition, entry.origin.offset)
        for entry in entries
        if isinstance(entry, ScoredPost | SourceEnd)
    )
    assert origins.keys() == _sent(settings)
    assert state.core.folded == story.posts
    assert state.left_out().get("repeated_record", 0) >= sum(origins.values()) - len(origins)
