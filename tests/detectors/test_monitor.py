import itertools
from collections import Counter
from datetime import datetime, timedelta

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.alerts import new_case
from detectors.codec import decode_state, encode_record, encode_state
from detectors.entries import CrisisEntry, FeedbackEntry, Origin, ScoredPost, SourceEnd, Tick
from detectors.monitor import JournalGapError, fold, new_state
from detectors.narratives import name_after
from detectors.records import Alert, Assignment, Narrative, NarrativeChange

JOURNALS = {
    "usual": {},
    "many_groups": {"narratives": {"micro_similarity": 0.7}},
    "beyond_the_cap": {"narratives": {"micro_similarity": 0.7, "grouped_micro_clusters": 3, "grouped_strands": 6}},
    "few_kept": {"narratives": {"micro_similarity": 0.7, "live_micro_clusters": 12}},
    "forgetful": {"narratives": {"micro_similarity": 0.7, "idle_after_s": 900, "indexed_posts": 20}},
}
FLOOR = {"least_posts": 10, "least_cascade_posts": 4, "least_authors": 3}
ALONE = {"source_partitions": 1}


@pytest.fixture(params=list(JOURNALS))
def journal(streams, request):
    return streams.journal(11, 300, **JOURNALS[request.param])


def alerts_of(outputs):
    return [output for output in outputs if isinstance(output, Alert)]


def folded_in_batches(items, sizes):
    state, outputs, start = new_state(), [], 0
    sizes = itertools.cycle(sizes)
    while start < len(items):
        size = next(sizes)
        outputs += fold(state, items[start : start + size])
        start += size
    return outputs, state


def test_the_journals_of_these_tests_hold_and_cause_everything(streams):
    outputs, left_out = [], Counter()
    for changes in JOURNALS.values():
        items = streams.journal(11, 300, **changes)
        outs, state = folded_in_batches(items, [64])
        outputs += outs
        left_out.update(state.left_out())
    entries = {type(entry).__name__ for _, entry in items}
    assert len(entries) == 9
    assert {alert.transition for alert in alerts_of(outputs)} >= {"opened", "updated", "peaked", "cleared"}
    assert {output.change for output in outputs if isinstance(output, NarrativeChange)} == {
        "birth",
        "merge",
        "split",
        "death",
    }
    assert {
        "orphan",
        "repeated_post",
        "repeated_record",
        "deleted",
        "deleted_before_it_came",
        "index_evicted",
        "skipped_entry",
        "micro_cluster_cap",
    } <= {reason for reason, posts in left_out.items() if posts}


@settings(max_examples=25, deadline=None)
@given(st.sampled_from(list(JOURNALS)), st.integers(0, 3), st.lists(st.integers(1, 200), min_size=1, max_size=6))
def test_where_batches_end_never_shows(streams, name, seed, sizes):
    items = streams.journal(seed, 250, **JOURNALS[name])
    whole, state = folded_in_batches(items, [1])
    outputs, other = folded_in_batches(items, sizes)
    assert streams.encoded(outputs) == streams.encoded(whole)
    assert encode_state(other).manifest == encode_state(state).manifest


def resumed(items, cut, lag, resume=fold):
    """Outputs of a monitor that stops at `cut` and goes on from its snapshot, `lag` entries earlier."""
    state = new_state()
    outputs = list(fold(state, items[:cut]))
    snapshot = encode_state(state)
    state = decode_state(snapshot.manifest, snapshot.chunks)
    return outputs + list(resume(state, items[max(0, state.next_offset - lag) :]))


@settings(max_examples=25, deadline=None)
@given(st.sampled_from(list(JOURNALS)), st.integers(0, 10_000), st.sampled_from([0, 1, 3, 40, 10_000]))
def test_a_crash_anywhere_and_any_redelivery_leave_the_same_bytes(streams, name, cut, lag):
    items = streams.journal(11, 300, **JOURNALS[name])
    whole, _ = folded_in_batches(items, [64])
    assert streams.encoded(resumed(items, cut % len(items), lag)) == streams.encoded(whole)


