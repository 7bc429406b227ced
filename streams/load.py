"""Load on a pipeline of its own: posts at a fixed rate, whatever the workers make of them, and how long each took.

The load is open. Every post has a time at which it is due, and latency counts from there: where sending or scoring
falls behind, the posts that waited count with all their waiting (there is no coordinated omission).
"""

import contextlib
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any, Self

import msgspec
import numpy as np
from msgspec import Struct

from detectors.codec import decode_entry, decode_record
from detectors.entries import ScoredPost
from detectors.records import Alert, Post
from streams.embedded_broker import free_port
from streams.errors import EmberwatchError
from streams.faust_app import group_of
from streams.kafka_clients import consumer, partitions_of, producer
from streams.lag import GroupLag, lag
from streams.leash import Child
from streams.publish import SPEED_HEADER
from streams.settings import PREFIX, Settings, Stage
from streams.topics import topic_name

PERCENTILES = (50.0, 90.0, 95.0, 99.0, 99.9, 100.0)
READY_WITHIN_S = 240.0
DRAINED_WITHIN_S = 300.0
SETTLES_S = 2.0
"""For the alerts of the last posts."""
WARM_UP_POSTS = 200

# ruff: noqa: SIM905  (lists of words read better so)
SUBJECTS = "mayor nurse driver teacher baker farmer singer keeper judge sailor doctor porter painter miller".split()
VERBS = "saw sold found lost painted closed opened repaired praised missed counted carried forgot measured".split()
OBJECTS = "bridge school river market station garden museum tower library harbour stadium church mill park".split()
PLACES = "Ashford Marlow Kendal Ripon Wells Truro Ely Lewes Hexham Ludlow Whitby Frome Buxton Oakham".split()


class Mixture:
    """Posts as a stream has them: most are unique, some are copies of one another, many are reshares; and bursts.

    Parameters
    ----------
    reshares, copies : shares of the posts that pass on, or word again, what is being talked about now.
    burst_every, burst_posts : once in so many posts, one sentence is six posts in ten, for so many posts.
    texts : of the unique posts; without any they are made up, and no two are the same.
    """

    def __init__(
        self,
        seed: int = 7,
        *,
        reshares: float = 0.25,
        copies: float = 0.15,
        burst_every: int = 4000,
        burst_posts: int = 400,
        texts: Iterator[str] | None = None,
    ) -> None:
        self._chance = Random(seed)  # noqa: S311  a load that can be repeated
        self._reshares, self._copies = reshares, copies
        self._burst_every, self._burst_posts = burst_every, burst_posts
        self._texts = texts
        self._number = 0
        self._talked_about: list[tuple[str, str]] = []
        """Ids and texts of posts that others pass on."""
        self._burst: tuple[str, str] | None = None

    def post(self, at_s: float, prefix: str) -> Post:
        """Make the next post, dated `at_s`; `prefix` begins its id."""
        number, chance = self._number, self._chance
        self._number += 1
        post_id = f"{prefix}-{number}"
        in_burst = number % self._burst_every >= self._burst_every - self._burst_posts
        drawn = chance.random()
        if in_burst and chance.random() < 0.6:
            story = number // self._burst_every
            text = f"They say that the {OBJECTS[story % len(OBJECTS)]} is poisoned"
            if self._burst is None or self._burst[1] != text:
                self._burst = (post_id, text)
                return self._dated(at_s, post_id, text, None)
            return self._again(at_s, post_id, self._burst, reshared=drawn < 0.7)
        if self._talked_about and drawn < self._reshares + self._copies:
            return self._again(at_s, post_id, chance.choice(self._talked_about), reshared=drawn < self._reshares)
        text = next(self._texts) if self._texts else self._made_up(number)
        if chance.random() < 0.02:
            self._talked_about = [*self._talked_about[-20:], (post_id, text)]
        return self._dated(at_s, post_id, text, None)

    def _again(self, at_s: float, post_id: str, root: tuple[str, str], *, reshared: bool) -> Post:
        if reshared:
            return self._dated(at_s, post_id, root[1], root[0])
        ending = self._chance.choice(["", "!", " omg", " they say", " pass it on", " is it true?"])
        return self._dated(at_s, post_id, root[1] + ending, None)

    def _made_up(self, number: int) -> str:
        pick = self._chance.choice
        words = f"the {pick(SUBJECTS)} {pick(VERBS)} the {pick(OBJECTS)} of {pick(PLACES)}"
        return f"{words} and the {pick(SUBJECTS)} {pick(VERBS)} {number} {pick(OBJECTS)}s"

    def _dated(self, at_s: float, post_id: str, text: str, shared_id: str | None) -> Post:
        at = datetime.fromtimestamp(round(at_s, 3), UTC)
        return Post(
            post_id=post_id,
            platform="load",
            created_at=at,
            ingested_at=at,
            author_id=f"author-{self._chance.randrange(50_000)}",
            text=text,
            kind="reshare" if shared_id else "post",
            parent_id=shared_id,
            root_id=shared_id,
        )


