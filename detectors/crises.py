"""A declared crisis: lower thresholds within its scope until it expires, and a report of all that was done under it.

Who declares says why, for what, how much lower and until when; without an end nothing is declared. A crisis makes the
monitor look earlier, never decide otherwise: the rules stay as they are, only the floors from which counts mean
something go down, and not below `LEAST_RATIO`. Every alert in its scope says that it is under it, and by whom.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from statistics import median

import msgspec
from msgspec import Struct

from detectors.policy import Configuration
from detectors.records import SEVERITIES, Alert, Crisis, Kind, Severity
from detectors.virality import Tally

LEAST_RATIO = 0.25
"""Thresholds go down to a quarter at most, whatever is declared: below it everything would be an alert."""

LEAST_POSTS = 4
LEAST_AUTHORS = 3
LEAST_RATIO_TO_EXPECTED = 1.5
LEAST_BURST_Z = 1.5
"""Floors of the floors: a handful of posts stays a handful in a crisis too."""

SHARE_IN_SCOPE = 0.2
"""A narrative is in the scope of a language, platform, community or place that has so much of its posts."""

OPENING = ("opened", "resurged")


def in_force(crises: Mapping[str, Crisis], now_s: float) -> list[Crisis]:
    """Declarations that hold at an event time, the one with the lowest thresholds first."""
    holding = [
        crisis
        for crisis in crises.values()
        if crisis.word == "declare" and crisis.expires_at is not None and crisis.expires_at.timestamp() > now_s
    ]
    return sorted(holding, key=lambda crisis: (ratio_of(crisis), crisis.crisis_id))


def without_expired(crises: Mapping[str, Crisis], now_s: float) -> dict[str, Crisis]:
    """What is still worth remembering: declarations that have ended, by expiry or by word, are on the topic only."""
    holding = {crisis.crisis_id for crisis in in_force(crises, now_s)}
    return {crisis_id: crisis for crisis_id, crisis in crises.items() if crisis_id in holding}


def ratio_of(crisis: Crisis) -> float:
    """Thresholds under it, as a share of the usual ones."""
    return max(LEAST_RATIO, crisis.threshold_ratio)


def concerns(crisis: Crisis, tally: Tally) -> bool:
    """Whether a narrative is in the scope: every part of it that is given must have a notable share of the posts.

    A part may list several values, set apart by commas; "en" also stands for "en-GB". Without a scope all are in it.
    """
    return all(_is_in(tally, kind, values) for kind, values in crisis.scope.items())


def under(configuration: Configuration, crisis: Crisis) -> Configuration:
    """Return the configuration with its effect floors lowered.

    >>> from datetime import datetime, UTC
    >>> crisis = Crisis(crisis_id="k", word="declare", by="ana", why="flood", at=datetime.now(UTC), threshold_ratio=0.5)
    >>> under(Configuration(), crisis).virality.least_posts, Configuration().virality.least_posts
    (6, 12)
    """
    ratio = ratio_of(crisis)
    virality, falsehood, incitement = configuration.virality, configuration.falsehood, configuration.incitement
    named = configuration.named_persons
    return msgspec.structs.replace(
        configuration,
        virality=msgspec.structs.replace(
            virality,
            least_posts=_lower(virality.least_posts, ratio, LEAST_POSTS),
            least_cascade_posts=_lower(virality.least_cascade_posts, ratio, LEAST_POSTS),
            least_worded_posts=_lower(virality.least_worded_posts, ratio, LEAST_POSTS),
            least_authors=_lower(virality.least_authors, ratio, LEAST_AUTHORS),
            least_ratio=min(virality.least_ratio, max(LEAST_RATIO_TO_EXPECTED, ratio * virality.least_ratio)),
            burst_z=min(virality.burst_z, max(LEAST_BURST_Z, ratio * virality.burst_z)),
        ),
        falsehood=msgspec.structs.replace(
            falsehood,
            contested_posts=_lower(falsehood.contested_posts, ratio, 2),
            contested_share=ratio * falsehood.contested_share,
        ),
        incitement=msgspec.structs.replace(
            incitement,
            least_posts=_lower(incitement.least_posts, ratio, 2),
            share=ratio * incitement.share,
        ),
        named_persons=msgspec.structs.replace(
            named, least_authors=_lower(named.least_authors, ratio, 2), least_share=ratio * named.least_share
        ),
    )


def _lower(floor: int, ratio: float, least: int) -> int:
    return min(floor, max(least, round(ratio * floor)))


def _is_in(tally: Tally, kind: str, values: str) -> bool:
    counts = {
        "lang": tally.languages,
        "platform": tally.platforms,
        "community": tally.communities,
        "place": tally.places,
    }.get(kind, {})
    wanted = [value.strip().casefold() for value in values.split(",") if value.strip()]
    posts = sum(posts for name, posts in counts.items() if any(_is_value(name.casefold(), one) for one in wanted))
    return posts >= SHARE_IN_SCOPE * max(1, tally.posts)


def _is_value(name: str, wanted: str) -> bool:
    return name == wanted or name.startswith(f"{wanted}-")


# The report.


class ReportedAlert(Struct, frozen=True, kw_only=True):
    """One alert under the crisis, in short."""

    alert_id: str
    label: str
    gravest: Severity
    kinds: tuple[Kind, ...]
    posts: int
    accounts: int
    opened_at: datetime
    after_declaration_s: float
    """Event time from the declaration to the alert; less than 0 where it was open before."""
    closed_as: str | None
    """`cleared`, `retracted` or `merged`; None while it is open."""
    review: str
    by: str | None
    answered_after_s: float | None
    """From the alert to the first word of a person; event time of the one, clock of the other."""
    outcome: str | None
    only_by_crisis: bool
    """It would not have opened with the usual thresholds when it did."""


class CrisisReport(Struct, frozen=True, kw_only=True):
    """What was declared, by whom and why, and all that was alerted under it."""

    schema_version: int = 1
    crisis_id: str
    why: str
    declared_by: str
    declared_at: datetime
    scope: dict[str, str]
    threshold_ratio: float
    expires_at: datetime | None
    stood_down_by: str | None
    stood_down_at: datetime | None
    stood_down_why: str | None
    decisions: tuple[Crisis, ...]
    """Every declaration and its end, as recorded."""
    alerts: tuple[ReportedAlert, ...]
    by_severity: dict[str, int]
    only_by_crisis: int
    """Alerts that the lowered thresholds brought."""
    confirmed: int
    dismissed: int
    """False alarms, by a person's word."""
    unanswered: int
    first_alert_after_s: float | None
    median_answer_s: float | None