def test_a_crash_after_every_forty_fifth_entry_leaves_the_same_bytes(streams, journal):
    whole, _ = folded_in_batches(journal, [64])
    for cut in range(3, len(journal), 45):
        assert streams.encoded(resumed(journal, cut, cut % 7)) == streams.encoded(whole)


def without_offsets(state, items):
    """A fold that takes whatever comes as new: it looks at no offset."""
    return fold(state, enumerate((entry for _, entry in items), start=state.next_offset))


def without_any_memory(state, items):
    """The same, and it forgets where records came from, and which posts it knows."""
    state.core.seen.clear()
    state.posts.posts.clear()
    return without_offsets(state, items)


def test_these_tests_see_a_fold_that_ignores_offsets(streams):
    items = streams.journal(11, 300)
    whole = streams.encoded(folded_in_batches(items, [64])[0])
    cuts = range(40, len(items), 40)
    assert all(streams.encoded(resumed(items, cut, 30)) == whole for cut in cuts)
    blind = [streams.encoded(resumed(items, cut, 30, without_any_memory)) != whole for cut in cuts]
    assert all(blind)


def test_a_second_tick_or_word_is_why_offsets_are_needed_though_posts_are_known_by_their_origin(streams):
    entries = [streams.configured(**ALONE, life_cycle={"peaked_after_s": 600, "cleared_after_s": 1800})]
    entries += [*streams.burst(streams.start_s), Tick(now_at_s=streams.start_s + 60.0)]
    items = list(enumerate(entries))
    _, state = folded_in_batches(items, [64])
    before = encode_state(state).manifest
    assert not list(fold(state, items))
    assert encode_state(state).manifest == before
    list(without_offsets(state, items))
    assert state.left_out()["repeated_record"] == len(items) - 1
    assert encode_state(state).manifest != before


def test_a_gap_in_the_journal_is_an_error_and_folds_nothing(streams):
    entries = streams.burst(streams.start_s)
    state = new_state()
    with pytest.raises(JournalGapError, match="goes on at 5, the state at 2"):
        list(fold(state, [(0, entries[0]), (1, entries[1]), (5, entries[5])]))
    assert state.next_offset == 2


def test_a_repeated_record_and_a_repeated_post_count_once(streams):
    post = streams.post("p", streams.start_s, "the reservoir is poisoned")
    again = msgspec.structs.replace(post, origin=Origin("posts", 0, 7))
    outputs, state = streams.fold([post, post, again])
    assert [output.post_id for output in outputs] == ["p"]
    assert state.left_out() | {"repeated_record": 1, "repeated_post": 1} == state.left_out()
    assert state.core.folded == 1


def test_of_two_versions_of_a_post_in_one_batch_the_first_one_counts(streams):
    other = streams.post("q", streams.start_s, "bridge collapsed marlow engineers", offset=0)
    first = streams.post("p", streams.start_s, "reservoir poisoned ashford", offset=1)
    edited = streams.post("p", streams.start_s, "bridge collapsed marlow engineers", offset=2)
    outputs, _ = streams.fold([other, first, edited])
    assert len({output.micro_cluster for output in outputs}) == 2


def test_a_reply_follows_its_parent_and_a_reshare_is_counted_with_it(streams):
    parent = streams.post("p", streams.start_s, "reservoir poisoned ashford")
    reply = streams.post("r", streams.start_s + 1, "cats", kind="reply", parent_id="p", offset=1)
    reshare = streams.post("s", streams.start_s + 2, "", kind="reshare", parent_id="p", offset=2)
    deep = streams.post("d", streams.start_s + 3, "dogs", kind="reply", parent_id="gone", root_id="p", offset=3)
    outputs, state = streams.fold([parent, reply, reshare, deep])
    assert len({output.micro_cluster for output in outputs}) == 1
    [narrative] = state.narratives.narratives.values()
    assert (narrative.tally.posts, narrative.tally.replies, narrative.tally.reshares) == (4, 2, 1)


