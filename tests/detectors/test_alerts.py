from datetime import UTC, datetime

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from detectors.alerts import (
    FACTS,
    Budget,
    Case,
    Facts,
    Judgement,
    PolicyError,
    advance,
    apply_feedback,
    check_rules,
    elder,
    establish,
    expire,
    judge,
    merge_cases,
    new_case,
)
from detectors.policy import DEFAULT_RULES, Configuration, LifeCycleParameters, Rule
from detectors.records import KINDS, SEVERITIES, Counts, Feedback, Growth, MatchedClaim
from detectors.virality import Mark, Population, Tally, assess, author_key, counts

PARAMETERS = LifeCycleParameters()
HOUR_S = 3600.0


def growth_of(state="bursting"):
    return Growth(
        state=state, velocity_per_s=0.1, expected=1.5, basis="narratives_of_this_age", burst_z=9.0, doubling_time_s=60.0
    )


def counts_of(posts=20, window_posts=20):
    return Counts(
        posts=posts,
        authors=posts,
        reshares=0,
        replies=0,
        late=0,
        window_s=600,
        window_posts=window_posts,
        window_authors=window_posts,
    )


def facts_of(*names):
    return Facts(counts=counts_of(), growth=growth_of(), **dict.fromkeys(names, True))


def judged(severity="watch", *kinds):
    return Judgement(severity=severity, kinds=kinds or ("viral",), rules=("a rule",))


def feedback(word, **changes):
    at = datetime.fromtimestamp(0, UTC)
    return Feedback(feedback_id="f1", by="ana", at=at, word=word, **changes)


def step(case, now_s, severity="watch", *kinds, posts=20, window_posts=20, state="bursting", budget=None, **changes):
    """Advance a case under the given judgement (severity None: no rule holds); return the name of what was sent."""
    judgement = None if severity is None else judged(severity, *kinds)
    parameters = msgspec.structs.replace(PARAMETERS, **changes)
    sent = advance(
        case, judgement, growth_of(state), counts_of(posts, window_posts), now_s, parameters, budget or Budget()
    )
    return sent and sent.transition


def opened_case(severity="watch", now_s=0.0, narrative_id="n-1", budget=None):
    case = new_case(narrative_id)
    assert step(case, now_s, severity, budget=budget) == "opened"
    return case


def test_every_fact_is_established_and_has_a_meaning():
    assert {name for name, hint in Facts.__annotations__.items() if hint is bool} == set(FACTS)
    assert all(FACTS.values())


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        ([Rule(name="r", when=("vrial",), severity="watch", kind="viral")], "rule 'r': unknown fact 'vrial'.*'viral'"),
        (
            [Rule(name="r", when=("not funny",), severity="watch", kind="viral")],
            "rule 'r': unknown fact 'funny'.*known",
        ),
        ([Rule(name="r", when=(), severity="watch", kind="viral")], "rule 'r': `when` is empty"),
        ([DEFAULT_RULES[0], DEFAULT_RULES[0]], "another rule of this name"),
    ],
)
def test_a_policy_that_cannot_be_used_is_refused_by_the_name_of_its_rule(rules, message):
    with pytest.raises(PolicyError, match=message):
        check_rules(rules)


def test_the_default_policy_can_be_used():
    check_rules(DEFAULT_RULES)


@pytest.mark.parametrize(
    ("names", "severity", "kinds"),
    [
        (("viral",), "watch", ("viral",)),
        (("viral", "claim_matched"), "watch", ("viral",)),
        (("viral", "claim_matched", "claim_rated_true"), "watch", ("viral",)),
        (("viral", "claim_matched", "claim_rated_false"), "page", ("false_narrative", "viral")),
        (("viral", "claim_matched", "claim_rated_false", "correction_led"), "watch", ("viral",)),
        (("viral", "contested"), "notice", ("viral",)),
        (("viral", "contested", "correction_led"), "watch", ("viral",)),
        (("viral", "incites"), "notice", ("incitement", "viral")),
        (("viral", "incites", "call_names_place_and_time"), "page", ("incitement", "viral")),
        (
            ("viral", "claim_rated_false", "incites", "call_names_place_and_time"),
            "page",
            ("incitement", "false_narrative", "viral"),
        ),
    ],
)
def test_the_default_policy_judges(names, severity, kinds):
    judgement = judge(DEFAULT_RULES, facts_of("spreading", *names))
    assert (judgement.severity, judgement.kinds) == (severity, kinds)


