from datetime import UTC, datetime

import pytest

from detectors.posts import decode_feedback
from streams import feedback, kafka_clients, topics
from streams.errors import EmberwatchError


def test_a_word_on_an_alert_reaches_the_topic(each_broker):
    topics.create(each_broker)
    feedback.run(each_broker, alert_id="a1", word="dismiss", by="ada", note="a joke")
    (record,) = kafka_clients.read_to_end(each_broker, [topics.topic_name(each_broker, "feedback")])
    sent = decode_feedback(record.value)
    assert (sent.alert_id, sent.word, sent.by, sent.note) == ("a1", "dismiss", "ada", "a joke")
    assert record.key == b"a1"


@pytest.mark.broker
def test_a_word_that_would_be_refused_is_refused_here(broker):
    topics.create(broker)
    with pytest.raises(EmberwatchError, match="claim_id"):
        feedback.run(broker, alert_id="a1", word="link_claim", by="ada", note=None)


@pytest.mark.broker
@pytest.mark.parametrize(
    ("word", "given", "sent"),
    [
        ("link_claim", {"claim": "c-1"}, {"claim_id": "c-1"}),
        ("merge", {"into": "a2"}, {"into_alert_id": "a2"}),
        ("snooze", {"until": "2026-12-24T18:00:00Z"}, {"until": datetime(2026, 12, 24, 18, tzinfo=UTC)}),
    ],
)
def test_what_a_word_needs_goes_with_it(broker, word, given, sent):
    topics.create(broker)
    feedback.run(broker, alert_id="a1", word=word, by="ada", note=None, **given)
    *_, record = kafka_clients.read_to_end(broker, [topics.topic_name(broker, "feedback")])
    told = decode_feedback(record.value)
    assert {name: getattr(told, name) for name in sent} == sent


def test_an_option_of_another_word_is_refused(settings):
    with pytest.raises(EmberwatchError, match="--claim goes with `link_claim`, not with `dismiss`"):
        feedback.run(settings, alert_id="a1", word="dismiss", by="ada", note=None, claim="c-1")
