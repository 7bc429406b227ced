import time
from collections import Counter

import msgspec
import pytest
from prometheus_client import CollectorRegistry

from detectors.codec import decode_entry
from detectors.embedding import HashEncoder
from detectors.entries import ClaimEntry, ConfigurationEntry, DeletionEntry, FeedbackEntry, ScoredPost, SourceEnd
from detectors.policy import Configuration
from detectors.scoring import Scorer
from streams import topics
from streams.dead_letters import read_letters
from streams.heads import load_weights
from streams.kafka_clients import producer, read_to_end
from streams.metrics import NOT_JUDGED, Metrics
from streams.monitor_worker import ensure_configuration
from streams.publish import END_HEADER, SPEED_HEADER
from streams.score_worker import ScoreWorker, _Scorable, shards_of
from streams.topics import topic_name

CONTROLS = ["configuration", "claims", "feedback", "crisis", "deletions"]


def _post(number, **fields):
    row = {
        "post_id": f"p{number}",
        "platform": "x",
        "created_at": f"2026-01-01T00:{number // 60 % 60:02d}:{number % 60:02d}Z",
        "author_id": f"author-{number % 50}",
        "text": f"words about thing {number % 40}",
    }
    return msgspec.json.encode({**row, **fields})


def _malformed(number):
    """One of the ways in which a record can be wrong."""
    return [
        b"no JSON",
        b'{"post_id": "p"}',
        b'{"post_id": 7, "platform": "x", "created_at": "2026-01-01T00:00:00Z", "author_id": "a", "text": "t"}',
        _post(number, text="x" * 20_000),
        _post(number, text="x" * (900_000 if number < 100 else 70_000)),
        _post(number).replace(b"words", b"\xff\xfe\xfa"),
        _post(number, created_at="2099-01-01T00:00:00Z"),
        _post(number, created_at="yesterday"),
        b"",
        b"[" * 50_000,
    ][number % 10]


def _journal(settings):
    return [
        (record.partition, decode_entry(record.value))
        for record in read_to_end(settings, [topic_name(settings, "journal")])
    ]


@pytest.mark.slow
def test_a_thousand_malformed_records_become_dead_letters_and_disturb_nothing(each_broker, workers):
    settings = each_broker
    topics.create(settings)
    ensure_configuration(settings)
    sender = producer(settings, linger_ms=0)
    bad, good = {}, []
    for number in range(1000):
        bad[number] = sender.send(topic_name(settings, "posts"), value=_malformed(number), partition=number % 4)
        if number % 5 == 0:
            sender.send(topic_name(settings, "posts"), value=_post(number), partition=number % 4)
            good.append(f"p{number}")
    places = [sent.get(20) for sent in bad.values()]
    sender.close()
    scorer = workers.start(settings, "score")
    workers.until_caught_up(settings, "score", ["posts"])
    letters = list(read_letters(settings))
    origins = Counter((letter.topic, letter.partition, letter.offset) for letter in letters)
    assert origins == Counter({(place.topic, place.partition, place.offset): 1 for place in places})
    assert all(letter.field and letter.error for letter in letters)
    assert len({(letter.field, letter.error.split(" ")[0]) for letter in letters}) >= 6
    values = Counter(record.value or b"" for record in read_to_end(settings, [topic_name(settings, "dead-letters")]))
    assert values == Counter(_malformed(number) for number in range(1000))
    posts = [entry.post_id for _, entry in _journal(settings) if isinstance(entry, ScoredPost)]
    assert sorted(posts) == sorted(good)
    assert workers.stop(scorer) == 0


@pytest.mark.slow
def test_control_records_reach_every_shard_and_the_journal_begins_with_the_configuration(each_broker, workers):
    settings = msgspec.structs.replace(each_broker, shards=2)
    topics.create(settings)
    configuration = ensure_configuration(settings)
    sender = producer(settings)

    def send(topic, value, key=None, partition=None, headers=()):
        sender.send(topic_name(settings, topic), value=value, key=key, partition=partition, headers=list(headers))

    about = {"by": "ann", "at": "2026-01-01T00:00:00Z"}
    send("posts", _post(1, ingested_at="2026-01-01T00:00:02Z"), partition=0, headers=[(SPEED_HEADER, b"60")])
    send("posts", _post(2), partition=0, headers=[(SPEED_HEADER, b"fast")])
    send("posts", b"{}", partition=0, headers=[(END_HEADER, b"1")])
    send("claims", b'{"@id": "claim-1", "claimReviewed": "The bridge fell", "name": "No, it did not"}', key=b"claim-1")
    send("claims", None, key=b"claim-1")
    send("claims", b'{"claimReviewed": "nameless"}', key=b"claim-2")
    send("feedback", msgspec.json.encode({"feedback_id": "f", "word": "note", "alert_id": "a-1", **about}))
    send("feedback", msgspec.json.encode({"feedback_id": "f", "word": "hurrah", "alert_id": "a-1", **about}))
    send("crisis", msgspec.json.encode({"crisis_id": "c", "word": "declare", "why": "storm", **about}))
    send("deletions", msgspec.json.encode({"post_id": "p9", "requested_by": "ann", "at": "2026-01-01T00:00:00Z"}))
    send("configuration", msgspec.json.encode(Configuration(embedding_space="another", shards=2)))
    send("configuration", b'{"epoch": "one", "shards": 2}')
    sender.flush()
    sender.close()
    workers.start(settings, "score")
    workers.until_caught_up(settings, "score", ["posts", *CONTROLS])
    by_shard = [[entry for place, entry in _journal(settings) if place == shard] for shard in (0, 1)]
    for entries in by_shard:
        assert isinstance(entries[0], ConfigurationEntry)
        assert entries[0].configuration == configuration
        of_claims = [entry for entry in entries if isinstance(entry, ClaimEntry)]
        assert [entry.claim is None for entry in of_claims] == [False, True]
        assert of_claims[0].vector is not None
        assert of_claims[0].title_vector is not None
        kinds = Counter(type(entry) for entry in entries)
        assert (kinds[FeedbackEntry], kinds[DeletionEntry], kinds[SourceEnd]) == (1, 1, 1)
        repeats = {entry.origin for entry in entries if isinstance(entry, ConfigurationEntry)}
        assert len(repeats) == 1
    assert [entry.speed for entry in by_shard[0] if isinstance(entry, ScoredPost)] == [60.0]
    assert not any(isinstance(entry, ScoredPost) for entry in by_shard[1])
    letters = Counter(
        (letter.topic.removeprefix(settings.topic_prefix), letter.field) for letter in read_letters(settings)
    )
    assert letters == Counter(
        {
            ("posts", SPEED_HEADER): 1,
            ("claims", "@id"): 1,
            ("feedback", "word"): 1,
            ("crisis", "expires_at"): 1,
            ("configuration", "embedding_space"): 1,
            ("configuration", "epoch"): 1,
        }
    )


