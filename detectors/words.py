"""Sentences that people read: why now, for which reasons, and the whole evidence of an alert.

Nothing here decides anything. "Viral" is never worded as "false", and neither is "contested" or "unverified"; no
text of a post and nothing about its author is quoted.
"""

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Final

from detectors.alerts import Case, Facts, Judgement
from detectors.crises import ratio_of
from detectors.named_persons import NamedPersons
from detectors.policy import IncitementParameters
from detectors.ratings import UNKNOWN_RATING
from detectors.records import (
    ActingAlike,
    Alert,
    Counts,
    Forecast,
    Growth,
    IncitementShare,
    MatchedClaim,
    Narrative,
    Reason,
    Stance,
    StanceTrend,
    TimelineBucket,
)
from detectors.taxonomy import TAXONOMY

LEAST_TOLD = 10.0
"""Times likelier from which the evidence of incitement is told in words."""

CLAIM_LENGTH = 200
"""Characters of a claim that are quoted."""

NAME_LENGTH = 60
"""Characters of a publisher's name in a verdict."""

RATED_AS = {"false": "false", "mixed": "partly true", "true": "true", "unknown": "unknown"}

REVIEWED_AS = {
    "unreviewed": "unreviewed",
    "confirmed": "unverified; the alert was confirmed by a person",
    "dismissed": "unverified; the alert was dismissed by a person",
}
"""What a person's word on the alert says where no fact-check speaks; any other word means that somebody looked."""

WIDTH = 60
"""Columns of the timeline."""

BARS = " ▁▂▃▄▅▆▇█"

INDICATOR_NOTE: Final = (
    "An indicator for people to judge, not a finding. It says nothing about any single author, and decides nothing."
)

VIRAL_NOTE: Final = "Viral says how fast it spreads. It does not say whether it is true."

EXEMPLAR_WORDS = {
    "earliest": "the earliest",
    "most_shared": "the most shared",
    "most_central": "closest to what all of them say",
    "dissenting": "asks or denies",
    "indicator": "shows the indicator",
}


ATTITUDES = {"support": "support", "deny": "denial", "query": "question", "report": "report", "comment": "comment"}

SHIFT_POSTS = 10
"""Posts that say something, in the window and before it, from which a shift of attitudes is told of."""

SHIFT_SHARE = 0.15
"""Shares that move less are not."""

NOTABLE_DELAY_S = 5.0
"""A delay of scoring that is worth a word."""


def why_now(counts: Counts, growth: Growth) -> str:
    """Say in one line why to look now.

    >>> counts = Counts(posts=52, authors=40, reshares=30, replies=2, late=0, window_s=600, window_posts=37,
    ...                 window_authors=29)
    >>> growth = Growth(state="bursting", velocity_per_s=0.06, expected=2.1, basis="narratives_of_this_age",
    ...                 burst_z=12.0, doubling_time_s=240.0)
    >>> why_now(counts, growth)
    '37 posts by 29 accounts in 10 minutes; 2.1 is typical for narratives of this age; doubled in the last 4 minutes'
    """
    posts, accounts = _plural(counts.window_posts, "post"), _plural(counts.window_authors, "account")
    parts = [f"{posts} by {accounts} in {duration(counts.window_s)}"]
    if growth.state == "insufficient_data":
        parts.append("too little yet to say whether that is unusual")
    elif growth.basis == "own_history":
        parts.append(f"{_number(growth.expected)} were expected from its own history")
    else:
        parts.append(f"{_number(growth.expected)} is typical for narratives of this age")
    if growth.doubling_time_s is not None and growth.state != "falling":
        parts.append(f"doubled in the last {duration(growth.doubling_time_s)}")
    if growth.state == "falling":
        parts.append("less than half of what it was one window ago")
    else:
        if growth.times is not None:
            parts.append(f"{_number(growth.times)} times as many as {duration(2 * counts.window_s)} before")
        if growth.accelerating:
            parts.append("still accelerating")
    return "; ".join(parts)


