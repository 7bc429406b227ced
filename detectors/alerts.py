"""From facts to alerts: which rules of the policy hold, and the life of a case.

A rule names facts (`FACTS`); `establish` finds which of them hold, `judge` which rules do. A `Case` is the state of
one alert: candidate -> open -> (peaked) -> cleared, and again by resurging; people retract, clear and merge. What
changes is sent as a `Transition`, each with the next revision; repeats are not sent. A score says what to look at;
only people say what is so.
"""

import difflib
import hashlib
import math
import sys
from collections.abc import Collection, Iterable, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Literal

from msgspec import Struct

from detectors import records
from detectors.incitement import surely_inciting, wilson
from detectors.looked import NOT_LOOKED_AT, LookSummary
from detectors.named_persons import NamedPersons
from detectors.policy import (
    Configuration,
    FalsehoodParameters,
    IncitementParameters,
    LifeCycleParameters,
    Rule,
    ViralityParameters,
)
from detectors.records import (
    KINDS,
    SEVERITIES,
    ActingAlike,
    Counts,
    Crisis,
    Feedback,
    Forecast,
    Growth,
    IncitementShare,
    Kind,
    MatchedClaim,
    Review,
    Severity,
    StanceTrend,
)
from detectors.taxonomy import CLASSES
from detectors.virality import MILLI, Tally

FACTS: dict[str, str] = {
    "viral": "the narrative grows beyond what is normal for it, or has an open alert that has not peaked",
    "spreading": "viral, or as far beyond what is normal without a large cascade yet: enough where harm is evident",
    "forecast_large": "the forecast of its final size reaches the size that the policy calls large",
    "claim_matched": "the narrative repeats a fact-checked claim, whatever its rating",
    "claim_rated_false": "the narrative repeats a claim that fact-checkers rated false",
    "claim_already_paged": "such a claim is on the open page of another narrative",
    "claim_rated_true": "the narrative repeats a claim that fact-checkers rated true",
    "contested": "of the posts with own words more than usual ask whether it is true, or deny it",
    "unconfirmed": "a notable share of the posts pass it on without vouching for it (reportedly, may be, up to so many)"
    " or say that the truth is hidden",
    "information_void": "questions mount, and neither a fact-check nor any of the configured credible sources is there",
    "satire": "most of the posts link to satirical sites, or fact-checkers label the claim as satire",
    "correction_led": "most of the present growth is denial and report",
    "incites": "surely a notable share of the posts call for violence, threaten with it or praise it",
    "call_names_place_and_time": "an inciting post calls to act and names a place and a time",
    "private_person_named": "several accounts name a private person as the one who did it",
    "name_retold": "several narratives name the same private person as the one who did it, and together they spread;"
    " it holds of the one that does so most",
    "acting_alike": "a notable share of the accounts shared the same within seconds of one another, again and again,"
    " beyond chance; fans do so too: a condition to add to others, never one of its own",
    "named_by_officials": "most of the posts that name the person give police or another authority as the source",
}
"""Every fact that a rule may name, and what it means."""

HOUR_S = 3600.0

OUTREACHES = 2
"""So many times the accounts of the least page of an hour let a case page beyond the budget, in its place."""

NOBODY = NamedPersons()

CaseState = Literal["candidate", "open", "peaked", "cleared", "retracted", "merged"]

LIVE: tuple[CaseState, ...] = ("open", "peaked")

OUTCOMES = ("removed", "labelled", "no_breach", "other")
"""Words of the trust team: what became of it."""

REVIEW_STATES = {"acknowledge": "acknowledged", "confirm": "confirmed", "dismiss": "dismissed", "resolve": "resolved"}


class PolicyError(ValueError):
    """A rule cannot be used; the message names the rule and what is wrong with it."""


class Retold(Struct, frozen=True, kw_only=True):
    """A name that several narratives tell, as they spread together in the window."""

    narratives: int
    posts: int
    accounts: int
    expected: float


