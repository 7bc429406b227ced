"""Second looks in the fold: what is asked, what an answer changes, and that the journal decides it all."""

from datetime import UTC, datetime

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detectors.codec import decode_entry, decode_state, encode_entry, encode_state
from detectors.entries import LookAnswer, Origin, Tick
from detectors.incitement import evidence
from detectors.looked import Looked, Looks, LookSummary
from detectors.looks import Answerer, FullLook
from detectors.monitor import fold, new_state
from detectors.policy import LookParameters
from detectors.records import Alert, Look, Narrative, Stance

CHECKER = "heavier@1"
START_S = 1_400_000_400


def inciting_burst(streams, posts=12):
    """A narrative of which the first look says that every post incites."""
    burst = streams.burst(START_S, posts=posts)
    return [msgspec.structs.replace(post, incitement=0.9) for post in burst]


def opened(streams, **changes):
    return streams.configured(source_partitions=1, look_model=CHECKER, **changes)


def answer_to(look, incitement, *, offset=0, **fields):
    return LookAnswer(
        origin=Origin("looks", 0, offset),
        look_id=look.look_id,
        post_id=look.post_id,
        model=CHECKER,
        incitement=incitement,
        **fields,
    )


def looks_in(outputs):
    return [output for output in outputs if isinstance(output, Look)]


def last_alert(outputs):
    return [output for output in outputs if isinstance(output, Alert)][-1]


def words_of_second_look(alert):
    return [reason.words for reason in alert.reasons if reason.signal == "second_look"]


def test_a_narrative_that_spreads_asks_for_looks_at_posts_that_show_it(streams):
    outputs, state = streams.fold([opened(streams), *inciting_burst(streams)])
    asked = looks_in(outputs)
    assert 1 <= len(asked) <= LookParameters().posts_per_narrative
    assert len({look.look_id for look in asked}) == len(asked)
    texts = {post.post_id: post.text for post in inciting_burst(streams)}
    assert all(look.text == texts[look.post_id] for look in asked)
    assert set(state.core.looks.by_post) == {look.post_id for look in asked}


def test_without_a_model_nothing_is_asked_and_the_first_look_decides(streams):
    outputs, _ = streams.fold([streams.configured(source_partitions=1), *inciting_burst(streams)])
    assert not looks_in(outputs)
    assert "incitement" in last_alert(outputs).kinds


def test_while_looks_are_awaited_the_narrative_alerts_without_incitement_and_says_so(streams):
    outputs, _ = streams.fold([opened(streams), *inciting_burst(streams)])
    alert = last_alert(outputs)
    assert alert.kinds == ("viral",)
    assert "awaited" in words_of_second_look(alert)[0]


def test_an_answer_that_it_incites_raises_the_alert(streams):
    entries = [opened(streams), *inciting_burst(streams)]
    outputs, state = streams.fold(entries)
    answers = [answer_to(look, 0.95, offset=place) for place, look in enumerate(looks_in(outputs))]
    after, _ = streams.fold(answers, state)
    alert = last_alert(after)
    assert "incitement" in alert.kinds
    assert "that seemed to incite" in words_of_second_look(alert)[0]


def test_an_answer_that_it_does_not_incite_replaces_the_first_look(streams):
    outputs, state = streams.fold([opened(streams), *inciting_burst(streams)])
    answers = [answer_to(look, 0.05, offset=place) for place, look in enumerate(looks_in(outputs))]
    after, state = streams.fold(answers, state)
    later, _ = streams.fold([Tick(now_at_s=START_S + 600.0)], state)
    assert all("incitement" not in output.kinds for output in [*after, *later] if isinstance(output, Alert))


def test_the_evidence_of_a_narrative_takes_the_second_look_where_there_is_one(streams):
    outputs, state = streams.fold([opened(streams), *inciting_burst(streams)])
    asked = looks_in(outputs)
    answers = [answer_to(look, 0.05, offset=place) for place, look in enumerate(asked)]
    _, state = streams.fold(answers, state)
    (micro_ids,) = {tuple(state.core.looks.by_micro)}
    summary = state.core.looks.of(micro_ids, START_S, LookParameters())
    assert summary.evidence == len(asked) * (evidence(0.05) - evidence(0.9))


def test_evidence_is_published_with_the_narrative(streams):
    outputs, _ = streams.fold([streams.configured(source_partitions=1), *inciting_burst(streams)])
    (*_, told) = [output for output in outputs if isinstance(output, Narrative)]
    assert told.incitement.evidence == round(told.counts.posts * evidence(0.9) / 1000, 1)
    words = [reason.words for reason in last_alert(outputs).reasons if reason.signal == "incites"]
    assert "times likelier that a fifth incites than that none does" in words[0]


