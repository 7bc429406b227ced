"""What can go wrong, each as a function from a way to make a pipeline to a row of figures."""

import contextlib
import re
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Protocol

import msgspec
from disks import SmallDisk, small_disk
from kafka.admin import KafkaAdminClient, NewTopic
from rig import BEGINS, FaultError, Pipeline, Row, hooks

from detectors.codec import decode_entry, encode_entry
from detectors.entries import Origin, ScoredPost
from streams import apache_kafka
from streams.apache_kafka import Node, one_node, several_nodes
from streams.dead_letters import read_letters
from streams.kafka_clients import admin_client
from streams.settings import Settings
from streams.snapshots import Envelope
from streams.topics import topic_name

DEADLY = "deadlyword"
"""A text with this word kills the scorer that embeds it."""

NO_SNAPSHOT = "no snapshot of shard 0 was written"
BALLAST = 32
"""More logs than a pipeline and the broker itself have."""


class Bench(Protocol):
    """Where pipelines are made."""

    node: Node
    """The only node of the broker."""

    def folder(self) -> Path:
        """A new folder, gone at the end."""

    def make(self, **changes: Any) -> AbstractContextManager[Pipeline]:
        """Make a pipeline with topics of its own; parameters are changes of the settings, and `posts` of the story."""


def nothing(bench: Bench, *, long: bool) -> Row:
    """No fault at all: what the others are compared with."""
    with bench.make(posts=1800 if long else 600) as pipeline:
        pipeline.start_both()
        pipeline.publish(0.0)
        pipeline.finish()
        return pipeline.judge("none")


def kills(bench: Bench, *, long: bool) -> Row:
    """SIGKILL of a scorer or a monitor at random moments, under load."""
    rounds = 50 if long else 5
    with bench.make(posts=rounds * (360 if long else 160)) as pipeline:
        pipeline.start_both()
        pipeline.publish(20.0 if long else 10.0)  # not over before the last kill
        for number in range(rounds):
            pipeline.pause(0.0, 3.0)
            stage = pipeline.chance.choice(("score", "monitor"))
            pipeline.worker(stage).kill()
            pipeline.recovered()
            pipeline.rounds = number + 1
        pipeline.finish()
        return pipeline.judge("SIGKILL of score and monitor workers")


def zombie(bench: Bench, *, long: bool) -> Row:
    """A monitor is frozen until its shard has moved, and comes back."""
    with bench.make(posts=600) as pipeline:
        pipeline.start_both()
        pipeline.start("monitor", "b")
        pipeline.publish(12.0)
        for number in range(4 if long else 1):
            pipeline.pause(2.0, 6.0)
            name = _owner(pipeline)
            frozen = pipeline.worker("monitor", name)
            frozen.send(signal.SIGSTOP)
            pipeline.recovered()
            frozen.send(signal.SIGCONT)
            pipeline.rounds = number + 1
            time.sleep(3.0)
        pipeline.finish()
        return pipeline.judge("a frozen monitor comes back after its shard moved")


def one_of_two_scorers(bench: Bench, *, long: bool) -> Row:
    """One of two scorers is down while the other races on: its backlog is not late."""
    with bench.make(posts=1500 if long else 600) as pipeline:
        pipeline.start_both()
        pipeline.start("score", "b")
        pipeline.publish(20.0)
        pipeline.pause(4.0, 5.0)
        # Frozen, not dead: until its session runs out its partition is nobody's.
        frozen = pipeline.worker("score", "b")
        frozen.send(signal.SIGSTOP)
        time.sleep(60.0 if long else 9.0)
        frozen.send(signal.SIGCONT)
        pipeline.rounds = 1
        pipeline.recovered()
        pipeline.finish()
        row = pipeline.judge("one of two scorers is down, the other races on")
        pipeline.demand(not pipeline.folded.core.late, f"{pipeline.folded.core.late} posts count as late")
        return row