class Facts(Struct, frozen=True, kw_only=True):
    """What holds of a narrative now, with what was measured; one boolean for each name in `FACTS`."""

    viral: bool = False
    spreading: bool = False
    forecast_large: bool = False
    claim_matched: bool = False
    claim_rated_false: bool = False
    claim_already_paged: bool = False
    claim_rated_true: bool = False
    contested: bool = False
    unconfirmed: bool = False
    information_void: bool = False
    satire: bool = False
    correction_led: bool = False
    incites: bool = False
    call_names_place_and_time: bool = False
    private_person_named: bool = False
    named_by_officials: bool = False
    name_retold: bool = False
    acting_alike: bool = False
    counts: Counts
    growth: Growth
    forecast: Forecast | None = None
    claims: tuple[MatchedClaim, ...] = ()
    """Matched ones only, the surest first."""
    doubting_posts: int = 0
    doubting_share: float = 0.0
    """Of the posts with own words."""
    correction_share: float = 0.0
    """Of the window's posts that say something."""
    stance_trend: StanceTrend | None = None
    hedging_posts: int = 0
    hedging_share: float = 0.0
    asked: int = 0
    """Posts of the last hour that ask."""
    credible_posts: int = 0
    credible_sources: int = 0
    """How many are configured."""
    satirical_share: float = 0.0
    inciting: IncitementShare = IncitementShare()
    calls: int = 0
    named: NamedPersons = NamedPersons()
    retold: Retold | None = None
    paged_alert: str | None = None
    """Id of the other alert that pages on such a claim."""
    alike: ActingAlike | None = None
    crisis: Crisis | None = None
    """Declared crisis that lowers the thresholds for it."""
    usual: Severity | None = None
    """Under a crisis: severity with the usual thresholds; None where nothing would have been raised."""
    looks: LookSummary = NOT_LOOKED_AT
    falsehood: FalsehoodParameters = FalsehoodParameters()
    incitement: IncitementParameters = IncitementParameters()


class Judgement(Struct, frozen=True, kw_only=True):
    """What the policy says of the facts: severity of the first rule that holds, kinds and names of all that do."""

    severity: Severity
    kinds: tuple[Kind, ...]
    rules: tuple[str, ...]


class Transition(Struct, frozen=True, kw_only=True):
    """A change of a case that is sent out."""

    transition: records.Transition
    revision: int
    severity: Severity
    kinds: tuple[Kind, ...]


class Case(Struct, kw_only=True):
    """State of one alert."""

    alert_id: str
    narrative_id: str
    state: CaseState = "candidate"
    revision: int = 0
    severity: Severity = "watch"
    """As last sent."""
    kinds: tuple[Kind, ...] = ()
    rules: tuple[str, ...] = ()
    opened_at_s: float = 0.0
    changed_at_s: float = 0.0
    sent_posts: int = 0
    """Posts of the narrative when it was last sent."""
    highest_window_posts: int = 0
    highest_at_s: float = 0.0
    lowest_window_posts: int = 0
    """Since it peaked."""
    news_at_s: float = 0.0
    """Last event time with a burst, or with a change that was worth sending."""
    rested: bool = True
    """False from a person's `resolve` until bursts have paused: what was resolved while it burst stays so."""
    reach: int = 0
    """Accounts as they count for reach, when it was last looked at."""
    demoted: bool = False
    """Judged `page`, sent as `notice`, because the page budget was spent."""
    muted: bool = False
    snoozed_until_s: float | None = None
    snoozed_until_posts: int | None = None
    withheld_severity: Severity | None = None
    withheld_kinds: tuple[Kind, ...] = ()
    withheld_posts: int = 0
    suppressed: int = 0
    """Updates that snooze or mute held back."""
    escalated_by: str | None = None
    merged_into: str | None = None
    told_until_s: float = 0.0
    """Up to then an earlier monitor told of it: what happened before is not sent again."""
    linked_claim_ids: tuple[str, ...] = ()
    told_claims: dict[str, str] = {}
    """Matched claims as last sent: id -> verdict."""
    review_state: str = "unreviewed"
    review_by: str | None = None
    review_at_s: float | None = None
    review_note: str | None = None
    review_outcome: str | None = None

    def pages_on(self, claim_ids: Collection[str]) -> bool:
        """Whether it is live, a page, and was sent with one of these claims, read as false."""
        if not self.is_live() or self.severity != "page":
            return False
        return any(self.told_claims.get(claim_id) == "false" for claim_id in claim_ids)

    def tells_of(self, kind: Kind) -> bool:
        """Whether it is live and of this kind."""
        return self.is_live() and kind in self.kinds

    def is_live(self) -> bool:
        """Whether the alert counts as open: open or peaked."""
        return self.state in LIVE

    def was_told(self, now_s: float) -> bool:
        """Whether an earlier monitor told of this time."""
        return now_s < self.told_until_s

    def review(self) -> Review:
        """The last word of a person, as the record says it."""
        return Review(
            # The encoder leaves out a default that is the same object: a text read from a snapshot is another one.
            state=sys.intern(self.review_state),
            by=self.review_by,
            at=None if self.review_at_s is None else datetime.fromtimestamp(self.review_at_s, UTC),
            note=self.review_note,
            outcome=self.review_outcome,
        )


