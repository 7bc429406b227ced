"""`emberwatch retention prove`: what each topic still holds, what is gone, and what is there that should not be.

Read from the live broker, not from the table: the settings that it acts on, the age of the oldest record of each
partition, and, where records replace one another, whether what was replaced is really gone.
"""

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, Literal

import click
import msgspec
from kafka import TopicPartition
from msgspec import Struct

from streams.kafka_clients import Reader, admin_client, consumer, partitions_of, read_partition
from streams.settings import Settings
from streams.topics import TOPICS, Topic, topic_name

SLACK_S = 900.0
"""A broker looks every five minutes for what is due, and deletes files a minute later."""


class Holding(Struct, frozen=True, kw_only=True):
    """What one partition holds. Offsets count what was ever written; what was compacted away is not told apart."""

    topic: str
    partition: int
    holds_text: bool
    cleanup: str
    retention_s: float | None
    """As the broker acts on it; None keeps records until they are replaced, or for ever."""
    promised_s: int | None
    """Seconds after which the table says that what was deleted or replaced is gone; None for never."""
    records: int
    """Offsets between the first and the end."""
    gone: int
    """Records deleted from the front, since the topic was made."""
    compacted: int | None
    """Records between the first and the end that were replaced and are gone; None where they are not looked at."""
    earliest_at: datetime | None
    """When the oldest record arrived; None where there is none, or it bears no time."""
    overdue: int
    """Records that should be gone (of one that is deleted by age: 1 for the oldest)."""
    state: Literal["ok", "overdue", "wrong"]
    """`wrong`: the broker's settings let it keep records for longer than promised."""


def prove(settings: Settings, *, now_s: float | None = None) -> list[Holding]:
    """Look at every partition of every topic; raises `EmberwatchError` where one is missing.

    Parameters
    ----------
    now_s : epoch seconds that ages are told by; the clock without it.
    """
    from kafka.admin import ConfigResource

    now_s = time.time() if now_s is None else now_s
    names = {topic_name(settings, topic.name): topic for topic in TOPICS}
    admin = admin_client(settings)
    try:
        resources = [ConfigResource("TOPIC", name) for name in names]
        configs = admin.describe_configs(resources, config_filter="all")["topic"]
    finally:
        admin.close()
    reader = consumer(settings)
    try:
        return [
            _holding(reader, topic, partition, _Kept.of(topic, configs.get(name, {})), now_s)
            for name, topic in names.items()
            for partition in partitions_of(reader, name)
        ]
    finally:
        reader.close()


def run(settings: Settings, *, as_json: bool) -> int:
    """Print what was found; 1 if anything is overdue, or kept for longer than promised."""
    holdings = prove(settings)
    bad = [holding for holding in holdings if holding.state != "ok"]
    if as_json:
        for holding in holdings:
            click.echo(msgspec.json.encode(holding).decode())
        return 1 if bad else 0
    _print_table(settings, holdings)
    click.echo(
        f"{len(bad)} of {len(holdings)} partitions hold what should be gone, or may"
        if bad
        else f"{len(holdings)} partitions hold nothing that should be gone"
    )
    return 1 if bad else 0


class _Kept(Struct, frozen=True):
    """How long a topic keeps records, by the broker's own settings."""

    cleanup: str
    retention_s: float | None
    gone_after_s: float | None
    """After so long a record that was deleted or replaced must be gone, the broker's own rhythm included."""

    @classmethod
    def of(cls, topic: Topic, entries: dict[str, Any]) -> "_Kept":
        has = {key: entry["value"] for key, entry in entries.items()}
        cleanup = str(has.get("cleanup.policy", topic.cleanup))
        segment_s = float(has.get("segment.ms", topic.segment_s * 1000)) / 1000
        retention_s = None
        if "delete" in cleanup:
            wanted_ms = -1 if topic.retention_s is None else topic.retention_s * 1000
            retention_ms = float(has.get("retention.ms", wanted_ms))
            retention_s = None if retention_ms < 0 else retention_ms / 1000
        if "compact" in cleanup:
            lag_s = float(has.get("max.compaction.lag.ms", topic.segment_s * 1000)) / 1000
            return cls(cleanup, retention_s, segment_s + lag_s)
        return cls(cleanup, retention_s, None if retention_s is None else retention_s + segment_s)