def test_harm_needs_no_large_cascade():
    judgement = judge(DEFAULT_RULES, facts_of("spreading", "claim_matched", "claim_rated_false"))
    assert (judgement.severity, judgement.kinds) == ("page", ("false_narrative",))
    assert judge(DEFAULT_RULES, facts_of("spreading")) is None


@pytest.mark.parametrize(
    "names", [(), ("claim_rated_false",), ("incites", "call_names_place_and_time"), ("contested",)]
)
def test_what_does_not_spread_raises_nothing(names):
    assert judge(DEFAULT_RULES, facts_of(*names)) is None


def tally_of(count, **changes):
    tally = Tally()
    for place in range(count):
        key = author_key(str(place))
        tally.add(Mark(at_s=600.0 + place, author_key=key, platform="x", **{"cascade_posts": 100, **changes}))
    return tally


def facts_about(tally, *claims, case=None):
    now_s = tally.last_at_s
    configuration = Configuration()
    growth = assess(tally, now_s, Population(), configuration.virality)
    counted = counts(tally, now_s, configuration.virality)
    return establish(tally, growth, counted, claims, now_s, configuration, case=case)


def claim(verdict, probability=0.9):
    return MatchedClaim(
        claim_id=f"c-{verdict}", claim="x", rating=verdict, verdict=verdict, similarity=0.9, probability=probability
    )


def test_facts_come_from_what_was_counted():
    quiet = facts_about(tally_of(5))
    assert not any(getattr(quiet, name) for name in FACTS)
    spreading = facts_about(tally_of(30))
    assert [name for name in FACTS if getattr(spreading, name)] == ["viral", "spreading"]
    many_voices = facts_about(tally_of(30, cascade_posts=1))
    assert [name for name in FACTS if getattr(many_voices, name)] == ["spreading"]
    inciting = facts_about(tally_of(30, inciting=True, calls=True))
    assert (inciting.incites, inciting.call_names_place_and_time) == (True, True)
    denied = facts_about(tally_of(30, stance=(0, 900, 0, 0, 100)))
    assert (denied.contested, denied.correction_led) == (True, True)
    asked = facts_about(tally_of(30, stance=(100, 0, 900, 0, 0)))
    assert (asked.contested, asked.correction_led) == (True, False)


def test_reshares_of_a_denial_lead_the_growth_and_contest_nothing_by_themselves():
    facts = facts_about(tally_of(30, kind="reshare", own_words=False, stance=(0, 900, 0, 0, 100)))
    assert (facts.contested, facts.correction_led) == (False, True)


def test_a_claim_counts_from_the_match_probability_and_unknown_is_not_false():
    unsure = facts_about(tally_of(30), claim("false", probability=0.49))
    assert (unsure.claim_matched, unsure.claims) == (False, ())
    unknown = facts_about(tally_of(30), claim("unknown"))
    assert (unknown.claim_matched, unknown.claim_rated_false, unknown.claim_rated_true) == (True, False, False)
    false = facts_about(tally_of(30), claim("mixed", 0.6), claim("false", 0.9))
    assert (false.claim_rated_false, false.claims[0].verdict) == (True, "false")


def test_an_open_alert_keeps_its_narrative_viral_until_it_has_peaked():
    case = opened_case()
    assert facts_about(tally_of(5), case=case).viral
    case.state = "peaked"
    assert not facts_about(tally_of(5), case=case).viral


def test_an_alert_opens_once_and_repeats_are_not_sent():
    case = opened_case()
    assert [step(case, second, posts=21) for second in range(1, 100)] == [None] * 99
    assert case.revision == 1


def test_nothing_opens_without_a_judgement():
    case = new_case("n-1")
    assert step(case, 0.0, None) is None
    assert case.revision == 0