class Budget(Struct):
    """Pages of the last hour of event time.

    First come, first served would let a flood of small cases spend the hour before the one that matters comes. So a
    case of many more voices takes the place of the page with the fewest: each place changes hands a few times at most,
    as its holder's voices multiply.
    """

    paged_at_s: list[float] = []
    reach: dict[str, int] = {}
    """By alert, the accounts of the cases that hold these pages, as they count for reach, when last looked at."""
    holders: list[str] = []
    """Alert that holds each page; one that is not named here gives up its place to none."""
    demoted: int = 0
    """Cases that were judged `page` and went out as `notice`."""

    def admit(self, now_s: float, pages_per_hour: int, holder: str = "", reach: int = 0) -> bool:
        """Spend one page, if one is left, or if the case reaches far more people than one that was paged.

        >>> budget = Budget()
        >>> [budget.admit(0.0, 1, "a", 10), budget.admit(1.0, 1, "b", 19), budget.admit(2.0, 1, "b", 20)]
        [True, False, True]
        """
        holders = [*self.holders, *[""] * (len(self.paged_at_s) - len(self.holders))]
        pages = [page for page in zip(self.paged_at_s, holders, strict=True) if page[0] > now_s - HOUR_S]
        admitted = len(pages) < pages_per_hour
        if not admitted:
            least = min(pages, key=lambda page: (self.reach.get(page[1], sys.maxsize), page))
            if admitted := reach >= OUTREACHES * max(1, self.reach.get(least[1], sys.maxsize)):
                pages.remove(least)
        if admitted:
            pages.append((now_s, holder))
            if holder:
                self.reach[holder] = reach
        self.paged_at_s, self.holders = [at_s for at_s, _ in pages], [one for _, one in pages]
        self.reach = {one: self.reach[one] for one in self.reach if one in self.holders}
        return admitted

    def note(self, holder: str, reach: int) -> None:
        """Take note of how far a case that holds a page reaches by now."""
        if holder in self.reach:
            self.reach[holder] = reach


def check_rules(rules: Sequence[Rule]) -> None:
    """Refuse a policy that cannot be used.

    >>> check_rules([Rule(name="loud", when=("vrial",), severity="watch", kind="viral")])
    Traceback (most recent call last):
    ...
    detectors.alerts.PolicyError: rule 'loud': unknown fact 'vrial' (did you mean 'viral'?)

    Raises
    ------
    PolicyError
        Naming the rule, and the fact that no one establishes, the missing conditions or the name used twice.
    """
    names: set[str] = set()
    for rule in rules:
        if rule.name in names:
            raise PolicyError(f"rule {rule.name!r}: there is another rule of this name")
        names.add(rule.name)
        if not rule.when:
            raise PolicyError(f"rule {rule.name!r}: `when` is empty, so it would always hold")
        for condition in rule.when:
            fact = condition.removeprefix("not ")
            if fact not in FACTS:
                raise PolicyError(f"rule {rule.name!r}: unknown fact {fact!r} ({_hint(fact)})")


