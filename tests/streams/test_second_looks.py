"""Second looks over a broker: asked on one topic, answered in the journal, and folded offline to the same bytes."""

import msgspec
import pytest

from detectors.codec import decode_record
from detectors.entries import LookAnswer
from detectors.records import Look
from streams import publish, topics
from streams.kafka_clients import read_to_end
from streams.topics import topic_name


def _asked(settings):
    """Ids of all looks, by their records: where they are written in transactions, the topic's end is none of them."""
    looks = read_to_end(settings, [topic_name(settings, "looks")])
    return {decode_record(Look, record.value).look_id for record in looks}


def _answered(oracle, settings):
    return {entry.look_id for _, entry in oracle.journal(settings) if isinstance(entry, LookAnswer)}


@pytest.mark.slow
def test_looks_are_asked_answered_by_a_scorer_and_folded_alike_also_when_it_is_killed(
    each_broker, workers, story, oracle
):
    settings = msgspec.structs.replace(each_broker, posts_partitions=1, model="hash", tier="fast")
    topics.create(settings)
    publish.publish_posts(settings, story.file, speed=0.0)
    workers.start(settings, "monitor")
    scorer = workers.start(settings, "score")
    workers.until(lambda: bool(oracle.values(settings, "looks")))
    workers.kill(scorer)
    workers.start(settings, "score")
    workers.until_caught_up(settings, "score", ["posts"])
    workers.until(lambda: _asked(settings) == _answered(oracle, settings))
    workers.until_caught_up(settings, "monitor", ["journal"])
    entries, state = oracle.check(settings)
    answered = [entry for entry in entries if isinstance(entry, LookAnswer)]
    assert answered
    assert {answer.model for answer in answered} == {"hash-64+words256"}
    assert all(answer.vector.space == "hash-64+words256" for answer in answered)
    assert all(state.core.looks.by_post[answer.post_id].model for answer in answered)
