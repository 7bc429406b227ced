"""Second looks over a broker: asked on one topic, answered in the journal, and folded offline to the same bytes."""

import msgspec
import pytest

from detectors.codec import decode_record
from detectors.entries import LookAnswer
from detectors.records import Look
from streams import publish, topics
from streams.kafka_clients import read_to_end
from streams.topics import topic_name


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
    workers.until_caught_up(settings, "score", ["posts", "looks"])
    workers.until_caught_up(settings, "monitor", ["journal"])
    entries, state = oracle.check(settings)
    asked = [decode_record(Look, record.value) for record in read_to_end(settings, [topic_name(settings, "looks")])]
    answered = [entry for entry in entries if isinstance(entry, LookAnswer)]
    assert {look.look_id for look in asked} == {answer.look_id for answer in answered}
    assert {answer.model for answer in answered} == {"hash-64+words256"}
    assert all(answer.vector.space == "hash-64+words256" for answer in answered)
    assert all(state.core.looks.by_post[look.post_id].model for look in asked)
