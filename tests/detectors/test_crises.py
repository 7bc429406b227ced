from datetime import timedelta

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detectors.codec import decode_state, encode_state
from detectors.crises import LEAST_RATIO, concerns, in_force, markdown, report, under, without_expired
from detectors.entries import CrisisEntry, Origin
from detectors.policy import Configuration
from detectors.records import Alert, Crisis, Review
from detectors.virality import Mark, Tally

from .conftest import START_S, at

QUIET = {"virality": {"least_posts": 12, "least_cascade_posts": 12, "least_worded_posts": 12, "least_authors": 8}}


def crisis(word="declare", crisis_id="k", **fields):
    given = {
        "by": "ana",
        "why": "riots expected",
        "at": at(START_S),
        "threshold_ratio": 0.5,
        "expires_at": at(START_S + 3600) if word == "declare" else None,
    }
    return Crisis(crisis_id=crisis_id, word=word, **{**given, **fields})


def entry(one, offset=0):
    return CrisisEntry(origin=Origin("crisis", 0, offset), crisis=one)


def half_a_burst(streams, at_s=START_S, **fields):
    """Eight posts by eight accounts: less than the usual floors, more than half of them."""
    posts = streams.burst(at_s, posts=8, every_s=5)
    return [msgspec.structs.replace(post, **fields) for post in posts]


def alerts_of(outputs):
    return [one for one in outputs if isinstance(one, Alert)]


def folded(streams, *entries):
    return streams.fold([streams.configured(source_partitions=1, **QUIET), *entries])


def test_what_is_too_little_on_a_usual_day_is_alerted_under_a_crisis_and_says_so(streams):
    assert not alerts_of(folded(streams, *half_a_burst(streams))[0])
    outputs, _ = folded(streams, entry(crisis()), *half_a_burst(streams))
    [alert] = [one for one in alerts_of(outputs) if one.transition == "opened"]
    assert alert.crisis_id == "k"
    [words] = [reason.words for reason in alert.reasons if reason.signal == "crisis"]
    assert "under crisis k, declared by ana: thresholds at 50 % of the usual ones" in words
    assert "with those it is no alert" in words


def test_a_declaration_reaches_what_is_there_already(streams):
    outputs, _ = folded(streams, *half_a_burst(streams), entry(crisis()))
    assert [one.transition for one in alerts_of(outputs)] == ["opened"]


def test_what_would_be_an_alert_anyway_says_so_under_the_crisis(streams):
    outputs, _ = folded(streams, entry(crisis()), *streams.burst(START_S, posts=30))
    reasons = [reason.words for one in alerts_of(outputs) for reason in one.reasons if reason.signal == "crisis"]
    assert any("with those it would be watch" in words for words in reasons)


@pytest.mark.parametrize(
    "ended",
    [
        [crisis(), crisis("stand_down", why="calm")],
        [crisis(expires_at=at(START_S - 1))],
        [crisis(scope={"lang": "fr"})],
        [crisis(scope={"lang": "en", "place": "Ashford"})],
        [crisis(threshold_ratio=1.0)],
    ],
)
def test_ended_expired_or_elsewhere_it_changes_nothing(streams, ended):
    entries = [entry(one, offset) for offset, one in enumerate(ended)]
    outputs, _ = folded(streams, *entries, *half_a_burst(streams))
    assert not [one for one in alerts_of(outputs) if one.transition == "opened"]


@pytest.mark.parametrize(
    "scope", [{"lang": "en"}, {"lang": "fr, EN"}, {"platform": "x"}, {"community": "Town"}, {"place": "ashford"}]
)
def test_a_scope_is_a_language_platform_community_or_place(streams, scope):
    posts = half_a_burst(streams, community="town", place="Ashford")
    outputs, _ = folded(streams, entry(crisis(scope=scope)), *posts)
    assert alerts_of(outputs)


def test_it_ends_by_event_time(streams):
    _, state = folded(streams, entry(crisis()), *half_a_burst(streams, START_S + 3601), *half_a_burst(streams))
    assert not [case for case in state.core.cases.values() if case.is_live()]
    assert in_force({"k": crisis()}, START_S + 3599)
    assert not in_force({"k": crisis()}, START_S + 3601)
    assert without_expired({"k": crisis(), "l": crisis("stand_down", "l")}, START_S) == {"k": crisis()}