def forecast_words(posts: int, forecast: Forecast) -> str:
    """Say how big it may get.

    >>> forecast_words(120, Forecast(posts=500.0, low=300.0, high=900.0))
    'so far 120 posts; in a week likely between 300 and 900 (80 % sure on streams like those it learnt from)'
    """
    sure = (
        "80 % sure on streams like those it learnt from"
        if forecast.basis == "trained"
        else "a rough guess by its age alone"
    )
    return (
        f"so far {_plural(posts, 'post')}; in a week likely between {_number(forecast.low)} and"
        f" {_number(forecast.high)} ({sure})"
    )


def reasons(
    facts: Facts,
    judgement: Judgement | None = None,
    case: Case | None = None,
    *,
    share_of_stream: float | None = None,
    changes: Sequence[str] = (),
    unknown_claims: Sequence[str] = (),
) -> tuple[Reason, ...]:
    """Give every fact that holds as a reason: what was measured, from where on it counts, and both in words.

    `changes` say what has become of the evidence since the alert was last sent; `unknown_claims` are ids with which a
    person linked it, and of which no claim is there.
    """
    return (
        *(Reason(signal="evidence_changed", measured=1.0, words=words) for words in changes),
        *(
            Reason(signal="linked_claim_unknown", measured=1.0, words=f"a person linked it with “{one}”: no such claim")
            for one in unknown_claims
        ),
        *_growth_reasons(facts, share_of_stream),
        *_harm_reasons(facts),
        *_naming_reasons(facts),
        *_alike_reasons(facts),
        *_crisis_reasons(facts),
        *_look_reasons(facts),
        *_case_reasons(judgement, case),
    )


def evidence_changes(
    told: Mapping[str, str], claims: Sequence[MatchedClaim], known: Collection[str]
) -> tuple[str, ...]:
    """Say what has become of the matched claims since an alert was last sent.

    Parameters
    ----------
    told : verdict of each claim that it was sent with, by id.
    claims : what is matched now.
    known : ids of the told claims that are still published.
    """
    now = {claim.claim_id: claim for claim in claims}
    gone = [
        f"a fact-check that it was sent with (read as {RATED_AS[word]}) "
        + ("has changed, and is no match any more" if claim_id in known else "was withdrawn")
        for claim_id, word in told.items()
        if claim_id not in now
    ]
    changed = [
        f"re-rated: read as {RATED_AS[told[claim_id]]} before, now {claim_words(claim)}"
        for claim_id, claim in now.items()
        if claim_id in told and told[claim_id] != claim.verdict
    ]
    new = [f"a fact-check has come: {claim_words(claim)}" for claim_id, claim in now.items() if claim_id not in told]
    return (*gone, *changed, *new)


def void_ended(facts: Facts) -> str:
    """Say why an information void is none any more."""
    there = "a fact-check" if facts.claims else "a credible source"
    return f"{there} is there now: no information void any more"


def verdict(facts: Facts, review_state: str = "unreviewed") -> str:
    """What is known of the truth of a narrative, in words.

    Fact-checks speak first: satire, contradicted by ..., confirmed by ..., in between, rating unknown. Without one
    it is unreviewed, or, when a person has looked, unverified, which is not false. `confirm` and `dismiss` are said of
    the alert, and never read as true or false.

    >>> verdict(Facts(counts=None, growth=None)), verdict(Facts(counts=None, growth=None), "acknowledged")
    ('unreviewed', 'unverified')
    """
    if facts.satire:
        return "satire"
    verdicts = {claim.verdict for claim in facts.claims}
    if {"false", "true"} <= verdicts:
        return "fact-checks disagree"
    for word, sentence in (
        ("false", "contradicted by {}"),
        ("true", "confirmed by {}"),
        ("mixed", "rated partly true by {}"),
        ("unknown", "fact-checked, rating unknown"),
    ):
        if word in verdicts:
            return sentence.format(_publishers([claim for claim in facts.claims if claim.verdict == word]))
    return REVIEWED_AS.get(review_state, "unverified")


