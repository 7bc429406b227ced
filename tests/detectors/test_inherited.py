"""What becomes of alerts that were open when the state that knew their narratives was lost."""

import msgspec
import pytest

from detectors.codec import decode_entry, decode_state, encode_entry, encode_record, encode_state
from detectors.entries import OpenAlert, Origin, Tick
from detectors.inherited import FOUND_AGAIN, SIGNAL
from detectors.records import Alert, Narrative

CLAIM = "Reservoir poisoned in Ashford, chlorine in the taps, boiling needed"
OTHER = "bridge collapsed marlow engineers cracked closed"


def alerts_of(outputs):
    return [output for output in outputs if isinstance(output, Alert)]


def taken_over(alert):
    return [reason.words for reason in alert.reasons if reason.signal == SIGNAL]


@pytest.fixture(scope="module")
def begin(streams):
    return [streams.configured(source_partitions=1), streams.claim(0, CLAIM)]


@pytest.fixture(scope="module")
def before(streams, begin):
    """Journal of a story that pages; the last revision of its alert; and what the next state is told of it."""
    start_s = streams.start_s
    journal = [*begin, *streams.burst(start_s, posts=40), Tick(now_at_s=start_s + 300.0)]
    outputs, _ = streams.fold(journal)
    last = alerts_of(outputs)[-1]
    assert (last.severity, last.transition) == ("page", "updated")
    [texts] = [[one.text for one in record.exemplars] for record in outputs if isinstance(record, Narrative)][-1:]
    vectors = tuple(scores.vector for scores in streams.scorer.score_texts(texts))
    entry = OpenAlert(origin=Origin("seeds/alerts", 0, 0), alert=last, wordings=vectors)
    return journal, last, decode_entry(encode_entry(entry))


def test_a_narrative_that_is_known_by_its_words_goes_on_under_its_alert_and_pages_no_one_again(streams, begin, before):
    _, last, entry = before
    posts = streams.burst(streams.start_s + 600, posts=40, name="later-", first_offset=50)
    alerts = alerts_of(streams.fold([*begin, entry, *posts])[0])
    assert {alert.alert_id for alert in alerts} == {last.alert_id}
    first = alerts[0]
    assert (first.transition, first.revision, first.severity) == ("updated", last.revision + 1, "page")
    assert first.narrative_id != last.narrative_id
    assert taken_over(first) == [FOUND_AGAIN.words]
    assert "opened" not in {alert.transition for alert in alerts}
    assert [alert.revision for alert in alerts] == list(range(first.revision, first.revision + len(alerts)))
    assert not any(map(taken_over, alerts[1:]))


def test_a_narrative_is_known_by_a_post_that_its_alert_showed(streams, begin, before):
    _, last, entry = before
    shown = last.exemplars[0].post_id
    entry = msgspec.structs.replace(entry, wordings=(), alert=msgspec.structs.replace(last, narrative_id="n-gone"))
    known = streams.burst(streams.start_s + 600, posts=20, name="later-", first_offset=50)
    known[3] = msgspec.structs.replace(known[3], post_id=shown)
    strange = streams.burst(streams.start_s + 600, posts=20, name="later-", first_offset=50)
    assert {alert.alert_id for alert in alerts_of(streams.fold([*begin, entry, *known])[0])} == {last.alert_id}
    [opened, *_] = alerts_of(streams.fold([*begin, entry, *strange])[0])
    assert (opened.transition, opened.alert_id == last.alert_id) == ("opened", False)