def test_a_reply_before_its_parent_waits_and_then_follows(streams):
    reply = streams.post("r", streams.start_s, "cats", kind="reply", parent_id="p")
    to_it = streams.post("t", streams.start_s, "dogs", kind="reply", parent_id="r", offset=1)
    outputs, state = streams.fold([reply, to_it])
    assert outputs == []
    parent = streams.post("p", streams.start_s, "reservoir poisoned ashford", offset=2)
    outputs, state = streams.fold([parent], state)
    assert [output.post_id for output in outputs] == ["p", "r", "t"]
    assert len({output.micro_cluster for output in outputs}) == 1
    assert not state.core.waiting.posts


def test_a_reply_whose_parent_does_not_come_in_time_is_an_orphan(streams):
    reply = streams.post("r", streams.start_s, "cats", kind="reply", parent_id="p")
    entries = [streams.configured(**ALONE), reply, Tick(now_at_s=streams.start_s + 90.0)]
    outputs, state = streams.fold(entries)
    assert outputs == []
    outputs, state = streams.fold([Tick(now_at_s=streams.start_s + 200.0)], state)
    assert [(output.post_id, output.micro_cluster) for output in outputs] == [("r", None)]
    assert state.left_out()["orphan"] == 1


def test_a_long_conversation_that_comes_backwards_is_put_together(streams):
    replies = [
        streams.post(f"r{number}", streams.start_s, "cats", kind="reply", parent_id=f"r{number - 1}", offset=number)
        for number in range(3000, 0, -1)
    ]
    root = streams.post("r0", streams.start_s, "reservoir poisoned ashford")
    outputs, _ = streams.fold([*replies, root])
    assert [output.post_id for output in outputs if isinstance(output, Assignment)] == [f"r{n}" for n in range(3001)]


def shown(outputs):
    """Ids of exemplars in the last record of each narrative."""
    last = {output.narrative_id: output for output in outputs if isinstance(output, Narrative)}
    return {exemplar.post_id for narrative in last.values() for exemplar in narrative.exemplars}


def told(state):
    return encode_record(state.core) + b"".join(encode_record(one) for one in state.narratives.micros.values())


def test_a_deleted_post_is_gone_from_counts_index_and_every_published_text(streams):
    burst = [streams.configured(**ALONE), *streams.burst(streams.start_s)]
    outputs, state = streams.fold(burst)
    assert "p0" in shown(outputs)
    text = burst[1].text.encode()
    assert text in told(state)
    [alert] = alerts_of(outputs)
    after, state = streams.fold([streams.deletion(0, post_id="p0")], state)
    assert "p0" not in shown(outputs + after)
    assert alert.narrative_id in {output.narrative_id for output in after}
    assert text not in told(state)
    assert state.posts.get("p0") is None
    assert state.narratives.narratives[alert.narrative_id].tally.posts == 11
    assert state.left_out()["deleted"] == 1


def test_a_post_deleted_before_it_comes_is_never_counted(streams):
    entries = streams.burst(streams.start_s)
    outputs, state = streams.fold([entries[0], streams.deletion(0, post_id="p1"), entries[1]])
    assert [output.post_id for output in outputs] == ["p0"]
    assert state.left_out()["deleted_before_it_came"] == 1


