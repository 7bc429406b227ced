import msgspec
import pytest

from detectors.codec import encode_record
from detectors.embedding import HashEncoder
from detectors.entries import ClaimEntry, ConfigurationEntry, CrisisEntry, DeletionEntry, Origin, Tick
from detectors.monitor import fold, new_state
from detectors.posts import decode_post
from detectors.records import Alert, Narrative
from detectors.scoring import Scorer
from streams import topics
from streams.heads import load_weights
from streams.kafka_clients import producer
from streams.monitor_worker import ensure_configuration
from streams.seeds import open_alerts, seeds
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


def _outputs(count=40):
    """Alerts and narratives of a story that opens an alert."""
    scorer = Scorer(HashEncoder(), load_weights(HashEncoder().space), cache_texts=100)
    rows = [
        {
            "post_id": f"p{number}",
            "platform": "x",
            "created_at": f"2026-01-01T00:00:{number:02d}Z",
            "author_id": f"author-{number}",
            "text": "the water of the old reservoir is poisoned, do not drink",
        }
        for number in range(count)
    ]
    posts = [decode_post(msgspec.json.encode(row)) for row in rows]
    scored = scorer.score([(post, Origin("posts", 0, number), 1.0) for number, post in enumerate(posts)])
    outputs = list(fold(new_state(), enumerate(scored)))
    return [one for one in outputs if isinstance(one, Alert)], [one for one in outputs if isinstance(one, Narrative)]


def test_open_alerts_are_taken_over_with_the_words_of_their_narratives_and_closed_ones_are_not(said):
    alerts, narratives = _outputs()
    last = alerts[-1]
    sender = producer(said)
    for alert in (*alerts, msgspec.structs.replace(last, alert_id="a-closed", transition="cleared")):
        sender.send(topic_name(said, "alerts"), key=alert.alert_id.encode(), value=encode_record(alert)).get(20)
    for one in narratives:
        sender.send(topic_name(said, "narratives"), key=one.narrative_id.encode(), value=encode_record(one)).get(20)
    sender.send(topic_name(said, "alerts"), key=b"a-odd", value=b"{}").get(20)
    sender.close()
    scorer = Scorer(HashEncoder(), load_weights(HashEncoder().space), cache_texts=100)
    [taken] = open_alerts(said, 0, lambda: scorer)
    assert (taken.alert, taken.origin.topic) == (last, "seeds/alerts")
    assert len({vector.dense for vector in taken.wordings}) == 1
    assert open_alerts(said, 1, lambda: scorer) == []


def test_without_open_alerts_no_model_is_loaded(said):
    def load():
        raise AssertionError("nothing is to be embedded")

    assert open_alerts(said, 0, load) == []