def _publishers(claims: Sequence[MatchedClaim]) -> str:
    """Name who rated a claim, at most two of them."""
    names = list(dict.fromkeys(_shortened(claim.publisher or "a fact-check", NAME_LENGTH) for claim in claims))
    return " and ".join(names[:2]) + (f" and {_plural(len(names) - 2, 'other')}" if len(names) > 2 else "")


def explain(alert: Alert, narrative: Narrative | None = None, history: Sequence[Alert] = ()) -> str:
    """Lay out the evidence of an alert as plain text, for a person who has to judge it.

    With its `history` (all its revisions, in order) it tells why it reached its severity, not only how things stand
    now; with the narrative, its present state and timeline are added. Posts are named by id only; their texts are
    for readers with access to `narratives`.
    """
    lines = (
        *_head(alert),
        *_why(_gravest(alert, history)),
        *_course(history),
        *_evidence(alert),
        *_present(narrative),
        *_small_print(alert),
    )
    return "".join(f"{_printable(line)}\n" for line in lines)


def duration(seconds: float) -> str:
    """A span of time as people say it.

    >>> duration(90), duration(600), duration(5400), duration(200000)
    ('90 seconds', '10 minutes', '1.5 hours', '2.3 days')
    """
    for unit_s, unit, least in ((86400, "day", 2 * 86400), (3600, "hour", 5400), (60, "minute", 120)):
        if seconds >= least:
            return _plural(_short(seconds / unit_s), unit)
    return _plural(_short(seconds), "second") if seconds != 60 else "1 minute"


def _growth_reasons(facts: Facts, share_of_stream: float | None) -> Iterator[Reason]:
    counts, growth = facts.counts, facts.growth
    yield Reason(
        signal="burst" if growth.state == "bursting" else "growth",
        measured=float(counts.window_posts),
        expected=growth.expected,
        words=why_now(counts, growth),
    )
    if growth.reproduction_number is not None:
        low, high = growth.reproduction_low or 0.0, growth.reproduction_high or 0.0
        yield Reason(
            signal="reproduction",
            measured=growth.reproduction_number,
            expected=1.0,
            words=f"each post brings {growth.reproduction_number:.1f} more (80 % interval {low:.1f} to {high:.1f};"
            " from 1 on it grows by itself)",
        )
    if facts.forecast is not None:
        yield Reason(
            signal="forecast", measured=facts.forecast.posts, words=forecast_words(counts.posts, facts.forecast)
        )
    if share_of_stream is not None:
        yield Reason(
            signal="share_of_stream",
            measured=round(share_of_stream, 4),
            words=f"{_percent(share_of_stream)} of all posts seen in {duration(counts.window_s)}",
        )


def _look_reasons(facts: Facts) -> Iterator[Reason]:
    """What second looks said, or that there is none: then harm is judged by the first look alone."""
    looks = facts.looks
    if not looks.asked:
        return
    asked = _plural(looks.asked, "post")
    if looks.answered:
        words = f"{_plural(looks.answered, 'post')} looked at again by a heavier model"
        if looks.first_inciting:
            words += f"; of {looks.first_inciting} that seemed to incite, {looks.inciting_confirmed} do"
        if looks.first_doubting:
            words += f"; of {looks.first_doubting} that seemed to doubt, {looks.doubting_confirmed} do"
    elif looks.waiting:
        words = f"a second look at {asked} is awaited; incitement is not judged before"
    else:
        words = f"insufficient data: no second look at {asked} came in time; incitement and claims rest on the first"
    yield Reason(signal="second_look", measured=looks.answered, expected=looks.asked, words=words)


