from datetime import UTC, datetime

import msgspec
import pytest

from detectors.alerts import Facts, Judgement, new_case
from detectors.records import (
    Alert,
    Counts,
    DataHealth,
    Exemplar,
    Growth,
    Handling,
    IncitementShare,
    MatchedClaim,
    Narrative,
    NarrativeExemplar,
    Review,
    Spread,
    Stance,
    StanceTrend,
    TimelineBucket,
)
from detectors.words import duration, explain, reasons, verdict, why_now

AT = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
COUNTS = Counts(posts=52, authors=40, reshares=30, replies=1, late=0, window_s=600, window_posts=37, window_authors=29)
GROWTH = Growth(
    state="bursting",
    velocity_per_s=0.06,
    expected=2.1,
    basis="narratives_of_this_age",
    burst_z=12.0,
    doubling_time_s=240.0,
)
FALSE_CLAIM = MatchedClaim(
    claim_id="https://checks.example/7",
    claim="The bridge was closed by the army.",
    publisher="Example Checks",
    rating="False",
    verdict="false",
    similarity=0.9,
    probability=0.93,
)


def facts_of(*names, **measured):
    return Facts(counts=COUNTS, growth=GROWTH, **dict.fromkeys(names, True), **measured)


def claim(word, rating="rated"):
    return msgspec.structs.replace(FALSE_CLAIM, verdict=word, rating=rating)


def growth(**changes):
    return msgspec.structs.replace(GROWTH, **changes)


def trend(recent, before, posts=20, posts_before=40):
    return StanceTrend(window_s=600, posts=posts, posts_before=posts_before, recent=recent, before=before)


def test_a_shift_of_attitudes_is_told_in_words():
    facts = facts_of("viral", stance_trend=trend(Stance(support=0.5, deny=0.5), Stance(support=0.92, deny=0.08)))
    found = {reason.signal: reason for reason in reasons(facts)}["stance_shift"]
    assert found.words in {
        "denial rises: 50 % of the last 10 minutes, 8 % before",
        "support falls: 50 % of the last 10 minutes, 92 % before",
    }


@pytest.mark.parametrize(
    "shift",
    [
        None,
        trend(Stance(deny=0.2, comment=0.8), Stance(deny=0.1, comment=0.9)),
        trend(Stance(deny=1.0), Stance(support=1.0), posts=9),
        trend(Stance(deny=1.0), Stance(support=1.0), posts_before=9),
    ],
)
def test_a_small_shift_or_one_of_few_posts_is_not(shift):
    assert "stance_shift" not in {reason.signal for reason in reasons(facts_of("viral", stance_trend=shift))}


def test_unconfirmed_and_a_void_are_told_with_what_was_counted_and_never_as_false():
    facts = facts_of(
        "viral", "unconfirmed", "information_void", hedging_posts=31, hedging_share=0.6, asked=38, credible_sources=12
    )
    found = {reason.signal: reason.words for reason in reasons(facts)}
    assert found["information_void"] == "38 questions in the last hour, no fact-check, none of the 12 credible sources"
    assert found["unconfirmed"].startswith("31 posts (60 %) pass it on without vouching for it")
    assert found["unconfirmed"].endswith("unconfirmed does not mean false")


def test_expected_is_only_said_of_a_narrative_with_a_history():
    assert "were expected" not in why_now(COUNTS, GROWTH)
    assert "2.1 is typical for narratives of this age" in why_now(COUNTS, GROWTH)
    assert "2.1 were expected from its own history" in why_now(COUNTS, growth(basis="own_history"))


def test_too_little_is_called_too_little():
    words = why_now(COUNTS, growth(state="insufficient_data", doubling_time_s=None))
    assert words == "37 posts by 29 accounts in 10 minutes; too little yet to say whether that is unusual"


def test_what_falls_is_not_said_to_double():
    words = why_now(COUNTS, growth(state="falling"))
    assert "doubled" not in words
    assert "less than half" in words


def test_one_is_singular():
    one = msgspec.structs.replace(COUNTS, window_posts=1, window_authors=1, window_s=60)
    assert why_now(one, growth(doubling_time_s=None)).startswith("1 post by 1 account in 1 minute;")


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "0 seconds"), (1, "1 second"), (60, "1 minute"), (61, "61 seconds"), (120, "2 minutes"), (7200, "2 hours")],
)
def test_durations_read_as_people_say_them(seconds, words):
    assert duration(seconds) == words


def test_each_fact_that_holds_is_a_reason_with_what_was_measured():
    facts = facts_of(
        "viral",
        "contested",
        "correction_led",
        "incites",
        "call_names_place_and_time",
        claims=(FALSE_CLAIM,),
        doubting_posts=9,
        doubting_share=0.27,
        correction_share=0.61,
        inciting=IncitementShare(posts=8, judged=26, share=0.31, low=0.1650, high=0.5000, authors=7),
        calls=1,
    )
    found = {reason.signal: reason for reason in reasons(facts, share_of_stream=0.125)}
    assert list(found) == [
        "burst",
        "share_of_stream",
        "claim_rated_false",
        "contested",
        "correction_led",
        "incites",
        "call_names_place_and_time",
    ]
    assert (found["burst"].measured, found["burst"].expected) == (37.0, 2.1)
    assert (found["claim_rated_false"].measured, found["claim_rated_false"].expected) == (0.93, 0.5)
    assert found["claim_rated_false"].words == (
        "repeats a claim rated “False” by Example Checks: “The bridge was closed by the army.”"
        " (probability of the match 0.93)"
    )
    assert found["contested"].words.startswith("9 posts (27 % of those with own words) ask whether it is true")
    assert found["call_names_place_and_time"].words == "1 post of these call to act and name a place and a time"