def test_an_erased_author_is_gone_with_all_posts_also_those_that_wait_and_those_to_come(streams):
    mine = {"author": "me"}
    posts = [
        streams.configured(**ALONE),
        *streams.burst(streams.start_s - 60, words="bridge collapsed marlow"),
        streams.post("m1", streams.start_s, "reservoir poisoned ashford, said by me", offset=50, **mine),
        streams.post("m2", streams.start_s, "waiting words of mine", kind="reply", parent_id="n", offset=51, **mine),
    ]
    _, state = streams.fold(posts)
    outputs, state = streams.fold(
        [
            streams.deletion(0, author_id="me"),
            streams.post("n", streams.start_s, "what was answered", offset=52),
            streams.post("m3", streams.start_s, "later words of mine", offset=53, **mine),
        ],
        state,
    )
    assert [output.post_id for output in outputs if isinstance(output, Assignment)] == ["n"]
    assert state.left_out()["deleted"] == 2
    assert state.left_out()["deleted_before_it_came"] == 1
    assert b"of mine" not in told(state)
    assert b"by me" not in told(state)
    micro = state.narratives.micros[name_after("m1", "m")]
    assert (micro.tally.posts, micro.tally.authors) == (0, [])


def test_a_text_known_from_its_reshares_alone_is_deleted_too(streams):
    root = streams.post("root", streams.start_s, "reservoir poisoned ashford")
    reshare = streams.post(
        "s", streams.start_s, "words of another", kind="reshare", parent_id="never", root_id="root", offset=1
    )
    _, state = streams.fold([root, reshare])
    assert b"words of another" in told(state)
    _, state = streams.fold([streams.deletion(0, post_id="never")], state)
    assert b"words of another" not in told(state)


def test_one_author_cannot_move_time_by_more_than_a_day_and_three_can(streams):
    ahead_s = streams.start_s + 2 * 86400
    entries = [streams.configured(**ALONE), streams.post("p", streams.start_s, "the reservoir")]
    _, state = streams.fold(entries)
    alone = [streams.post(f"a{i}", ahead_s + i, "bridge", author="a", offset=1 + i) for i in range(5)]
    _, state = streams.fold(alone, state)
    assert state.core.time.greatest_at_s == streams.start_s
    assert state.left_out()["date_distrusted"] == 5
    others = [streams.post(f"o{i}", ahead_s + 9, "bridge", author=f"o{i}", offset=10 + i) for i in range(2)]
    _, state = streams.fold(others, state)
    assert state.core.time.greatest_at_s == ahead_s + 9


def test_a_post_dated_beyond_trust_hides_nothing_of_its_narrative(streams):
    """One post of the year 2100 would otherwise empty the windows of the story that it joins, for good."""
    configured = streams.configured(**ALONE, virality=FLOOR)
    burst = streams.burst(streams.start_s)
    bad = streams.post("bad", streams.start_s + 90 * 365 * 86400, burst[0].text, author="troll", offset=99)
    [with_it] = alerts_of(streams.fold([configured, *burst[:6], bad, *burst[6:]])[0])
    [without] = alerts_of(streams.fold([configured, *burst])[0])
    assert with_it.transition == without.transition == "opened"
    assert with_it.first_seen == without.first_seen
    assert with_it.changed_at <= without.changed_at


def test_late_posts_open_nothing_and_never_reopen_a_cleared_alert(streams):
    configured = streams.configured(**ALONE)
    late = streams.burst(streams.start_s + 600, posts=40, every_s=1, name="late", first_offset=100)
    first = streams.post("first", streams.start_s, "dogs and cats")
    quiet, _ = streams.fold([configured, first, Tick(now_at_s=streams.start_s + 7000.0), *late])
    assert not alerts_of(quiet)
    on_time, _ = streams.fold([configured, first, *late])
    assert alerts_of(on_time)

    outputs, state = streams.fold(
        [configured, *streams.burst(streams.start_s), Tick(now_at_s=streams.start_s + 7000.0)]
    )
    assert [alert.transition for alert in alerts_of(outputs)][-1] == "cleared"
    outputs, state = streams.fold(late, state)
    assert len(outputs) == 40
    assert not alerts_of(outputs)
    [narrative] = state.narratives.narratives.values()
    assert narrative.tally.late == 40


