import json
import time

import msgspec
import pytest
from kafka import TopicPartition

from streams import lag, publish, topics
from streams.kafka_clients import producer
from streams.lag import CONSUMED, GroupLag
from streams.topics import topic_name


@pytest.fixture
def measured(each_broker):
    topics.create(each_broker)
    group = GroupLag(each_broker, "a-group", (topic_name(each_broker, "posts"),))
    yield each_broker, group
    group.close()


def test_nothing_waits_where_nothing_is(measured):
    _, group = measured
    ends, committed = group.ends(), group.committed()
    assert lag.lag(ends, committed) == 0
    assert group.waits_s(ends, committed) == 0.0


def test_the_oldest_waiting_record_tells_the_seconds_whatever_waits_beside_it(measured):
    settings, group = measured
    sender = producer(settings)
    posts = topic_name(settings, "posts")
    sender.send(posts, value=b"old", partition=1).get(timeout=10)
    time.sleep(1.5)
    for _ in range(3):
        sender.send(posts, value=b"new", partition=2).get(timeout=10)
    ends, committed = group.ends(), group.committed()
    assert lag.lag(ends, committed) == 4
    now_s = time.time()
    assert 1.4 < group.waits_s(ends, committed, now_s=now_s) < 30.0
    handled = committed | {TopicPartition(posts, 1): 1}
    assert group.waits_s(ends, handled, now_s=now_s) < group.waits_s(ends, committed, now_s=now_s) - 1.0
    sender.close()


@pytest.mark.broker
def test_the_command_measures_each_stage_without_a_worker_and_fails_beyond_its_limit(broker, story, capsys):
    settings = msgspec.structs.replace(broker, posts_partitions=1)
    topics.create(settings)
    assert lag.run(settings, as_json=False, limit_s=5.0) == 0
    publish.publish_posts(settings, story.file, speed=0.0)
    capsys.readouterr()
    time.sleep(0.5)
    assert lag.run(settings, as_json=True, limit_s=0.1) == 1
    rows = {row["stage"]: row for row in map(json.loads, capsys.readouterr().out.splitlines())}
    assert rows["score"]["records"] >= story.posts
    assert rows["score"]["seconds"] > 0.1
    assert rows["monitor"]["records"] == 0
    assert rows.keys() == CONSUMED.keys()
