import msgspec
import pytest
from kafka.errors import KafkaTimeoutError

from detectors.codec import decode_state, encode_state
from detectors.embedding import HashEncoder
from detectors.entries import Origin, ScoredPost
from detectors.monitor import fold, new_state
from detectors.posts import decode_post
from detectors.scoring import Scorer
from streams import topics
from streams.heads import load_weights
from streams.kafka_clients import producer, read_to_end
from streams.shard_sender import ShardSender
from streams.snapshots import CHUNK_PREFIX, MANIFEST_PREFIX, Envelope, Snapshots
from streams.topics import topic_name

pytestmark = pytest.mark.broker


def _entries(count) -> list[ScoredPost]:
    encoder = HashEncoder()
    scorer = Scorer(encoder, load_weights(encoder.space), cache_texts=1000)
    rows = [
        {
            "post_id": f"p{number}",
            "platform": "x",
            "created_at": f"2026-01-01T{number // 3600:02d}:{number // 60 % 60:02d}:{number % 60:02d}Z",
            "author_id": f"author-{number % 97}",
            "text": f"words about thing {number % 211} and nothing else {number % 7}",
        }
        for number in range(count)
    ]
    return scorer.score(
        [(decode_post(msgspec.json.encode(row)), Origin("posts", 0, number), 0.0) for number, row in enumerate(rows)]
    )


ENTRIES = _entries(3000)


@pytest.fixture
def made(broker):
    topics.create(broker)
    return broker


def _snapshots(settings, shard=0):
    return Snapshots(settings, shard, decode_state, ShardSender(settings, shard))


def _folded(state, upto):
    list(fold(state, list(enumerate(ENTRIES[:upto]))))
    return state


def _bytes(state):
    return encode_state(state).manifest


def _alive(settings):
    alive = {}
    for record in read_to_end(settings, [topic_name(settings, "snapshots")]):
        if record.value is None:
            alive.pop(record.key, None)
        else:
            alive[record.key] = record.value
    return alive


def _replace(settings, key, value):
    sender = producer(settings)
    sender.send(topic_name(settings, "snapshots"), key=key, value=value, partition=0).get(10)
    sender.close()


def test_a_state_comes_back_as_it_was_and_so_do_the_positions_of_its_outputs(made):
    state, snapshots = _folded(new_state(), 500), _snapshots(made)
    assert snapshots.load() is None
    snapshots.write(encode_state(state), {"alert-history/0": 7})
    loaded = _snapshots(made).load()
    assert _bytes(loaded.state) == _bytes(state)
    assert loaded.state.next_offset == 500
    assert loaded.published == {"alert-history/0": 7}


def test_chunks_that_did_not_change_are_not_written_again(made):
    state, snapshots = _folded(new_state(), 2900), _snapshots(made)
    first = snapshots.write(encode_state(state), {})
    second = snapshots.write(encode_state(_folded(state, 2950)), {})
    assert second < first
    assert snapshots.write(encode_state(state), {}) == 0


def test_another_owner_knows_which_chunks_are_there(made):
    state, snapshots = _folded(new_state(), 600), _snapshots(made)
    snapshots.write(encode_state(state), {})
    successor = _snapshots(made)
    successor.load()
    assert successor.write(encode_state(state), {}) == 0


def test_chunks_that_neither_of_the_last_two_manifests_names_are_deleted(made):
    state, snapshots = new_state(), _snapshots(made)
    for upto in (200, 400, 600, 800):
        snapshots.write(encode_state(_folded(state, upto)), {})
    alive = _alive(made)
    manifests = [msgspec.json.decode(value, type=Envelope) for key, value in alive.items() if key[:9] == b"manifest/"]
    assert sorted(manifest.sequence for manifest in manifests) == [3, 4]
    named = {CHUNK_PREFIX + name.encode() for manifest in manifests for name in manifest.chunks}
    assert {key for key in alive if key.startswith(CHUNK_PREFIX)} == named


