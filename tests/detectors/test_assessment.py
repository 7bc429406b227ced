"""How fact-checks that come, change and go reach the alerts of narratives, and what becomes of a void."""

import pytest

from detectors.entries import ClaimEntry, Origin, SourceEnd, Tick
from detectors.records import Alert, Narrative

CLAIM = "Reservoir poisoned in Ashford, chlorine in the taps, boiling needed"


def alerts_of(outputs):
    return [output for output in outputs if isinstance(output, Alert)]


def changes_of(alert):
    return [reason.words for reason in alert.reasons if reason.signal == "evidence_changed"]


@pytest.fixture
def paged(streams):
    """State with an open page on a claim rated false, and the time after it."""
    start_s = streams.start_s
    entries = [
        streams.configured(source_partitions=1),
        streams.claim(0, CLAIM),
        *streams.burst(start_s, posts=16),
        Tick(now_at_s=start_s + 200.0),
    ]
    outputs, state = streams.fold(entries)
    last = alerts_of(outputs)[-1]
    assert (last.severity, last.verdict) == ("page", "contradicted by a fact-check")
    assert "false_narrative" in last.kinds
    return state, start_s + 400.0


def withdrawal(offset):
    return ClaimEntry(origin=Origin("claims", 0, offset), claim_id="c")


def test_a_claim_that_is_withdrawn_takes_its_kind_and_its_severity_from_the_open_alert_and_says_so(streams, paged):
    state, at_s = paged
    outputs, state = streams.fold([withdrawal(1), Tick(now_at_s=at_s)], state)
    [alert] = alerts_of(outputs)
    assert (alert.transition, alert.severity, alert.kinds) == ("updated", "watch", ("viral",))
    assert changes_of(alert) == ["a fact-check that it was sent with (read as false) was withdrawn"]
    assert (alert.matched_claims, alert.verdict) == ((), "unreviewed")
    again, _ = streams.fold([Tick(now_at_s=at_s + 100.0)], state)
    assert not [one for one in alerts_of(again) if changes_of(one)]


def test_a_claim_that_is_rated_anew_updates_the_open_alert_in_words(streams, paged):
    state, at_s = paged
    outputs, _ = streams.fold([streams.claim(1, CLAIM, rating="True"), Tick(now_at_s=at_s)], state)
    [alert] = alerts_of(outputs)
    assert (alert.transition, alert.severity, alert.kinds) == ("updated", "watch", ("viral",))
    assert changes_of(alert)[0].startswith("re-rated: read as false before, now a claim rated “True”")
    assert alert.verdict == "confirmed by a fact-check"


def test_what_a_person_escalated_stays_a_page_when_its_claim_is_withdrawn(streams, paged):
    state, at_s = paged
    alert_id = next(iter(state.core.cases.values())).alert_id
    entries = [streams.feedback(0, "escalate", alert_id=alert_id), withdrawal(1), Tick(now_at_s=at_s)]
    outputs, _ = streams.fold(entries, state)
    assert alerts_of(outputs)[-1].severity == "page"
    assert changes_of(alerts_of(outputs)[-1])


def test_a_muted_alert_loses_its_claim_silently(streams, paged):
    state, at_s = paged
    case = next(iter(state.core.cases.values()))
    _, state = streams.fold([streams.feedback(0, "mute", alert_id=case.alert_id)], state)
    silent, _ = streams.fold([withdrawal(1), Tick(now_at_s=at_s)], state)
    assert not alerts_of(silent)
    assert "false_narrative" not in case.kinds


def test_a_fact_check_that_comes_late_is_told_and_one_of_no_rating_raises_nothing(streams):
    start_s = streams.start_s
    _, state = streams.fold(
        [streams.configured(source_partitions=1), *streams.burst(start_s, posts=16), Tick(now_at_s=start_s + 200.0)]
    )
    outputs, _ = streams.fold([streams.claim(0, CLAIM, rating=""), Tick(now_at_s=start_s + 400.0)], state)
    [alert] = alerts_of(outputs)
    assert (alert.severity, alert.kinds, alert.verdict) == ("watch", ("viral",), "fact-checked, rating unknown")
    assert changes_of(alert)[0].startswith("a fact-check has come: a claim fact-checked by a fact-checker")


