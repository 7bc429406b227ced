"""Open alerts of a state that was lost: the next one takes them over, or ends them.

Where a monitor begins without the state of the one before it (no snapshot, or one of another version), alerts are open
whose narratives it does not know. It is handed their last revisions. A narrative that is about to alert and holds a
post that the alert showed, or words one of its texts in the same way, goes on under that alert's id: nobody is paged
twice. What is not found again within the time after which quiet alerts clear is cleared, and says why.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime

import msgspec
from msgspec import Struct

from detectors.alerts import Case, Transition
from detectors.entries import OpenAlert, Vector
from detectors.policy import NarrativeParameters
from detectors.records import Alert, Reason, Review
from detectors.vectors import COSINE, whole

SIGNAL = "taken_over"
"""Of the reason that speaks of it."""

FOUND_AGAIN = Reason(
    signal=SIGNAL,
    measured=1.0,
    words="the monitor had lost its state and found this narrative again; counts are of what it has seen since",
)


class Inherited(Struct):
    """An open alert without a narrative."""

    alert: Alert
    """Its last revision."""
    case: Case
    wordings: tuple[Vector, ...]


def inherit(entry: OpenAlert, now_s: float) -> Inherited:
    """Take an alert over as it was last sent; its time to clear begins now, if not later."""
    alert = entry.alert
    changed_at_s = alert.changed_at.timestamp()
    review = alert.review
    case = Case(
        alert_id=alert.alert_id,
        narrative_id=alert.narrative_id,
        state="peaked" if alert.transition == "peaked" else "open",
        revision=alert.revision,
        severity=alert.severity,
        kinds=alert.kinds,
        opened_at_s=alert.detected_at.timestamp(),
        changed_at_s=changed_at_s,
        told_until_s=changed_at_s,
        news_at_s=max(now_s, changed_at_s),
        highest_at_s=max(now_s, changed_at_s),
        sent_posts=alert.counts.posts,
        told_claims={claim.claim_id: claim.verdict for claim in alert.matched_claims},
        review_state=review.state,
        review_by=review.by,
        review_at_s=None if review.at is None else review.at.timestamp(),
        review_note=review.note,
        review_outcome=review.outcome,
    )
    return Inherited(alert, case, entry.wordings)


def found_in(
    inherited: Mapping[str, Inherited],
    narrative_id: str,
    shown: Collection[str],
    wordings: Sequence[Vector],
    parameters: NarrativeParameters,
) -> str | None:
    """Give the alert that was told of a narrative before, by id; None where there is none.

    Parameters
    ----------
    shown : alerts that showed a post which is of the narrative now.
    wordings : of the narrative now.
    """
    best: tuple[float, str] | None = None
    for alert_id, one in sorted(inherited.items()):
        if one.alert.narrative_id == narrative_id or alert_id in shown:
            return alert_id
        similarity = _similarity(one.wordings, wordings, parameters.lexical_weight)
        if similarity >= parameters.micro_similarity and (best is None or similarity > best[0]):
            best = (similarity, alert_id)
    return best and best[1]


def said(one: Inherited, transition: Transition, review: Review, reason: Reason | None) -> Alert:
    """The next revision of an alert without a narrative: what was last measured, and what became of it."""
    changed_at = datetime.fromtimestamp(round(one.case.changed_at_s, 3), UTC)
    kept = one.alert.handling.retain_until - one.alert.changed_at
    return msgspec.structs.replace(
        one.alert,
        revision=transition.revision,
        transition=transition.transition,
        severity=transition.severity,
        kinds=transition.kinds,
        reasons=one.alert.reasons if reason is None else (reason,),
        changed_at=changed_at,
        review=review,
        handling=msgspec.structs.replace(one.alert.handling, retain_until=changed_at + kept),
    )


def not_found_again(after_s: float) -> Reason:
    """Say why an alert whose narrative did not come again is cleared.

    >>> not_found_again(10800.0).words
    'the monitor had lost its state; in 3 h no narrative with these posts or words came near an alert'
    """
    words = f"the monitor had lost its state; in {after_s / 3600:g} h no narrative with these posts or words came near"
    return Reason(signal=SIGNAL, measured=0.0, words=f"{words} an alert")


def _similarity(ones: Sequence[Vector], others: Sequence[Vector], lexical_weight: float) -> float:
    """Greatest cosine of two wordings of one embedding space; -1 without any."""
    spaces = {vector.space for vector in others}
    ones = [vector for vector in ones if vector.space in spaces]
    others = [vector for vector in others if ones and vector.space == ones[0].space]
    if not ones or not others:
        return -1.0
    return float((whole(ones, lexical_weight) @ whole(others, lexical_weight).T).max()) * COSINE
