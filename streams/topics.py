"""The topics as a table, and what creates and verifies them.

Topics that hold text are forgotten within `ERASURE_DEADLINE_S`: their retention is finite, their segments roll in
time for it, and what is compacted is compacted in time for it. Every topic is stamped with the time of arrival
(`LogAppendTime`), for with event time retention would delete a replayed history at once; event time is a field of
the record.
"""

from typing import Any, Literal

from msgspec import Struct

from streams.errors import EmberwatchError
from streams.settings import Settings

DAY_S = 86_400
ERASURE_DEADLINE_S = 30 * DAY_S
"""A deleted post's text is gone from every topic after so long at most (GDPR, article 12: one month)."""

Name = Literal[
    "posts",
    "claims",
    "feedback",
    "crisis",
    "deletions",
    "configuration",
    "journal",
    "snapshots",
    "alerts",
    "alert-history",
    "narratives",
    "narrative-history",
    "looks",
    "dead-letters",
    "audit",
]

SHARD_OF_POSTS = 0
"""One stream of posts is one shard, so every narrative and every alert is of it."""

IGNORED_BY_EMBEDDED = ("message.timestamp.type", "retention.ms", "segment.ms", "max.compaction.lag.ms")
"""Settings that the embedded broker stores but does not act on."""


class Topic(Struct, frozen=True, kw_only=True):
    """One row of the table."""

    name: Name
    holds: str
    """What a record is."""
    key: str
    """What its key is; empty for none."""
    partitions: Literal["one", "posts", "shards"] = "one"
    """A single one, as many as `posts_partitions`, or as many as `shards`."""
    cleanup: Literal["delete", "compact", "compact,delete"] = "delete"
    retention_s: int | None = None
    """None keeps records for ever (or until their key is replaced, where compacted)."""
    segment_s: int = 7 * DAY_S
    """A segment is closed after so long: only closed segments are deleted or compacted."""
    holds_text: bool = False
    """Whether texts of posts are in it: access rules and the erasure deadline apply."""
    largest_record_bytes: int = 1_048_588
    """What the broker accepts (its own default is this)."""

    @property
    def gone_after_s(self) -> int | None:
        """Seconds after which a record that was deleted or replaced is surely gone; None for never."""
        if "delete" in self.cleanup.split(","):
            return None if self.retention_s is None else self.retention_s + self.segment_s
        return 2 * self.segment_s


TOPICS: tuple[Topic, ...] = (
    Topic(
        name="posts",
        holds="posts as they arrive",
        key="conversation (root_id, else parent_id, else post_id)",
        partitions="posts",
        retention_s=7 * DAY_S,
        segment_s=DAY_S,
        holds_text=True,
    ),
    Topic(name="claims", holds="published fact-checks (ClaimReview)", key="claim id", cleanup="compact"),
    Topic(name="feedback", holds="what people said of an alert", key="alert or narrative id", retention_s=365 * DAY_S),
    Topic(name="crisis", holds="crises declared and stood down", key="crisis id", retention_s=365 * DAY_S),
    Topic(
        name="deletions",
        holds="what to forget",
        key="post or author id",
        retention_s=ERASURE_DEADLINE_S - DAY_S,
        segment_s=DAY_S,
    ),
    Topic(name="configuration", holds="policy and parameters in force", key=""),
    Topic(
        name="journal",
        holds="entries: all that the monitor knows comes from here",
        key="",
        partitions="shards",
        retention_s=21 * DAY_S,
        segment_s=DAY_S,
        holds_text=True,
    ),
    Topic(
        name="snapshots",
        holds="state of the monitor in chunks, and the manifest that names them",
        key="manifest, or the chunk's hash",
        partitions="shards",
        cleanup="compact",  # unchanged chunks are not written again, so a retention would delete living ones
        segment_s=DAY_S,
        holds_text=True,
        largest_record_bytes=4 * 1024 * 1024,
    ),
    Topic(
        name="alerts",
        holds="last revision of each alert",
        key="alert id",
        cleanup="compact,delete",
        retention_s=90 * DAY_S,
    ),
    Topic(name="alert-history", holds="every revision of every alert", key="alert id", retention_s=90 * DAY_S),
    Topic(
        name="narratives",
        holds="present state of each narrative, with the texts that show it",
        key="narrative id",
        cleanup="compact,delete",
        retention_s=21 * DAY_S,
        segment_s=DAY_S,
        holds_text=True,
    ),
    Topic(
        name="narrative-history",
        holds="births, merges, splits and deaths of narratives",
        key="narrative id",
        retention_s=90 * DAY_S,
    ),
    Topic(
        name="looks",
        holds="texts that the monitor wants looked at again",
        key="look id",
        retention_s=2 * DAY_S,
        segment_s=DAY_S,
        holds_text=True,
    ),
    Topic(
        name="dead-letters",
        holds="records that could not be used, unchanged, with origin and error in the headers",
        key="",
        retention_s=14 * DAY_S,
        segment_s=DAY_S,
        holds_text=True,
        largest_record_bytes=2 * 1024 * 1024,
    ),
    Topic(
        name="audit",
        holds="who saw texts and who decided what, when and from where; no texts",
        key="what it is about",
        retention_s=365 * DAY_S,
    ),
)