class Measured(Struct, frozen=True, kw_only=True):
    """What one rate gave; times in seconds, from the moment at which a post was due."""

    rate: float
    """Posts a second that were asked for."""
    posts: int
    sender_behind_s: float
    """By how much the latest post was sent after it was due: the load itself must keep its pace."""
    journal_s: dict[str, float]
    """Percentiles of the time to the journal."""
    alert_s: dict[str, float]
    """Percentiles of the time to a new or changed alert."""
    backlog_posts: int
    """Posts that were not in the journal when the last one had been sent."""
    drained_s: float
    """Until all of them were."""
    lost: int
    counted_twice: int
    """Posts that are in the journal more than once (the fold counts each of them once)."""
    alerts: int
    alerts_say_late: int
    """Alerts whose data health says that scoring was five seconds behind, or more."""

    @property
    def keeps_up(self) -> bool:
        """Whether lag did not grow: a second's worth of posts waited at the end, at most, and hardly one long."""
        return self.backlog_posts <= self.rate and self.journal_s["p99"] <= 2.0


class Watch:
    """Reads what the workers write, and notes when it is there."""

    def __init__(self, settings: Settings) -> None:
        self.came_at_s: dict[str, float] = {}
        """Wall clock at which each post was first seen in the journal."""
        self.repeats = 0
        self.alerts: list[tuple[float, Alert]] = []
        self._journal, self._alerts = topic_name(settings, "journal"), topic_name(settings, "alert-history")
        self._reader = consumer(settings, fetch_max_wait_ms=20)
        self._reader.assign([p for topic in (self._journal, self._alerts) for p in partitions_of(self._reader, topic)])
        self._reader.seek_to_beginning()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._read, daemon=True)

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
                if record.topic == self._alerts:
                    self.alerts.append((now_s, decode_record(Alert, record.value)))
                    continue
                entry = decode_entry(record.value)
                if isinstance(entry, ScoredPost):
                    self.repeats += entry.post_id in self.came_at_s
                    self.came_at_s.setdefault(entry.post_id, now_s)


