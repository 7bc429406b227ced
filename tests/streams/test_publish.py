import gzip
import json
import time
from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from aiokafka.partitioner import murmur2
from kafka import TopicPartition

from detectors.records import Claim, Post
from streams import kafka_clients, publish, topics
from streams.errors import EmberwatchError
from streams.settings import Settings

START = datetime(2024, 5, 3, 12, 0, tzinfo=UTC)


def row(number, *, seconds=0.0, **more):
    return {
        "post_id": f"p{number}",
        "platform": "x",
        "created_at": (START + timedelta(seconds=seconds)).isoformat(),
        "author_id": f"a{number % 7}",
        "text": f"words of post {number}",
        **more,
    }


def write(file, rows):
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    file.write_bytes(gzip.compress(lines.encode()) if file.suffix == ".gz" else lines.encode())
    return file


def read(settings, name):
    return list(kafka_clients.read_to_end(settings, [topics.topic_name(settings, name)]))


def is_end(record):
    return publish.END_HEADER in dict(record.headers)


@pytest.fixture
def ready(each_broker) -> Settings:
    topics.create(each_broker)
    return each_broker


def test_every_post_of_a_file_is_confirmed_and_an_end_follows_on_every_partition(ready, tmp_path):
    file = write(tmp_path / "posts.jsonl.gz", [row(number, gold="left out") for number in range(500)])
    before = datetime.now(UTC)
    counts = publish.publish_posts(ready, file, speed=0.0)
    records = read(ready, "posts")
    posts = [msgspec.json.decode(record.value, type=Post) for record in records if not is_end(record)]
    assert (counts.sent, counts.confirmed, counts.bad) == (500, 500, 0)
    assert sorted(post.post_id for post in posts) == sorted(f"p{number}" for number in range(500))
    assert all(before <= post.ingested_at <= datetime.now(UTC) for post in posts)
    assert b"gold" not in b"".join(record.value for record in records)
    last = {record.partition: record for record in records}
    assert sorted(last) == list(range(ready.posts_partitions))
    assert all(is_end(record) and record.value == b"{}" for record in last.values())
    assert sum(map(is_end, records)) == ready.posts_partitions


def test_a_conversation_stays_on_one_partition_the_one_that_other_clients_choose(ready, tmp_path):
    rows = [row(number, kind="reply", parent_id="x", root_id=f"root{number % 5}") for number in range(50)]
    publish.publish_posts(ready, write(tmp_path / "posts.jsonl", rows), speed=0.0, end=False)
    records = read(ready, "posts")
    assert len(records) == 50
    for record in records:
        assert record.partition == (murmur2(record.key) & 0x7FFFFFFF) % ready.posts_partitions
        assert record.key.decode() == json.loads(record.value)["root_id"]


@pytest.mark.broker
def test_the_header_says_at_what_speed_a_post_is_played(broker, tmp_path):
    topics.create(broker)
    file = write(tmp_path / "posts.jsonl", [row(1)])
    for speed in (0.0, 60.0):
        publish.publish_posts(broker, file, speed=speed, end=False)
    headers = [dict(record.headers)[publish.SPEED_HEADER] for record in read(broker, "posts")]
    assert sorted(headers) == [b"0", b"60"]


@pytest.mark.broker
def test_posts_are_held_back_until_their_time_has_come(broker, tmp_path):
    topics.create(broker)
    file = write(tmp_path / "posts.jsonl", [row(number, seconds=number * 10.0) for number in range(6)])
    started_s = time.monotonic()
    sent_after_s = []
    publish.publish_posts(
        broker, file, speed=50.0, watch=lambda _counts: sent_after_s.append(time.monotonic() - started_s)
    )
    assert len(sent_after_s) == 6
    assert 0.9 <= sent_after_s[-1] - sent_after_s[0] <= 3.0


@pytest.mark.broker
def test_authors_are_hashed_with_the_key_where_asked(broker, tmp_path):
    topics.create(broker)
    file = write(tmp_path / "posts.jsonl", [row(1), row(8)])  # the same author twice
    publish.publish_posts(broker, file, speed=0.0, hash_authors=True, end=False)
    authors = {json.loads(record.value)["author_id"] for record in read(broker, "posts")}
    assert len(authors) == 1
    assert authors.pop().startswith("h-")
    with pytest.raises(ValueError, match="EMBERWATCH_HASH_SALT"):
        publish.publish_posts(msgspec.structs.replace(broker, hash_salt=None), file, speed=0.0, hash_authors=True)


@pytest.mark.broker
def test_a_line_that_is_no_post_is_told_with_file_line_and_field_and_the_others_are_sent(broker, tmp_path):
    topics.create(broker)
    file = write(
        tmp_path / "posts.jsonl", [row(1), {"post_id": "p2"}, row(3), row(4, created_at="2999-01-01T00:00:00Z")]
    )
    told = []
    counts = publish.publish_posts(broker, file, speed=0.0, end=False, complain=told.append)
    assert (counts.sent, counts.bad) == (2, 2)
    assert told[0].startswith(f"{file}:2: ")
    assert told[1].startswith(f"{file}:4: created_at: ")


@pytest.mark.broker
def test_raw_lines_are_sent_as_they_are(broker, tmp_path):
    topics.create(broker)
    lines = [b"not json", b'{"post_id": 1}', b"\xff\xfe", b'"' + b"x" * 200_000 + b'"', json.dumps(row(1)).encode()]
    file = tmp_path / "posts.jsonl"
    file.write_bytes(b"\n".join(lines))
    counts = publish.publish_posts(broker, file, speed=0.0, raw=True, end=False)
    assert counts.confirmed == 5
    assert sorted(record.value for record in read(broker, "posts")) == sorted(lines)


def test_fact_checks_are_keyed_by_their_id(ready, tmp_path):
    rows = [{"@id": "c1", "claimReviewed": "The bridge is closed."}, {"url": "https://e.org/2", "claimReviewed": "B"}]
    counts = publish.publish_claims(ready, write(tmp_path / "claims.jsonl", [*rows, {"claimReviewed": "no id"}]))
    records = read(ready, "claims")
    assert (counts.confirmed, counts.bad) == (2, 1)
    assert [record.key for record in records] == [b"c1", b"https://e.org/2"]
    assert msgspec.json.decode(records[0].value, type=Claim).claim_reviewed == "The bridge is closed."


@pytest.mark.broker
def test_a_missing_topic_is_told_at_once(broker, tmp_path):
    with pytest.raises(EmberwatchError, match="topics create"):
        publish.publish_posts(broker, write(tmp_path / "posts.jsonl", [row(1)]), speed=0.0)


@pytest.mark.parametrize("speed", ["0", "-1", "fast", "inf", "nan", ""])
def test_a_speed_that_is_none_is_refused(speed):
    with pytest.raises(ValueError, match="--speed"):
        publish.parse_speed(speed)


@pytest.mark.broker
def test_the_end_of_a_partition_is_read_even_where_nothing_was_sent(broker):
    topics.create(broker)
    assert read(broker, "posts") == []
    reader = kafka_clients.consumer(broker)
    name = topics.topic_name(broker, "posts")
    assert kafka_clients.partitions_of(reader, name) == [TopicPartition(name, number) for number in range(4)]
    reader.close()