def test_it_is_sent_again_when_graver_of_a_further_kind_or_twice_as_large():
    case = opened_case()
    assert step(case, 1, "notice") == "updated"
    assert step(case, 2, "notice", "incitement", "viral") == "updated"
    assert case.kinds == ("incitement", "viral")
    assert step(case, 3, "notice", posts=39) is None
    assert step(case, 4, "notice", posts=40) == "updated"
    assert step(case, 5, "notice", posts=79) is None


def test_severity_never_falls_while_the_alert_is_open():
    case = opened_case("page")
    assert step(case, 1, "watch", posts=100) == "updated"
    assert (case.severity, case.kinds) == ("page", ("viral",))


def test_it_peaks_when_no_new_height_came_for_half_an_hour_and_the_window_has_halved():
    case = opened_case()
    assert step(case, 1799, window_posts=9) is None
    assert step(case, 1800, window_posts=10) is None
    assert step(case, 1801, window_posts=9) == "peaked"


def test_it_clears_only_after_quiet():
    case = opened_case()
    assert step(case, 1000, window_posts=8, state="bursting") is None
    assert expire(case, 1000 + 3 * HOUR_S - 1, 0, PARAMETERS).transition == "peaked"
    assert expire(case, 1000 + 3 * HOUR_S - 1, 0, PARAMETERS) is None
    assert expire(case, 1000 + 3 * HOUR_S, 0, PARAMETERS).transition == "cleared"
    assert expire(case, 1000 + 30 * HOUR_S, 0, PARAMETERS) is None


def test_a_cleared_alert_resurges_when_it_bursts_again_with_the_severity_of_then():
    case = opened_case("page")
    assert expire(case, 4 * HOUR_S, 0, PARAMETERS).transition == "cleared"
    assert step(case, 5 * HOUR_S, "watch", state="steady") is None
    assert step(case, 5 * HOUR_S, "watch") == "resurged"
    assert (case.severity, case.state, case.revision) == ("watch", "open", 3)


def test_a_cleared_alert_is_not_reopened_by_a_burst_of_before():
    case = opened_case()
    expire(case, 4 * HOUR_S, 0, PARAMETERS)
    assert step(case, 300, "page") is None
    assert step(case, 4 * HOUR_S, "page") == "resurged"


def test_a_peaked_alert_resurges_from_its_trough_and_does_not_flap():
    case = opened_case()
    assert step(case, 2000, window_posts=9) == "peaked"
    assert step(case, 2060, window_posts=11) is None
    assert step(case, 2120, window_posts=4) is None
    assert step(case, 2180, window_posts=9) is None
    assert step(case, 2240, window_posts=10) == "resurged"
    assert step(case, 2300, window_posts=11) is None


def test_what_a_person_resolved_while_it_burst_stays_resolved_until_it_bursts_anew():
    case = opened_case()
    assert apply_feedback(case, feedback("resolve"), 10.0, 20).transition == "cleared"
    assert [step(case, second) for second in range(11, 1811, 60)] == [None] * 30
    assert step(case, 4 * HOUR_S) == "resurged"


def test_what_a_person_resolved_comes_back_when_it_turns_graver():
    case = opened_case()
    apply_feedback(case, feedback("resolve"), 10.0, 20)
    assert step(case, 20, "page") == "resurged"


def test_a_dismissed_alert_stays_retracted_unless_a_person_escalates():
    case = opened_case()
    assert apply_feedback(case, feedback("dismiss"), 10.0, 20).transition == "retracted"
    assert step(case, 20, "page", posts=1000) is None
    assert apply_feedback(case, feedback("note", note="hm"), 30.0, 20).transition == "retracted"
    sent = apply_feedback(case, feedback("escalate"), 40.0, 20)
    assert (sent.transition, sent.severity, case.state) == ("resurged", "page", "open")
    assert case.escalated_by == "ana"


