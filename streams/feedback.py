"""`emberwatch feedback`: what a person made of an alert, to the topic that the journal takes it from."""

import getpass
import uuid
from datetime import UTC, datetime

import click
from kafka.errors import KafkaError

from detectors.codec import encode_record
from detectors.posts import BadRecord, decode_feedback
from detectors.records import Feedback, FeedbackWord
from streams import audit
from streams.errors import EmberwatchError
from streams.kafka_clients import demand_topic, producer
from streams.settings import Settings
from streams.topics import topic_name
from streams.until import end_of

ONLY_OF: dict[str, FeedbackWord] = {"claim": "link_claim", "into": "merge", "until": "snooze"}
"""Options that one word alone takes."""


def run(
    settings: Settings,
    *,
    alert_id: str,
    word: FeedbackWord,
    by: str | None,
    note: str | None,
    claim: str | None = None,
    into: str | None = None,
    until: str | None = None,
) -> int:
    """Send one word of feedback; returns when the broker has confirmed it.

    Parameters
    ----------
    claim : id of the claim, of `link_claim`.
    into : id of the alert that this one is merged into, of `merge`.
    until : a span (`90m`, `24h`, `3d`) or a time (RFC 3339), of `snooze`; without it, until the posts have doubled.
    """
    given = {"claim": claim, "into": into, "until": until}
    for option, only in ONLY_OF.items():
        if given[option] is not None and word != only:
            raise EmberwatchError(f"--{option} goes with `{only}`, not with `{word}`")
    now = datetime.now(UTC)
    feedback = Feedback(
        feedback_id=str(uuid.uuid4()),
        by=by or getpass.getuser(),
        at=now,
        word=word,
        alert_id=alert_id,
        until=None if until is None else end_of(until, now),
        claim_id=claim,
        into_alert_id=into,
        note=note,
    )
    audit.note_command(settings, "feedback", by=feedback.by, about=alert_id[:512], detail=word)
    send(settings, feedback)
    click.echo(f"{feedback.by}: {word} {alert_id}")
    return 0


def send(settings: Settings, feedback: Feedback) -> None:
    """Send feedback, checked as the scorer will; raises `EmberwatchError` where it would be refused."""
    value = encode_record(feedback)
    try:
        decode_feedback(value)
    except BadRecord as bad:
        raise EmberwatchError(f"feedback: {bad.field}: {bad.error}") from bad
    topic = topic_name(settings, "feedback")
    demand_topic(settings, topic)
    sender = producer(settings)
    try:
        key = (feedback.alert_id or feedback.narrative_id or "").encode()
        sender.send(topic, key=key, value=value).get(timeout=30.0)
    except KafkaError as error:
        raise EmberwatchError(f"the broker has not confirmed the feedback: {type(error).__name__}: {error}") from error
    finally:
        sender.close(timeout=10.0)