def establish(
    tally: Tally,
    growth: Growth,
    counts: Counts,
    claims: Sequence[MatchedClaim],
    now_s: float,
    configuration: Configuration,
    *,
    case: Case | None = None,
    named: NamedPersons = NOBODY,
    retold: Retold | None = None,
    others: Iterable[Case] = (),
    alike: ActingAlike | None = None,
    forecast: Forecast | None = None,
    looks: LookSummary = NOT_LOOKED_AT,
    told: bool = True,
) -> Facts:
    """Find the facts of a narrative, from its tally and from the claims that it may repeat.

    Claims below the match probability are left out. While an alert is open and has not peaked the narrative stays
    `viral`, so that a fact-check or a call that comes a little later still finds it so. What second looks say
    replaces what the first look said; while they are awaited, nothing is said of incitement. `others` are the cases of
    other narratives. What decides nothing and is only `told` on records can be left out.
    """
    falsehood, incitement = configuration.falsehood, configuration.incitement
    matched = tuple(
        sorted(
            (claim for claim in claims if claim.probability >= falsehood.match_probability),
            key=lambda claim: (-claim.probability, claim.claim_id),
        )
    )
    false = [claim.claim_id for claim in matched if claim.verdict == "false"]
    paged_alert = next((other.alert_id for other in others if other.pages_on(false)), None) if false else None
    window_s = configuration.virality.window_s
    window_posts, stanced, correcting = tally.window(now_s, window_s)
    correction_share = correcting / (MILLI * stanced) if stanced else 0.0
    doubting_share = tally.doubting / tally.own_words if tally.own_words else 0.0
    inciting = _inciting(tally, looks, tally.window_inciting(now_s, window_s), window_posts)
    hedging_share = tally.hedging / tally.posts if tally.posts else 0.0
    satirical_share = tally.satirical / tally.posts if tally.posts else 0.0
    credible_sources = configuration.sources.count_credible()
    # Accounts that act alike count for less, so that a handful of them does not look like a crowd.
    crowd = counts.authors if alike is None else alike.effective_accounts
    is_crowd = crowd >= configuration.virality.least_authors
    viral = (growth.state == "bursting" and is_crowd) or (case is not None and case.state == "open")
    incites = (
        inciting.posts >= incitement.least_posts
        and surely_inciting(inciting.low, incitement.false_alarms) >= incitement.share
        and not looks.is_awaited
    )
    return Facts(
        viral=viral,
        spreading=viral or (is_crowd and spreads(growth, counts, configuration.virality)),
        forecast_large=forecast is not None and forecast.posts >= configuration.virality.large_forecast_posts,
        forecast=forecast,
        claim_matched=bool(matched),
        claim_rated_false=bool(false),
        claim_already_paged=paged_alert is not None,
        paged_alert=paged_alert,
        claim_rated_true=any(claim.verdict == "true" for claim in matched),
        contested=(_is_contested(tally, falsehood) and looks.doubting_of(tally.doubting) >= falsehood.contested_posts),
        unconfirmed=tally.hedging >= falsehood.unconfirmed_posts and hedging_share >= falsehood.unconfirmed_share,
        information_void=(
            credible_sources > 0
            and not tally.credible
            and not matched
            and _questions_mount(tally, now_s, falsehood.void_questions)
        ),
        satire=satirical_share >= falsehood.satire_share or any(claim.satire for claim in matched),
        correction_led=correction_share >= falsehood.denial_led_share,
        incites=incites,
        call_names_place_and_time=incites and tally.calls > 0,
        private_person_named=named.is_named,
        named_by_officials=named.is_named and named.by_officials,
        name_retold=retold is not None,
        named=named,
        retold=retold,
        acting_alike=alike is not None and alike.low >= configuration.coordination.notable_share,
        alike=alike,
        looks=looks,
        counts=counts,
        growth=growth,
        claims=matched,
        doubting_posts=tally.doubting,
        doubting_share=round(doubting_share, 4),
        correction_share=round(correction_share, 4),
        stance_trend=tally.stance_trend(now_s, window_s) if told else None,
        hedging_posts=tally.hedging,
        hedging_share=round(hedging_share, 4),
        asked=tally.asked(now_s, HOUR_S) if told else 0,
        credible_posts=tally.credible,
        credible_sources=credible_sources,
        satirical_share=round(satirical_share, 4),
        inciting=inciting,
        calls=tally.calls,
        falsehood=falsehood,
        incitement=incitement,
    )


def _is_contested(tally: Tally, parameters: FalsehoodParameters) -> bool:
    """Whether the doubters are enough, a share that counts, and more than chance makes of a usual crowd."""
    doubting, posts = tally.doubting, tally.own_words
    if doubting < parameters.contested_posts or doubting < parameters.contested_share * posts:
        return False
    return _tail(posts, doubting, parameters.usual_doubt) <= parameters.contested_chance


@lru_cache(maxsize=16_384)
def _tail(posts: int, doubting: int, usual: float) -> float:
    """Probability of so many doubters or more among so many posts at the usual share (binomial).

    >>> round(_tail(6, 2, 0.05), 3), round(_tail(20, 3, 0.05), 3)
    (0.033, 0.075)
    """
    if not 0.0 < usual < 1.0:
        return 0.0
    below = (
        math.exp(
            math.lgamma(posts + 1)
            - math.lgamma(one + 1)
            - math.lgamma(posts - one + 1)
            + one * math.log(usual)
            + (posts - one) * math.log1p(-usual)
        )
        for one in range(doubting)
    )
    return max(0.0, 1.0 - math.fsum(below))


def _questions_mount(tally: Tally, now_s: float, least: int) -> bool:
    """Whether enough posts of the last hour ask, and its second half has no fewer than its first."""
    whole, late = tally.asked(now_s, HOUR_S), tally.asked(now_s, HOUR_S / 2)
    return whole >= least and 2 * late >= whole


