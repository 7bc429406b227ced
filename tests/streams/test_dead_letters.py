import json

import pytest

from streams import dead_letters, kafka_clients, topics

BAD = b'\xff{"text": "\x1b[2J' + b"x" * 5000


@pytest.fixture
def letters(each_broker):
    """Dead letters of two kinds on the broker."""
    topics.create(each_broker)
    producer = kafka_clients.producer(each_broker)
    for offset, (field, error) in enumerate([("text", "missing"), ("text", "missing"), ("created_at", "in 2099")]):
        headers = dead_letters.headers_of(topic="posts", partition=1, offset=offset, field=field, error=error)
        producer.send(topics.topic_name(each_broker, "dead-letters"), value=BAD, headers=headers)
    producer.flush()
    producer.close()
    return each_broker


def test_a_dead_letter_says_where_it_came_from_and_what_is_wrong(letters):
    first, _, third = dead_letters.read_letters(letters)
    assert (first.topic, first.partition, first.offset) == ("posts", 1, 0)
    assert (third.field, third.error) == ("created_at", "in 2099")
    assert len(first.value) == dead_letters.SHOWN_CHARACTERS


def test_a_record_that_was_put_aside_twice_by_a_worker_that_died_in_between_is_one_dead_letter(letters):
    again = dead_letters.headers_of(topic="posts", partition=1, offset=0, field="text", error="missing")
    producer = kafka_clients.producer(letters)
    producer.send(topics.topic_name(letters, "dead-letters"), value=BAD, headers=again).get(timeout=30.0)
    producer.close()
    assert [letter.offset for letter in dead_letters.read_letters(letters)] == [0, 1, 2]


def test_the_list_counts_by_reason_and_shows_no_control_character(letters, capsys):
    dead_letters.list_letters(letters, as_json=False)
    out = capsys.readouterr().out
    assert "posts[1]@2  created_at: in 2099" in out
    assert "3 dead letters" in out
    assert "2  text: missing" in out
    assert "\x1b" not in out


def test_as_json_it_is_one_letter_a_line(letters, capsys):
    dead_letters.list_letters(letters, as_json=True)
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["offset"] for line in lines] == [0, 1, 2]


def test_a_letter_without_headers_is_still_read():
    letter = dead_letters.letter_of([], None)
    assert (letter.topic, letter.partition, letter.value) == ("", -1, "")