def comings_and_goings(bench: Bench, *, long: bool) -> Row:
    """Workers join and leave."""
    rounds = 20 if long else 2
    with bench.make(posts=rounds * 600) as pipeline:
        pipeline.start_both()
        pipeline.publish(20.0)
        for number in range(rounds):
            for stage in ("score", "monitor"):
                pipeline.start(stage, "guest")
            for stage in ("score", "monitor"):
                begun = pipeline.worker(stage, "guest")
                pipeline.until(lambda one=begun: "metrics and health on" in one.words(), "the guest does not begin")
            pipeline.pause(3.0, 6.0)
            for stage in ("score", "monitor"):
                guest = pipeline.release(stage, "guest")
                pipeline.demand(guest.stop() == 0, "a worker that was asked to stop did not end in order")
            pipeline.recovered()
            pipeline.rounds = number + 1
        pipeline.finish()
        return pipeline.judge("workers join and leave")


def slow_handler(bench: Bench, *, long: bool) -> Row:
    """A scorer is ten seconds in one batch while another one joins, first as the story begins to spread.

    One partition waits for the slow one meanwhile: at this speed it is behind by less than posts may be late.
    """
    with bench.make(posts=900 if long else 480) as pipeline:
        slow = pipeline.folder / "slow"
        pipeline.start("score", environment=hooks(slow=slow))
        pipeline.start("monitor")
        pipeline.until(lambda: bool(pipeline.values("journal")), "the journal does not begin")
        pipeline.publish(6.0)
        pipeline.pause(27.0, 29.0)
        for number in range(4 if long else 1):
            pipeline.pause(1.0, 3.0)
            slow.touch()
            pipeline.pause(0.5, 1.0)
            pipeline.start("score", f"b{number}")
            time.sleep(10.0)
            slow.unlink()
            pipeline.recovered()
            pipeline.rounds = number + 1
        pipeline.finish()
        return pipeline.judge("a slow handler across a rebalance")


def broker_restart(bench: Bench, *, long: bool) -> Row:
    """The broker is stopped and started, first as the story begins to spread.

    What its clients hold back meanwhile comes at once, one partition after the other. At this speed that is less event
    time than alerts may lie apart, also where a broker takes ten seconds to come back.
    """
    with bench.make(posts=1800 if long else 600) as pipeline:
        pipeline.start_both()
        pipeline.publish(10.0)
        for number in range(4 if long else 1):
            pipeline.pause(14.0, 18.0)
            bench.node.stop()
            pipeline.pause(2.0, 5.0)
            bench.node.start()
            bench.node.wait()
            pipeline.recovered()
            pipeline.rounds = number + 1
        pipeline.finish()
        return pipeline.judge("the broker is stopped and started")


def broker_slow(bench: Bench, *, long: bool) -> Row:
    """The broker answers slowly, and then, as the story begins to spread, for a while not at all."""
    with bench.make(posts=1800 if long else 600) as pipeline:
        pipeline.start_both()
        pipeline.publish(6.0 if long else 10.0)  # as slow as the silence is long (`broker_restart`)
        for number in range(4 if long else 1):
            pipeline.pause(8.0, 10.0)
            until_s = time.monotonic() + 6.0
            while time.monotonic() < until_s:
                bench.node.pause()
                time.sleep(0.4)
                bench.node.resume()
                time.sleep(0.1)
            bench.node.pause()
            time.sleep(15.0 if long else 8.0)
            bench.node.resume()
            pipeline.recovered()
            pipeline.rounds = number + 1
        pipeline.finish()
        return pipeline.judge("a slow and a briefly unreachable broker")


def two_of_three(bench: Bench, *, long: bool) -> Row:
    """Two brokers of three are lost and regained; every record is confirmed by two."""
    with several_nodes(3) as nodes:
        address = ",".join(node.address for node in nodes)
        with bench.make(posts=600, address=address, replication=3) as pipeline:
            pipeline.start_both()
            # Slower than elsewhere: an outage puts the partitions apart by its length times the speed.
            pipeline.publish(6.0)
            for number in range(4 if long else 1):
                pipeline.pause(2.0, 4.0)
                lost = pipeline.chance.sample(nodes, 2)
                for node in lost:
                    node.kill()
                pipeline.pause(4.0, 6.0)
                for node in lost:
                    node.start()
                for node in lost:
                    node.wait()
                pipeline.recovered(within_s=200.0)
                pipeline.rounds = number + 1
            pipeline.finish()
            return pipeline.judge("two brokers of three are lost and regained")


