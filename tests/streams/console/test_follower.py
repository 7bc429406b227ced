import socket
import time

import msgspec
import pytest

from detectors.codec import encode_record
from detectors.entries import Tick
from streams import embedded_broker, kafka_clients, topics
from streams.console.board import Board
from streams.console.follower import Follower
from streams.topics import topic_name


def until(condition, what, within_s=30.0):
    deadline_s = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline_s, f"not within {within_s} s: {what}"
        time.sleep(0.05)


@pytest.fixture
def following():
    """Start followers, and end them after the test."""
    started = []

    def start(settings):
        board = Board()
        follower = Follower(settings, board)
        follower.start()
        started.append(follower)
        return board

    yield start
    for follower in started:
        follower.stop()


def publish(settings, topic, key, value):
    producer = kafka_clients.producer(settings)
    producer.send(topic_name(settings, topic), key=key, value=value).get(timeout=20)
    producer.close(timeout=5)


def test_the_board_holds_what_the_topics_held_before_and_what_comes_after(each_broker, following, story):
    topics.create(each_broker)
    alerts, narratives, revisions, changes = story.records()
    [joke] = [alert for alert in alerts if alert.alert_id == "a-joke"]
    publish(each_broker, "alerts", b"a-water", encode_record(alerts[0]))
    publish(each_broker, "narratives", b"n-water", encode_record(narratives[0]))
    publish(each_broker, "alert-history", b"a-water", encode_record(revisions[0]))
    publish(each_broker, "journal", None, msgspec.json.encode(Tick(now_at_s=story.now.timestamp())))
    board = following(each_broker)
    until(lambda: board.pulse().state == "live", "all has been read")
    assert board.alert("a-water") == alerts[0]
    assert board.narrative("n-water") == narratives[0]
    assert board.revisions("a-water") == [revisions[0]]
    assert board.pulse().event_time == story.now

    publish(each_broker, "alerts", b"a-joke", encode_record(joke))
    publish(each_broker, "narrative-history", b"n-water", encode_record(changes[0]))
    publish(each_broker, "narratives", b"n-water", None)
    until(lambda: board.alert("a-joke"), "a new alert")
    until(lambda: board.changes("n-water"), "a birth")
    until(lambda: board.narrative("n-water") is None, "a tombstone")


@pytest.mark.broker
def test_a_record_that_cannot_be_read_is_counted_and_the_next_one_is_read(broker, following, story):
    topics.create(broker)
    publish(broker, "alerts", b"x", b'{"alert_id": 7}')
    publish(broker, "alerts", b"y", b"\xff\xfe")
    publish(broker, "alerts", b"a-water", encode_record(story.alert()))
    board = following(broker)
    until(lambda: board.alert("a-water"), "the good record")
    assert board.pulse().unreadable_records == 2


@pytest.mark.broker
def test_topics_that_are_missing_are_named_and_followed_once_they_are_made(broker, following):
    board = following(broker)
    until(lambda: board.pulse().state == "lost", "the fault shows")
    assert f"there is no topic {broker.topic_prefix}" in board.pulse().fault
    topics.create(broker)
    until(lambda: board.pulse().state == "empty", "the topics are followed")


@pytest.mark.broker
def test_a_broker_that_goes_is_shown_as_lost_and_one_that_returns_empty_is_read_anew(settings, following, story):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with embedded_broker.embedded_broker(port) as address:
        here = embedded_broker.settings_for(settings, address)
        topics.create(here)
        publish(here, "alerts", b"a-water", encode_record(story.alert()))
        board = following(here)
        until(lambda: board.alert("a-water"), "the alert")
    until(lambda: board.pulse().state == "lost", "the loss shows", within_s=60)
    assert board.alert("a-water"), "what is known stays to be seen, marked as old"
    with embedded_broker.embedded_broker(port) as address:
        topics.create(embedded_broker.settings_for(settings, address))
        until(lambda: board.pulse().state == "empty", "the new broker is followed", within_s=60)
        assert board.alert("a-water") is None