def _inciting(tally: Tally, looks: LookSummary, window_inciting: int, window_posts: int) -> IncitementShare:
    judged = tally.posts - tally.unjudged
    posts = min(judged, looks.inciting_of(tally.inciting, judged))
    low, high = wilson(posts, judged) if judged > 0 else (0.0, 0.0)
    return IncitementShare(
        posts=posts,
        judged=judged,
        unjudged=tally.unjudged,
        share=round(posts / judged, 4) if judged > 0 else 0.0,
        evidence=round((tally.evidence + looks.evidence) / MILLI, 1),
        low=round(low, 4) if posts else 0.0,
        high=round(high, 4),
        window_share=round(window_inciting / window_posts, 4) if window_posts else 0.0,
        authors=tally.distinct_inciting_authors(),
        classes={name: posts for name, posts in zip(CLASSES, tally.classes, strict=True) if posts},
    )


def spreads(growth: Growth, counts: Counts, parameters: ViralityParameters) -> bool:
    """Whether the window is significant and above the floors, of whatever cascades it consists."""
    return (
        counts.window_posts >= max(parameters.least_posts, parameters.least_ratio * growth.expected)
        and growth.burst_z >= parameters.burst_z
    )


def judge(rules: Sequence[Rule], facts: Facts) -> Judgement | None:
    """Say what the policy makes of the facts; None where no rule holds."""
    holding = [rule for rule in rules if _hold(rule.when, facts)]
    if not holding:
        return None
    return Judgement(
        severity=holding[0].severity,
        kinds=_in_order([rule.kind for rule in holding]),
        rules=tuple(rule.name for rule in holding),
    )


def new_case(narrative_id: str, revision: int = 0) -> Case:
    """Start a case; nothing is sent until it opens. The id of the alert follows from that of the narrative.

    `revision` is the last one that was sent of it, where the case itself was forgotten.

    >>> new_case("n-1").alert_id == new_case("n-1").alert_id
    True
    """
    digest = hashlib.blake2b(narrative_id.encode(), digest_size=8).hexdigest()
    return Case(alert_id=f"a-{digest}", narrative_id=narrative_id, revision=revision)


def advance(
    case: Case,
    judgement: Judgement | None,
    growth: Growth,
    counts: Counts,
    now_s: float,
    parameters: LifeCycleParameters,
    budget: Budget,
    *,
    reach: int | None = None,
) -> Transition | None:
    """Move a case on with what is known now; return what has to be sent, if anything.

    `reach` are its accounts where some count for less; all of them without it.
    """
    case.reach = counts.authors if reach is None else reach
    budget.note(case.alert_id, case.reach)
    if case.state in {"retracted", "merged"} or (case.state == "cleared" and now_s < case.changed_at_s):
        return None  # what was cleared is not reopened by what happened before
    _track(case, growth, counts, now_s, parameters)
    if case.was_told(now_s):
        return None
    if case.state in {"candidate", "cleared"}:
        return _open(case, judgement, growth, counts, now_s, parameters, budget)
    if case.state == "peaked" and _has_resurged(case, growth, counts, parameters):
        return _resurge(case, judgement, counts, now_s, parameters, budget)
    sent = _send_news(case, judgement, counts, now_s, parameters, budget)
    return sent or expire(case, now_s, counts.window_posts, parameters)


def correct(case: Case, judgement: Judgement | None, dropped: Sequence[Kind], now_s: float) -> Transition | None:
    """Send a live case again because its evidence has changed; kinds that rested on what is gone are dropped.

    With a kind goes the severity that it gave: what the policy says now holds, never more than before. A case of
    whose kinds none is left clears. What a person escalated stays a page; a muted case moves silently.
    """
    if not case.is_live() or case.was_told(now_s):
        return None
    kinds = _in_order([*(kind for kind in case.kinds if kind not in dropped), *(judgement.kinds if judgement else ())])
    if not kinds:
        return _send(case, "cleared", now_s)
    case.kinds = kinds
    if dropped and case.escalated_by is None:
        case.severity = min(case.severity, judgement.severity if judgement else SEVERITIES[0], key=_rank)
        case.rules = judgement.rules if judgement else ()
        case.demoted = False
    return None if case.muted else _send(case, "updated", now_s)


