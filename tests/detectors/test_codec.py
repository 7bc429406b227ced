from datetime import UTC
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.codec import (
    LARGEST_CHUNK_BYTES,
    STATE_VERSION,
    CorruptSnapshotError,
    decode_configuration,
    decode_entry,
    decode_record,
    decode_state,
    encode_entry,
    encode_record,
    encode_state,
    read_manifest,
)
from detectors.entries import (
    ClaimEntry,
    ConfigurationEntry,
    CrisisEntry,
    DeletionEntry,
    FeedbackEntry,
    Indicator,
    Origin,
    ScoredPost,
    Skip,
    SourceEnd,
    Tick,
    Vector,
)
from detectors.monitor import fold, new_state
from detectors.policy import Configuration
from detectors.records import Assignment, Claim, Crisis, Deletion, Feedback, Stance

VERSION_2 = Path(__file__).parent / "fixtures" / "state_version_2.msgpack"

KNOWN = {Stance: st.just(Stance(deny=0.75, comment=0.25)), Configuration: st.just(Configuration(epoch=3))}
words = st.text(st.characters(codec="utf-8"), max_size=20)
names = st.text(st.characters(codec="utf-8"), min_size=1, max_size=20)
times = st.datetimes(timezones=st.just(UTC))
numbers = st.floats(allow_nan=False, allow_infinity=False)
origins = st.builds(Origin, names, st.integers(0, 99), st.integers(0, 2**60))
vectors = st.builds(
    Vector, space=words, dense=st.binary(max_size=9), dense_scale=numbers, lexical=st.binary(), lexical_scale=numbers
)
claims = st.builds(Claim, id=names, claim_reviewed=names, name=st.none() | words)
entries = st.one_of(
    st.builds(
        ScoredPost,
        origin=origins,
        post_id=names,
        platform=names,
        created_at_s=numbers,
        author_id=names,
        text=words,
        kind=st.sampled_from(["post", "reply", "quote", "reshare"]),
        parent_id=st.none() | names,
        urls=st.lists(words, max_size=2).map(tuple),
        ingested_at_s=numbers,
        speed=numbers,
        vector=st.none() | vectors,
        incitement=numbers,
        indicators=st.lists(st.builds(Indicator, words, words), max_size=2).map(tuple),
        stance=KNOWN[Stance],
    ),
    st.builds(ClaimEntry, origin=origins, claim_id=names, claim=st.none() | claims, vector=st.none() | vectors),
    st.builds(
        FeedbackEntry,
        origin=origins,
        feedback=st.builds(
            Feedback, feedback_id=names, by=names, at=times, word=st.just("mute"), until=st.none() | times
        ),
    ),
    st.builds(
        CrisisEntry,
        origin=origins,
        crisis=st.builds(Crisis, crisis_id=names, word=st.just("declare"), by=names, why=names, at=times),
    ),
    st.builds(
        DeletionEntry,
        origin=origins,
        deletion=st.builds(Deletion, post_id=st.none() | names, requested_by=names, at=times),
    ),
    st.builds(ConfigurationEntry, origin=origins, configuration=KNOWN[Configuration]),
    st.builds(Tick, now_at_s=numbers),
    st.builds(SourceEnd, origin=origins),
    st.builds(Skip, offset=st.integers(0, 2**60), why=words),
)


@settings(max_examples=300)
@given(entries)
def test_an_entry_reads_as_it_was_written(entry):
    assert decode_entry(encode_entry(entry)) == entry


def test_every_record_that_the_fold_publishes_reads_as_it_was_written(streams):
    outputs = list(fold(new_state(), streams.journal(11, 300)))
    assert len({type(output) for output in outputs}) >= 4
    for output in outputs:
        assert decode_record(type(output), encode_record(output)) == output


def test_an_entry_of_no_known_kind_is_refused():
    with pytest.raises(msgspec.ValidationError, match="wish"):
        decode_entry(b'{"entry": "wish"}')


@pytest.fixture(scope="module")
def state(streams):
    state = new_state()
    changes = {"narratives": {"micro_similarity": 0.7}}
    list(fold(state, streams.journal(11, 300, **changes)[:-5]))
    return state


def test_a_state_that_was_read_is_written_as_it_was(streams, state):
    for one in (new_state(), state):
        snapshot = encode_state(one)
        again = encode_state(decode_state(snapshot.manifest, snapshot.chunks))
        assert again.manifest == snapshot.manifest
        assert again.chunks == snapshot.chunks


def test_a_state_whose_micro_clusters_have_all_died_is_written_as_it_was(streams):
    _, state = streams.fold([streams.configured(), streams.post("p", streams.start_s, "reservoir")])
    state.narratives.group(streams.start_s + 9000.0, state.configuration.narratives)
    assert not state.narratives.micros
    snapshot = encode_state(state)
    assert encode_state(decode_state(snapshot.manifest, snapshot.chunks)).manifest == snapshot.manifest


