"""`emberwatch demo`: all of it on this machine, on the bundled sample, with nothing installed beforehand.

An embedded broker, a score worker, a monitor worker and the console run as child processes; the sample is played at
a multiple of its pace, and what happens is shown until Ctrl-C. With `--once` it ends by itself when the sample is
through, and its exit status says whether exactly the expected pages came.

Exit status: 0 when all went well, and when Ctrl-C ends a demo without `--once`; 1 when pages were missing or beyond
what was expected, or something failed; 130 when Ctrl-C ends one with `--once` before its end.
"""

import contextlib
import os
import signal
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from queue import SimpleQueue
from types import FrameType

import msgspec
from prometheus_client.parser import text_string_to_metric_families
from rich.console import Console
from rich.table import Table

from detectors.codec import decode_record
from detectors.records import Alert
from streams import topics
from streams.demo_screen import Display, Lines, Links, Progress, Screen
from streams.embedded_broker import embedded_broker, free_port, given_or_free, settings_for
from streams.errors import EmberwatchError
from streams.kafka_clients import consumer, partitions_of, read_to_end
from streams.leash import Child
from streams.publish import Counts, publish_claims, publish_posts
from streams.sample import CLAIMS, POSTS
from streams.sample.verdict import Verdict, judge, story_of_posts
from streams.sample.write_sample import LASTS_MIN, STARTS_AT
from streams.settings import METRICS_PORTS, PREFIX, Secret, Settings, Stage
from streams.topics import topic_name

SPEED = 200.0
"""Event seconds a second: the afternoon takes under two minutes."""
MOST_AHEAD = 500
"""Posts that may wait for the scorer: on a slow machine the sample is played slower, not out of step."""
READY_WITHIN_S = 240.0
"""Loading torch and the model on a cold disk takes most of it."""
STALLED_AFTER_S = 120.0
"""Without any progress for so long the demo gives up."""
TURN_S = 0.25
RATE_OVER_S = 5.0


class Ended(Exception):  # noqa: N818 - it is no error
    """The demo is over: threads that still work stop."""


@dataclass
class Parts:
    """What runs beside us, and where it answers."""

    settings: Settings
    folder: Path
    metrics_ports: dict[Stage, int]
    children: dict[str, Child] = field(default_factory=dict)

    def metrics_url(self, stage: Stage) -> str:
        """Where a stage shows its figures."""
        return f"http://127.0.0.1:{self.metrics_ports[stage]}/metrics"

    def start(self) -> None:
        """Start the workers and the console, each with a log of its own."""
        for stage, port in self.metrics_ports.items():
            settings = msgspec.structs.replace(self.settings, metrics_port=port)
            self._start(f"{stage} worker", settings, "worker", stage)
        self._start("console", self.settings, "console")

    def _start(self, name: str, settings: Settings, *arguments: str) -> None:
        environment = {key: value for key, value in os.environ.items() if not key.startswith(PREFIX)}
        self.children[name] = Child(
            [sys.executable, "-m", "streams.cli", *arguments],
            log=self.folder / f"{name.replace(' ', '-')}.log",
            environment={**environment, **settings.environment()},
        )

    def check(self) -> None:
        """Raise `EmberwatchError` when one has ended, with its last words."""
        for name, child in self.children.items():
            if child.exit_status is not None:
                raise EmberwatchError(
                    f"the {name} has ended with status {child.exit_status}; the end of {child.log}:\n{_tail(child.log)}"
                )

    def stop(self) -> None:
        """End them all at once, and wait."""
        with ThreadPoolExecutor(len(self.children) or 1) as pool:
            list(pool.map(Child.stop, self.children.values()))


def run(settings: Settings, *, once: bool) -> int:
    """Run the demo; see the module for its exit status."""
    console = Console()
    with _term_as_interrupt():
        try:
            return _run(settings, console, once=once)
        except KeyboardInterrupt:
            console.print("\nThe demo has ended; all its parts are stopped.", highlight=False)
            return 130 if once else 0


def _run(settings: Settings, console: Console, *, once: bool) -> int:
    folder = settings.data_dir.absolute() / "demo" / f"{datetime.now(UTC):%Y%m%d-%H%M%S}"
    folder.mkdir(parents=True, exist_ok=True)
    with embedded_broker() as address, contextlib.ExitStack() as ending:
        parts = _parts(settings_for(settings, address), folder, console)
        ending.callback(parts.stop)
        metrics = tuple(map(parts.metrics_url, parts.metrics_ports))
        links = Links(parts.settings.console_url, metrics, os.path.relpath(folder), address)
        display: Display = Screen(console, links) if console.is_terminal else Lines(console, links)
        demo = _Demo(parts, display)
        ending.callback(demo.end)
        with display:
            demo.begin()
            demo.play()
            if not once:
                demo.stay()
        return _report(console, demo, links)