def report(crisis_id: str, decisions: Iterable[Crisis], revisions: Iterable[Alert]) -> CrisisReport | None:
    """Put together what was done under a crisis; None where nobody declared it.

    Parameters
    ----------
    decisions : records of the topic `crisis`, in order.
    revisions : records of the topic `alert-history`, in order.
    """
    own = [crisis for crisis in decisions if crisis.crisis_id == crisis_id]
    declared = [crisis for crisis in own if crisis.word == "declare"]
    if not declared:
        return None
    first, last = declared[0], own[-1]
    stood_down = last if last.word == "stand_down" else None
    courses: dict[str, list[Alert]] = {}
    for revision in revisions:
        courses.setdefault(revision.alert_id, []).append(revision)
    reported = [
        _reported(course, first) for course in courses.values() if any(a.crisis_id == crisis_id for a in course)
    ]
    reported.sort(key=lambda alert: (alert.opened_at, alert.alert_id))
    answered = [alert.answered_after_s for alert in reported if alert.answered_after_s is not None]
    after = [alert.after_declaration_s for alert in reported if alert.after_declaration_s >= 0]
    return CrisisReport(
        crisis_id=crisis_id,
        why=first.why,
        declared_by=first.by,
        declared_at=first.at,
        scope=declared[-1].scope,
        threshold_ratio=ratio_of(declared[-1]),
        expires_at=declared[-1].expires_at,
        stood_down_by=stood_down.by if stood_down else None,
        stood_down_at=stood_down.at if stood_down else None,
        stood_down_why=stood_down.why if stood_down else None,
        decisions=tuple(own),
        alerts=tuple(reported),
        by_severity={one: sum(alert.gravest == one for alert in reported) for one in reversed(SEVERITIES)},
        only_by_crisis=sum(alert.only_by_crisis for alert in reported),
        confirmed=sum(alert.review == "confirmed" for alert in reported),
        dismissed=sum(alert.review == "dismissed" for alert in reported),
        unanswered=len(reported) - len(answered),
        first_alert_after_s=min(after, default=None),
        median_answer_s=median(answered) if answered else None,
    )