def expire(case: Case, now_s: float, window_posts: int, parameters: LifeCycleParameters) -> Transition | None:
    """Let time alone move a case: it peaks, or clears. `window_posts` is the count of the window that ends now."""
    if not case.is_live() or case.was_told(now_s):
        return None
    if now_s - case.news_at_s >= parameters.cleared_after_s:
        case.rested = True
        return _send(case, "cleared", now_s)
    if (
        case.state == "open"
        and now_s - case.highest_at_s >= parameters.peaked_after_s
        and window_posts < parameters.peaked_ratio * case.highest_window_posts
    ):
        case.lowest_window_posts = window_posts
        return _send(case, "peaked", now_s)
    return None


def apply_feedback(case: Case, feedback: Feedback, now_s: float, posts: int) -> Transition | None:
    """Apply a person's word; return what has to be sent, if anything. `posts` are the narrative's so far.

    A word on a case that was never sent is kept, and only `escalate` sends it. A merged case takes no more words.
    `merge` is only noted here: the caller, who knows the other case, goes on with `merge_cases`.
    """
    if case.state == "merged":
        return None
    word = feedback.word
    _note_review(case, feedback)
    if word == "escalate":
        return _escalate(case, feedback.by, now_s, posts)
    if word == "mute":
        case.muted = True
    elif word == "snooze":
        case.snoozed_until_s = None if feedback.until is None else feedback.until.timestamp()
        case.snoozed_until_posts = 2 * posts if feedback.until is None else None
    elif word == "link_claim" and feedback.claim_id and feedback.claim_id not in case.linked_claim_ids:
        case.linked_claim_ids = (*case.linked_claim_ids, feedback.claim_id)
    elif word == "merge":
        return None
    return _send_word(case, feedback, now_s)


def say_again(case: Case, now_s: float) -> Transition | None:
    """Send a case once more as it stands, because what it showed was deleted; None where it was never sent."""
    names: dict[CaseState, records.Transition] = {
        "cleared": "cleared",
        "retracted": "retracted",
        "merged": "merged",
        "peaked": "peaked",
    }
    return _send(case, names.get(case.state, "updated"), now_s) if case.revision else None


def merge_cases(winner: Case, loser: Case, now_s: float) -> tuple[Transition | None, Transition | None]:
    """Merge two cases: what has to be sent of the winner, and of the loser.

    The winner keeps its id and takes over what the loser had: a live alert stays live, the graver severity and all
    kinds hold. A case that was never sent ends silently. A person's retraction covers only what the person saw: a live
    loser revives a retracted winner; choose the winner with `elder` to avoid it.
    """
    if loser.state == "merged" or winner.state == "merged" or winner is loser:
        return None, None
    loser_was_live = loser.is_live()
    loser.merged_into = winner.alert_id
    sent_of_loser = _send(loser, "merged", now_s) if loser.revision else None
    loser.state = "merged"
    if not loser_was_live:
        return None, sent_of_loser
    gained = _rank(loser.severity) > _rank(winner.severity) or not set(loser.kinds) <= set(winner.kinds)
    was_live, was_sent = winner.is_live(), winner.revision > 0
    if not was_live:
        winner.severity, winner.kinds = loser.severity, ()
        winner.highest_window_posts, winner.highest_at_s = loser.highest_window_posts, loser.highest_at_s
    winner.severity = max(winner.severity, loser.severity, key=_rank)
    winner.kinds = _in_order([*winner.kinds, *loser.kinds])
    winner.rules = tuple(dict.fromkeys((*winner.rules, *loser.rules)))
    winner.news_at_s = max(winner.news_at_s, loser.news_at_s)
    winner.sent_posts = max(winner.sent_posts, loser.sent_posts)
    winner.opened_at_s = min(winner.opened_at_s, loser.opened_at_s) if was_sent else loser.opened_at_s
    winner.linked_claim_ids = tuple(dict.fromkeys((*winner.linked_claim_ids, *loser.linked_claim_ids)))
    if was_live:
        return (_send(winner, "updated", now_s) if gained else None), sent_of_loser
    return _send(winner, "resurged" if was_sent else "opened", now_s), sent_of_loser


def elder(one: Case, other: Case) -> tuple[Case, Case]:
    """Winner and loser of a merge: a live case wins, then the graver, then the one opened first, then by id."""
    ranked = sorted(
        (one, other), key=lambda case: (not case.is_live(), -_rank(case.severity), case.opened_at_s, case.alert_id)
    )
    return ranked[0], ranked[1]