def _parts(settings: Settings, folder: Path, console: Console) -> Parts:
    """Choose ports and folders: the configured ones, or free ones where they are taken."""
    taken: set[int] = set()
    console_port = _port("console", settings.console_port, taken, console)
    metrics_ports = {stage: _port(stage, settings.metrics_port_of(stage), taken, console) for stage in METRICS_PORTS}
    is_default_url = settings.console_url == Settings().console_url
    settings = msgspec.structs.replace(
        settings,
        metrics_host="127.0.0.1",
        console_port=console_port,
        console_url=f"http://127.0.0.1:{console_port}" if is_default_url else settings.console_url,
        data_dir=folder,
        configuration=settings.configuration and settings.configuration.absolute(),
        topic_prefix="",
        shards=1,
    )
    return Parts(settings=settings, folder=folder, metrics_ports=metrics_ports)


def _port(part: str, wanted: int, taken: set[int], console: Console) -> int:
    """The port that is wanted, or a free one where another process, or another part, has it."""
    try:
        port = free_port() if wanted in taken else given_or_free(wanted)
    except EmberwatchError:
        port = free_port()
    if wanted not in {0, port}:
        console.print(f"Port {wanted} is taken; the {part} listens on {port}.", highlight=False)
    taken.add(port)
    return port


class _Demo:
    """One run: it begins, plays the sample, stays, and ends."""

    def __init__(self, parts: Parts, display: Display) -> None:
        self.parts = parts
        self.progress = Progress(
            begins_at_s=STARTS_AT.timestamp(), ends_at_s=(STARTS_AT + timedelta(minutes=LASTS_MIN)).timestamp()
        )
        self.started_s = time.monotonic()
        self._display = display
        self._over = threading.Event()
        self._pool = ThreadPoolExecutor(2)
        self._publishing: Future[Counts] | None = None
        self._following: Future[None] | None = None
        self._came: SimpleQueue[Alert] = SimpleQueue()
        """Revisions that the follower has read, and the screen has not shown."""
        self._figures: dict[Stage, dict[str, float]] = {"score": {}, "monitor": {}}
        self._folded: list[tuple[float, int]] = []

    @property
    def came(self) -> list[Alert]:
        """Every revision that was published, read from the broker."""
        settings = self.parts.settings
        return [
            decode_record(Alert, record.value)
            for record in read_to_end(settings, [topic_name(settings, "alert-history")])
        ]

    def begin(self) -> None:
        """Make the topics, send the fact-checks, start everything, and wait until the monitor knows them."""
        parts, settings = self.parts, self.parts.settings
        self._show("starting the broker")
        topics.create(settings)
        claims = publish_claims(settings, CLAIMS).confirmed
        self.progress.total_posts = len(story_of_posts())
        parts.start()
        self._following = self._pool.submit(self._follow_alerts)
        self._show("starting the workers")
        self._until(lambda: self._is_ready(claims), within_s=READY_WITHIN_S, what="the workers are not ready")

    def play(self) -> None:
        """Publish the sample, and return when the monitor has folded all of it."""
        self._show("playing the sample")
        self._publishing = self._pool.submit(
            publish_posts, self.parts.settings, POSTS, speed=SPEED, watch=self._keep_step
        )
        self._until(self._is_through, within_s=STALLED_AFTER_S, what="nothing has moved")
        self._show("the sample is through")

    def stay(self) -> None:
        """Keep everything up, so that one can look around, until Ctrl-C."""
        self._show("all played; look around, Ctrl-C ends it")
        self._until(lambda: False, within_s=float("inf"), what="")

    def end(self) -> None:
        """Stop the threads."""
        self._over.set()
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _until(self, holds: Callable[[], bool], *, within_s: float, what: str) -> None:
        """Turn until it holds; raises `EmberwatchError` when a part has ended, or nothing moves for `within_s`."""
        moved_s, before = time.monotonic(), self._state()
        while not holds():
            self.parts.check()
            for future in (self._publishing, self._following):
                if future is not None and future.done():
                    future.result()
            self._turn()
            if self._state() != before:
                moved_s, before = time.monotonic(), self._state()
            if time.monotonic() - moved_s > within_s:
                raise EmberwatchError(f"{what} for {within_s:.0f} s; the logs are in {self.parts.folder}")
            time.sleep(TURN_S)
        self._turn()

    def _state(self) -> tuple[int, ...]:
        return self.progress.sent, self.progress.scored, self.progress.folded

    def _turn(self) -> None:
        """Read the figures of both workers, and show them."""
        for stage in self.parts.metrics_ports:
            self._figures[stage] = (
                _scrape(self.parts.metrics_url(stage), self.parts.settings.metrics_token) or self._figures[stage]
            )
        score, monitor, progress = self._figures["score"], self._figures["monitor"], self.progress
        progress.scored = int(sum(v for k, v in score.items() if k.startswith("emberwatch_posts_scored_total")))
        progress.folded = int(monitor.get("emberwatch_journal_entries_total/post", 0.0))
        progress.claims = int(monitor.get("emberwatch_journal_entries_total/claim", 0.0))
        progress.narratives = int(monitor.get("emberwatch_narratives/live", 0.0))
        progress.event_at_s = monitor.get("emberwatch_watermark_timestamp_seconds", 0.0)
        progress.folded_per_s = self._rate(progress.folded)
        while not self._came.empty():
            alert = self._came.get()
            progress.put(alert)
            self._display.alert(alert)
        self._display.show(progress)

    def _rate(self, folded: int) -> float:
        now_s = time.monotonic()
        self._folded = [(at_s, count) for at_s, count in self._folded if now_s - at_s < RATE_OVER_S]
        self._folded.append((now_s, folded))
        (then_s, before), (_, after) = self._folded[0], self._folded[-1]
        return (after - before) / max(now_s - then_s, TURN_S)

    def _show(self, phase: str) -> None:
        self.progress.phase = phase
        self._display.show(self.progress)

    def _is_ready(self, claims: int) -> bool:
        """Both workers say so, the console answers, and the journal has brought configuration and fact-checks."""
        monitor = self._figures["monitor"]
        return (
            self.progress.claims >= claims
            and monitor.get("emberwatch_journal_entries_total/configuration", 0.0) > 0
            and all(_answers(f"http://127.0.0.1:{port}/readyz") for port in self.parts.metrics_ports.values())
            and _answers(f"http://127.0.0.1:{self.parts.settings.console_port}/healthz")
        )

    def _is_through(self) -> bool:
        """Everything was sent, and the monitor has folded it up to the end of every partition."""
        if self._publishing is None or not self._publishing.done():
            return False
        self.progress.sent = self._publishing.result().sent
        monitor = self._figures["monitor"]
        ends = monitor.get("emberwatch_journal_entries_total/source_end", 0.0)
        return self.progress.folded >= self.progress.sent and ends >= self.parts.settings.posts_partitions

    def _keep_step(self, counts: Counts) -> None:
        """Hold the publisher back while the scorer is too far behind it."""
        self.progress.sent = counts.sent
        while counts.sent - self.progress.scored > MOST_AHEAD and not self._over.is_set():
            time.sleep(TURN_S / 5)
        if self._over.is_set():
            raise Ended

    def _follow_alerts(self) -> None:
        """Read revisions as they come, until the demo is over."""
        settings = self.parts.settings
        with contextlib.closing(consumer(settings)) as reader:
            reader.assign(partitions_of(reader, topic_name(settings, "alert-history")))
            while not self._over.is_set():
                for records in reader.poll(timeout_ms=300).values():
                    for record in records:
                        self._came.put(decode_record(Alert, record.value))


