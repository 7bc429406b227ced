"""What was deleted is nowhere: not in any byte of the state, not in anything that is published from then on."""

import zlib

import msgspec
import pytest

from detectors.codec import encode_record, encode_state
from detectors.records import Alert, Narrative, NarrativeChange

SECRET = "zanzibar quixotic marmalade"
POST_ID = "id-of-the-deleted-post"
AUTHOR = "h-of-the-erased-author"


def everything(state):
    """Every byte of a snapshot, unpacked."""
    snapshot = encode_state(state)
    content = snapshot.manifest
    for pieces in msgspec.json.decode(snapshot.manifest)["sections"].values():
        for names in pieces:
            content += zlib.decompress(b"".join(snapshot.chunks[name] for name in names))
    return content


def published(outputs):
    return b"".join(encode_record(one) for one in outputs if isinstance(one, Alert | Narrative | NarrativeChange))


def is_nowhere(content, *more):
    return not any(word.encode() in content for word in (*SECRET.split(), POST_ID, *more))


@pytest.fixture
def told(streams):
    """A story that alerts, in which the post to be deleted was the first."""
    burst = streams.burst(streams.start_s, words="reservoir poisoned ashford")
    first = streams.post(
        POST_ID, streams.start_s, f"reservoir poisoned ashford {SECRET}", offset=900, author=AUTHOR, followers=10
    )
    return [streams.configured(source_partitions=1), first, *burst]


@pytest.mark.parametrize("how", ["post_id", "author_id"])
def test_a_post_that_was_shown_and_alerted_is_nowhere_once_it_is_deleted(streams, told, how):
    outputs, state = streams.fold(told)
    assert any(isinstance(output, Alert) for output in outputs)
    assert not is_nowhere(everything(state))
    assert not is_nowhere(published(outputs))
    meant = {"post_id": POST_ID} if how == "post_id" else {"author_id": AUTHOR}
    after, state = streams.fold([streams.deletion(0, **meant)], state)
    assert is_nowhere(everything(state))
    assert is_nowhere(published(after))
    last = {}
    for output in outputs + after:
        if isinstance(output, Alert | Narrative):
            last[type(output), output.alert_id if isinstance(output, Alert) else output.narrative_id] = output
    assert is_nowhere(published(last.values()))  # what a compacted topic keeps


def test_an_exemplar_older_than_the_index_goes_with_its_author(streams, told):
    short = streams.configured(source_partitions=1, narratives={"indexed_posts": 1}, offset=1)
    _, state = streams.fold([told[0], short, *told[1:]])
    assert state.posts.get(POST_ID) is None
    assert not is_nowhere(everything(state))
    _, state = streams.fold([streams.deletion(0, author_id=AUTHOR)], state)
    assert is_nowhere(everything(state), AUTHOR)


def test_a_post_that_waits_for_its_parent_is_nowhere_once_it_is_deleted(streams):
    waiting = streams.post(POST_ID, streams.start_s, SECRET, kind="reply", parent_id="never", author=AUTHOR, offset=1)
    for meant in ({"post_id": POST_ID}, {"author_id": AUTHOR}):
        _, state = streams.fold([streams.configured(source_partitions=1), waiting])
        assert not is_nowhere(everything(state), AUTHOR)
        _, state = streams.fold([streams.deletion(0, **meant)], state)
        assert is_nowhere(everything(state), AUTHOR)


def test_a_post_held_until_its_time_comes_is_nowhere_once_it_is_deleted(streams):
    held = streams.post(POST_ID, streams.start_s + 60, SECRET, author=AUTHOR, offset=1)
    held = msgspec.structs.replace(held, speed=0.0)
    for meant in ({"post_id": POST_ID}, {"author_id": AUTHOR}):
        _, state = streams.fold([streams.configured(source_partitions=2), held])
        assert not is_nowhere(everything(state), AUTHOR)
        _, state = streams.fold([streams.deletion(0, **meant)], state)
        assert is_nowhere(everything(state), AUTHOR)
        assert state.left_out()["deleted"] == 1
        assert not state.core.merging.held


def test_words_do_not_come_back_with_a_reshare_neither_one_that_came_nor_one_to_come(streams, told):
    came = streams.post("w1", streams.start_s, f"RT {SECRET}", kind="reshare", parent_id="unknown", offset=950)
    shared = {"kind": "reshare", "parent_id": POST_ID, "root_id": "unknown"}
    _, state = streams.fold([told[0], came])
    _, state = streams.fold([streams.deletion(0, post_id="unknown")], state)
    assert is_nowhere(everything(state))
    outputs, state = streams.fold(
        [
            streams.deletion(1, post_id=POST_ID),
            *told[1:],
            streams.post("r2", streams.start_s + 20, f"RT {SECRET}", offset=951, **shared),
        ],
        state,
    )
    assert is_nowhere(everything(state))
    assert is_nowhere(published(outputs))
    assert state.left_out()["reshare_of_deleted"] == 1
    assert state.left_out()["deleted_before_it_came"] == 1


def test_the_words_of_a_reshare_go_when_what_it_shares_is_deleted(streams):
    reshare = streams.post("r", streams.start_s, f"RT {SECRET}", kind="reshare", parent_id=POST_ID, offset=1)
    _, state = streams.fold([streams.configured(source_partitions=1), reshare])
    _, state = streams.fold([streams.deletion(0, post_id=POST_ID)], state)
    assert is_nowhere(everything(state))


def test_a_deletion_is_counted_out_and_others_stay(streams, told):
    _, state = streams.fold(told)
    [before] = {micro.narrative_id: micro for micro in state.narratives.micros.values()}.values()
    posts = before.tally.posts
    _, state = streams.fold([streams.deletion(0, post_id=POST_ID)], state)
    assert sum(micro.tally.posts for micro in state.narratives.micros.values()) == posts - 1
    assert state.posts.get("p0") is not None
