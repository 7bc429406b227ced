"""What the pages show, put together from the board; the markup is in `templates/`, where everything is escaped."""

from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from msgspec import Struct

from detectors.assessment import without_names
from detectors.named_persons import PLACEHOLDER, Withheld
from detectors.records import (
    SEVERITIES,
    STANCES,
    ActingAlike,
    Alert,
    MatchedClaim,
    Narrative,
    NarrativeChange,
    StanceTrend,
)
from detectors.words import alike_words, why_now
from streams.console import words
from streams.console.board import Board, Pulse, Sent
from streams.console.timeline import Timeline, draw

TEMPLATES = Path(__file__).parent / "templates"
STATIC = Path(__file__).parent / "static"

CLOSED_SHOWN = 12
SENT_SLOW_AFTER_S = 30.0
"""A word that has not come back after so long is shown as stuck."""


class Card(Struct, frozen=True, kw_only=True):
    """An alert on the board."""

    alert: Alert
    why_now: str
    open_s: float
    sent: Sent | None


class Group(Struct, frozen=True):
    """Cards about one event."""

    event_id: str
    cards: tuple[Card, ...]


class Column(Struct, frozen=True):
    """Part of a whole, as a coloured piece of a bar: from `x`, `width` wide, of 100."""

    name: str
    words: str
    ratio: float
    x: float


class NarrativePage(Struct, frozen=True, kw_only=True):
    """All that one narrative's page shows; either record may be missing while topics are being read."""

    narrative_id: str
    narrative: Narrative | None
    alert: Alert | None
    others: tuple[Alert, ...]
    """Other alerts on the same narrative."""
    why_now: str
    named: bool
    """A person is named: a label that still shows it waits for a click."""
    texts: tuple[str, ...]
    """Of the exemplars, in their order, with the names of accused persons taken out."""
    claims: tuple[MatchedClaim, ...]
    """Without those names, too."""
    alike: ActingAlike | None
    timeline: Timeline | None
    stance: tuple[Column, ...]
    trend: StanceTrend | None
    revisions: tuple[Alert, ...]
    changes: tuple[NarrativeChange, ...]
    sent: Sent | None
    open_s: float


def environment() -> Environment:
    """Templates that escape whatever they show, and fail on a name that is not there."""
    env = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    shown = ("plain", "defanged", "safe_link", "duration", "moment", "figure", "percent", "plural", "verdict")
    env.filters |= {name: getattr(words, name) for name in shown}
    env.globals |= {name: getattr(words, name) for name in dir(words) if name.isupper()}
    env.filters["alike"] = alike_words
    env.globals |= {"PLACEHOLDER": PLACEHOLDER}
    env.globals |= {"SEVERITIES": SEVERITIES[::-1], "SENT_SLOW_AFTER_S": SENT_SLOW_AFTER_S}
    return env


def board_page(board: Board) -> dict[str, Any]:
    """Put together the first page."""
    pulse = board.pulse()
    groups = [
        Group(group.event_id, tuple(_card(board, pulse, alert) for alert in group.alerts))
        for group in board.open_events()
    ]
    alerts = [card.alert for group in groups for card in group.cards]
    return {
        "pulse": pulse,
        "sections": [
            (severity, [group for group in groups if group.cards[0].alert.severity == severity])
            for severity in SEVERITIES[::-1]
        ],
        "counts": {severity: sum(alert.severity == severity for alert in alerts) for severity in SEVERITIES[::-1]},
        "closed": board.closed_alerts(CLOSED_SHOWN),
    }


def narrative_page(board: Board, narrative_id: str, alert_id: str | None) -> NarrativePage | None:
    """Put together a narrative's page, with the alert asked for or the one that matters most; None if unknown."""
    narrative = board.narrative(narrative_id)
    alerts = board.alerts_of(narrative_id)
    if narrative is None and not alerts:
        return None
    alert = next((a for a in alerts if a.alert_id == alert_id), alerts[0] if alerts else None)
    revisions = board.revisions(alert.alert_id) or [alert] if alert else []
    stance = narrative.stance if narrative else alert.stance if alert else None
    withheld = Withheld(narrative.withheld_names if narrative else ())
    shown = narrative or alert
    assert shown is not None
    return NarrativePage(
        narrative_id=narrative_id,
        narrative=narrative,
        alert=alert,
        others=tuple(a for a in alerts if a is not alert),
        why_now=_why_now(narrative, alert),
        named=any(a.handling.contains_named_person for a in alerts) or bool(withheld.names),
        texts=tuple(withheld.from_text(one.text) for one in narrative.exemplars) if narrative else (),
        claims=tuple(without_names(claim, withheld) for claim in shown.matched_claims),
        alike=shown.acting_alike,
        timeline=draw(narrative, revisions) if narrative else None,
        stance=_columns({name: getattr(stance, name) for name in STANCES}),
        trend=narrative.stance_trend if narrative else alert.stance_trend if alert else None,
        revisions=tuple(revisions),
        changes=tuple(board.changes(narrative_id)),
        sent=board.sent(alert.alert_id) if alert else None,
        open_s=_open_s(board.pulse(), alert) if alert else 0.0,
    )


def _card(board: Board, pulse: Pulse, alert: Alert) -> Card:
    return Card(
        alert=alert,
        why_now=_why_now(board.narrative(alert.narrative_id), alert),
        open_s=_open_s(pulse, alert),
        sent=board.sent(alert.alert_id),
    )


def _why_now(narrative: Narrative | None, alert: Alert | None) -> str:
    """Give the narrative's own line, unless it may hold a name; then the figures alone."""
    if alert is not None and (narrative is None or not narrative.why_now or alert.handling.contains_named_person):
        return why_now(alert.counts, alert.growth)
    return narrative.why_now if narrative else ""


def _open_s(pulse: Pulse, alert: Alert) -> float:
    """Event time since the alert opened: in a replay the wall clock says nothing."""
    now = pulse.event_time or alert.changed_at
    return max(0.0, (now - alert.detected_at).total_seconds())


def _columns(ratios: dict[str, float]) -> tuple[Column, ...]:
    columns: list[Column] = []
    x = 0.0
    for name, ratio in ratios.items():
        columns.append(Column(name, words.STANCE_WORDS[name], ratio, round(x, 2)))
        x += 100 * ratio
    return tuple(columns)
