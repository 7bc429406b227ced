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
