import msgspec
import pytest

from detectors.embedding import HashEncoder
from detectors.entries import ClaimEntry, ConfigurationEntry, CrisisEntry, DeletionEntry, Tick
from detectors.monitor import fold, new_state
from detectors.scoring import Scorer
from streams import topics
from streams.kafka_clients import producer
from streams.models import load_weights
from streams.monitor_worker import ensure_configuration
from streams.seeds import seeds
from streams.topics import topic_name

pytestmark = pytest.mark.broker

AT = "2026-06-05T12:00:00Z"


def _claim(claim_id, words):
    return {
        "@type": "ClaimReview",
        "@id": claim_id,
        "claimReviewed": words,
        "reviewRating": {"alternateName": "False"},
        "author": {"name": "checkers"},
        "datePublished": AT,
    }


@pytest.fixture
def said(broker):
    topics.create(broker)
    ensure_configuration(broker)
    sender = producer(broker)

    def say(name, key, value):
        encoded = None if value is None else msgspec.json.encode(value)
        sender.send(topic_name(broker, name), key=key.encode(), value=encoded).get(20)

    say("claims", "c1", _claim("c1", "the bridge is closed"))
    say("claims", "c2", _claim("c2", "the water is poisoned"))
    say("claims", "c1", _claim("c1", "the bridge is closed for good"))
    say("claims", "c2", None)
    say("claims", "bad", {"no": "claim"})
    say("deletions", "p1", {"post_id": "p1", "requested_by": "dpo", "at": AT})
    sender.close()
    return broker


def test_a_cold_state_begins_with_the_last_word_of_each(said):
    scorer = Scorer(HashEncoder(), load_weights(HashEncoder().space), cache_texts=100)
    entries = seeds(said, scorer, 1_800_000_000.0)
    assert isinstance(entries[0], ConfigurationEntry)
    [claim] = [entry for entry in entries if isinstance(entry, ClaimEntry)]
    assert claim.claim.claim_reviewed == "the bridge is closed for good"
    assert not [entry for entry in entries if isinstance(entry, CrisisEntry)]
    [deletion] = [entry for entry in entries if isinstance(entry, DeletionEntry)]
    assert deletion.deletion.post_id == "p1"
    assert all(isinstance(entry, Tick) or entry.origin.topic.startswith("seeds/") for entry in entries)
    state = new_state()
    state.core.next_offset = 7 - len(entries)
    list(fold(state, enumerate(entries, start=state.next_offset)))
    assert state.next_offset == 7
    assert state.configuration.embedding_space == scorer.space
    assert len(state.claims) == 1
    assert list(state.posts.forgotten_posts.values()) == [1_800_000_000.0]


def test_without_a_configuration_there_is_nothing_to_begin_with(broker):
    topics.create(broker)
    assert seeds(broker, Scorer(HashEncoder(), load_weights(HashEncoder().space), cache_texts=100), None) == []