def poison(bench: Bench, *, long: bool) -> Row:
    """Records that no one can use: not JSON, one that kills the scorer, one that the monitor cannot fold."""
    with bench.make(posts=600) as pipeline:
        pipeline.start("score", environment=hooks(deadly=DEADLY))
        pipeline.start("monitor")
        pipeline.until(lambda: bool(pipeline.values("journal")), "the journal does not begin")
        pipeline.publish(8.0)
        pipeline.pause(1.0, 2.0)
        deadly = {"post_id": "deadly", "platform": "x", "author_id": "a", "text": f"{DEADLY} words"}
        pipeline.append("posts", b"{not JSON")
        pipeline.append("posts", msgspec.json.encode(deadly | {"created_at": BEGINS}))
        pipeline.until(lambda: len(list(read_letters(pipeline.settings))) == 2, "there are not two dead letters")
        pipeline.recovered()
        pipeline.append("journal", encode_entry(_unfoldable(pipeline)))
        pipeline.until(lambda: "is left out" in pipeline.logs("monitor"), "the entry is not left out")
        pipeline.recovered()
        pipeline.rounds = 3
        pipeline.finish()
        row = pipeline.judge("a poison record at every stage")
        skipped = pipeline.folded.left_out().get("skipped_entry", 0)
        pipeline.demand(skipped == 1, f"{skipped} entries are left out, not one")
        return row


def refused_snapshots(bench: Bench, *, long: bool) -> Row:
    """The broker takes no snapshots, as with a full disk; a monitor dies meanwhile."""
    with bench.make(posts=600) as pipeline:
        pipeline.start_both()
        pipeline.publish(30.0)
        pipeline.until(lambda: "new chunks" in pipeline.logs("monitor"), "there is no first snapshot")
        pipeline.alter("snapshots", {"max.message.bytes": "200"})
        pipeline.until(lambda: NO_SNAPSHOT in pipeline.logs("monitor"), "nobody complains")
        pipeline.worker("monitor").kill()
        pipeline.recovered()
        pipeline.alter("snapshots", {"max.message.bytes": "4194304"})
        pipeline.until(lambda: "new chunks" in pipeline.worker("monitor").words(), "there are no snapshots again")
        pipeline.rounds = 1
        pipeline.finish()
        return pipeline.judge("no disk for snapshots")


def full_disk(bench: Bench, *, long: bool) -> Row:
    """The disk that holds the snapshots is full; a monitor dies meanwhile; with room again the broker starts anew."""
    rounds = 3 if long else 1
    with (
        small_disk(bench.folder() / "disk", megabytes=24) as disk,
        _snapshots_apart(bench, disk) as (node, place),
        bench.make(posts=900 * rounds, address=node.address) as pipeline,
    ):
        place(pipeline)
        pipeline.start_both()
        pipeline.publish(20.0)
        for number in range(rounds):
            pipeline.until(lambda: "new chunks" in pipeline.worker("monitor").words(), "there is no snapshot")
            disk.fill()
            failed = pipeline.logs("monitor").count(NO_SNAPSHOT)
            pipeline.until(
                lambda before=failed: pipeline.logs("monitor").count(NO_SNAPSHOT) > before, "nobody complains"
            )
            pipeline.recovered(within_s=20.0)
            pipeline.worker("monitor").kill()
            pipeline.recovered(within_s=240.0)
            pipeline.demand("cannot be read" in pipeline.worker("monitor").words(), "the disk was not lost")
            disk.make_room()
            node.stop()
            node.start()
            node.wait()
            pipeline.recovered()
            pipeline.rounds = number + 1
        pipeline.until(lambda: "new chunks" in pipeline.worker("monitor").words(), "there are no snapshots again")
        pipeline.finish()
        return pipeline.judge("the disk of the snapshots is full")