def test_a_withdrawn_claim_pages_no_narrative_that_was_matched_before(streams):
    """The narrative was matched while it was small; it bursts after the withdrawal, before it is matched again."""
    start_s = streams.start_s
    burst = streams.burst(start_s, posts=6)
    _, state = streams.fold([streams.configured(source_partitions=1), streams.claim(0, CLAIM), *burst])
    state.core.cases.clear()
    [narrative] = state.narratives.narratives.values()
    assert narrative.matches
    outputs, _ = streams.fold([withdrawal(1), *streams.burst(start_s + 40, posts=1, first_offset=6, name="q")], state)
    assert not [alert for alert in alerts_of(outputs) if alert.matched_claims]


def test_a_story_that_drifts_is_matched_by_what_it_says_now(streams):
    """It begins with other words, and goes on with those of the claim."""
    start_s = streams.start_s
    posts = [
        *streams.burst(start_s, posts=2, words="reservoir ashford news tonight", name="a"),
        *streams.burst(start_s + 20, posts=22, words=CLAIM, name="b", first_offset=2, every_s=3),
    ]
    outputs, state = streams.fold([streams.configured(source_partitions=1), streams.claim(0, CLAIM), *posts])
    [page] = {alert.narrative_id for alert in alerts_of(outputs) if alert.severity == "page"}
    first = next(iter(state.narratives.micros.values()))
    founding = state.claims.best(first.shown["earliest"].text, first.vector, k=1)[0]
    assert state.narratives.narratives[page].matches[0].probability > 0.5 > founding.probability


def asking(streams, at_s, first_offset):
    words = ["reservoir poisoned ashford? is this true?"] * 8
    return [
        streams.post(f"q{place}", at_s + place, f"{text} {place}", offset=first_offset + place)
        for place, text in enumerate(words)
    ]


@pytest.fixture
def void(streams):
    """State with an open alert on an information void, and the time after it."""
    start_s = streams.start_s
    configured = streams.configured(
        source_partitions=1, sources={"credible_domains": ["news.example"]}, narratives={"micro_similarity": 0.2}
    )
    posts = [*streams.burst(start_s, posts=12, every_s=1), *asking(streams, start_s + 20, 12)]
    outputs, state = streams.fold([configured, *posts, Tick(now_at_s=start_s + 100.0)])
    last = alerts_of(outputs)[-1]
    assert (last.severity, last.kinds) == ("notice", ("information_void", "viral"))
    [words] = [reason.words for reason in last.reasons if reason.signal == "information_void"]
    assert words.endswith("questions in the last hour, no fact-check, none of the 1 credible sources")
    return state, start_s + 100.0


def test_a_void_ends_with_an_update_when_a_credible_source_is_there(streams, void):
    state, at_s = void
    answer = streams.post(
        "news", at_s + 1, "reservoir poisoned ashford: what we know", offset=50, urls=("https://news.example/1",)
    )
    outputs, state = streams.fold([answer, Tick(now_at_s=at_s + 200.0)], state)
    told = [alert for alert in alerts_of(outputs) if changes_of(alert)]
    assert [alert.kinds for alert in told] == [("viral",)]
    assert changes_of(told[0]) == ["a credible source is there now: no information void any more"]
    assert state.core.cases[told[0].narrative_id].kinds == ("viral",)


def test_a_void_ends_with_an_update_when_a_fact_check_is_there(streams, void):
    state, at_s = void
    claim = streams.claim(0, "reservoir poisoned ashford chlorine taps boiling", rating="Research in progress")
    outputs, _ = streams.fold([claim, Tick(now_at_s=at_s + 200.0)], state)
    told = [alert for alert in alerts_of(outputs) if changes_of(alert)]
    assert [alert.kinds for alert in told] == [("viral",)]
    assert told[0].verdict == "fact-checked, rating unknown"