BY_NAME: dict[Name, Topic] = {topic.name: topic for topic in TOPICS}


def topic_name(settings: Settings, name: Name) -> str:
    """Name of a topic on the broker: its prefix, then its name in the table."""
    return settings.topic_prefix + BY_NAME[name].name


def partition_count(settings: Settings, topic: Topic) -> int:
    """How many partitions a topic has under these settings."""
    return {"one": 1, "posts": settings.posts_partitions, "shards": settings.shards}[topic.partitions]


def broker_settings(settings: Settings, topic: Topic) -> dict[str, str]:
    """Settings of a topic as the broker spells them."""
    given = {
        "cleanup.policy": topic.cleanup,
        "message.timestamp.type": "LogAppendTime",
        "segment.ms": str(topic.segment_s * 1000),
        "max.message.bytes": str(topic.largest_record_bytes),
    }
    if "delete" in topic.cleanup.split(","):
        given["retention.ms"] = "-1" if topic.retention_s is None else str(topic.retention_s * 1000)
    if "compact" in topic.cleanup.split(","):
        given["max.compaction.lag.ms"] = str(topic.segment_s * 1000)
    if settings.replication > 1:
        # Two copies confirm each record: with one, the loss of a machine may lose what was acknowledged.
        given["min.insync.replicas"] = "2"
    return given


class Finding(Struct, frozen=True):
    """What `verify` says of one topic: `made`, `ok`, `ignored` (a warning) or `wrong`."""

    topic: str
    state: Literal["made", "ok", "ignored", "wrong"]
    words: str


def create(settings: Settings) -> list[Finding]:
    """Make the topics that are missing and leave the others as they are; raises `EmberwatchError` on a refusal."""
    from kafka.errors import for_code

    from streams.kafka_clients import admin_client

    admin = admin_client(settings)
    try:
        there = set(admin.list_topics())
        missing = {topic_name(settings, topic.name): topic for topic in TOPICS}
        missing = {name: topic for name, topic in missing.items() if name not in there}
        wanted = {name: _creation(settings, topic) for name, topic in missing.items()}
        made_topics = admin.create_topics(wanted, raise_errors=False)["topics"] if wanted else []
        for made in made_topics:
            code = made["error_code"]
            if code not in {0, 36}:  # 36: another process has made it meanwhile
                words = f"{for_code(code).__name__}: {made['error_message'] or ''}"
                raise EmberwatchError(f"topic {made['name']} was not made: {words}")
        admin.wait_for_topics(list(missing))
    finally:
        admin.close()
    names = [made["name"] for made in made_topics]
    return [Finding(name, "made", f"{partition_count(settings, missing[name])} partition(s)") for name in names]