def damaged_snapshots(bench: Bench, *, long: bool) -> Row:
    """The newest snapshot is cut short, then one has a chunk changed."""
    with bench.make(posts=600) as pipeline:
        pipeline.start_both()
        pipeline.publish(10.0)
        for number, damage in enumerate((_cut_short, _change_a_chunk)):
            monitor = pipeline.worker("monitor")
            pipeline.until(lambda one=monitor: "new chunks" in one.words(), "there is no snapshot")
            pipeline.until(lambda: len(_manifests(pipeline)) == 2, "there are no two snapshots")
            pipeline.release("monitor").kill()
            words = damage(pipeline)
            pipeline.start("monitor")
            pipeline.recovered()
            pipeline.demand(words in pipeline.logs("monitor"), f"the monitor does not say {words!r}")
            pipeline.rounds = number + 1
        pipeline.finish()
        return pipeline.judge("a snapshot cut short, changed")


def spare(bench: Bench, *, long: bool) -> Row:
    """An idle spare takes over when the monitor dies for good."""
    with bench.make(posts=600) as pipeline:
        pipeline.start_both()
        pipeline.start("monitor", "b")
        pipeline.publish(20.0)
        for number in range(4 if long else 1):
            pipeline.pause(5.0, 7.0)
            name = _owner(pipeline)
            pipeline.release("monitor", name).kill()
            pipeline.recovered()
            pipeline.rounds = number + 1
            pipeline.start("monitor", name)
        pipeline.finish()
        return pipeline.judge("an idle spare takes over")


def known_by_name(bench: Bench, *, long: bool) -> Row:
    """A monitor with a name of its own is killed, and has its shard again at once."""
    with bench.make(posts=600, instance="first") as pipeline:
        pipeline.start_both()
        pipeline.publish(20.0)
        for number in range(10 if long else 2):
            pipeline.pause(2.0, 4.0)
            pipeline.worker("monitor").kill()
            pipeline.recovered()
            pipeline.rounds = number + 1
        pipeline.finish()
        return pipeline.judge("SIGKILL of a worker that is known by name")


def eaten_journal(bench: Bench, *, long: bool) -> Row:
    """Retention has eaten the journal, and there is no snapshot: an alarm, no silent gap; no open alert twice."""
    with bench.make(posts=600, snapshot_every_s=3600.0) as pipeline:
        pipeline.start_both()
        pipeline.publish(0.0)
        pipeline.finish()
        pipeline.release("monitor").kill()
        claim = {"@type": "ClaimReview", "@id": "c1", "claimReviewed": "the water is poisoned"}
        claim |= {"reviewRating": {"alternateName": "False"}}
        pipeline.append("claims", msgspec.json.encode(claim), key=b"c1")
        before = pipeline.values("alert-history")
        eaten = 450
        pipeline.eat("journal", eaten)
        pipeline.start("monitor")
        pipeline.recovered()
        said = f"the entries from 0 to {eaten - 1} are gone"
        pipeline.demand(said in pipeline.logs("monitor"), f"the monitor does not say {said!r}")
        pipeline.demand(
            "begins with 1 claim, 1 configuration, 1 tick" in pipeline.logs("monitor"), "what people said is lost"
        )
        metrics, ready = pipeline.page("monitor", "metrics"), pipeline.page("monitor", "readyz")
        pipeline.demand("emberwatch_cold_start 1.0" in metrics, "the metric does not say it")
        pipeline.demand(f"{eaten} entries" in ready, f"readiness does not say it: {ready}")
        pipeline.rounds = 1
        row = pipeline.judge_rest("retention has eaten the journal", before)
        opened = [alert.alert_id for alert in pipeline.alerts() if alert.transition == "opened"]
        pipeline.demand(len(opened) == 1, f"one story has opened {len(opened)} alerts")
        pipeline.demand(len(pipeline.values("alert-history")) > len(before), "its alert does not go on")
        return row