def test_revisions_of_an_alert_go_up_by_one_and_none_speaks_again_after_it_was_merged(streams, journal):
    outputs, _ = folded_in_batches(journal, [64])
    last = {}
    for alert in alerts_of(outputs):
        before = last.get(alert.alert_id)
        assert alert.revision == (before.revision + 1 if before else 1)
        assert (before is None) == (alert.transition == "opened")
        assert before is None or before.transition != "merged"
        last[alert.alert_id] = alert


def opened(streams, **fields):
    outputs, state = streams.fold([streams.configured(**ALONE), *streams.burst(streams.start_s)])
    [alert] = alerts_of(outputs)
    return alert, state


def test_a_dismissed_alert_is_retracted_and_stays_so(streams):
    alert, state = opened(streams)
    more = streams.burst(streams.start_s + 120, posts=60, every_s=1, name="more", first_offset=40)
    outputs, state = streams.fold([streams.feedback(0, "dismiss", alert_id=alert.alert_id), *more], state)
    assert [(one.transition, one.review.state, one.review.by) for one in alerts_of(outputs)] == [
        ("retracted", "dismissed", "ana")
    ]


def test_a_word_on_an_alert_that_no_one_knows_is_counted(streams):
    _, state = streams.fold([streams.feedback(0, "dismiss", alert_id="a-0")])
    assert state.left_out()["feedback_on_unknown"] == 1


def test_a_word_on_a_narrative_without_alert_is_kept_for_the_alert_to_come(streams):
    burst = streams.burst(streams.start_s)
    narrative_id = name_after("p0", "n")
    _, state = streams.fold([streams.configured(**ALONE), burst[0]])
    outputs, state = streams.fold([streams.feedback(0, "mute", narrative_id=narrative_id), *burst[1:]], state)
    assert not alerts_of(outputs)


@pytest.mark.parametrize("first_wins", [True, False])
def test_of_two_alerts_merged_by_a_person_one_goes_on_and_the_other_never_speaks_again(streams, first_wins):
    entries = [
        streams.configured(**ALONE),
        *streams.burst(streams.start_s),
        *streams.burst(streams.start_s + 60, words="bridge collapsed marlow engineers", name="b", first_offset=20),
    ]
    outputs, state = streams.fold(entries)
    first, second = (alert.alert_id for alert in alerts_of(outputs) if alert.transition == "opened")
    one, other = (second, first) if first_wins else (first, second)
    more = [
        *streams.burst(streams.start_s + 130, posts=60, every_s=1, name="more", first_offset=40),
        *streams.burst(
            streams.start_s + 190,
            posts=60,
            every_s=1,
            words="bridge collapsed marlow engineers",
            name="more-b",
            first_offset=100,
        ),
    ]
    outputs, state = streams.fold([streams.feedback(0, "merge", alert_id=one, into_alert_id=other), *more], state)
    spoken = [(alert.alert_id, alert.transition, alert.merged_into) for alert in alerts_of(outputs)]
    assert spoken[0] == (second, "merged", first)  # the one that opened first goes on
    assert {alert_id for alert_id, _, _ in spoken[1:]} == {first}
    assert len({case.alert_id for case in state.core.cases.values()}) == len(state.core.cases) == 2