def _track(case: Case, growth: Growth, counts: Counts, now_s: float, parameters: LifeCycleParameters) -> None:
    if counts.window_posts > case.highest_window_posts:
        case.highest_window_posts = counts.window_posts
        case.highest_at_s = now_s
    if case.state == "peaked":
        case.lowest_window_posts = min(case.lowest_window_posts, counts.window_posts)
    if growth.state == "bursting":
        if now_s - case.news_at_s >= parameters.peaked_after_s:
            case.rested = True
        case.news_at_s = now_s


def _open(
    case: Case,
    judgement: Judgement | None,
    growth: Growth,
    counts: Counts,
    now_s: float,
    parameters: LifeCycleParameters,
    budget: Budget,
) -> Transition | None:
    """Open a candidate, or a cleared case that bursts again or turns graver."""
    if judgement is None:
        return None
    if case.state == "cleared":
        graver = _rank(judgement.severity) > _rank(case.severity) and not _was_demoted_to(case, judgement)
        if not graver and not (growth.state == "bursting" and case.rested):
            return None
        return _resurge(case, judgement, counts, now_s, parameters, budget)
    if case.muted:
        _withhold(case, judgement.severity, judgement.kinds, counts.posts, now_s)
        return None
    case.severity = _within_budget(case, judgement.severity, now_s, parameters, budget)
    case.kinds, case.rules = judgement.kinds, judgement.rules
    case.opened_at_s = case.news_at_s = now_s
    case.sent_posts = counts.posts
    return _send(case, "opened", now_s)


def _has_resurged(case: Case, growth: Growth, counts: Counts, parameters: LifeCycleParameters) -> bool:
    """Whether a peaked case is up again: twice its trough, and back above the line below which it had peaked."""
    return (
        growth.state == "bursting"
        and counts.window_posts >= parameters.update_growth_ratio * max(1, case.lowest_window_posts)
        and counts.window_posts >= parameters.peaked_ratio * case.highest_window_posts
    )


def _resurge(
    case: Case,
    judgement: Judgement | None,
    counts: Counts,
    now_s: float,
    parameters: LifeCycleParameters,
    budget: Budget,
) -> Transition | None:
    severity = judgement.severity if judgement else case.severity
    kinds = judgement.kinds if judgement else case.kinds
    if case.muted:
        _withhold(case, severity, kinds, counts.posts, now_s)
        return None
    if case.state == "peaked":
        # Still the same wave: it does not become less grave.
        severity = max(severity, case.severity, key=_rank)
        kinds = _in_order([*case.kinds, *kinds])
        if severity == "page" and case.severity == "page":
            budget_severity: Severity = "page"
        else:
            budget_severity = _within_budget(case, severity, now_s, parameters, budget)
    else:
        case.demoted = False
        budget_severity = _within_budget(case, severity, now_s, parameters, budget)
    case.severity, case.kinds = budget_severity, kinds
    case.rules = judgement.rules if judgement else case.rules
    case.news_at_s = now_s
    case.sent_posts = counts.posts
    case.highest_window_posts, case.highest_at_s = counts.window_posts, now_s
    return _send(case, "resurged", now_s)


def _send_news(
    case: Case,
    judgement: Judgement | None,
    counts: Counts,
    now_s: float,
    parameters: LifeCycleParameters,
    budget: Budget,
) -> Transition | None:
    """Send a live case again where it is graver, of a further kind, or grown by the factor of the policy."""
    severity = max(judgement.severity if judgement else case.severity, case.severity, key=_rank)
    kinds = _in_order([*case.kinds, *(judgement.kinds if judgement else ())])
    grown = counts.posts >= parameters.update_growth_ratio * max(1, case.sent_posts)
    graver = _rank(severity) > _rank(case.severity)
    if not graver and kinds == case.kinds and not grown:
        return None
    if case.muted or (_is_snoozed(case, counts.posts, now_s) and not (graver and severity == "page")):
        _withhold(case, severity, kinds, counts.posts if grown else 0, now_s)
        return None
    if graver:
        severity = _within_budget(case, severity, now_s, parameters, budget)
        if severity == case.severity and kinds == case.kinds and not grown:
            return None
    case.severity, case.kinds = severity, kinds
    case.rules = judgement.rules if judgement else case.rules
    case.news_at_s = now_s
    case.sent_posts = counts.posts
    return _send(case, "updated", now_s)