def test_what_does_not_come_again_clears_in_time_and_says_why_and_other_stories_open_alerts_of_their_own(
    streams, begin, before
):
    _, last, entry = before
    start_s = streams.start_s + 600.0
    told, state = streams.fold([*begin, Tick(now_at_s=start_s), entry])
    assert not alerts_of(told)
    posts = streams.burst(start_s, posts=20, words=OTHER, name="other-", first_offset=50)
    outputs, state = streams.fold([*posts, Tick(now_at_s=start_s + 1700.0)], state)
    assert last.alert_id not in {alert.alert_id for alert in alerts_of(outputs)}
    assert alerts_of(outputs)[0].transition == "opened"
    outputs, state = streams.fold([Tick(now_at_s=start_s + 2000.0)], state)
    [ended] = [alert for alert in alerts_of(outputs) if alert.alert_id == last.alert_id]
    assert (ended.transition, ended.revision, ended.counts) == ("cleared", last.revision + 1, last.counts)
    assert "lost its state" in taken_over(ended)[0]
    assert start_s + 1800.0 <= ended.changed_at.timestamp() <= start_s + 2000.0
    assert ended.handling.retain_until - ended.changed_at == last.handling.retain_until - last.changed_at
    assert not state.core.inherited


def test_a_journal_that_is_folded_anew_says_nothing_again_of_the_time_that_was_told_of(streams, before):
    journal, last, entry = before
    renamed = msgspec.structs.replace(entry, alert=msgspec.structs.replace(last, narrative_id="n-of-other-code"))
    same, _ = streams.fold([journal[0], entry, *journal[1:]])
    other, state = streams.fold([journal[0], renamed, *journal[1:]])
    assert not alerts_of(same)
    [found] = alerts_of(other)
    assert (found.alert_id, found.revision, taken_over(found)) == (
        last.alert_id,
        last.revision + 1,
        [FOUND_AGAIN.words],
    )
    grown = streams.burst(streams.start_s + 320, posts=80, name="later-", first_offset=50)
    outputs, _ = streams.fold(grown, state)
    alerts = alerts_of(outputs)
    assert {(alert.alert_id, alert.transition) for alert in alerts} == {(last.alert_id, "updated")}
    assert [alert.revision for alert in alerts] == list(range(found.revision + 1, found.revision + 1 + len(alerts)))


def test_a_person_s_word_on_it_holds_also_when_its_narrative_comes_again(streams, begin, before):
    _, last, entry = before
    word = streams.feedback(0, "dismiss", at_s=streams.start_s + 500, alert_id=last.alert_id)
    outputs, state = streams.fold([*begin, Tick(now_at_s=streams.start_s + 500.0), entry, word])
    [retracted] = alerts_of(outputs)
    assert (retracted.transition, retracted.review.state, retracted.review.by) == ("retracted", "dismissed", "ana")
    posts = streams.burst(streams.start_s + 600, posts=40, name="later-", first_offset=50)
    assert not alerts_of(streams.fold(posts, state)[0])


def test_a_deleted_post_is_shown_no_more(streams, begin, before):
    _, last, entry = before
    gone = last.exemplars[0].post_id
    outputs, state = streams.fold([*begin, entry, streams.deletion(0, post_id=gone)])
    [alert] = alerts_of(outputs)
    assert gone not in {shown.post_id for shown in alert.exemplars}
    assert "reservoir" not in alert.label
    assert not state.core.inherited[last.alert_id].wordings


@pytest.mark.parametrize("cut", [3, 4, 9, 20, 44])
def test_a_state_that_was_read_back_in_between_publishes_the_same_bytes(streams, begin, before, cut):
    _, _, entry = before
    second = msgspec.structs.replace(
        entry,
        origin=Origin("seeds/alerts", 0, 1),
        alert=msgspec.structs.replace(entry.alert, alert_id="a-2", narrative_id="n-2"),
        wordings=(),
    )
    posts = streams.burst(streams.start_s + 600, posts=40, name="later-", first_offset=50)
    entries = [*begin, entry, second, *posts, Tick(now_at_s=streams.start_s + 9000.0)]
    whole = [encode_record(one) for one in streams.fold(entries)[0]]
    first, state = streams.fold(entries[:cut])
    snapshot = encode_state(state)
    rest, _ = streams.fold(entries[cut:], decode_state(snapshot.manifest, snapshot.chunks))
    assert [encode_record(one) for one in (*first, *rest)] == whole
