"""A pipeline to be broken: a story, its posts on a broker, workers that a test may kill, and what must come of it.

Two oracles judge what is left on the topics. The exact one folds the journal as it lies and compares byte for byte
with what committed readers see. The one in substance replays the story from its file, without any broker, and pairs
the alerts.
"""

import contextlib
import gzip
import os
import random
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import NamedTuple, Self

import msgspec
from kafka import TopicPartition
from kafka.admin import ConfigResource
from kafka.consumer.fetcher import ConsumerRecord

from detectors.codec import decode_entry, decode_record, encode_record
from detectors.comparison import AlertWithMembers, differences, with_members
from detectors.embedding import HashEncoder
from detectors.entries import ConfigurationEntry, Entry, Origin, ScoredPost, SourceEnd
from detectors.policy import Configuration, TimeParameters
from detectors.posts import decode_post
from detectors.records import Alert
from detectors.replay import InEventOrder, Replay
from detectors.scoring import Scorer
from detectors.seeded import begun
from detectors.skipped import announced, leave_out
from detectors.state import MonitorState
from streams import publish, topics
from streams.embedded_broker import free_port
from streams.faust_app import group_of
from streams.heads import load_weights
from streams.json_lines import read_lines
from streams.kafka_clients import admin_client, producer, read_to_end
from streams.lag import GroupLag, lag
from streams.models import configuration_of
from streams.settings import PREFIX, Settings
from streams.topics import Name, topic_name

BEGINS = datetime(2026, 1, 1, tzinfo=UTC)
TURN_S = 0.2
SUPERVISOR_WAITS_S = 0.5
"""Between the end of a worker and its next start."""
WAVES = (
    "the water of the old reservoir is poisoned, do not drink",
    "they closed the bridge and nobody says why, pass it on",
    "the mayor has sold the hospital to a bank overnight",
)


class Row(NamedTuple):
    """What is said of one fault, in the fields of the benchmarks."""

    fault: str
    rounds: int
    posts: int
    lost: int
    counted_twice: int
    differing_alerts: int
    differing_in_substance: int
    recovery_s: float | None
    """The longest, over the rounds: from the end of a fault until all that was sent before it is folded."""

    def holds(self) -> bool:
        """Whether what is promised was kept."""
        return not (self.lost or self.counted_twice or self.differing_alerts or self.differing_in_substance)


class Story(NamedTuple):
    """A file of posts, a post a second: small talk, in which sentences are suddenly everywhere."""

    file: Path
    posts: int


def write_story(folder: Path, posts: int, *, seed: int = 7) -> Story:
    """Write a story; the same one for the same number and seed."""
    chance = random.Random(seed)
    file = folder / f"story-{posts}.jsonl.gz"
    with gzip.open(file, "wb") as lines:
        roots: dict[str, str] = {}
        for number in range(posts):
            wave = WAVES[number // 600 % len(WAVES)] + (f" {number // 1800}" if number >= 1800 else "")
            in_wave = number % 600 > 200 and chance.random() < 0.5
            row = {
                "post_id": f"p{number}",
                "platform": "x",
                "created_at": BEGINS + timedelta(seconds=number),
                "author_id": f"author-{chance.randrange(400)}",
                "text": wave if in_wave else _small_talk(chance),
            }
            if in_wave and wave in roots and chance.random() < 0.2:
                row |= {"kind": "reshare", "parent_id": roots[wave]}
            elif in_wave:
                roots[wave] = row["post_id"]
            lines.write(msgspec.json.encode(row) + b"\n")
    return Story(file, posts)


def _small_talk(chance: random.Random) -> str:
    """Eight words of many: what nobody repeats must not become a story by chance."""
    return " ".join(f"word{chance.randrange(5000)}" for _ in range(8))


@cache
def without_faults(story: Story) -> list[AlertWithMembers]:
    """Alerts of the story as a replay of its file gives them."""
    settings = Settings(model="hash")
    configuration = configuration_of(settings, Configuration())
    configuration = msgspec.structs.replace(configuration, source_partitions=1)
    encoder = HashEncoder()
    scorer = Scorer(encoder, load_weights(encoder.space), cache_texts=1000)
    posts = [decode_post(line.value) for line in read_lines(story.file)]
    scored = scorer.score([(post, Origin("posts", 0, number), 0.0) for number, post in enumerate(posts)])
    order, replay = InEventOrder(), Replay()
    replay.append([ConfigurationEntry(origin=Origin("configuration", 0, 0), configuration=configuration)])
    replay.append([*order.pass_on(scored), *order.rest(), SourceEnd(origin=Origin("posts", 0, len(scored)))])
    return with_members(replay.alerts.values(), replay.assignments())


class Worker:
    """A worker as a child process."""

    def __init__(self, settings: Settings, stage: str, log: Path, environment: dict[str, str]) -> None:
        self.stage = stage
        self.log = log
        with log.open("ab") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "streams.cli", "worker", stage],
                env={**_without_ours(), **settings.environment(), "OMP_NUM_THREADS": "1", **environment},
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    def kill(self) -> None:
        """End it at once."""
        self.send(signal.SIGKILL)
        self.process.wait(20)

    def stop(self) -> int:
        """End it in order; gives its exit status."""
        self.send(signal.SIGTERM)
        return self.process.wait(60)

    def send(self, number: signal.Signals) -> None:
        """Send it a signal."""
        self.process.send_signal(number)

    def has_ended(self) -> bool:
        """Whether it runs no more."""
        return self.process.poll() is not None

    def words(self) -> str:
        """What it has said."""
        return self.log.read_text(encoding="utf-8", errors="replace")