def test_when_narratives_merge_their_alerts_do(streams):
    """Two wordings of one event burst apart while they are new; when they have settled they are one story."""
    bursts = ["reservoir poisoned ashford chlorine", "reservoir poisoned ashford chlorine taps boiling hospital people"]
    others = ["reservoir ashford fish dead smell", "reservoir ashford fish dead smell river evening dogs bark loudly"]
    narratives = {"micro_similarity": 0.85, "event_similarity": 0.05, "settling_s": 300, "regroup_changes": 2}
    entries = [streams.configured(**ALONE, narratives=narratives)]
    for number, one in enumerate(bursts):
        entries += [
            streams.post(f"{number}-{i}", streams.start_s + 30 * number + i, one, offset=100 * number + i)
            for i in range(14)
        ]
    entries += [streams.post(f"o{i}", streams.start_s + 60 + i, one, offset=300 + i) for i, one in enumerate(others)]
    outputs, state = streams.fold(entries)
    assert len({alert.alert_id for alert in alerts_of(outputs)}) == 2
    later = [streams.post("later", streams.start_s + 400, "wolves escaped sanctuary", offset=310)]
    outputs, state = streams.fold(later, state)
    changes = [output for output in outputs if isinstance(output, NarrativeChange)]
    assert [change.change for change in changes] == ["merge"]
    merged = alerts_of(outputs)
    assert [alert.transition for alert in merged][:1] == ["merged"]
    assert merged[0].merged_into in {case.alert_id for case in state.core.cases.values()}
    assert merged[0].merged_into != merged[0].alert_id
    [gone] = [one for one in outputs if isinstance(one, Narrative) and one.state == "merged"]
    assert (gone.exemplars, gone.merged_into) == ((), changes[0].other_id)


def shifted(entry, by_s):
    """The same entry, `by_s` later."""
    if isinstance(entry, ScoredPost):
        return msgspec.structs.replace(
            entry, created_at_s=entry.created_at_s + by_s, ingested_at_s=entry.ingested_at_s + by_s
        )
    if isinstance(entry, Tick):
        return Tick(now_at_s=entry.now_at_s + by_s)
    if isinstance(entry, FeedbackEntry):
        at = entry.feedback.at + timedelta(seconds=by_s)
        return msgspec.structs.replace(entry, feedback=msgspec.structs.replace(entry.feedback, at=at))
    if isinstance(entry, CrisisEntry):
        at, until = (moved(time, by_s) for time in (entry.crisis.at, entry.crisis.expires_at))
        return msgspec.structs.replace(entry, crisis=msgspec.structs.replace(entry.crisis, at=at, expires_at=until))
    return entry


def moved(value, by_s):
    if isinstance(value, datetime):
        return value + timedelta(seconds=by_s)
    if isinstance(value, dict):
        return {key: moved(one, by_s) for key, one in value.items()}
    return [moved(one, by_s) for one in value] if isinstance(value, list | tuple) else value


@settings(max_examples=10, deadline=None)
@given(st.sampled_from(list(JOURNALS)), st.integers(-10_000, 10_000))
def test_if_everything_happens_later_everything_comes_out_later(streams, name, tens):
    items = streams.journal(11, 300, **JOURNALS[name])
    by_s = 600 * tens
    outputs, _ = folded_in_batches(items, [64])
    later, _ = folded_in_batches([(offset, shifted(entry, by_s)) for offset, entry in items], [64])
    for one, other in zip(outputs, later, strict=True):
        one_later = moved(msgspec.to_builtins(one, builtin_types=(datetime,)), by_s)
        assert moved(msgspec.to_builtins(other, builtin_types=(datetime,)), 0) == one_later


@settings(max_examples=15, deadline=None)
@given(st.randoms(use_true_random=False))
def test_the_order_of_posts_within_the_allowed_lateness_changes_no_alert_in_substance(streams, draw):
    stories = ["reservoir poisoned ashford chlorine", "bridge collapsed marlow engineers cracked"]
    posts = []
    for number, words in enumerate(stories):
        posts += streams.burst(
            streams.start_s + 900 * number,
            posts=30,
            every_s=4,
            words=words,
            name=f"{number}-",
            first_offset=50 * number,
        )
    order = list(posts)
    # Every post comes at most 100 s after its time, within the 120 s that are allowed.
    order.sort(key=lambda post: post.created_at_s + draw.uniform(0, 100))
    end = [SourceEnd(origin=Origin("posts", 0, 999)), Tick(now_at_s=streams.start_s + 9000.0)]
    states = []
    for one in (posts, order):
        outputs, _ = streams.fold([streams.configured(**ALONE), *one, *end])
        assert not any(output.counts.late for output in alerts_of(outputs))
        last = {alert.narrative_id: alert for alert in alerts_of(outputs)}
        stories_of = {
            alert.label: (alert.transition, alert.severity, alert.kinds, alert.counts.posts, alert.counts.authors)
            for alert in last.values()
        }
        states.append(sorted(stories_of.values()))
        assert len(stories_of) == 2
    assert states[0] == states[1]