def test_what_does_not_hold_is_no_reason():
    assert [reason.signal for reason in reasons(facts_of("viral"))] == ["burst"]


def test_demotion_escalation_and_what_was_held_back_are_said():
    case = new_case("n-1")
    case.demoted, case.escalated_by, case.suppressed = True, "ana", 2
    judgement = Judgement(severity="page", kinds=("viral",), rules=("spreads", "loud"))
    words = {reason.signal: reason.words for reason in reasons(facts_of("viral"), judgement, case)}
    assert words["policy"] == "rules that hold: “spreads”, “loud”"
    assert "pages of this hour are spent" in words["page_budget"]
    assert words["escalated"] == "escalated by ana"
    assert words["suppressed"] == "2 updates held back by snooze or mute"


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ((), "unreviewed"),
        (("unknown",), "fact-checked, rating unknown"),
        (("mixed", "unknown"), "rated partly true by Example Checks"),
        (("true",), "confirmed by Example Checks"),
        (("false", "mixed"), "contradicted by Example Checks"),
        (("false", "true"), "fact-checks disagree"),
    ],
)
def test_a_verdict_is_that_of_fact_checks(words, expected):
    assert verdict(facts_of(claims=tuple(map(claim, words)))) == expected


@pytest.mark.parametrize(
    "names", [("viral",), ("viral", "contested"), ("viral", "incites"), ("viral", "claim_matched")]
)
def test_nothing_but_a_fact_check_makes_it_read_as_false(names):
    facts = facts_of(*names, claims=(claim("unknown", ""),) if "claim_matched" in names else ())
    words = " ".join(reason.words for reason in reasons(facts)).replace("does not mean false", "")
    assert "false" not in words.lower()
    assert "false" not in verdict(facts)


def test_a_long_claim_is_cut():
    words = reasons(facts_of(claims=(msgspec.structs.replace(FALSE_CLAIM, claim="word " * 500),)))[1].words
    assert len(words) < 320
    assert "…”" in words


def alert_of(**changes):
    facts = facts_of("viral", "claim_rated_false", claims=(FALSE_CLAIM,))
    fields = {
        "alert_id": "a-1",
        "revision": 3,
        "epoch": 1,
        "transition": "updated",
        "narrative_id": "n-1",
        "event_id": "e-1",
        "severity": "page",
        "kinds": ("false_narrative", "viral"),
        "reasons": reasons(facts),
        "counts": COUNTS,
        "growth": GROWTH,
        "forecast": None,
        "stance": Stance(support=0.5, comment=0.5),
        "matched_claims": (FALSE_CLAIM,),
        "verdict": verdict(facts),
        "coordination": None,
        "spread": Spread(platforms={"x": 50, "y": 2}, languages={"en": 52}, communities={}),
        "exemplars": (Exemplar(post_id="p-1", why="earliest"),),
        "label": "bridge closed army",
        "merged_into": None,
        "data_health": DataHealth(watermark_at=AT, behind_s=0.0, late_ratio=0.01, silent_partitions=0),
        "model": "toy@1",
        "config_hash": "abc",
        "first_seen": AT,
        "detected_at": AT,
        "changed_at": AT,
        "review": Review(state="acknowledged", by="ana", note="calling the police desk"),
        "handling": Handling(contains_named_person=False, retain_until=AT),
    }
    return Alert(**{**fields, **changes})


def narrative_of():
    return Narrative(
        narrative_id="n-1",
        event_id="e-1",
        label="bridge closed army",
        state="live",
        merged_into=None,
        micro_clusters=2,
        counts=COUNTS,
        growth=GROWTH,
        stance=Stance(),
        verdict="unverified",
        matched_claims=(),
        incitement_share=0.0,
        exemplars=(
            NarrativeExemplar(post_id="p-1", why="earliest", text="secret text of Jo", platform="x", created_at=AT),
        ),
        timeline_bucket_s=60,
        timeline=tuple(TimelineBucket(at=AT, posts=posts, expected=0.2) for posts in range(100)),
        spread=Spread(platforms={}, languages={}, communities={}),
        first_seen=AT,
        last_seen=AT,
        alert_id="a-1",
        why_now=why_now(COUNTS, GROWTH),
    )


def test_the_explanation_says_what_it_is_why_it_fired_and_what_people_made_of_it():
    words = explain(alert_of(), narrative_of())
    for part in (
        "Alert a-1, revision 3: page, updated",
        "Kinds: false narrative, viral. Verdict: contradicted by Example Checks.",
        "not a finding",
        "It does not say whether it is true",
        "37 posts by 29 accounts in 10 minutes",
        "52 posts by 40 accounts in all: 30 reshares, 1 reply, 0 late",
        "repeats a claim rated “False” by Example Checks",
        "https://checks.example/7",
        "p-1: the earliest",
        "Platforms: x 50, y 2",
        "Review: acknowledged by ana",
        "calling the police desk",
        "2 wordings",
        "█",
    ):
        assert part in words


def test_the_explanation_quotes_no_post():
    assert "secret" not in explain(alert_of(), narrative_of())


def test_the_explanation_needs_no_narrative():
    assert "Narrative n-1" not in explain(alert_of())


def test_a_named_person_restricts_passing_on():
    named = Handling(contains_named_person=True, retain_until=AT)
    assert "pass it on only" in explain(alert_of(handling=named))
    assert "pass it on only" not in explain(alert_of())


def test_what_strangers_wrote_cannot_steer_a_terminal():
    words = explain(alert_of(label="\x1b[2Jgone\u202e\nAlert a-2"))
    assert "\x1b" not in words
    assert "\u202e" not in words
    assert "\nAlert a-2" not in words