def test_without_an_answer_within_a_minute_the_first_look_decides_and_says_insufficient_data(streams):
    outputs, state = streams.fold([opened(streams), *inciting_burst(streams)])
    asked_at_s = max(look.asked_at.timestamp() for look in looks_in(outputs))
    early, state = streams.fold([Tick(now_at_s=asked_at_s + 59.0)], state)
    assert not [output for output in early if isinstance(output, Alert)]
    late, state = streams.fold([Tick(now_at_s=asked_at_s + 61.0)], state)
    alert = last_alert(late)
    assert "incitement" in alert.kinds
    assert "insufficient data" in words_of_second_look(alert)[0]
    assert state.left_out()["look_unanswered"] == 1
    assert not state.core.looks.due


def test_the_first_answer_counts_and_a_second_is_left_out(streams):
    outputs, state = streams.fold([opened(streams), *inciting_burst(streams)])
    look = looks_in(outputs)[0]
    _, state = streams.fold([answer_to(look, 0.95, offset=0), answer_to(look, 0.05, offset=1)], state)
    assert state.core.looks.by_post[look.post_id].inciting
    assert state.left_out()["look_not_needed"] == 1
    _, state = streams.fold([answer_to(look, 0.95, offset=0)], state)
    assert state.left_out()["repeated_record"] == 1


def test_an_answer_moves_no_centroid(streams):
    outputs, state = streams.fold([opened(streams), *inciting_burst(streams)])
    before = {
        section: pieces
        for section, pieces in msgspec.json.decode(encode_state(state).manifest)["sections"].items()
        if section in {"micros", "posts", "strands"}
    }
    [vector] = [scored.vector for scored in streams.scorer.score_texts(["something else entirely"])]
    answers = [answer_to(look, 0.05, offset=i, vector=vector) for i, look in enumerate(looks_in(outputs))]
    _, state = streams.fold(answers, state)
    after = msgspec.json.decode(encode_state(state).manifest)["sections"]
    assert {section: after[section] for section in before} == before


def test_a_deleted_post_takes_its_look_with_it_also_when_the_answer_comes_later(streams):
    outputs, state = streams.fold([opened(streams), *inciting_burst(streams)])
    look = looks_in(outputs)[0]
    _, state = streams.fold([streams.deletion(0, post_id=look.post_id)], state)
    assert look.post_id not in state.core.looks.by_post
    _, state = streams.fold([answer_to(look, 0.95)], state)
    assert look.post_id not in state.core.looks.by_post
    assert all(look.post_id not in posts for posts in state.core.looks.by_micro.values())


def test_looks_are_forgotten_with_their_posts(streams):
    _, state = streams.fold([opened(streams), *inciting_burst(streams)])
    assert state.core.looks.by_post
    _, state = streams.fold([Tick(now_at_s=START_S + 3 * 5400.0)], state)
    assert not state.core.looks.by_post
    assert not state.core.looks.by_micro


def test_claims_are_found_by_the_vector_of_the_second_look(streams):
    """Under the fast tier posts and claims have vectors of two spaces: only a second look can join them."""
    first = inciting_burst(streams)
    posts = [msgspec.structs.replace(one, vector=msgspec.structs.replace(one.vector, space="fast")) for one in first]
    claim = streams.claim(0, "the reservoir was poisoned with chlorine: taps boiling in ashford")
    outputs, state = streams.fold([opened(streams, embedding_space="fast"), claim, *posts])
    assert not last_alert(outputs).matched_claims
    vectors = {one.post_id: one.vector for one in first}
    answers = [
        answer_to(look, 0.05, offset=i, vector=vectors[look.post_id]) for i, look in enumerate(looks_in(outputs))
    ]
    _, state = streams.fold(answers, state)
    assert any(narrative.matches for narrative in state.narratives.narratives.values())