def _harm_reasons(facts: Facts) -> Iterator[Reason]:
    falsehood, incitement = facts.falsehood, facts.incitement
    for claim in facts.claims[:3]:
        yield Reason(
            signal=f"claim_rated_{claim.verdict}" if claim.verdict in {"false", "true"} else "claim_matched",
            measured=claim.probability,
            expected=falsehood.match_probability,
            words=f"repeats {claim_words(claim)}",
        )
    if facts.paged_alert is not None:
        yield Reason(
            signal="claim_already_paged", measured=1.0, words=f"such a claim is on the page {facts.paged_alert} already"
        )
    if facts.contested:
        yield Reason(
            signal="contested",
            measured=facts.doubting_share,
            expected=falsehood.contested_share,
            words=f"{_plural(facts.doubting_posts, 'post')} ({_percent(facts.doubting_share)} of those with own words)"
            " ask whether it is true, or deny it; contested does not mean false",
        )
    shift = _stance_shift(facts.stance_trend)
    if shift is not None:
        yield shift
    if facts.unconfirmed:
        yield Reason(
            signal="unconfirmed",
            measured=facts.hedging_share,
            expected=falsehood.unconfirmed_share,
            words=f"{_plural(facts.hedging_posts, 'post')} ({_percent(facts.hedging_share)}) pass it on without"
            " vouching for it (reportedly, may be, up to so many) or say that the truth is hidden; unconfirmed does not"
            " mean false",
        )
    if facts.information_void:
        yield Reason(
            signal="information_void",
            measured=float(facts.asked),
            expected=float(falsehood.void_questions),
            words=f"{_plural(facts.asked, 'question')} in the last hour, no fact-check, none of the "
            f"{facts.credible_sources:,} credible sources",
        )
    if facts.satire:
        yield Reason(
            signal="satire",
            measured=facts.satirical_share,
            expected=falsehood.satire_share,
            words=f"satire: {_percent(facts.satirical_share)} of the posts link to satirical sites"
            if facts.satirical_share >= falsehood.satire_share
            else "satire, as fact-checkers label it",
        )
    if facts.correction_led:
        yield Reason(
            signal="correction_led",
            measured=facts.correction_share,
            expected=falsehood.denial_led_share,
            words=f"{_percent(facts.correction_share)} of the present growth is denial, and report by those who vouch"
            " for it",
        )
    yield from _incitement_reasons(facts, incitement)


def _incitement_reasons(facts: Facts, incitement: IncitementParameters) -> Iterator[Reason]:
    if facts.incites:
        yield Reason(
            signal="incites",
            measured=facts.inciting.share,
            expected=incitement.share,
            words=incitement_words(facts.inciting, incitement),
        )
    if 2 * facts.inciting.unjudged >= facts.inciting.judged + facts.inciting.unjudged > 0:
        posts = facts.inciting.judged + facts.inciting.unjudged
        yield Reason(
            signal="incitement_not_judged",
            measured=round(facts.inciting.unjudged / posts, 4),
            words=f"incitement not judged: {facts.inciting.unjudged} of {_plural(posts, 'post')} are in a language that"
            " the heads do not cover",
        )
    if facts.call_names_place_and_time:
        yield Reason(
            signal="call_names_place_and_time",
            measured=float(facts.calls),
            words=f"{_plural(facts.calls, 'post')} of these call to act and name a place and a time",
        )


def incitement_words(inciting: IncitementShare, parameters: IncitementParameters) -> str:
    """Say how much of a narrative reads as incitement, how sure that is, and of what kinds.

    >>> inciting = IncitementShare(posts=12, judged=40, low=0.18, high=0.454, authors=9, classes={"threat": 5})
    >>> incitement_words(inciting, IncitementParameters()).partition(";")[0]
    '12 of 40 posts (18 to 45 %) by 9 accounts read as incitement: 5 threats'
    >>> told = IncitementShare(posts=12, judged=40, low=0.18, high=0.454, authors=9, evidence=5.3)
    >>> incitement_words(told, IncitementParameters()).split("; ")[1]
    'by the scores of all of them it is 200 times likelier that a fifth incites than that none does'
    """
    kinds = [f"{inciting.classes[one.name]} {one.many}" for one in TAXONOMY if inciting.classes.get(one.name)]
    low, high = round(100 * inciting.low), round(100 * inciting.high)
    return (
        f"{inciting.posts} of {_plural(inciting.judged, 'post')} ({low} to {high} %) by"
        f" {_plural(inciting.authors, 'account')} read as incitement{': ' if kinds else ''}{', '.join(kinds)};"
        f"{_evidence_words(inciting.evidence)} it counts from {_percent(parameters.share)} at the lower end, less the"
        f" {_percent(parameters.false_alarms)} of harmless posts that read so"
    )


