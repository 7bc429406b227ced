"""`emberwatch forget`: ask that a post, or everything of an author, is forgotten.

The request goes to the topic `deletions` and from there into every journal. An author is named by a keyed hash: one
request for each living key, as nobody can tell under which of them the author wrote.
"""

import getpass
import time
from collections.abc import Sequence
from datetime import UTC, datetime

import click
from kafka.errors import KafkaError

from detectors.codec import encode_record
from detectors.posts import BadRecord, decode_deletion
from detectors.records import Deletion
from streams import audit
from streams.author_hash import former_salts, hash_author, is_spent, living_salts
from streams.errors import EmberwatchError
from streams.kafka_clients import demand_topic, producer
from streams.settings import Settings, variable_of
from streams.topics import topic_name


def run_post(settings: Settings, *, post_id: str, by: str | None) -> int:
    """Ask that one post is forgotten."""
    who = by or getpass.getuser()
    send(settings, [Deletion(post_id=post_id, requested_by=who, at=datetime.now(UTC))])
    click.echo(f"{who}: forget post {post_id}")
    return 0


def run_author(settings: Settings, *, author: str, platform: str | None, by: str | None) -> int:
    """Ask that everything of an author is forgotten, now and in what is still to come within the horizon."""
    who = by or getpass.getuser()
    hashes = [author] if platform is None else hashes_of(settings, platform, author)
    send(settings, [Deletion(author_id=one, requested_by=who, at=datetime.now(UTC)) for one in hashes])
    click.echo(f"{who}: forget one author, by {len(hashes)} hash(es), one for each living salt")
    for spent in filter(is_spent, former_salts(settings)):
        click.echo(
            f"The salt replaced on {spent.replaced_on} protects nothing any more: destroy it"
            f" ({variable_of('hash_salts_before')}).",
            err=True,
        )
    return 0


def hashes_of(settings: Settings, platform: str, author: str) -> list[str]:
    """Ids under which an author may be known, one for each living salt; raises `SettingsError` without a salt."""
    return [hash_author(platform, author, salt) for salt in living_salts(settings)]


def send(settings: Settings, deletions: Sequence[Deletion]) -> None:
    """Send requests, checked as the scorer will; raises `EmberwatchError` where the broker does not confirm all."""
    values = [encode_record(deletion) for deletion in deletions]
    for value in values:
        try:
            decode_deletion(value, received_at_s=time.time())
        except BadRecord as bad:
            raise EmberwatchError(f"deletion: {bad.field}: {bad.error}") from bad
    topic = topic_name(settings, "deletions")
    demand_topic(settings, topic)
    with audit.Log(settings) as log:  # first: what nobody may hide must be written before it is done
        for deletion in deletions:
            log.write(
                audit.Entry(
                    what="erasure" if deletion.author_id else "deletion",
                    by=deletion.requested_by,
                    about=deletion.post_id or "author",
                    client="command",
                    at=deletion.at,
                )
            )
    sender = producer(settings)
    try:
        deliveries = [
            sender.send(topic, key=(deletion.post_id or deletion.author_id or "").encode(), value=value)
            for deletion, value in zip(deletions, values, strict=True)
        ]
        for delivery in deliveries:
            delivery.get(timeout=30.0)
    except KafkaError as error:
        raise EmberwatchError(f"the broker has not confirmed the request: {type(error).__name__}: {error}") from error
    finally:
        sender.close(timeout=10.0)