@given(st.floats(0.0, 1.0))
def test_thresholds_only_go_down_and_not_below_their_floors(ratio):
    usual, lowered = Configuration(), under(Configuration(), crisis(threshold_ratio=ratio))
    assert lowered.rules == usual.rules
    for name in ("least_posts", "least_cascade_posts", "least_worded_posts", "least_authors", "least_ratio", "burst_z"):
        assert 0 < LEAST_RATIO * getattr(usual.virality, name) * 0.8 <= getattr(lowered.virality, name)
        assert getattr(lowered.virality, name) <= getattr(usual.virality, name)
    assert lowered.virality.least_authors >= 3
    assert lowered.incitement.share <= usual.incitement.share


@given(st.floats(0.0, 1.0), st.floats(0.0, 1.0))
def test_the_lower_the_ratio_the_lower_the_thresholds(one, other):
    low, high = sorted((one, other))
    lower, higher = (under(Configuration(), crisis(threshold_ratio=ratio)).virality for ratio in (low, high))
    assert lower.least_posts <= higher.least_posts
    assert lower.burst_z <= higher.burst_z


def test_a_narrative_mostly_elsewhere_is_not_in_scope():
    tally = Tally()
    for number in range(20):
        lang = "en-GB" if number < 3 else "fr"
        tally.add(Mark(at_s=START_S, author_key=number, lang=lang, platform="x"))
    assert not concerns(crisis(scope={"lang": "en"}), tally)
    assert concerns(crisis(scope={"lang": "fr"}), tally)
    for number in range(4):
        tally.add(Mark(at_s=START_S, author_key=100 + number, lang="en-GB", platform="x"))
    assert concerns(crisis(scope={"lang": "en"}), tally)


def test_a_restart_in_a_crisis_changes_nothing(streams):
    entries = [streams.configured(source_partitions=1, **QUIET), entry(crisis()), *half_a_burst(streams)]
    whole, _ = streams.fold(entries)
    _, half = streams.fold(entries[:6])
    snapshot = encode_state(half)
    rest, _ = streams.fold(entries[6:], decode_state(snapshot.manifest, snapshot.chunks))
    assert streams.encoded(rest) == streams.encoded(whole)[-len(rest) :]


def test_the_report_tells_what_was_declared_alerted_and_answered(streams):
    outputs, state = folded(streams, entry(crisis()), *half_a_burst(streams))
    [opened] = [one for one in alerts_of(outputs) if one.transition == "opened"]
    dismissed = streams.feedback(0, "dismiss", alert_id=opened.alert_id, at_s=START_S + 300, note="a | joke")
    more, _ = streams.fold([dismissed], state)
    usual = msgspec.structs.replace(opened, alert_id="a-other", crisis_id=None)
    decisions = [crisis(), crisis(crisis_id="l"), crisis("stand_down", why="it is calm", at=at(START_S + 900))]
    whole = report("k", decisions, [*alerts_of(outputs), *alerts_of(more), usual])
    assert [one.alert_id for one in whole.alerts] == [opened.alert_id]
    assert whole.by_severity == {"page": 0, "notice": 0, "watch": 1}
    assert (whole.only_by_crisis, whole.dismissed, whole.confirmed, whole.unanswered) == (1, 1, 0, 0)
    assert whole.stood_down_why == "it is calm"
    assert len(whole.decisions) == 2
    assert 0 <= whole.first_alert_after_s < 60
    assert whole.median_answer_s == pytest.approx((at(START_S + 300) - opened.detected_at).total_seconds())
    words = markdown(whole)
    for part in ("# Crisis k", "riots expected", "50 %", "1 dismissed as false alarms", "it is calm", opened.alert_id):
        assert part in words


def test_nobody_reports_what_nobody_declared():
    assert report("k", [crisis("stand_down")], []) is None


def test_the_report_cannot_be_broken_by_what_strangers_wrote(streams):
    outputs, _ = folded(streams, entry(crisis()), *half_a_burst(streams))
    [opened] = [one for one in alerts_of(outputs) if one.transition == "opened"]
    evil = msgspec.structs.replace(
        opened, label="a | b\n| <script>", review=Review(state="confirmed", by="x|y", at=at(START_S) + timedelta(1))
    )
    rows = [line for line in markdown(report("k", [crisis()], [evil])).splitlines() if opened.alert_id in line]
    assert len(rows) == 1
    assert "a \\| b" in rows[0]
    assert "<script>" not in rows[0]