@pytest.mark.parametrize(
    ("word", "transition", "state"),
    [
        ("acknowledge", "updated", "acknowledged"),
        ("confirm", "updated", "confirmed"),
        ("dismiss", "retracted", "dismissed"),
        ("resolve", "cleared", "resolved"),
        ("note", "updated", "unreviewed"),
        ("link_claim", "updated", "unreviewed"),
        ("removed", "updated", "unreviewed"),
    ],
)
def test_words_of_people_are_kept_and_sent(word, transition, state):
    case = opened_case()
    sent = apply_feedback(case, feedback(word, claim_id="c-1", note="seen"), 10.0, 20)
    assert (sent.transition, sent.revision) == (transition, 2)
    review = case.review()
    assert (review.state, review.by, review.note) == (state, "ana", "seen")
    assert review.outcome == ("removed" if word == "removed" else None)
    assert case.linked_claim_ids == (("c-1",) if word == "link_claim" else ())


def test_a_word_on_what_was_never_sent_sends_nothing_but_counts():
    case = new_case("n-1")
    assert apply_feedback(case, feedback("dismiss"), 0.0, 1) is None
    assert step(case, 1, "page") is None
    other = new_case("n-2")
    assert apply_feedback(other, feedback("escalate"), 0.0, 1).transition == "opened"


def test_a_snooze_until_doubled_holds_updates_back_and_counts_them():
    case = opened_case()
    apply_feedback(case, feedback("snooze"), 1.0, 20)
    assert step(case, 2, "notice") is None
    assert [step(case, 3 + second, "notice", posts=39) for second in range(20)] == [None] * 20
    assert case.suppressed == 1
    assert step(case, 30, "notice", posts=40) == "updated"
    assert case.severity == "notice"


def test_a_snooze_until_a_time_ends_then_with_what_it_held_back():
    case = opened_case()
    apply_feedback(case, feedback("snooze", until=datetime.fromtimestamp(600, UTC)), 1.0, 20)
    assert step(case, 599, "notice", posts=500) is None
    assert step(case, 600, "notice", posts=500) == "updated"


def test_a_page_breaks_through_a_snooze_and_not_through_a_mute():
    snoozed, muted = opened_case(), opened_case()
    apply_feedback(snoozed, feedback("snooze"), 1.0, 20)
    apply_feedback(muted, feedback("mute"), 1.0, 20)
    assert step(snoozed, 2, "page") == "updated"
    assert step(muted, 2, "page") is None
    assert muted.suppressed == 1
    assert expire(muted, 5 * HOUR_S, 0, PARAMETERS).transition == "cleared"
    assert step(muted, 9 * HOUR_S, "page") is None
    assert apply_feedback(muted, feedback("escalate"), 9.5 * HOUR_S, 20).transition == "resurged"
    assert not muted.muted


def test_pages_beyond_the_budget_go_out_as_notice_and_are_counted_once():
    budget = Budget()
    for place in range(PARAMETERS.pages_per_hour):
        assert opened_case("page", place, f"n-{place}", budget).severity == "page"
    beyond = opened_case("page", 100, "n-beyond", budget)
    assert (beyond.severity, beyond.demoted, budget.demoted) == ("notice", True, 1)
    assert [step(beyond, 100 + second, "page", budget=budget) for second in range(100)] == [None] * 100
    assert budget.demoted == 1
    assert step(beyond, HOUR_S + 1, "page", budget=budget) == "updated"
    assert (beyond.severity, beyond.demoted) == ("page", False)


def test_what_the_budget_demoted_does_not_come_back_from_resolved_by_itself():
    budget = Budget(paged_at_s=[0.0] * PARAMETERS.pages_per_hour)
    case = opened_case("page", 1.0, budget=budget)
    apply_feedback(case, feedback("resolve"), 2.0, 20)
    assert step(case, 3.0, "page", budget=budget) is None


