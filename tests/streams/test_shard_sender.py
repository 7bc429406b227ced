import pytest
from kafka.errors import KafkaError

from streams import topics
from streams.kafka_clients import producer, read_to_end
from streams.shard_sender import FencedError, Output, ShardSender
from streams.topics import topic_name


def _values(settings, name):
    return [record.value for record in read_to_end(settings, [topic_name(settings, name)])]


def _sender(settings):
    sender = ShardSender(settings, 0)
    sender.take_over()
    return sender


@pytest.mark.kafka
def test_who_takes_a_shard_over_shuts_out_whoever_had_it(kafka):
    topics.create(kafka)
    alerts, history = topic_name(kafka, "alerts"), topic_name(kafka, "alert-history")
    first = _sender(kafka)
    first.send([Output(history, b"a", b"1")], [Output(alerts, b"a", b"1")])
    second = _sender(kafka)
    with pytest.raises(FencedError, match="another worker has shard 0"):
        first.send([Output(history, b"a", b"of a zombie")], [Output(alerts, b"a", b"of a zombie")])
    second.send([Output(history, b"a", b"2")], [Output(alerts, b"a", b"2")])
    assert _values(kafka, "alert-history") == [b"1", b"2"]
    assert _values(kafka, "alerts") == [b"1", b"2"]
    first.close()
    second.close()


@pytest.mark.kafka
def test_of_what_the_broker_refuses_in_part_nothing_is_seen_and_the_next_is_heard(kafka):
    topics.create(kafka)
    history = topic_name(kafka, "alert-history")
    sender = _sender(kafka)
    with pytest.raises(KafkaError):
        sender.send([Output(history, b"a", b"1"), Output(history, b"b", b"x" * 2_000_000)])
    sender.send([Output(history, b"a", b"2")])
    assert _values(kafka, "alert-history") == [b"2"]
    sender.close()


@pytest.mark.kafka
def test_what_a_dead_owner_had_begun_is_not_seen_and_holds_nobody_up(kafka):
    topics.create(kafka)
    history = topic_name(kafka, "alert-history")
    dead = producer(kafka, transactional_id=f"{kafka.topic_prefix}emberwatch-shard-0")
    dead.init_transactions()
    dead.begin_transaction()
    dead.send(history, key=b"a", value=b"half").get(20)
    sender = _sender(kafka)
    sender.send([Output(history, b"a", b"whole")])
    assert _values(kafka, "alert-history") == [b"whole"]
    sender.close()
    dead.close(timeout=1.0)


@pytest.mark.broker
def test_on_the_embedded_broker_the_same_is_sent_without_transactions_and_that_is_said(broker, caplog):
    topics.create(broker)
    history, alerts = topic_name(broker, "alert-history"), topic_name(broker, "alerts")
    sender = _sender(broker)
    written = sender.send([Output(history, b"a", b"1")], [Output(alerts, b"a", b"1")])
    assert [one.topic for one in written] == [history, alerts]
    assert "no transactions" in caplog.text
    sender.close()
