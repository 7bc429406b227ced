"""From a post on its topic to what can be seen of it, at a fixed rate, with the real workers and the embedded broker.

The load is open: a post is sent when its time has come, whatever the workers have done with those before.
"""

import contextlib
import os
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

import msgspec
import numpy as np

from detectors.codec import decode_entry, decode_record
from detectors.entries import ScoredPost
from detectors.records import Alert, Post
from streams import topics
from streams.embedded_broker import embedded_broker, free_port, settings_for
from streams.errors import EmberwatchError
from streams.kafka_clients import consumer, partitions_of, producer
from streams.leash import Child
from streams.publish import SPEED_HEADER
from streams.settings import PREFIX, Settings
from streams.topics import topic_name

RATES = (20.0, 100.0)
"""Posts a second, one after the other; a scorer that cannot keep up with the second shows in the difference."""
LASTS_S = 30.0
WARM_UP_POSTS = 100
RESHARED = 0.4
"""Share of the posts that share the newest story, one of which begins every `STORY_POSTS`; the others are of the
corpora."""
STORY_POSTS = 250
READY_WITHIN_S = 240.0
DONE_WITHIN_S = 180.0
SETTLES_S = 2.0
"""For the alerts of the last posts."""
SEED = 7


def rows(settings: Settings, texts: dict[str, list[str]]) -> list[dict]:
    """Rows of `latency_p95_ms`, or none, with a line that says why."""
    try:
        with embedded_broker() as address, tempfile.TemporaryDirectory() as folder:
            ours = msgspec.structs.replace(settings_for(settings, address), topic_prefix="", data_dir=Path(folder))
            topics.create(ours)
            with _workers(ours, Path(folder)) as check, _Watch(ours) as watch:
                return _measure(ours, texts, watch, check)
    except EmberwatchError as error:
        print(f"latency: {error}; skipped", file=sys.stderr)
        return []


class _Watch:
    """Reads what the workers write, and notes when it is there."""

    def __init__(self, settings: Settings) -> None:
        self.seconds: dict[str, list[float]] = defaultdict(list)
        self.seen: set[str] = set()
        self.alerts = 0
        self.measuring = False
        self._journal, self._alerts = topic_name(settings, "journal"), topic_name(settings, "alert-history")
        self._reader = consumer(settings, fetch_max_wait_ms=20)
        self._reader.assign([p for topic in (self._journal, self._alerts) for p in partitions_of(self._reader, topic)])
        self._reader.seek_to_beginning()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._read)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._over.set()
        self._thread.join()
        self._reader.close()

    def _read(self) -> None:
        while not self._over.is_set():
            batches = self._reader.poll(timeout_ms=100)
            now_s = time.time()
            for record in (record for batch in batches.values() for record in batch):
                if record.topic == self._journal:
                    self._note_entry(record.value, now_s)
                else:
                    self._note_alert(record.value, now_s)

    def _note_entry(self, value: bytes, now_s: float) -> None:
        entry = decode_entry(value)
        if isinstance(entry, ScoredPost):
            if self.measuring and entry.post_id not in self.seen:
                self.seconds["journal"].append(now_s - entry.ingested_at_s)
            self.seen.add(entry.post_id)

    def _note_alert(self, value: bytes, now_s: float) -> None:
        alert = decode_record(Alert, value)
        self.alerts += 1
        if self.measuring and alert.transition in {"opened", "updated"}:
            # Posts are dated when they are sent, and an alert changes at the date of the post that changed it.
            self.seconds["alert"].append(now_s - alert.changed_at.timestamp())