@pytest.mark.broker
def test_a_scorer_does_not_touch_a_post_before_there_is_a_configuration(broker, workers):
    topics.create(broker)
    sender = producer(broker)
    sender.send(topic_name(broker, "posts"), value=_post(1)).get(10)
    sender.close()
    workers.start(broker, "score")
    time.sleep(8)
    workers.check()
    assert _journal(broker) == []
    ensure_configuration(broker)
    workers.until(lambda: len(_journal(broker)) >= 2)
    assert [type(entry) for _, entry in _journal(broker)][:1] == [ConfigurationEntry]


def _worker(settings):
    encoder = HashEncoder()
    scorer = Scorer(encoder, load_weights(encoder.space), cache_texts=100)
    return ScoreWorker(settings, scorer, Configuration(), Metrics(CollectorRegistry(), "score"))


def _scorables(worker, count):
    from types import SimpleNamespace as Named

    messages = [Named(topic="posts", partition=0, offset=number, timestamp=None) for number in range(count)]
    return [
        worker._decoded(Named(value=_post(number), headers={}, message=message))
        for number, message in enumerate(messages)
    ]


def test_the_one_post_that_the_scorer_fails_on_is_found_and_the_others_are_scored(settings, monkeypatch):
    worker = _worker(settings)
    posts = _scorables(worker, 10)
    real, tries = worker._scorer.score, []

    def fail_on_one(items):
        tries.append([post.post_id for post, _, _ in items])
        if any(post.post_id == "p4" for post, _, _ in items):
            raise ZeroDivisionError("this text")
        return real(items)

    monkeypatch.setattr(worker._scorer, "score", fail_on_one)
    scored = worker._score_now(posts)
    assert [one if isinstance(one, str) else one.post_id for one in scored] == [
        *(f"p{number}" for number in range(4)),
        "the scorer failed: ZeroDivisionError: this text",
        *(f"p{number}" for number in range(5, 10)),
    ]
    assert tries.count(["p4"]) == 3


def test_a_post_at_which_three_processes_died_is_not_scored_again(settings):
    worker = _worker(settings)
    posts = _scorables(worker, 3)
    worker._attempts._deaths = {posts[1].origin: 3, posts[2].origin: 2}
    scored = worker._score_now(posts)
    assert scored[1] == "the scorer died of it"
    assert [scored[0].post_id, scored[2].post_id] == ["p0", "p2"]
    assert [worker._attempts.deaths(post.origin) for post in posts] == [0, 0, 0]


def test_posts_that_no_trained_head_judged_are_counted_by_the_reason(settings):
    worker = _worker(settings)
    [post] = _scorables(worker, 1)
    texts = ("They poisoned the river", "Sie haben den Fluss vergiftet und alle sind krank", "https://t.co/x")
    posts = [msgspec.structs.replace(post, post=msgspec.structs.replace(post.post, text=text)) for text in texts]

    def counted(trained):
        worker._scorer.has_heads = trained
        before = _not_judged(worker)
        worker._count_posts([worker._scorer.score([(one.post, one.origin, 1.0)])[0] for one in posts])
        return {reason: value - before[reason] for reason, value in _not_judged(worker).items()}

    assert counted(trained=False) == {"language": 1, "space": 1}
    assert counted(trained=True) == {"language": 1, "space": 0}


def _not_judged(worker):
    sample = worker._metrics.registry.get_sample_value
    return {reason: sample("emberwatch_posts_not_judged_total", {"reason": reason}) for reason in NOT_JUDGED}


def test_a_post_that_comes_again_lands_in_the_same_shard(settings):
    [post] = _scorables(_worker(settings), 1)
    assert isinstance(post, _Scorable)
    scored = _worker(settings)._score_now([post])[0]
    assert shards_of(scored, 3) == shards_of(scored, 3) == range(1)
    assert shards_of(SourceEnd(origin=post.origin), 3) == range(3)