def _evidence_words(evidence: float) -> str:
    """Say what the scores of all posts say together; nothing where that is little."""
    if evidence < math.log(LEAST_TOLD):
        return ""
    times = "more than a thousand" if evidence > math.log(1000.0) else f"{math.exp(evidence):,.0f}"
    return f" by the scores of all of them it is {times} times likelier that a fifth incites than that none does;"


def _naming_reasons(facts: Facts) -> Iterator[Reason]:
    if facts.private_person_named:
        yield Reason(
            signal="private_person_named",
            measured=float(facts.named.accounts),
            words=_naming_words(facts.named),
        )
    if facts.retold is not None:
        yield Reason(
            signal="name_retold",
            measured=float(facts.retold.posts),
            expected=facts.retold.expected,
            words=f"{_plural(facts.retold.narratives, 'narrative')} tell the same name: together"
            f" {_plural(facts.retold.posts, 'post')} by {_plural(facts.retold.accounts, 'account')} in"
            f" {duration(facts.counts.window_s)}; {_number(facts.retold.expected)} is typical",
        )


def _crisis_reasons(facts: Facts) -> Iterator[Reason]:
    """Say under which crisis it stands, by whose word, and what it would be without (`expected` 0: no alert)."""
    crisis = facts.crisis
    if crisis is None:
        return
    usual = f"with those it would be {facts.usual}" if facts.usual else "with those it is no alert"
    yield Reason(
        signal="crisis",
        measured=ratio_of(crisis),
        expected=1.0 if facts.usual else 0.0,
        words=f"under crisis {crisis.crisis_id}, declared by {crisis.by}: thresholds at {_percent(ratio_of(crisis))}"
        f" of the usual ones; {usual}",
    )


def _alike_reasons(facts: Facts) -> Iterator[Reason]:
    """Say how many act alike; it never makes an alert, so the threshold of its fact does not matter here."""
    if facts.alike is not None:
        yield Reason(
            signal="acting_alike",
            measured=facts.alike.share,
            expected=0.0,
            words=alike_words(facts.alike),
        )


def alike_words(alike: ActingAlike) -> str:
    """Say how many accounts act alike, against chance; never which.

    >>> alike_words(ActingAlike(accounts=14, looked_at=60, share=0.2333, low=0.144, high=0.354, times=4, by_chance=0.3,
    ...                         window_s=30.0, effective_accounts=53.5))[:58]
    '14 of 60 accounts (14 to 35 % of all) act alike: they shar'
    """
    return (
        f"{alike.accounts} of {_plural(alike.looked_at, 'account')} ({100 * alike.low:.0f} to {_percent(alike.high)} of"
        f" all) act alike: they shared the same texts, links or posts within {duration(alike.window_s)} of one another,"
        f" again and again, typically {_plural(alike.times, 'time')}; by chance {_number(alike.by_chance)} would. Fans"
        " and organisers act alike too; for reach they count for less"
    )


def _naming_words(named: NamedPersons) -> str:
    """Say that somebody is named, by how many and on whose word; never who."""
    words = (
        f"{_plural(named.accounts, 'account')} ({_percent(named.share)} of the posts) name a private person as the one"
        " who did it; the name is withheld"
    )
    if named.by_officials:
        words += "; most give police or another authority as the source"
    if named.minors:
        words += "; the person may be a minor"
    return words