@pytest.mark.parametrize(
    ("word", "verdict"),
    [
        (None, "unreviewed"),
        ("acknowledge", "unverified"),
        ("confirm", "unverified; the alert was confirmed by a person"),
        ("dismiss", "unverified; the alert was dismissed by a person"),
    ],
)
def test_without_a_fact_check_the_verdict_tells_whether_a_person_has_looked(streams, word, verdict):
    start_s = streams.start_s
    outputs, state = streams.fold([streams.configured(source_partitions=1), *streams.burst(start_s, posts=16)])
    if word is not None:
        alert_id = alerts_of(outputs)[0].alert_id
        outputs, state = streams.fold([streams.feedback(0, word, alert_id=alert_id)], state)
    assert alerts_of(outputs)[-1].verdict == verdict


@pytest.fixture
def retold(streams):
    """State with an open page on a claim rated false, the alert of another story that a person links with the claim."""
    start_s = streams.start_s
    other = streams.burst(start_s + 100, posts=16, words=streams.words[1], name="q", first_offset=16)
    entries = [
        streams.configured(source_partitions=1),
        streams.claim(0, CLAIM),
        *streams.burst(start_s, posts=16),
        *other,
        Tick(now_at_s=start_s + 200.0),
    ]
    outputs, state = streams.fold(entries)
    page, watch = (alerts_of(outputs)[place].alert_id for place in (0, -1))
    last = {alert.alert_id: alert.severity for alert in alerts_of(outputs)}
    assert (last[page], last[watch]) == ("page", "watch")
    linked = streams.feedback(0, "link_claim", alert_id=watch, claim_id="c", at_s=start_s + 210)
    more = streams.burst(start_s + 220, posts=4, words=streams.words[1], name="r", first_offset=32)
    outputs, state = streams.fold([linked, *more, Tick(now_at_s=start_s + 260.0)], state)
    return page, alerts_of(outputs)[-1], state


def test_a_claim_that_a_person_links_counts_as_matched_until_it_is_withdrawn(streams, retold):
    _, other, state = retold
    [claim] = other.matched_claims
    assert (claim.claim_id, claim.verdict, claim.linked, claim.probability) == ("c", "false", True, 1.0)
    assert any(reason.words.endswith("(a person linked it)") for reason in other.reasons)
    outputs, _ = streams.fold([withdrawal(1), Tick(now_at_s=streams.start_s + 400.0)], state)
    last = [alert for alert in alerts_of(outputs) if alert.alert_id == other.alert_id][-1]
    assert (last.severity, last.matched_claims, last.kinds) == ("watch", (), ("viral",))


def test_a_link_with_a_claim_that_nobody_knows_says_so_until_the_claim_is_there(streams):
    entries = [streams.configured(source_partitions=1), *streams.burst(streams.start_s, posts=16)]
    outputs, state = streams.fold(entries)
    alert_id = alerts_of(outputs)[-1].alert_id
    linked = streams.feedback(0, "link_claim", alert_id=alert_id, claim_id="c", at_s=streams.start_s + 60)
    outputs, state = streams.fold([linked], state)
    [alert] = alerts_of(outputs)
    told = [reason.words for reason in alert.reasons if reason.signal == "linked_claim_unknown"]
    assert (told, alert.matched_claims) == (["a person linked it with “c”: no such claim"], ())
    outputs, _ = streams.fold([streams.claim(0, CLAIM), Tick(now_at_s=streams.start_s + 200.0)], state)
    alert = alerts_of(outputs)[-1]
    assert [claim.claim_id for claim in alert.matched_claims] == ["c"]
    assert not [reason for reason in alert.reasons if reason.signal == "linked_claim_unknown"]


