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


def run(settings: Settings, *, alert_id: str, word: FeedbackWord, by: str | None, note: str | None) -> int:
    """Send one word of feedback; returns when the broker has confirmed it."""
    feedback = Feedback(
        feedback_id=str(uuid.uuid4()),
        by=by or getpass.getuser(),
        at=datetime.now(UTC),
        word=word,
        alert_id=alert_id,
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
