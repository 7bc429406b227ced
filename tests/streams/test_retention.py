import json
import time

import msgspec
import pytest

from streams import cli, retention, topics
from streams.kafka_clients import producer
from streams.retention import prove
from streams.topics import TOPICS, topic_name

DAY_S = 86_400.0


def send(settings, name, rows, **more):
    sender = producer(settings)
    for key, value in rows:
        sender.send(topic_name(settings, name), key=key, value=value, partition=0, **more)
    sender.flush(timeout=30.0)
    sender.close(timeout=5.0)


def of(settings, holdings, name):
    return next(one for one in holdings if one.topic == topic_name(settings, name) and one.partition == 0)


def test_fresh_records_are_in_their_time_and_old_ones_are_overdue(each_broker):
    topics.create(each_broker)
    now_s = time.time()
    send(each_broker, "posts", [(b"p", b"a text")])
    send(each_broker, "snapshots", [(b"k", b"old"), (b"k", b"new"), (b"l", b"only")])
    fresh = prove(each_broker)
    assert {one.state for one in fresh} == {"ok"}
    assert of(each_broker, fresh, "posts").earliest_at.timestamp() == pytest.approx(now_s, abs=60.0)
    later = prove(each_broker, now_s=now_s + 31 * DAY_S)
    assert of(each_broker, later, "posts").state == "overdue"
    snapshots = of(each_broker, later, "snapshots")
    assert (snapshots.state, snapshots.overdue) == ("overdue", 1)  # what was replaced; the last of a key may stay
    assert of(each_broker, later, "claims").state == "ok"


def test_a_text_may_stay_until_its_retention_and_the_roll_of_its_segment(each_broker):
    topics.create(each_broker)
    send(each_broker, "posts", [(b"p", b"a text")])
    now_s, posts = time.time(), topics.BY_NAME["posts"]
    assert of(each_broker, prove(each_broker, now_s=now_s + posts.gone_after_s - 60), "posts").state == "ok"
    after_s = now_s + posts.gone_after_s + retention.SLACK_S + 60
    assert of(each_broker, prove(each_broker, now_s=after_s), "posts").state == "overdue"


@pytest.mark.kafka
def test_a_broker_told_to_keep_texts_for_longer_is_wrong_before_anything_is_overdue(kafka, alter):
    topics.create(kafka)
    alter(kafka, "journal", {"retention.ms": str(int(400 * DAY_S * 1000))})
    deadline_s = time.monotonic() + 20.0
    while of(kafka, prove(kafka), "journal").state != "wrong":  # a broker hears of it a moment later
        assert time.monotonic() < deadline_s
        time.sleep(0.2)


@pytest.mark.kafka
@pytest.mark.slow
def test_what_is_past_its_retention_is_seen_to_go(hasty, alter):
    alter(hasty, "posts", {"retention.ms": "1000", "segment.ms": "1000"})
    short = {"max.compaction.lag.ms": "1000", "segment.ms": "1000", "min.cleanable.dirty.ratio": "0.01"}
    alter(hasty, "snapshots", short)
    deadline_s = time.monotonic() + 60.0
    number = 0
    while True:
        number += 1
        send(hasty, "posts", [(b"p", b"a text")])
        send(hasty, "snapshots", [(b"k", b"value %d" % number)])
        holdings = prove(hasty)
        posts, snapshots = of(hasty, holdings, "posts"), of(hasty, holdings, "snapshots")
        if posts.gone and snapshots.compacted:
            break
        assert time.monotonic() < deadline_s, holdings
        time.sleep(0.5)
    assert posts.retention_s == 1.0
    assert not posts.overdue


@pytest.mark.broker
def test_the_command_prints_a_line_for_each_partition_and_fails_on_what_is_overdue(broker, monkeypatch, capsys):
    topics.create(broker)
    send(broker, "posts", [(b"p", b"a text")])
    assert retention.run(broker, as_json=True) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert len(rows) == len(prove(broker)) >= len(TOPICS)
    assert {row["state"] for row in rows} == {"ok"}
    monkeypatch.setattr(retention.time, "time", lambda: 2e9)
    assert retention.run(broker, as_json=False) == 1
    assert "hold what should be gone" in capsys.readouterr().out


def test_the_command_is_there():
    assert cli.retention_prove.help
    assert msgspec.structs.fields(retention.Holding)