@contextlib.contextmanager
def workers(settings: Settings, folder: Path, *, scorers: int = 1) -> Iterator[Callable[[], None]]:
    """Run scorers and a monitor; gives what raises `EmberwatchError` when one has ended."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith(PREFIX)}
    stages: list[Stage] = [*(["score"] * scorers), "monitor"]  # type: ignore[list-item]
    children = []
    for number, stage in enumerate(stages):
        own = msgspec.structs.replace(settings, metrics_port=free_port(), data_dir=folder / str(number))
        children.append(
            Child(
                [sys.executable, "-m", "streams.cli", "worker", stage],
                log=folder / f"{stage}-{number}.log",
                environment={**environment, **own.environment()},
            )
        )

    def check() -> None:
        for stage, child in zip(stages, children, strict=True):
            if child.exit_status is not None:
                raise EmberwatchError(f"the {stage} worker has ended: {child.last_words()}")

    try:
        yield check
    finally:
        for child in children:
            child.stop()


class Load:
    """Sends posts to a pipeline that runs, and measures."""

    def __init__(self, settings: Settings, watch: Watch, check: Callable[[], None], mixture: Mixture) -> None:
        self._settings = settings
        self._watch = watch
        self._check = check
        self._mixture = mixture
        self._runs = 0

    def warm_up(self) -> None:
        """Send posts until models are loaded and batches have had their size."""
        began_s = time.time()
        sent = [self._mixture.post(began_s, "warm") for _ in range(WARM_UP_POSTS)]
        with self._sender() as send:
            for post in sent:
                send(post)
        self._until({post.post_id for post in sent}, READY_WITHIN_S, "the workers are not ready")
        self._until_folded()

    def run(self, rate: float, lasts_s: float) -> Measured:
        """Send `rate` posts a second for so long, wait until they are through, and say how long each took."""
        self._runs += 1
        due_at_s: dict[str, float] = {}
        behind_s = 0.0
        alerts_before, repeats_before = len(self._watch.alerts), self._watch.repeats
        began_s = time.time()
        with self._sender() as send:
            for number in range(max(1, int(rate * lasts_s))):
                at_s = began_s + number / rate
                post = self._mixture.post(at_s, f"r{self._runs}")
                wait_s = at_s - time.time()
                if wait_s > 0.0:
                    time.sleep(wait_s)
                behind_s = max(behind_s, -wait_s)
                due_at_s[post.post_id] = at_s
                send(post)
            backlog = len(due_at_s) - sum(post_id in self._watch.came_at_s for post_id in due_at_s)
        sent_at_s = time.time()
        lost = self._until(due_at_s.keys(), DRAINED_WITHIN_S, None)
        drained_s = time.time() - sent_at_s
        self._until_folded()
        alerts = [(at_s, alert) for at_s, alert in self._watch.alerts[alerts_before:] if _is_news(alert)]
        came = self._watch.came_at_s
        return Measured(
            rate=rate,
            posts=len(due_at_s),
            sender_behind_s=round(behind_s, 4),
            journal_s=_percentiles([came[one] - at_s for one, at_s in due_at_s.items() if one in came]),
            # Posts are dated when they are due, and an alert changes at the date of the post that changed it.
            alert_s=_percentiles([at_s - alert.changed_at.timestamp() for at_s, alert in alerts]),
            backlog_posts=backlog,
            drained_s=round(drained_s, 2),
            lost=lost,
            counted_twice=self._watch.repeats - repeats_before,
            alerts=len(alerts),
            alerts_say_late=sum((alert.data_health.delay_s or 0.0) >= 5.0 for _, alert in alerts),
        )

    @contextlib.contextmanager
    def _sender(self) -> Iterator[Callable[[Post], Any]]:
        sender, topic = producer(self._settings), topic_name(self._settings, "posts")

        def send(post: Post) -> Any:
            value = msgspec.json.encode(post)
            return sender.send(topic, key=post.key.encode(), value=value, headers=[(SPEED_HEADER, b"1")])

        try:
            yield send
        finally:
            sender.flush(timeout=120.0)
            sender.close(timeout=10.0)

    def _until_folded(self) -> None:
        """Wait until the monitor has folded the journal as it is now, and its last alerts were seen."""
        measured = GroupLag(
            self._settings, group_of(self._settings, "monitor"), (topic_name(self._settings, "journal"),)
        )
        deadline_s = time.monotonic() + READY_WITHIN_S
        try:
            ends = measured.ends()
            while lag(ends, measured.committed()):
                self._check()
                if time.monotonic() > deadline_s:
                    raise EmberwatchError(f"the monitor does not catch up within {READY_WITHIN_S:.0f} s")
                time.sleep(0.5)
        finally:
            measured.close()
        time.sleep(SETTLES_S)

    def _until(self, post_ids: Any, within_s: float, otherwise: str | None) -> int:
        """Wait until posts are in the journal; gives how many are not, or raises where `otherwise` has words."""
        deadline_s = time.monotonic() + within_s
        while missing := sum(post_id not in self._watch.came_at_s for post_id in post_ids):
            self._check()
            if time.monotonic() > deadline_s:
                if otherwise:
                    raise EmberwatchError(f"{otherwise} within {within_s:.0f} s")
                return missing
            time.sleep(0.2)
        return 0


def find_knee(load: Load, *, begin: float, lasts_s: float, told: Callable[[Measured], None]) -> list[Measured]:
    """Double the rate until the workers fall behind, then halve the distance twice; gives every measurement."""
    measured = []
    low, high, rate = 0.0, 0.0, begin
    for _ in range(12):
        measured.append(load.run(rate, lasts_s))
        told(measured[-1])
        if measured[-1].keeps_up:
            low = rate
        else:
            high = rate
        if (high and high <= 1.3 * low) or (high and rate <= 1.0):
            break
        rate = 2 * low if not high else (low + high) / 2
    return measured


def knee(measured: Sequence[Measured]) -> float | None:
    """Greatest rate at which the workers kept up, below every one at which they did not; None where there is none.

    >>> knee([])
    """
    failed = min((one.rate for one in measured if not one.keeps_up), default=float("inf"))
    return max((one.rate for one in measured if one.keeps_up and one.rate < failed), default=None)


def _is_news(alert: Alert) -> bool:
    return alert.transition in {"opened", "updated", "resurged"}


def _percentiles(seconds: Sequence[float]) -> dict[str, float]:
    """Of all that was measured, not of a sample.

    >>> _percentiles([0.1, 0.3])["p50"], _percentiles([])
    (0.2, {})
    """
    if not seconds:
        return {}
    return {f"p{one:g}": round(float(np.percentile(seconds, one)), 4) for one in PERCENTILES}