def verify(settings: Settings) -> list[Finding]:
    """Compare the broker's topics with the table, one finding a topic or more."""
    from kafka.admin import ConfigResource

    from streams.kafka_clients import admin_client

    names = {topic_name(settings, topic.name): topic for topic in TOPICS}
    admin = admin_client(settings)
    try:
        embedded = settings.embedded or is_embedded(admin)
        described = {topic["name"]: topic for topic in admin.describe_topics(list(names))}
        there = [name for name in names if described.get(name, {}).get("partitions")]
        configs = admin.describe_configs([ConfigResource("TOPIC", name) for name in there], config_filter="all")
    finally:
        admin.close()
    findings: list[Finding] = []
    for name, topic in names.items():
        if name not in there:
            findings.append(Finding(name, "wrong", "missing; `emberwatch topics create` makes it"))
            continue
        has = {key: entry["value"] for key, entry in configs["topic"].get(name, {}).items()}
        findings += _compare(
            settings, name, topic, partitions=described[name]["partitions"], has=has, embedded=embedded
        )
    return findings


def is_embedded(admin: Any) -> bool:
    """Whether the broker says that it is the embedded one."""
    from streams.kafka_clients import is_embedded_id

    return is_embedded_id(admin.describe_cluster().get("cluster_id"))


def _creation(settings: Settings, topic: Topic) -> dict[str, Any]:
    return {
        "num_partitions": partition_count(settings, topic),
        "replication_factor": settings.replication,
        "configs": broker_settings(settings, topic),
    }


def _compare(
    settings: Settings, name: str, topic: Topic, *, partitions: list[Any], has: dict[str, str], embedded: bool
) -> list[Finding]:
    findings: list[Finding] = []
    expected = partition_count(settings, topic)
    if len(partitions) != expected:
        findings.append(Finding(name, "wrong", f"has {len(partitions)} partition(s), expected {expected}"))
    copies = min(len(partition["replica_nodes"]) for partition in partitions)
    if copies < settings.replication:
        findings.append(Finding(name, "wrong", f"has {copies} copies of a partition, expected {settings.replication}"))
    wanted = broker_settings(settings, topic)
    wrong = [f"{key} is {has[key]}, expected {value}" for key, value in wanted.items() if has.get(key, value) != value]
    findings += [Finding(name, "wrong", words) for words in wrong]
    ignored = [key for key in wanted if key not in has or (embedded and key in IGNORED_BY_EMBEDDED)]
    if ignored:
        findings.append(Finding(name, "ignored", f"the broker does not act on {', '.join(ignored)}"))
    return findings or [Finding(name, "ok", f"{expected} partition(s), {topic.cleanup}")]


def run_create(settings: Settings) -> int | None:
    """Make the missing topics and say which they were."""
    import click

    made = create(settings)
    for finding in made:
        click.echo(f"made {finding.topic}: {finding.words}")
    click.echo(f"{len(TOPICS)} topics on {settings.broker}: {len(made)} made, {len(TOPICS) - len(made)} there before")
    return 0


def run_verify(settings: Settings) -> int | None:
    """Print a table of findings; 1 if a topic is missing or not as it should be."""
    from rich.console import Console
    from rich.table import Table

    table = Table("topic", "", "what is found", title=f"Topics on {settings.broker}")
    findings = verify(settings)
    colours = {"ok": "green", "ignored": "yellow", "wrong": "red", "made": "green"}
    for finding in findings:
        word = "warning" if finding.state == "ignored" else finding.state
        table.add_row(finding.topic, f"[{colours[finding.state]}]{word}[/]", finding.words)
    Console().print(table)
    return 1 if any(finding.state == "wrong" for finding in findings) else 0