def test_a_claim_that_is_on_an_open_page_pages_for_no_other_narrative(retold):
    page, other, _ = retold
    assert (other.severity, other.kinds) == ("notice", ("false_narrative", "viral"))
    [reason] = [reason.words for reason in other.reasons if reason.signal == "claim_already_paged"]
    assert reason == f"such a claim is on the page {page} already"


def test_a_claim_pages_again_when_its_page_is_dismissed_and_another_narrative_goes_on(streams, retold):
    page, other, state = retold
    at_s = streams.start_s + 280
    more = streams.burst(at_s, posts=16, words=streams.words[1], name="s", first_offset=36)
    dismissed = streams.feedback(1, "dismiss", alert_id=page, at_s=at_s)
    outputs, _ = streams.fold([dismissed, *more, Tick(now_at_s=at_s + 200.0)], state)
    last = alerts_of(outputs)[-1]
    assert (last.alert_id, last.severity) == (other.alert_id, "page")


def test_a_story_of_reshares_alone_has_a_label_and_is_matched_with_what_it_says(streams):
    reshares = [
        streams.post(f"r{n}", streams.start_s + 5 * n, f"RT @who: {CLAIM}", offset=n, kind="reshare") for n in range(16)
    ]
    entries = [streams.configured(source_partitions=1), streams.claim(0, CLAIM), *reshares]
    outputs, _ = streams.fold([*entries, Tick(now_at_s=streams.start_s + 400.0)])
    last = alerts_of(outputs)[-1]
    assert "poisoned" in last.label
    assert (last.verdict, last.severity) == ("contradicted by a fact-check", "page")


def test_links_to_satirical_sites_and_claims_labelled_so_read_as_satire(streams):
    start_s = streams.start_s
    satirical = [
        streams.post(f"s{place}", start_s + place, "mayor marries a swan", offset=place, urls=("theturnip.example/1",))
        for place in range(12)
    ]
    configured = streams.configured(source_partitions=1, sources={"satire_domains": ["theturnip.example"]})
    outputs, _ = streams.fold([configured, *satirical])
    assert alerts_of(outputs)[-1].verdict == "satire"
    labelled = streams.claim(0, CLAIM, rating="Labeled Satire")
    outputs, _ = streams.fold([streams.configured(source_partitions=1), labelled, *streams.burst(start_s, posts=16)])
    last = alerts_of(outputs)[-1]
    assert (last.verdict, last.severity, last.matched_claims[0].satire) == ("satire", "watch", True)


def test_a_narrative_with_an_open_alert_is_published_when_it_has_grown_by_a_tenth_after_five_minutes_and_in_the_end(
    streams,
):
    """One more post of thirty is no news within a minute; three are; and one is after five minutes, or at the end."""
    start_s = streams.start_s
    _, state = streams.fold([streams.configured(source_partitions=1), *streams.burst(start_s, posts=30)])
    [narrative] = state.narratives.narratives.values()
    _, state = streams.fold([Tick(now_at_s=start_s + 300.0)], state)
    assert narrative.sent_posts == 30

    def sent_after(posts, at_s, first_offset):
        later = streams.burst(at_s, posts=posts, name=f"q{first_offset}", first_offset=first_offset)
        outputs, _ = streams.fold([*later, Tick(now_at_s=at_s + 90.0)], state)
        return [output.counts.posts for output in outputs if isinstance(output, Narrative)]

    assert sent_after(1, start_s + 320.0, 30) == []
    assert sent_after(2, start_s + 420.0, 31) == [33]
    assert sent_after(1, start_s + 520.0, 33) == []
    assert sent_after(1, start_s + 900.0, 34) == [35]
    assert sent_after(1, start_s + 1000.0, 35) == []
    outputs, _ = streams.fold([SourceEnd(origin=Origin("posts", 0, 36))], state)
    assert [output.counts.posts for output in outputs if isinstance(output, Narrative)] == [36]