def test_a_merge_hands_over_what_the_loser_had():
    winner, loser = opened_case("watch", 10, "n-1"), opened_case("page", 5, "n-2")
    loser.kinds = ("incitement", "viral")
    sent, sent_of_loser = merge_cases(winner, loser, 20.0)
    assert (sent.transition, sent.severity, sent.kinds) == ("updated", "page", ("incitement", "viral"))
    assert (sent_of_loser.transition, loser.state, loser.merged_into) == ("merged", "merged", winner.alert_id)
    assert winner.opened_at_s == 5
    assert step(loser, 30, "page") is None
    assert apply_feedback(loser, feedback("escalate"), 40.0, 20) is None
    assert merge_cases(winner, loser, 50.0) == (None, None)


def test_a_merge_into_what_was_not_open_opens_it():
    sent, _ = merge_cases(new_case("n-1"), opened_case("notice", 0, "n-2"), 20.0)
    assert (sent.transition, sent.severity) == ("opened", "notice")
    cleared = opened_case("page", 0, "n-3")
    expire(cleared, 4 * HOUR_S, 0, PARAMETERS)
    sent, _ = merge_cases(cleared, opened_case("notice", 0, "n-4"), 20.0)
    assert (sent.transition, sent.severity) == ("resurged", "notice")


def test_a_merge_of_what_was_never_sent_sends_nothing():
    assert merge_cases(opened_case(), new_case("n-2"), 20.0) == (None, None)


def test_the_elder_is_live_then_graver_then_first():
    candidate, watch, page = new_case("n-0"), opened_case("watch", 0, "n-1"), opened_case("page", 9, "n-2")
    later = opened_case("page", 10, "n-3")
    assert elder(candidate, watch) == (watch, candidate)
    assert elder(watch, page) == (page, watch)
    assert elder(later, page) == (page, later)


def test_ids_follow_from_the_narrative():
    assert new_case("n-1").alert_id == new_case("n-1").alert_id != new_case("n-2").alert_id
    assert new_case("n-1").alert_id.startswith("a-")


severities = st.sampled_from([None, *SEVERITIES])
kinds = st.lists(st.sampled_from(KINDS), min_size=1, max_size=3)
words = st.sampled_from(
    ["acknowledge", "confirm", "dismiss", "snooze", "mute", "escalate", "resolve", "link_claim", "note", "removed"]
)
CLOSING = {"cleared", "retracted", "merged"}