def hooks(**given: object) -> dict[str, str]:
    """Variables for a child process in which things go wrong (`hooks/sitecustomize.py`)."""
    folder = str(Path(__file__).parent / "hooks")
    return {"PYTHONPATH": folder, **{f"FAULT_{name.upper()}": str(value) for name, value in given.items()}}


class FaultError(AssertionError):
    """Something did not happen that had to."""


class Pipeline:
    """Topics of its own, workers under a supervisor that starts again what has ended, and the story's posts."""

    def __init__(self, settings: Settings, folder: Path, story: Story, *, seed: int = 1) -> None:
        self.settings = settings
        self.story = story
        self.chance = random.Random(seed)
        self.recovery_s: list[float] = []
        self.rounds = 0
        self.complaints: list[str] = []
        self.folded = MonitorState()
        """The state in which the fold of the journal ended."""
        self.workers: list[Worker] = []
        self.folder = folder
        self._number = 0
        self._supervised: dict[str, tuple[Worker, Settings, dict[str, str]]] = {}
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._supervisor = threading.Thread(target=self._supervise, daemon=True)
        self._publishing: threading.Thread | None = None
        self._error: BaseException | None = None
        topics.create(settings)

    def __enter__(self) -> Self:
        self._supervisor.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._over.set()
        self._supervisor.join()
        for worker in self.workers:
            if not worker.has_ended():
                with contextlib.suppress(OSError):
                    worker.send(signal.SIGCONT)
                worker.kill()

    def start(self, stage: str, name: str = "a", environment: dict[str, str] | None = None) -> Worker:
        """Start a worker and keep it running under a name."""
        folder = self.folder / f"{stage}-{name}"
        folder.mkdir(parents=True, exist_ok=True)
        # Notes of what crashed a worker live as long as its folder: each has its own, as on a machine of its own.
        settings = msgspec.structs.replace(self.settings, data_dir=folder, metrics_port=free_port())
        with self._lock:
            worker = self._spawn(settings, stage, name, environment or {})
            self._supervised[f"{stage}-{name}"] = (worker, settings, environment or {})
        return worker

    def start_both(self) -> None:
        """Start a scorer and a monitor, and wait until they work."""
        self.start("score")
        self.start("monitor")
        self.until(lambda: bool(self.values("journal")), "the journal does not begin")

    def worker(self, stage: str, name: str = "a") -> Worker:
        """Give the worker that runs under a name now."""
        with self._lock:
            return self._supervised[f"{stage}-{name}"][0]

    def release(self, stage: str, name: str = "a") -> Worker:
        """Supervise it no more: it stays down when it ends."""
        with self._lock:
            return self._supervised.pop(f"{stage}-{name}")[0]

    def publish(self, speed: float) -> None:
        """Begin to play the story."""

        def play() -> None:
            try:
                publish.publish_posts(self.settings, self.story.file, speed=speed)
            except BaseException as error:  # noqa: BLE001  told by who waits
                self._error = error

        self._publishing = threading.Thread(target=play, daemon=True)
        self._publishing.start()

    def is_publishing(self) -> bool:
        """Whether there is more of the story to come."""
        return self._publishing is not None and self._publishing.is_alive()

    def pause(self, least_s: float, most_s: float) -> None:
        """Let the workers work for a random moment."""
        time.sleep(self.chance.uniform(least_s, most_s))

    def recovered(self, *, within_s: float = 120.0) -> float:
        """Wait until all that was sent so far is folded; notes how long it took since now."""
        began_s = time.monotonic()
        self._until_through("score", ("posts",), within_s)
        self._until_through("monitor", ("journal",), within_s)
        self.until(self._has_owner, "no monitor has the shard", within_s=within_s)
        self.recovery_s.append(time.monotonic() - began_s)
        return self.recovery_s[-1]

    def _has_owner(self) -> bool:
        """Whether a monitor that lives has its state; where nothing waited, nothing else would say so."""
        with self._lock:
            monitors = [worker for key, (worker, *_) in self._supervised.items() if key.startswith("monitor")]
        return any(not worker.has_ended() and "is loaded" in worker.words() for worker in monitors)

    def finish(self, *, within_s: float = 240.0) -> None:
        """Wait until the whole story is folded, and nothing moves any more."""
        if self._publishing is not None:
            self._publishing.join(within_s)
            if self._error is not None:
                raise FaultError(f"the story was not sent: {self._error}") from self._error
            if self._publishing.is_alive():
                raise FaultError("the story is not through")
        self._until_through("score", ("posts",), within_s)
        self._until_through("monitor", ("journal",), within_s)

    def until(self, condition: Callable[[], bool], words: str, *, within_s: float = 120.0) -> None:
        """Wait for something; raises `FaultError` with the workers' last words where it does not come."""
        deadline_s = time.monotonic() + within_s
        while not condition():
            if time.monotonic() > deadline_s:
                logs = "\n".join(f"== {worker.log.name}\n{worker.words()[-1500:]}" for worker in self.workers[-4:])
                raise FaultError(f"{words} within {within_s:.0f} s\n{logs}")
            time.sleep(TURN_S)

    def values(self, name: Name) -> list[bytes]:
        """Values on a topic, as a reader of committed records sees them."""
        return [record.value for record in read_to_end(self.settings, [topic_name(self.settings, name)])]

    def records(self, name: Name) -> list[ConsumerRecord]:
        """Records on a topic."""
        return list(read_to_end(self.settings, [topic_name(self.settings, name)]))

    def append(self, name: Name, value: bytes, *, key: bytes | None = None) -> None:
        """Write a record of our own, to the first partition."""
        sender = producer(self.settings)
        try:
            sender.send(topic_name(self.settings, name), key=key, value=value, partition=0).get(timeout=30.0)
        finally:
            sender.close(timeout=10.0)

    def alter(self, name: Name, changes: dict[str, str]) -> None:
        """Change settings of a topic."""
        admin = admin_client(self.settings)
        try:
            admin.alter_configs([ConfigResource("TOPIC", topic_name(self.settings, name), configs=changes)])
        finally:
            admin.close()

    def eat(self, name: Name, below: int) -> None:
        """Delete what is below an offset, as retention does."""
        admin = admin_client(self.settings)
        try:
            admin.delete_records({TopicPartition(topic_name(self.settings, name), 0): below})
        finally:
            admin.close()

    def page(self, stage: str, path: str, name: str = "a") -> str:
        """What a worker's own pages say, whatever the status."""
        port = self._supervised[f"{stage}-{name}"][1].metrics_port
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/{path}", timeout=10.0) as answer:
                return str(answer.read().decode())
        except urllib.error.HTTPError as error:
            return error.read().decode()

    def demand(self, holds: bool, words: str) -> None:
        """Raise `FaultError` where something does not hold."""
        if not holds:
            raise FaultError(words)

    def logs(self, stage: str) -> str:
        """Everything that the workers of a stage have said."""
        return "\n".join(file.read_text(errors="replace") for file in sorted(self.folder.glob(f"{stage}-*.log")))

    def judge(self, fault: str, *, refused: int = 0) -> Row:
        """Compare with both oracles; `refused` posts of the story may not be folded."""
        entries, replay = self._fold_journal()
        assignments = list(replay.assignments())
        counted = Counter(assignment.post_id for assignment in assignments)
        same = without_faults(self.story)
        ours = with_members(replay.alerts.values(), assignments)
        # An alert may open as much later as the fault let its posts come later, at the speed at which it was played.
        apart_s = _partitions_apart_s(entries, self.settings.posts_partitions)
        allowed_s = max(TimeParameters().allowed_lateness_s, apart_s)
        different = differences(same, ours, allowed_lateness_s=allowed_s)
        for difference in different:
            what = f"{difference.run}: {difference.label!r} {difference.kinds}: {difference.why}"
            self.complaints.append(f"{what} (partitions up to {apart_s:.0f} s apart)")
        return Row(
            fault=fault,
            rounds=self.rounds,
            posts=self.story.posts,
            lost=self.story.posts - refused - len(counted) + self._lost_ends(entries),
            counted_twice=sum(counted.values()) - len(counted),
            differing_alerts=self._differing(replay),
            differing_in_substance=len(different),
            recovery_s=round(max(self.recovery_s), 1) if self.recovery_s else None,
        )

    def judge_rest(self, fault: str, before: list[bytes]) -> Row:
        """Judge a journal whose beginning is gone: `before` is on `alert-history` since then, and what is left adds."""
        entries, replay = self._fold_journal()
        posts = {entry.post_id for entry in entries if isinstance(entry, ScoredPost)}
        counted = Counter(assignment.post_id for assignment in replay.assignments())
        added = [encode_record(alert) for alert in replay.alert_history]
        opened = [alert for alert in replay.alert_history if alert.transition == "opened"]
        return Row(
            fault=fault,
            rounds=self.rounds,
            posts=len(posts),
            lost=len(posts - counted.keys()),
            counted_twice=sum(counted.values()) - len(counted),
            differing_alerts=_apart(self.values("alert-history"), before + added),
            differing_in_substance=len(opened),
            recovery_s=round(max(self.recovery_s), 1),
        )

    def alerts(self) -> list[Alert]:
        """Every revision on `alert-history`."""
        return [decode_record(Alert, value) for value in self.values("alert-history")]

    def _fold_journal(self) -> tuple[list[Entry], Replay]:
        """The journal as it lies, and what folding it offline gives."""
        journal = [(record.offset, decode_entry(record.value)) for record in self.records("journal")]
        items = [*begun(journal, journal[0][0]), *journal]
        replay = Replay()
        replay.state.core.next_offset = items[0][0]
        replay.run(leave_out(items, announced(items)))
        self.folded = replay.state
        return [entry for _, entry in journal], replay

    def _lost_ends(self, entries: list[Entry]) -> int:
        ends = {entry.origin for entry in entries if isinstance(entry, SourceEnd)}
        return self.settings.posts_partitions - len(ends)

    def _differing(self, replay: Replay) -> int:
        """Records that only the topics or only the fold of the journal have, or that are out of order."""
        alerts = [encode_record(alert) for alert in replay.alert_history]
        changes = [encode_record(change) for change in replay.narrative_history]
        found = _apart(self.values("alert-history"), alerts) + _apart(self.values("alerts"), alerts)
        found += _apart(self.values("narrative-history"), changes)
        last = {
            record.key: record.value for record in read_to_end(self.settings, [topic_name(self.settings, "narratives")])
        }
        expected = {key.encode(): encode_record(narrative) for key, narrative in replay.narratives.items()}
        return found + sum(last.get(key) != expected.get(key) for key in last.keys() | expected.keys())

    def _until_through(self, stage: str, names: tuple[Name, ...], within_s: float) -> None:
        """Wait until a stage has acknowledged what is on its topics now."""
        consumed = tuple(topic_name(self.settings, name) for name in names)
        measured = GroupLag(self.settings, group_of(self.settings, stage), consumed)
        try:
            ends = measured.ends()
            self.until(lambda: not lag(ends, measured.committed()), f"{stage} does not catch up", within_s=within_s)
        finally:
            measured.close()

    def _spawn(self, settings: Settings, stage: str, name: str, environment: dict[str, str]) -> Worker:
        self._number += 1
        worker = Worker(settings, stage, self.folder / f"{stage}-{name}-{self._number}.log", environment)
        self.workers.append(worker)
        return worker

    def _supervise(self) -> None:
        while not self._over.wait(SUPERVISOR_WAITS_S):
            with self._lock:
                for key, (worker, settings, environment) in self._supervised.items():
                    if worker.has_ended():
                        stage, _, name = key.partition("-")
                        again = self._spawn(settings, stage, name, environment)
                        self._supervised[key] = (again, settings, environment)


def _partitions_apart_s(entries: list[Entry], partitions: int) -> float:
    """How far one partition of the posts was behind another, at most, in event time."""
    newest = dict.fromkeys(range(partitions), BEGINS.timestamp())
    apart_s = 0.0
    for entry in entries:
        if isinstance(entry, ScoredPost) and entry.origin.partition in newest:
            newest[entry.origin.partition] = max(newest[entry.origin.partition], entry.created_at_s)
            apart_s = max(apart_s, max(newest.values()) - min(newest.values()))
    return apart_s


def _apart(one: list[bytes], other: list[bytes]) -> int:
    """Records that only one of two lists has; 1 where they are the same in another order."""
    apart = (Counter(one) - Counter(other)).total() + (Counter(other) - Counter(one)).total()
    return apart or int(one != other)


def _without_ours() -> dict[str, str]:
    return {key: value for key, value in os.environ.items() if not key.startswith(PREFIX)}