def _report(console: Console, demo: _Demo, links: Links) -> int:
    """Print what was expected and what came; 1 where they differ."""
    verdicts = judge(demo.came, story_of_posts())
    table = Table("story", "expected", "came", "", title="Alerts by story")
    for verdict in verdicts:
        mark = "[green]right[/]" if verdict.is_right else "[bold red]wrong[/]"
        table.add_row(verdict.story, verdict.expected, verdict.got, mark)
    console.print(table)
    posts, seconds = demo.progress.folded, time.monotonic() - demo.started_s
    console.print(
        f"{posts:,} posts followed; {seconds:.0f} s in all; logs in {links.logs}", highlight=False, soft_wrap=True
    )
    for verdict in verdicts:
        if not verdict.is_right:
            console.print(_complaint(verdict), style="bold red", highlight=False)
    return 0 if all(verdict.is_right for verdict in verdicts) else 1


def _complaint(verdict: Verdict) -> str:
    if verdict.expected == "page":
        return f"Missing: no page for the {verdict.story} (came: {verdict.got})."
    return f"Beyond what was expected: a page for the {verdict.story} (came: {verdict.got})."


def _scrape(url: str, token: Secret | None) -> dict[str, float]:
    """Samples of a `/metrics` page, as `name` or `name/label value`; empty while nobody answers."""
    headers = {"Authorization": f"Bearer {token.reveal()}"} if token else {}
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=5.0) as answer:  # noqa: S310
            text = answer.read().decode()
    except (OSError, ValueError):
        return {}
    return {
        "/".join([sample.name, *sample.labels.values()]): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def _tail(log: Path, lines: int = 8) -> str:
    return "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:])


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5.0) as answer:  # noqa: S310
            return int(answer.status) == 200
    except (OSError, urllib.error.URLError):
        return False


@contextlib.contextmanager
def _term_as_interrupt() -> Iterator[None]:
    """SIGTERM ends the demo as Ctrl-C does, its parts in order."""

    def interrupt(_signal: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