def _withhold(case: Case, severity: Severity, kinds: tuple[Kind, ...], grown_posts: int, now_s: float) -> None:
    """Count an update that snooze or mute holds back, once for each that would have been sent."""
    graver = case.withheld_severity is None or _rank(severity) > _rank(case.withheld_severity)
    further = not set(kinds) <= set(case.withheld_kinds)
    grown = grown_posts >= 2 * max(1, case.withheld_posts)
    if not (graver or further or grown):
        return
    case.suppressed += 1
    case.withheld_severity = severity
    case.withheld_kinds = _in_order([*case.withheld_kinds, *kinds])
    case.withheld_posts = max(case.withheld_posts, grown_posts)
    case.news_at_s = now_s


def _escalate(case: Case, by: str, now_s: float, posts: int) -> Transition:
    """Page by a person's word: beyond budget, snooze and mute; it also brings back what was cleared or retracted."""
    name: records.Transition = "updated"
    if case.revision == 0:
        name, case.opened_at_s = "opened", now_s
    elif not case.is_live():
        name = "resurged"
    case.severity, case.escalated_by = "page", by
    case.kinds = case.kinds or ("viral",)
    case.muted, case.demoted = False, False
    case.snoozed_until_s = case.snoozed_until_posts = None
    case.news_at_s = case.highest_at_s = now_s
    case.highest_window_posts = 0 if name != "updated" else case.highest_window_posts
    case.sent_posts = posts
    return _send(case, name, now_s)


def _send_word(case: Case, feedback: Feedback, now_s: float) -> Transition | None:
    """Send what a person's word changes; a closed case stays closed, and says so again."""
    if case.was_told(now_s):
        return None
    name: records.Transition = "updated"
    if case.state == "cleared":
        name = "cleared"
    if case.state == "retracted" or feedback.word == "dismiss":
        name = "retracted"
    elif feedback.word == "resolve":
        name, case.rested = "cleared", False
    if case.revision == 0:
        if name == "retracted":
            case.state = "retracted"
        return None
    return _send(case, name, now_s)


def _note_review(case: Case, feedback: Feedback) -> None:
    case.review_by, case.review_at_s = feedback.by, feedback.at.timestamp()
    case.review_state = REVIEW_STATES.get(feedback.word, case.review_state)
    if feedback.word in OUTCOMES:
        case.review_outcome = feedback.word
    if feedback.note is not None:
        case.review_note = feedback.note


def _send(case: Case, name: records.Transition, now_s: float) -> Transition:
    """Count a revision; all sending goes through here, so revisions and states cannot drift apart."""
    states: dict[str, CaseState] = {
        "opened": "open",
        "resurged": "open",
        "peaked": "peaked",
        "cleared": "cleared",
        "merged": "merged",
        "retracted": "retracted",
    }
    case.state = states.get(name, case.state)
    case.revision += 1
    case.changed_at_s = now_s
    if name in {"opened", "updated", "resurged"}:
        case.withheld_severity, case.withheld_kinds, case.withheld_posts = None, (), 0
    return Transition(transition=name, revision=case.revision, severity=case.severity, kinds=case.kinds)


def _within_budget(
    case: Case, severity: Severity, now_s: float, parameters: LifeCycleParameters, budget: Budget
) -> Severity:
    """Say at which severity a case may be sent; what would page beyond the budget goes out as `notice`."""
    if severity != "page":
        return severity
    if budget.admit(now_s, parameters.pages_per_hour, case.alert_id, case.reach):
        case.demoted = False
        return "page"
    if not case.demoted:
        case.demoted = True
        budget.demoted += 1
    return "notice"


def _was_demoted_to(case: Case, judgement: Judgement) -> bool:
    """Whether the case is only less grave than its judgement because the budget was spent."""
    return case.demoted and judgement.severity == "page"


def _is_snoozed(case: Case, posts: int, now_s: float) -> bool:
    """Whether a snooze still holds; one that has run out is forgotten."""
    until_s, until_posts = case.snoozed_until_s, case.snoozed_until_posts
    if (until_s is not None and now_s < until_s) or (until_posts is not None and posts < until_posts):
        return True
    case.snoozed_until_s = case.snoozed_until_posts = None
    return False


def _hold(conditions: Sequence[str], facts: Facts) -> bool:
    for condition in conditions:
        fact = condition.removeprefix("not ")
        if bool(getattr(facts, fact)) != (fact == condition):
            return False
    return True


def _hint(fact: str) -> str:
    near = difflib.get_close_matches(fact, FACTS, n=1)
    return f"did you mean {near[0]!r}?" if near else f"known are {', '.join(FACTS)}"


def _rank(severity: Severity) -> int:
    return SEVERITIES.index(severity)


def _in_order(kinds: Sequence[Kind]) -> tuple[Kind, ...]:
    return tuple(kind for kind in KINDS if kind in kinds)