def _stance_shift(trend: StanceTrend | None) -> Reason | None:
    """Tell of the attitude whose share has moved most, if it has moved far on enough posts."""
    if trend is None or min(trend.posts, trend.posts_before) < SHIFT_POSTS:
        return None
    moves = {name: getattr(trend.recent, name) - getattr(trend.before, name) for name in ATTITUDES if name != "comment"}
    name = max(moves, key=lambda each: abs(moves[each]))
    if abs(moves[name]) < SHIFT_SHARE:
        return None
    recent, before = getattr(trend.recent, name), getattr(trend.before, name)
    return Reason(
        signal="stance_shift",
        measured=recent,
        expected=before,
        words=f"{ATTITUDES[name]} {'rises' if moves[name] > 0 else 'falls'}: {_percent(recent)} of the last"
        f" {duration(trend.window_s)}, {_percent(before)} before",
    )


def _case_reasons(judgement: Judgement | None, case: Case | None) -> Iterator[Reason]:
    if judgement is not None:
        names = ", ".join(f"“{name}”" for name in judgement.rules)
        yield Reason(signal="policy", measured=float(len(judgement.rules)), words=f"rules that hold: {names}")
    if case is None:
        return
    if case.demoted:
        yield Reason(
            signal="page_budget",
            measured=1.0,
            words="would page by the policy; sent as notice, because the pages of this hour are spent",
        )
    if case.escalated_by is not None:
        yield Reason(signal="escalated", measured=1.0, words=f"escalated by {case.escalated_by}")
    if case.suppressed:
        yield Reason(
            signal="suppressed",
            measured=float(case.suppressed),
            words=f"{_plural(case.suppressed, 'update')} held back by snooze or mute",
        )


def claim_words(claim: MatchedClaim) -> str:
    """Quote a matched claim with who rated it how, and how sure the match is."""
    who = claim.publisher or "a fact-checker"
    known = claim.rating and claim.rating != UNKNOWN_RATING
    rated = f"rated “{claim.rating}” by {who}" if known else f"fact-checked by {who}, rating unknown"
    text = _shortened(claim.claim, CLAIM_LENGTH)
    if claim.linked:
        return f"a claim {rated}: “{text}” (a person linked it)"
    why = f"; shared: {', '.join(claim.shared)}" if claim.shared else ""
    but = f"; differs: {'; '.join(claim.differing)}" if claim.differing else ""
    return f"a claim {rated}: “{text}” (probability of the match {claim.probability:.2f}{why}{but})"


def _shortened(text: str, length: int) -> str:
    return text if len(text) <= length else text[: length - 1].rstrip() + "…"


def _head(alert: Alert) -> Iterator[str]:
    kinds = ", ".join(kind.replace("_", " ") for kind in alert.kinds)
    yield f"Alert {alert.alert_id}, revision {alert.revision}: {alert.severity}, {alert.transition}"
    yield f"  “{alert.label}”"
    yield f"  Kinds: {kinds}. Verdict: {alert.verdict}."
    yield f"  {INDICATOR_NOTE}"
    yield f"  {VIRAL_NOTE}"
    if alert.handling.contains_named_person:
        minor = ", who may be a minor" if alert.handling.possibly_minor else ""
        yield f"  It names a private person{minor}: pass it on only to those who need it. The name is withheld here."
    yield ""


def _why(alert: Alert) -> Iterator[str]:
    yield "Why"
    for reason in alert.reasons:
        yield f"  - {reason.words}"
    if not alert.reasons:
        yield f"  - {why_now(alert.counts, alert.growth)}"
    yield ""


def _evidence(alert: Alert) -> Iterator[str]:
    counts = alert.counts
    yield "Evidence"
    yield (
        f"  {_plural(counts.posts, 'post')} by {_plural(counts.authors, 'account')} in all: "
        f"{_plural(counts.reshares, 'reshare')}, {_plural(counts.replies, 'reply', 'replies')}, {counts.late} late"
    )
    yield f"  First seen {_time(alert.first_seen)}, alert since {_time(alert.detected_at)}"
    yield f"  Attitude of the posts: {_stance(alert.stance)}"
    if alert.stance_trend is not None:
        yield f"    in the last {duration(alert.stance_trend.window_s)}: {_stance(alert.stance_trend.recent)}"
        yield f"    before: {_stance(alert.stance_trend.before)}"
    for words, names in (
        ("Platforms", alert.spread.platforms),
        ("Languages", alert.spread.languages),
        ("Communities", alert.spread.communities),
    ):
        if names:
            yield f"  {words}: " + ", ".join(f"{name} {posts:,}" for name, posts in names.items())
    for claim in alert.matched_claims:
        yield f"  Matches {claim_words(claim)}"
        yield f"    {claim.url or claim.claim_id}"
    if alert.exemplars:
        yield "  Posts to read (texts are in the console):"
        for exemplar in alert.exemplars:
            yield f"    {exemplar.post_id}: {EXEMPLAR_WORDS[exemplar.why]}"
    yield ""