def _holding(reader: Reader, topic: Topic, partition: TopicPartition, kept: _Kept, now_s: float) -> Holding:
    begin: int = reader.beginning_offsets([partition])[partition]
    end: int = reader.end_offsets([partition])[partition]
    compacts = "compact" in kept.cleanup
    earliest_at_s: float | None = None
    seen = overdue = 0
    if compacts:
        last: dict[bytes | None, float] = {}
        for record in read_partition(reader, partition, end):
            seen += 1
            at_s = record.timestamp / 1000
            earliest_at_s = at_s if earliest_at_s is None else earliest_at_s
            if record.key in last and kept.gone_after_s is not None:
                overdue += now_s - at_s > kept.gone_after_s + SLACK_S  # replaced then, and still there
            last[record.key] = at_s
    else:
        earliest_at_s = next(_first_at_s(reader, partition, begin, end), None)
    if earliest_at_s is not None and kept.retention_s is not None:
        due_s = kept.retention_s + (_segment_s(kept) if not compacts else topic.segment_s)
        overdue += now_s - earliest_at_s > due_s + SLACK_S
    too_long = topic.gone_after_s is not None and (kept.gone_after_s is None or kept.gone_after_s > topic.gone_after_s)
    if compacts and topic.retention_s is not None:
        too_long = kept.retention_s is None or kept.retention_s > topic.retention_s
    return Holding(
        topic=partition.topic,
        partition=partition.partition,
        holds_text=topic.holds_text,
        cleanup=kept.cleanup,
        retention_s=kept.retention_s,
        promised_s=topic.gone_after_s,
        records=end - begin,
        gone=begin,
        compacted=end - begin - seen if compacts else None,
        earliest_at=None if earliest_at_s is None else datetime.fromtimestamp(earliest_at_s, UTC),
        overdue=overdue,
        state="overdue" if overdue else "wrong" if too_long else "ok",
    )


def _segment_s(kept: _Kept) -> float:
    return 0.0 if kept.gone_after_s is None or kept.retention_s is None else kept.gone_after_s - kept.retention_s


def _first_at_s(reader: Reader, partition: TopicPartition, begin: int, end: int) -> Iterator[float]:
    """When the oldest record arrived, in epoch seconds; nothing where there is none."""
    if begin < end:
        for record in read_partition(reader, partition, end, start=begin):
            if record.timestamp > 0:
                yield record.timestamp / 1000


def _print_table(settings: Settings, holdings: list[Holding]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("topic", "", "kept", "gone by", "oldest record", "there", "gone", title=f"Kept on {settings.broker}")
    colours = {"ok": "green", "overdue": "red", "wrong": "red"}
    for one in holdings:
        overdue = f"{one.overdue} overdue" if one.overdue else one.state
        table.add_row(
            f"{one.topic}[{one.partition}]".replace("[", "\\[") + (" (texts)" if one.holds_text else ""),
            f"[{colours[one.state]}]{overdue}[/]",
            "the last of each key" if one.retention_s is None and "compact" in one.cleanup else _days(one.retention_s),
            _days(one.promised_s),
            f"{one.earliest_at:%Y-%m-%d %H:%M:%S}" if one.earliest_at else "none",
            f"{one.records:,}",
            f"{one.gone:,}" + (f" and {one.compacted:,} replaced" if one.compacted else ""),
        )
    Console().print(table)


def _days(seconds: float | None) -> str:
    return "for ever" if seconds is None else f"{seconds / 86_400:g} days"
