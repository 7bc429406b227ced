import time

import msgspec
import pytest
from kafka.admin import ConfigResource

from streams import kafka_clients, topics


def test_topics_that_hold_text_forget_it_within_the_erasure_deadline(settings):
    for topic in topics.TOPICS:
        if topic.holds_text:
            assert topic.gone_after_s is not None
            assert topic.gone_after_s <= topics.ERASURE_DEADLINE_S


def test_requests_to_forget_are_not_kept_longer_than_the_deadline_and_outlive_the_texts():
    deletions = topics.BY_NAME["deletions"]
    assert deletions.gone_after_s <= topics.ERASURE_DEADLINE_S
    assert all(
        topic.retention_s <= deletions.retention_s for topic in topics.TOPICS if topic.holds_text and topic.retention_s
    )


def test_every_topic_is_stamped_with_the_time_of_arrival(settings):
    for topic in topics.TOPICS:
        assert topics.broker_settings(settings, topic)["message.timestamp.type"] == "LogAppendTime"


def test_a_second_copy_must_confirm_only_where_there_is_one(settings):
    posts = topics.BY_NAME["posts"]
    assert "min.insync.replicas" not in topics.broker_settings(settings, posts)
    replicated = msgspec.structs.replace(settings, replication=3)
    assert topics.broker_settings(replicated, posts)["min.insync.replicas"] == "2"


def test_names_carry_the_prefix(settings):
    prefixed = msgspec.structs.replace(settings, topic_prefix="eu.")
    assert topics.topic_name(prefixed, "dead-letters") == "eu.dead-letters"


def test_topics_are_made_once_and_verified(each_broker):
    settings = msgspec.structs.replace(each_broker, posts_partitions=3, shards=2)
    assert len(topics.create(settings)) == len(topics.TOPICS)
    assert topics.create(settings) == []
    assert not [finding for finding in topics.verify(settings) if finding.state == "wrong"]
    admin = kafka_clients.admin_client(settings)
    names = [topics.topic_name(settings, name) for name in ("posts", "journal", "claims")]
    counts = {topic["name"]: len(topic["partitions"]) for topic in admin.describe_topics(names)}
    admin.close()
    assert [counts[name] for name in names] == [3, 2, 1]


def test_a_missing_topic_and_a_wrong_number_of_partitions_are_found(each_broker):
    assert {finding.state for finding in topics.verify(each_broker)} == {"wrong"}
    topics.create(each_broker)
    wider = msgspec.structs.replace(each_broker, posts_partitions=each_broker.posts_partitions + 1)
    wrong = [finding for finding in topics.verify(wider) if finding.state == "wrong"]
    assert [finding.topic for finding in wrong] == [topics.topic_name(wider, "posts")]
    assert "expected 5" in wrong[0].words
    assert topics.run_verify(wider) == 1


@pytest.mark.kafka
def test_a_changed_setting_is_found(kafka):
    topics.create(kafka)
    name = topics.topic_name(kafka, "posts")
    admin = kafka_clients.admin_client(kafka)
    admin.alter_configs([ConfigResource("TOPIC", name, configs={"retention.ms": "1000"})])
    admin.close()
    wrong = []
    deadline_s = time.monotonic() + 10.0  # the broker takes a moment to know it everywhere
    while not wrong and time.monotonic() < deadline_s:
        wrong = [finding for finding in topics.verify(kafka) if finding.state == "wrong"]
    assert [(finding.topic, "retention.ms is 1000" in finding.words) for finding in wrong] == [(name, True)]


@pytest.mark.kafka
def test_apache_kafka_heeds_every_setting(kafka):
    topics.create(kafka)
    assert {finding.state for finding in topics.verify(kafka)} == {"ok"}


@pytest.mark.broker
def test_what_the_embedded_broker_ignores_is_a_warning_and_no_error(broker, capsys):
    topics.create(broker)
    ignored = [finding for finding in topics.verify(broker) if finding.state == "ignored"]
    assert len(ignored) == len(topics.TOPICS)
    assert "message.timestamp.type" in ignored[0].words
    assert topics.run_verify(broker) == 0
    assert "warning" in capsys.readouterr().out