class LifeCycle(RuleBasedStateMachine):
    """Any course of judgements, times and words of people, against the laws of the life cycle."""

    def __init__(self):
        super().__init__()
        self.case, self.budget = new_case("n-1"), Budget()
        self.now_s, self.posts, self.sent = 0.0, 20, []
        self.burst_at_s = -1e9
        self.spoken = False

    def check(self, sent, before, *, by_person=False):
        """Laws of one transition."""
        if sent is None:
            assert self.case.revision == before.revision
            return
        assert sent.revision == before.revision + 1 == self.case.revision
        assert (sent.severity, sent.kinds) == (self.case.severity, self.case.kinds)
        assert sent.kinds
        assert (sent.transition == "opened") == (before.revision == 0)
        if before.state == "open" and sent.transition not in CLOSING:
            assert SEVERITIES.index(sent.severity) >= SEVERITIES.index(before.severity)
            assert set(sent.kinds) >= set(before.kinds)
        if not by_person:
            assert before.state not in {"retracted", "merged"}
            assert sent.transition != "resurged" or before.state in {"peaked", "cleared"}
        if sent.transition == "cleared" and not by_person:
            assert self.now_s - self.burst_at_s >= PARAMETERS.cleared_after_s
        self.sent.append((self.now_s, sent, by_person))

    @rule(
        severity=severities,
        kind=kinds,
        state=st.sampled_from(["bursting", "steady", "falling"]),
        window_posts=st.integers(0, 60),
        more=st.integers(0, 60),
        after_s=st.floats(0, 7200),
    )
    def a_post_comes(self, severity, kind, state, window_posts, more, after_s):
        self.now_s += after_s
        self.posts += more
        before = msgspec.structs.replace(self.case)
        if state == "bursting":
            self.burst_at_s = self.now_s
        judgement = None if severity is None else judged(severity, *(each for each in KINDS if each in kind))
        counted = counts_of(self.posts, window_posts)
        sent = advance(self.case, judgement, growth_of(state), counted, self.now_s, PARAMETERS, self.budget)
        if before.revision == 0 and sent is not None:
            assert judgement is not None
        self.check(sent, before)

    @rule(after_s=st.floats(0, 5 * 3600))
    def time_passes(self, after_s):
        self.now_s += after_s
        before = msgspec.structs.replace(self.case)
        sent = expire(self.case, self.now_s, 0, PARAMETERS)
        assert sent is None or sent.transition in {"peaked", "cleared"}
        self.check(sent, before)

    @rule(word=words)
    def a_person_says(self, word):
        before = msgspec.structs.replace(self.case)
        self.spoken = True
        sent = apply_feedback(self.case, feedback(word, claim_id="c-1"), self.now_s, self.posts)
        self.check(sent, before, by_person=True)

    @rule(severity=st.sampled_from(SEVERITIES), was_open=st.booleans())
    def another_case_merges_into_it(self, severity, was_open):
        other = new_case("n-2")
        if was_open:
            step(other, self.now_s, severity)
        before = msgspec.structs.replace(self.case)
        sent, sent_of_other = merge_cases(self.case, other, self.now_s)
        assert other.state == "merged"
        assert (sent_of_other is not None) == was_open
        assert not was_open or self.case.is_live()
        if was_open:
            self.burst_at_s = self.now_s
        self.check(sent, before, by_person=True)

    @rule()
    def the_state_is_stored_and_loaded(self):
        self.case = msgspec.msgpack.decode(msgspec.msgpack.encode(self.case), type=Case)
        self.budget = msgspec.msgpack.decode(msgspec.msgpack.encode(self.budget), type=Budget)

    @invariant()
    def a_case_is_open_only_if_it_was_sent(self):
        assert self.case.revision == len(self.sent)
        assert not self.case.is_live() or self.sent

    @invariant()
    def the_machine_pages_within_its_budget(self):
        paged = [at_s for at_s in self.budget.paged_at_s if at_s > self.now_s - HOUR_S]
        assert len(paged) <= PARAMETERS.pages_per_hour


def test_a_case_of_many_more_voices_takes_the_place_of_the_least_page():
    budget = Budget()
    assert budget.admit(0.0, 2, "big", 10)
    assert budget.admit(1.0, 2, "small", 12)
    budget.note("big", 100)
    budget.note("unpaged", 9)
    assert not budget.admit(2.0, 2, "new", 23)
    assert budget.admit(3.0, 2, "new", 24)
    assert (budget.paged_at_s, budget.holders, budget.reach) == ([0.0, 3.0], ["big", "new"], {"big": 100, "new": 24})
    assert not budget.admit(4.0, 2, "other", 24)


def test_a_page_of_a_state_that_knew_no_reach_gives_up_its_place_to_none():
    budget = Budget(paged_at_s=[0.0])
    assert not budget.admit(1.0, 1, "a", 10**6)
    assert budget.admit(HOUR_S + 1.0, 1, "a", 1)


@given(st.lists(st.tuples(st.floats(0, 3599), st.integers(0, 1000)), max_size=80), st.integers(1, 6))
def test_a_flood_adds_few_pages_to_an_hour(cases, pages):
    """Each place changes hands only for twice the voices: from 1 to 1,000 that is ten times at most."""
    budget = Budget()
    admitted = sum(budget.admit(at_s, pages, f"a{reach}", reach) for at_s, reach in sorted(cases))
    assert admitted <= pages * 11
    assert len(budget.paged_at_s) == len(budget.holders) <= pages


TestLifeCycle = LifeCycle.TestCase
TestLifeCycle.settings = settings(max_examples=150, stateful_step_count=30, deadline=None)


@given(st.lists(st.floats(0, 4 * 3600), max_size=60), st.integers(1, 10))
def test_no_hour_has_more_pages_than_the_budget(times_s, pages):
    budget = Budget()
    admitted = [at_s for at_s in sorted(times_s) if budget.admit(at_s, pages)]
    assert all(sum(start - HOUR_S < at_s <= start for at_s in admitted) <= pages for start in admitted)