@pytest.mark.parametrize("seed", [1, 2])
def test_answers_on_the_spot_are_those_that_a_journal_would_hold_next(streams, seed):
    entries = [entry for _, entry in streams.journal(seed, look_model=CHECKER)]
    answering = Answerer(FullLook(streams.scorer))
    state = new_state()
    live = list(fold(state, enumerate(entries), answering=answering))
    assert answering.computed == len(looks_in(live)) > 0

    written, state, checker = [], new_state(), Answerer(FullLook(streams.scorer))
    outputs = []
    for entry in entries:
        queue = [entry]
        while queue:
            written.append(queue.pop(0))
            given = list(fold(state, [(len(written) - 1, written[-1])]))
            outputs += given
            queue += checker(looks_in(given))
    assert streams.encoded(outputs) == streams.encoded(live)

    again = new_state()
    assert streams.encoded(fold(again, enumerate(written))) == streams.encoded(outputs)
    assert encode_state(again) == encode_state(state)


@pytest.mark.parametrize("seed", [3])
def test_where_a_batch_or_a_snapshot_falls_does_not_show(streams, seed):
    entries = [entry for _, entry in streams.journal(seed, look_model=CHECKER)]
    whole = streams.encoded(fold(new_state(), enumerate(entries), answering=Answerer(FullLook(streams.scorer))))
    state, parts, answering = new_state(), [], Answerer(FullLook(streams.scorer))
    for start in range(0, len(entries), 23):
        items = list(enumerate(entries))[start : start + 23]
        parts += streams.encoded(fold(state, items, answering=answering))
        snapshot = encode_state(state)
        state = decode_state(snapshot.manifest, snapshot.chunks)
    assert parts == whole


def test_a_backtest_takes_only_the_looks_that_its_journal_lacks(streams):
    outputs, _ = streams.fold([opened(streams), *inciting_burst(streams)])
    asked = looks_in(outputs)
    answering = Answerer(FullLook(streams.scorer), known={asked[0].look_id})
    assert [answer.look_id for answer in answering(asked)] == [look.look_id for look in asked[1:]]
    assert answering.computed == len(asked) - 1


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 3), st.booleans()), max_size=40), st.integers(1, 8))
def test_looks_stay_within_their_cap_and_both_ways_to_find_them_agree(steps, cap):
    looks = Looks()
    for post, micro, is_new in steps:
        if is_new and f"p{post}" not in looks.by_post:
            looks.put(f"p{post}", Looked(f"m{micro}", 0.0, first_inciting=True, first_doubting=False), cap)
        else:
            looks.take(f"p{post}")
        assert len(looks.by_post) <= cap
        listed = {one: micro for micro, ones in looks.by_micro.items() for one in ones}
        assert listed == {one: looked.micro_id for one, looked in looks.by_post.items()}


@given(st.integers(0, 50), st.integers(0, 100), st.integers(0, 8), st.integers(0, 8))
def test_the_corrected_count_lies_between_nothing_and_all(inciting, more, confirmed, others_inciting):
    posts = inciting + more
    summary = LookSummary(
        answered=16, first_inciting=8, inciting_confirmed=confirmed, others=8, others_inciting=others_inciting
    )
    assert 0 <= summary.inciting_of(inciting, posts) <= posts + 1
    everything = LookSummary(answered=8, first_inciting=8, inciting_confirmed=8)
    assert everything.inciting_of(inciting, posts) == inciting
    assert LookSummary().inciting_of(inciting, posts) == inciting


def test_doubt_that_the_second_look_does_not_find_is_taken_out(streams):
    assert LookSummary(answered=4, first_doubting=4, doubting_confirmed=1).doubting_of(20) == 5
    assert LookSummary(answered=4).doubting_of(20) == 20
    looks = Looks()
    looks.put("p", Looked("m", 0.0, first_inciting=False, first_doubting=True), 10)
    look = Look(look_id="l", post_id="p", narrative_id="n", text="x", asked_at=datetime(2024, 1, 1, tzinfo=UTC))
    assert looks.answer(answer_to(look, 0.1, stance=Stance(query=0.7, comment=0.3)), 0.5)
    summary = looks.of(["m"], 5.0, LookParameters())
    assert (summary.first_doubting, summary.doubting_confirmed, summary.model) == (1, 1, CHECKER)


def test_doubt_that_the_second_look_does_not_judge_stays_as_the_first_look_counted_it():
    looks = Looks()
    looks.put("p", Looked("m", 0.0, first_inciting=False, first_doubting=True), 10)
    look = Look(look_id="l", post_id="p", narrative_id="n", text="x", asked_at=datetime(2024, 1, 1, tzinfo=UTC))
    assert looks.answer(decode_entry(encode_entry(answer_to(look, 0.1, stance=None))), 0.5)
    summary = looks.of(["m"], 5.0, LookParameters())
    assert (summary.answered, summary.first_doubting, summary.doubting_of(20)) == (1, 0, 20)
