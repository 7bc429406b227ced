"""Workers as child processes, which a test may kill, and what it waits for."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from streams.faust_app import group_of
from streams.lag import GroupLag, lag
from streams.settings import PREFIX, Settings
from streams.topics import topic_name


class Workers:
    """Score and monitor workers of one test; all of them end with it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
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

    def until(self, condition: Callable[[], bool], *, within_s: float = 50.0) -> None:
        deadline_s = time.monotonic() + within_s
        while not condition():
            self.check()
            if time.monotonic() > deadline_s:
                logs = "\n".join(f"== {log.name}\n{log.read_text()[-2000:]}" for log in self._folder.glob("*.log"))
                pytest.fail(f"not so within {within_s:.0f} s\n{logs}")
            time.sleep(0.2)

    def until_caught_up(self, settings: Settings, stage: str, topics: list[str], *, within_s: float = 50.0) -> None:
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