@pytest.mark.parametrize("damage", [b"", b"{}", b"not a manifest"])
def test_a_damaged_manifest_falls_back_to_the_one_before(made, damage):
    state, snapshots = new_state(), _snapshots(made)
    snapshots.write(encode_state(_folded(state, 300)), {})
    snapshots.write(encode_state(_folded(state, 400)), {})
    _replace(made, MANIFEST_PREFIX + b"0/0", damage)
    assert _snapshots(made).load().state.next_offset == 300


def test_a_manifest_that_was_changed_is_not_believed(made):
    state, snapshots = new_state(), _snapshots(made)
    snapshots.write(encode_state(_folded(state, 300)), {})
    snapshots.write(encode_state(_folded(state, 400)), {})
    key = MANIFEST_PREFIX + b"0/0"
    envelope = msgspec.json.decode(_alive(made)[key], type=Envelope)
    changed = msgspec.structs.replace(
        envelope, manifest=envelope.manifest.replace(b'"next_offset":400', b'"next_offset":401')
    )
    _replace(made, key, msgspec.json.encode(changed))
    assert _snapshots(made).load().state.next_offset == 300


@pytest.mark.parametrize("damage", [None, b"something else"])
def test_a_lost_or_damaged_chunk_falls_back_too_and_without_both_there_is_no_snapshot(made, damage):
    state, snapshots = new_state(), _snapshots(made)
    snapshots.write(encode_state(_folded(state, 300)), {})
    before = set(_alive(made))
    snapshots.write(encode_state(_folded(state, 400)), {})
    new = next(key for key in _alive(made) if key.startswith(CHUNK_PREFIX) and key not in before)
    _replace(made, new, damage)
    assert _snapshots(made).load().state.next_offset == 300
    for key in before:
        if key.startswith(CHUNK_PREFIX):
            _replace(made, key, damage)
    assert _snapshots(made).load() is None


def test_a_snapshot_can_be_written_over_damage(made):
    state, snapshots = _folded(new_state(), 300), _snapshots(made)
    snapshots.write(encode_state(state), {})
    lost = next(key for key in _alive(made) if key.startswith(CHUNK_PREFIX))
    _replace(made, lost, b"damaged")
    successor = _snapshots(made)
    assert successor.load() is None
    successor.write(encode_state(state), {})
    assert _snapshots(made).load().state.next_offset == 300


def test_no_record_of_a_snapshot_is_larger_than_half_a_megabyte(made):
    _snapshots(made).write(encode_state(_folded(new_state(), 3000)), {})
    assert max(len(value) for value in _alive(made).values()) < 512 * 1024


def test_shards_do_not_mix(broker):
    settings = msgspec.structs.replace(broker, shards=2)
    topics.create(settings)
    _snapshots(settings, 0).write(encode_state(_folded(new_state(), 100)), {})
    _snapshots(settings, 1).write(encode_state(_folded(new_state(), 200)), {})
    assert _snapshots(settings, 0).load().state.next_offset == 100
    assert _snapshots(settings, 1).load().state.next_offset == 200


class Away:
    """A sender whose broker does not answer, until it does."""

    def __init__(self, sender):
        self._sender = sender
        self.is_away = True

    def take_over(self):
        if self.is_away:
            raise KafkaTimeoutError("no answer")
        self._sender.take_over()

    def send(self, *groups):
        return self._sender.send(*groups)


def test_snapshots_that_cannot_be_read_are_told_from_none_and_what_is_there_is_counted_before_the_next_is_written(made):
    state, before = _folded(new_state(), 300), _snapshots(made)
    before.write(encode_state(state), {})
    before.write(encode_state(_folded(state, 400)), {})
    sender = Away(ShardSender(made, 0))
    snapshots = Snapshots(made, 0, decode_state, sender)
    assert snapshots.load() is None
    assert snapshots.is_unreadable
    with pytest.raises(KafkaTimeoutError):
        snapshots.write(encode_state(_folded(state, 500)), {})
    sender.is_away = False
    snapshots.write(encode_state(state), {})
    assert not snapshots.is_unreadable
    manifests = [
        msgspec.json.decode(value, type=Envelope) for key, value in _alive(made).items() if key[:9] == MANIFEST_PREFIX
    ]
    assert sorted(manifest.sequence for manifest in manifests) == [2, 3]
    assert _snapshots(made).load().state.next_offset == 500