def test_chunks_keep_their_names_when_posts_are_added(streams):
    posts = [streams.post(f"p{i}", streams.start_s + i // 2, "reservoir poisoned", offset=i) for i in range(6000)]
    _, state = streams.fold([streams.configured(source_partitions=1), *posts[:5900]])
    before = read_manifest(encode_state(state).manifest).sections["posts"]
    _, state = streams.fold(posts[5900:], state)
    after = read_manifest(encode_state(state).manifest).sections["posts"]
    assert len(before) > 5
    assert after[: len(before) - 1] == before[:-1]
    for post_id in list(state.posts.posts)[:10]:  # what is dropped at the front leaves the rest as it was
        state.posts.take(post_id)
    assert read_manifest(encode_state(state).manifest).sections["posts"][1:] == after[1:]


def test_no_chunk_is_larger_than_a_broker_takes(streams, state):
    entry = streams.claim(0, "reservoir")
    random_text = "".join(chr(0x4E00 + (i * i * 7919 + i) % 20_000) for i in range(400_000))
    state.claims.put(msgspec.structs.replace(entry, claim_id=random_text))
    snapshot = encode_state(state)
    assert max(map(len, snapshot.chunks.values())) == LARGEST_CHUNK_BYTES
    assert decode_state(snapshot.manifest, snapshot.chunks).claims.entry(random_text) is not None
    state.claims.remove(random_text)


def test_every_missing_and_every_damaged_chunk_is_noticed(state):
    snapshot = encode_state(state)
    for name, content in snapshot.chunks.items():
        missing = {other: chunk for other, chunk in snapshot.chunks.items() if other != name}
        with pytest.raises(CorruptSnapshotError, match=f"{name} is missing"):
            decode_state(snapshot.manifest, missing)
        damaged = {**snapshot.chunks, name: content[:-1] + bytes([content[-1] ^ 1])}
        with pytest.raises(CorruptSnapshotError, match=f"{name} is damaged"):
            decode_state(snapshot.manifest, damaged)


def test_a_manifest_that_is_none_lacks_something_or_has_another_version_is_refused(state):
    snapshot = encode_state(state)
    with pytest.raises(CorruptSnapshotError, match="manifest"):
        decode_state(b"{", snapshot.chunks)
    manifest = msgspec.json.decode(snapshot.manifest)
    newer = msgspec.json.encode({**manifest, "state_version": STATE_VERSION + 1})
    with pytest.raises(CorruptSnapshotError, match=f"version {STATE_VERSION + 1}"):
        decode_state(newer, snapshot.chunks)
    without = {name: pieces for name, pieces in manifest["sections"].items() if name != "core"}
    with pytest.raises(CorruptSnapshotError, match="section core"):
        decode_state(msgspec.json.encode({**manifest, "sections": without}), snapshot.chunks)


def test_a_snapshot_written_by_an_earlier_release_of_this_version_still_reads(streams, request):
    """When this fails, raise STATE_VERSION (the journal is folded again) and write the file with --write-golden."""
    items = streams.journal(2, 60)
    if request.config.getoption("--write-golden"):
        _, state = streams.fold([entry for _, entry in items])
        snapshot = encode_state(state)
        VERSION_2.write_bytes(msgspec.msgpack.encode([snapshot.manifest, snapshot.chunks]))
    manifest, chunks = msgspec.msgpack.decode(VERSION_2.read_bytes(), type=tuple[bytes, dict[str, bytes]])
    state = decode_state(manifest, chunks)
    assert state.next_offset == read_manifest(manifest).next_offset > 60
    assert state.core.folded > 50
    assert state.narratives.micros
    new = msgspec.structs.replace(streams.post("new", streams.start_s, "reservoir", offset=10_000), speed=1.0)
    outputs, _ = streams.fold([new], state)
    assert [output.post_id for output in outputs if isinstance(output, Assignment)] == ["new"]


def test_parameters_of_other_code_are_ignored_in_a_configuration_that_was_in_force(streams):
    entry = streams.configured(virality={"least_posts": 7})
    raw = msgspec.json.decode(encode_entry(entry))
    raw["configuration"]["virality"]["of_other_code"] = 1
    raw["configuration"]["gone"] = {"all": "of it"}
    assert decode_entry(msgspec.json.encode(raw)) == entry
    assert decode_configuration(msgspec.json.encode(raw["configuration"])) == entry.configuration


def test_a_configuration_that_is_wrong_is_refused_though_it_may_be_of_other_code(streams):
    raw = msgspec.json.decode(encode_entry(streams.configured()))
    raw["configuration"]["virality"]["least_posts"] = "many"
    with pytest.raises(msgspec.ValidationError, match="least_posts"):
        decode_entry(msgspec.json.encode(raw))
    with pytest.raises(msgspec.ValidationError):
        decode_configuration(b"[]")