def _present(narrative: Narrative | None) -> Iterator[str]:
    if narrative is None:
        return
    yield f"Narrative {narrative.narrative_id}, {narrative.state}"
    if narrative.merged_into is not None:
        yield f"  Merged into {narrative.merged_into}"
    yield f"  Now: {narrative.why_now}"
    wordings = _plural(narrative.micro_clusters, "wording")
    yield f"  {wordings}; last post {_time(narrative.last_seen)}"
    if narrative.timeline:
        yield f"  Posts over time, from {_time(narrative.timeline[0].at)} to {_time(narrative.timeline[-1].at)}:"
        yield f"  {_bars(narrative.timeline)}"
    yield ""


def _small_print(alert: Alert) -> Iterator[str]:
    health, review = alert.data_health, alert.review
    by = f" by {review.by}" if review.by else ""
    outcome = f"; outcome: {review.outcome}" if review.outcome else ""
    yield f"Review: {review.state}{by}{outcome}"
    if review.note:
        yield f"  Note: {review.note}"
    yield (
        f"Data: complete up to {_time(health.watermark_at)}; {_percent(health.late_ratio)} of the posts came late; "
        f"{_plural(health.silent_partitions, 'silent partition')}"
        + (f"; scoring was {health.delay_s:.0f} s behind" if (health.delay_s or 0.0) >= NOTABLE_DELAY_S else "")
    )
    yield f"Made with model {alert.model}, configuration {alert.config_hash}"
    yield f"Kept until {_time(alert.handling.retain_until)}"


def _gravest(alert: Alert, history: Sequence[Alert]) -> Alert:
    """Return the revision at which the alert first had the severity that it has now."""
    return next((revision for revision in history if revision.severity == alert.severity), alert)


def _course(history: Sequence[Alert]) -> Iterator[str]:
    if not history:
        return
    yield "Course"
    for revision in history:
        kinds = ", ".join(kind.replace("_", " ") for kind in revision.kinds)
        posts = _plural(revision.counts.posts, "post")
        yield f"  {_time(revision.changed_at)}  {revision.transition:<9} {revision.severity:<6}  {posts}; {kinds}"
    yield ""


def _stance(stance: Stance) -> str:
    return ", ".join(f"{words} {_percent(getattr(stance, name))}" for name, words in ATTITUDES.items())


def _bars(timeline: Sequence[TimelineBucket]) -> str:
    """Draw posts per bucket in at most `WIDTH` columns, neighbours added up."""
    per_column = -(-len(timeline) // WIDTH)
    columns = [
        sum(bucket.posts for bucket in timeline[start : start + per_column])
        for start in range(0, len(timeline), per_column)
    ]
    most = max(*columns, 1)
    return "".join(BARS[-(-posts * (len(BARS) - 1) // most)] for posts in columns) + f"  at most {most:,} a column"


def _printable(line: str) -> str:
    """Blank what a terminal might obey: labels and notes come from strangers."""
    return "".join(character if character.isprintable() else " " for character in line)


def _time(at: datetime) -> str:
    return at.strftime("%Y-%m-%d %H:%M:%S UTC")


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"


def _plural(count: float, one: str, many: str | None = None) -> str:
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def _number(value: float) -> str:
    return f"{_short(value):,}"


def _short(value: float) -> float:
    """One decimal below ten, none above, and none where it would be zero."""
    rounded = round(value, 1) if value < 10 else round(value)
    return int(rounded) if rounded == int(rounded) else rounded