@contextlib.contextmanager
def _snapshots_apart(bench: Bench, disk: SmallDisk) -> Iterator[tuple[Node, Callable[[Pipeline], None]]]:
    """A node with two folders for its logs, and what moves a pipeline's snapshots to the one on the small disk.

    A broker puts a new log where the fewest are: ballast on the small disk sends all others to the large one.
    """
    home = bench.folder() / "broker"
    small = str(disk.folder / "logs")
    with one_node(data=home, more=f"log.dirs={home / 'logs'},{small}") as node:
        settings = apache_kafka.settings_for(Settings(), node.address)
        admin = admin_client(settings)
        try:
            admin.create_topics([NewTopic(name="ballast", num_partitions=BALLAST, replication_factor=1)])
            _move(admin, [("ballast", number) for number in range(BALLAST)], small)
            yield node, lambda pipeline: _move(admin, [(topic_name(pipeline.settings, "snapshots"), 0)], small)
        finally:
            admin.close()


def _move(admin: KafkaAdminClient, partitions: list[tuple[str, int]], folder: str) -> None:
    """Move logs to a folder of the broker, and wait until they are there."""
    deadline_s = time.monotonic() + 60.0
    while not set(partitions) <= _logs_in(admin, folder):
        admin.alter_replica_log_dirs({(topic, number, 1): folder for topic, number in partitions})
        if time.monotonic() > deadline_s:
            raise FaultError(f"the logs do not move to {folder}")
        time.sleep(0.5)


def _logs_in(admin: KafkaAdminClient, folder: str) -> set[tuple[str, int]]:
    [broker] = admin.describe_log_dirs()
    return {
        (topic["name"], partition["partition_index"])
        for one in broker["log_dirs"]
        if one["log_dir"] == folder
        for topic in one["topics"]
        for partition in topic["partitions"]
        if not partition["is_future_key"]
    }


def _owner(pipeline: Pipeline) -> str:
    """Name of the monitor that has the shard: the one that took it last."""
    taken = {name: pipeline.worker("monitor", name).words() for name in ("a", "b")}
    times = {name: re.findall(r"^(\S+ ?\S*) .*is loaded", words, re.MULTILINE) for name, words in taken.items()}
    return max(times, key=lambda name: times[name][-1] if times[name] else "")


def _unfoldable(pipeline: Pipeline) -> ScoredPost:
    """A post whose vector is shorter than those of its space."""
    entries = (decode_entry(value) for value in pipeline.values("journal"))
    post = next(entry for entry in entries if isinstance(entry, ScoredPost) and entry.vector is not None)
    assert post.vector is not None
    vector = msgspec.structs.replace(post.vector, dense=post.vector.dense[:7])
    origin = Origin("elsewhere", 0, 0)
    return msgspec.structs.replace(post, origin=origin, post_id="unfoldable", kind="post", vector=vector)


def _manifests(pipeline: Pipeline) -> list[tuple[bytes, Envelope]]:
    """Manifests on the topic with their keys, the newest last."""
    last = {record.key: record.value for record in pipeline.records("snapshots")}
    found = [
        (key, msgspec.json.decode(value, type=Envelope)) for key, value in last.items() if key.startswith(b"manifest/")
    ]
    return sorted(found, key=lambda one: one[1].sequence)


def _cut_short(pipeline: Pipeline) -> str:
    key, envelope = _manifests(pipeline)[-1]
    whole = msgspec.json.encode(envelope)
    pipeline.append("snapshots", whole[: len(whole) // 2], key=key)
    return "a manifest of shard 0 is damaged"


def _change_a_chunk(pipeline: Pipeline) -> str:
    manifests = _manifests(pipeline)
    name = next(name for name in manifests[-1][1].chunks if name not in manifests[0][1].chunks)
    pipeline.append("snapshots", b"changed", key=b"chunk/" + name.encode())
    return "is damaged: section"


ALONE_WITH_ITS_WORKERS = (
    nothing,
    kills,
    one_of_two_scorers,
    comings_and_goings,
    slow_handler,
    poison,
    refused_snapshots,
    full_disk,
    damaged_snapshots,
    spare,
    known_by_name,
    zombie,
    eaten_journal,
)
"""They leave the broker alone, so that others may use it meanwhile."""

OF_THE_BROKER = (broker_restart, broker_slow, two_of_three)

ALL = (*ALONE_WITH_ITS_WORKERS, *OF_THE_BROKER)
"""In the order in which they are run."""