def test_a_reshare_whose_parent_is_evicted_in_the_same_batch_is_placed_by_its_own_words(streams):
    entries = [
        streams.configured(**ALONE, narratives={"indexed_posts": 2}),
        streams.post("p", streams.start_s, "reservoir poisoned ashford"),
        streams.post("q", streams.start_s, "wolves escaped sanctuary", offset=1),
    ]
    _, state = streams.fold(entries)
    batch = [
        streams.post("r", streams.start_s, "goose directs the traffic", offset=2),
        streams.post("s", streams.start_s, "mayor resigned envelope", kind="reshare", parent_id="p", offset=3),
        streams.post("t", streams.start_s, "mayor resigned envelope casino", offset=4),
        streams.post("u", streams.start_s, "bridge collapsed marlow", offset=5),
    ]
    outputs, state = streams.fold(batch, state)
    places = {output.post_id: output.micro_cluster for output in outputs}
    assert places["s"] == places["t"] == name_after("s", "m")
    assert places["u"] == name_after("u", "m")


def test_a_vector_of_another_space_is_counted_without_a_place(streams):
    post = streams.post("p", streams.start_s, "reservoir poisoned ashford")
    other = msgspec.structs.replace(post, speed=1.0, vector=msgspec.structs.replace(post.vector, space="another"))
    outputs, state = streams.fold([streams.configured(), other])
    assert [output.micro_cluster for output in outputs] == [None]
    assert state.left_out()["orphan"] == 1


def test_the_id_of_an_alert_follows_from_the_post_that_began_it(streams):
    alert, _ = opened(streams)
    assert alert.alert_id == new_case(name_after("p0", "n")).alert_id


def test_a_fact_check_that_comes_later_makes_an_open_alert_graver(streams):
    alert, state = opened(streams)
    assert alert.severity == "watch"
    claim = streams.claim(0, "Reservoir poisoned in Ashford, chlorine in the taps, boiling needed")
    more = streams.burst(streams.start_s + 70, posts=30, every_s=5, name="more", first_offset=40)
    outputs, state = streams.fold([claim, *more], state)
    assert state.narratives.narratives[alert.narrative_id].matched_at_claims == 1
    assert any(one.matched_claims and one.severity == "page" for one in alerts_of(outputs))


def test_the_same_seed_writes_the_same_journal(streams):
    again = type(streams)()
    one, other = streams.journal(5, 60), again.journal(5, 60)
    assert [encode_record(entry) for _, entry in one] == [encode_record(entry) for _, entry in other]


def test_an_alert_that_was_forgotten_past_the_cap_goes_on_with_its_revisions_when_it_opens_again(streams):
    life = {"peaked_after_s": 600, "cleared_after_s": 1800, "live_alerts": 1}
    entries = [streams.configured(**ALONE, life_cycle=life, narratives={"idle_after_s": 86400})]
    entries += streams.burst(streams.start_s)
    entries += streams.burst(streams.start_s + 60, words="bridge collapsed marlow engineers", name="q", first_offset=12)
    entries += [Tick(now_at_s=streams.start_s + hours * 3600.0) for hours in (1, 2, 3)]
    outputs, state = streams.fold(entries)
    assert state.left_out()["closed_alert_cap"] >= 1
    again = streams.burst(streams.start_s + 5 * 3600, name="r", first_offset=24)
    outputs += streams.fold(again, state)[0]
    revisions = {}
    for alert in alerts_of(outputs):
        revisions.setdefault(alert.alert_id, []).append(alert.revision)
    assert all(found == list(range(1, len(found) + 1)) for found in revisions.values())
    assert max(map(len, revisions.values())) == 3