def _reported(course: Sequence[Alert], declared: Crisis) -> ReportedAlert:
    last = course[-1]
    gravest = max((alert.severity for alert in course), key=SEVERITIES.index)
    answers = [alert.review.at for alert in course if alert.review.at is not None]
    return ReportedAlert(
        alert_id=last.alert_id,
        label=last.label,
        gravest=gravest,
        kinds=last.kinds,
        posts=last.counts.posts,
        accounts=last.counts.authors,
        opened_at=last.detected_at,
        after_declaration_s=round((last.detected_at - declared.at).total_seconds(), 3),
        closed_as=last.transition if last.transition in {"cleared", "retracted", "merged"} else None,
        review=last.review.state,
        by=last.review.by,
        answered_after_s=round((min(answers) - last.detected_at).total_seconds(), 3) if answers else None,
        outcome=last.review.outcome,
        only_by_crisis=any(
            reason.signal == "crisis" and reason.expected == 0.0
            for alert in course
            if alert.transition in OPENING
            for reason in alert.reasons
        ),
    )


def markdown(whole: CrisisReport) -> str:
    """Write the report for people, ready to be filed."""
    scope = ", ".join(f"{kind} {value}" for kind, value in sorted(whole.scope.items())) or "everything"
    lines = [
        f"# Crisis {_cell(whole.crisis_id)}",
        "",
        f"{_cell(whole.why)}",
        "",
        f"- Declared by {_cell(whole.declared_by)} at {_time(whole.declared_at)}",
        f"- Scope: {_cell(scope)}; thresholds at {100 * whole.threshold_ratio:.0f} % of the usual ones",
        f"- Expires {_time(whole.expires_at)}" if whole.expires_at else "- Without an expiry",
    ]
    if whole.stood_down_at is not None:
        lines.append(
            f"- Stood down by {_cell(whole.stood_down_by or '')} at {_time(whole.stood_down_at)}:"
            f" {_cell(whole.stood_down_why or '')}"
        )
    counted = ", ".join(f"{number} {severity}" for severity, number in whole.by_severity.items())
    lines += [
        "",
        "## What was alerted",
        "",
        f"- {len(whole.alerts)} alerts under it: {counted}",
        f"- {whole.only_by_crisis} of them only by the lowered thresholds",
        (
            f"- {whole.confirmed} confirmed, {whole.dismissed} dismissed as false alarms,"
            f" {whole.unanswered} without an answer"
        ),
        (
            f"- First alert after the declaration: {_span(whole.first_alert_after_s)};"
            f" median time to the first answer: {_span(whole.median_answer_s)}"
        ),
        "",
        "| opened | severity | kinds | what | posts | accounts | only by crisis | review | outcome |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {_time(alert.opened_at)} | {alert.gravest} | {', '.join(alert.kinds).replace('_', ' ')} |"
        f" {_cell(alert.label)} (`{alert.alert_id}`) | {alert.posts:,} | {alert.accounts:,} |"
        f" {'yes' if alert.only_by_crisis else 'no'} | {_cell(alert.review)}"
        f"{f' by {_cell(alert.by)}' if alert.by else ''} | {_cell(alert.outcome or alert.closed_as or 'open')} |"
        for alert in whole.alerts
    ]
    lines += ["", "## Decisions", "", "| at | who | word | why |", "|---|---|---|---|"]
    lines += [
        f"| {_time(one.at)} | {_cell(one.by)} | {one.word.replace('_', ' ')} | {_cell(one.why)} |"
        for one in whole.decisions
    ]
    lines += ["", "Alerts are indicators for people to judge. Names of accused private persons are withheld.", ""]
    return "\n".join(lines)


def _cell(text: str) -> str:
    """Text of a stranger in a table: no line breaks, no bars, nothing a terminal might obey."""
    plain = "".join(character if character.isprintable() else " " for character in text)
    return plain.replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;")


def _time(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def _span(seconds: float | None) -> str:
    return "none" if seconds is None else str(timedelta(seconds=round(seconds)))