@contextlib.contextmanager
def _workers(settings: Settings, folder: Path) -> Iterator[Callable[[], None]]:
    """Run both workers; gives what raises `EmberwatchError` when one has ended."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith(PREFIX)}
    children = {}
    for stage in ("score", "monitor"):
        own = msgspec.structs.replace(settings, metrics_port=free_port())
        children[stage] = Child(
            [sys.executable, "-m", "streams.cli", "worker", stage],
            log=folder / f"{stage}.log",
            environment={**environment, **own.environment()},
        )

    def check() -> None:
        for stage, child in children.items():
            if child.exit_status is not None:
                raise EmberwatchError(f"the {stage} worker has ended: {child.last_words()}")

    try:
        yield check
    finally:
        for child in children.values():
            child.stop()


def _measure(settings: Settings, texts: dict[str, list[str]], watch: _Watch, check: Callable[[], None]) -> list[dict]:
    chance = np.random.default_rng(SEED)
    pool = [str(text) for text in chance.permutation(sorted({text for some in texts.values() for text in some}))]
    needed = WARM_UP_POSTS + int(sum(RATES) * LASTS_S)
    if len(pool) < needed:
        raise EmberwatchError(f"{len(pool):,} texts are too few, the load needs {needed:,}")
    fresh = iter(pool)
    sender = producer(settings)
    try:
        _warm_up(sender, settings, fresh, watch, check)
        found = []
        for rate in RATES:
            watch.seconds.clear()
            watch.measuring = True
            behind_s, post_ids = _load(sender, settings, fresh, rate, chance)
            print(f"latency: the load was at most {1000 * behind_s:.0f} ms behind its plan", file=sys.stderr)
            _until(lambda ids=post_ids: watch.seen.issuperset(ids), check, DONE_WITHIN_S, "the workers do not keep up")
            time.sleep(SETTLES_S)
            watch.measuring = False
            found += [row for stage in ("journal", "alert") for row in _rows_of(stage, rate, watch.seconds[stage])]
    finally:
        sender.close(timeout=10.0)
    return found


def _warm_up(sender, settings: Settings, texts: Iterator[str], watch: _Watch, check: Callable[[], None]) -> None:
    """Posts and a first alert: models are loaded, modules imported, and the scorer's batches have had their size."""
    root = _post("warm", next(texts))
    post_ids = []
    for number in range(WARM_UP_POSTS):
        for post in (_post(f"warm-{number}", next(texts)), _post(f"shared-{number}", root.text, root)):
            _send(sender, settings, post)
            post_ids.append(post.post_id)
        if not number:
            _send(sender, settings, root)
    _until(lambda: watch.seen.issuperset(post_ids), check, READY_WITHIN_S, "the scorer is not ready")
    _until(lambda: watch.alerts > 0, check, READY_WITHIN_S, "the monitor is not ready")
    time.sleep(SETTLES_S)


def _load(
    sender, settings: Settings, texts: Iterator[str], rate: float, chance: np.random.Generator
) -> tuple[float, list[str]]:
    """Send posts at their times; how late the latest was, and their ids."""
    post_ids, behind_s, roots = [], 0.0, {}
    began_s = time.monotonic()
    for number in range(int(rate * LASTS_S)):
        due_s = number / rate
        wait_s = began_s + due_s - time.monotonic()
        behind_s = max(behind_s, -wait_s)
        time.sleep(max(0.0, wait_s))
        story = int(number / STORY_POSTS)
        shared = roots.get(story) if chance.random() < RESHARED else None
        post_id = f"p{rate:g}-{number}"
        post = _post(post_id, shared.text, shared) if shared else _post(post_id, next(texts))
        if not shared:
            roots.setdefault(story, post)
        _send(sender, settings, post)
        post_ids.append(post.post_id)
    return behind_s, post_ids


def _post(post_id: str, text: str, shared: Post | None = None) -> Post:
    now = datetime.fromtimestamp(round(time.time(), 3), UTC)
    return Post(
        post_id=post_id,
        platform="corpus",
        created_at=now,
        ingested_at=now,
        author_id=f"author-of-{post_id}",
        text=text,
        kind="reshare" if shared else "post",
        parent_id=shared.post_id if shared else None,
        root_id=shared.post_id if shared else None,
    )


def _send(sender, settings: Settings, post: Post) -> None:
    sender.send(
        topic_name(settings, "posts"),
        key=post.key.encode(),
        value=msgspec.json.encode(post),
        headers=[(SPEED_HEADER, b"1")],
    )


def _until(reached: Callable[[], bool], check: Callable[[], None], within_s: float, otherwise: str) -> None:
    deadline_s = time.monotonic() + within_s
    while not reached():
        check()
        if time.monotonic() > deadline_s:
            raise EmberwatchError(f"{otherwise} within {within_s:.0f} s")
        time.sleep(0.1)


def _rows_of(stage: str, rate: float, seconds: list[float]) -> list[dict]:
    """Rows of one place; none where nothing arrived."""
    if not seconds:
        print(f"latency: nothing arrived at the {stage} at {rate:g} posts a second, skipped", file=sys.stderr)
        return []
    return [
        {
            "task": "T",
            "corpus": "mixture",
            "metric": f"latency_p{percentile}_ms",
            "value": 1000.0 * float(np.percentile(seconds, percentile)),
            "anchor": 103_000.0 if percentile == 95 and stage == "alert" else None,
            "posts_per_second": rate,
            "until": stage,
            "records": len(seconds),
        }
        for percentile in (50, 95)
    ]
