"""The demo: what it shows, how it judges itself, and, run for real, how it ends."""

import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from detectors.records import (
    SEVERITIES,
    Alert,
    Counts,
    DataHealth,
    Exemplar,
    Growth,
    Handling,
    Reason,
    Review,
    Spread,
    Stance,
)
from streams import demo_screen
from streams.demo_screen import Lines, Links, Progress, picture
from streams.sample.verdict import ORDINARY, judge, story_of_posts

AT = datetime(2026, 6, 5, 14, 0, tzinfo=UTC)
LINKS = Links(
    "http://127.0.0.1:8080",
    ("http://127.0.0.1:9101/metrics", "http://127.0.0.1:9102/metrics"),
    "/tmp/logs",
    "127.0.0.1:9092",
)
STORIES = {"p-rumour": "rumour", "p-call": "call", "p-protest": "protest", "p-joke": "joke", "p-bins": ORDINARY}


def _alert(number: int, severity: str, *posts: str, transition: str = "opened", revision: int = 1, words=2) -> Alert:
    return Alert(
        alert_id=f"a-{number}",
        revision=revision,
        epoch=1,
        transition=transition,
        narrative_id=f"n-{number}",
        event_id="e-1",
        severity=severity,
        kinds=("viral",),
        reasons=tuple(
            Reason(signal="burst", measured=1.0, words=f"reason {n} of alert {number}, " + "in many words " * 8)
            for n in range(words)
        ),
        counts=Counts(
            posts=50, authors=40, reshares=10, replies=5, late=0, window_s=600, window_posts=30, window_authors=25
        ),
        growth=Growth(state="bursting", velocity_per_s=0.1, expected=2.0, basis="narratives_of_this_age", burst_z=9.0),
        forecast=None,
        stance=Stance(support=1.0),
        matched_claims=(),
        verdict="unverified",
        coordination=None,
        spread=Spread(platforms={}, languages={}, communities={}),
        exemplars=tuple(Exemplar(post_id=post, why="earliest") for post in posts),
        label=f"label of {number}",
        merged_into=None,
        data_health=DataHealth(watermark_at=AT, behind_s=0.0, late_ratio=0.0, silent_partitions=0),
        model="hash",
        config_hash="0" * 12,
        first_seen=AT,
        detected_at=AT,
        changed_at=AT + timedelta(minutes=number),
        review=Review(),
        handling=Handling(contains_named_person=False, retain_until=AT),
    )


def _right(*alerts: Alert) -> bool:
    return all(verdict.is_right for verdict in judge(alerts, STORIES))


# ---- the verdict


def test_a_page_for_the_rumour_and_one_for_the_call_are_what_is_expected():
    pages = _alert(1, "page", "p-rumour"), _alert(2, "page", "p-call", "p-call", "p-protest")
    assert _right(*pages)
    assert _right(*pages, _alert(3, "watch", "p-joke"), _alert(4, "notice", "p-protest"), _alert(5, "watch", "p-bins"))


@pytest.mark.parametrize("extra", ["p-protest", "p-joke", "p-bins", "p-unknown"])
def test_a_page_for_anything_else_is_wrong(extra):
    assert not _right(_alert(1, "page", "p-rumour"), _alert(2, "page", "p-call"), _alert(3, "page", extra))


@pytest.mark.parametrize("missing", ["p-rumour", "p-call"])
def test_a_missing_page_is_wrong_whatever_else_came(missing):
    there = "p-call" if missing == "p-rumour" else "p-rumour"
    assert not _right(_alert(1, "page", there), _alert(2, "notice", missing))


def test_an_alert_that_paged_once_has_paged_whatever_became_of_it():
    revisions = [
        _alert(1, "page", "p-rumour"),
        _alert(1, "watch", "p-rumour", revision=2, transition="peaked"),
        _alert(2, "page", "p-call"),
    ]
    assert _right(*revisions)
    assert _right(*reversed(revisions))


def test_an_alert_that_began_as_ordinary_talk_is_of_the_story_that_has_a_third_of_it():
    call = _alert(2, "page", "p-call")
    stories = {**STORIES, "p-bins-2": ORDINARY, "p-bins-3": ORDINARY}
    third = _alert(1, "page", "p-rumour", "p-bins", "p-bins-2")
    quarter = _alert(1, "page", "p-rumour", "p-bins", "p-bins-2", "p-bins-3")
    assert all(verdict.is_right for verdict in judge([third, call], stories))
    assert not all(verdict.is_right for verdict in judge([quarter, call], stories))


def test_the_sample_says_which_story_each_post_is_of():
    assert set(story_of_posts().values()) == {"rumour", "call", "protest", "joke", ORDINARY}


# ---- the screen


@given(
    severities=st.lists(st.sampled_from(SEVERITIES), max_size=60),
    size=st.sampled_from([(80, 24), (100, 30), (200, 50), (60, 16)]),
)
def test_the_picture_fits_into_the_terminal_however_many_alerts_there_are(severities, size):
    width, height = size
    progress = Progress(phase="playing", total_posts=7000, folded=10)
    for number, severity in enumerate(severities):
        progress.put(_alert(number, severity))
    lines = _drawn(progress, width, height)
    assert len(lines) < height
    assert max(map(len, lines)) <= width


def test_pages_come_first_with_their_reasons_and_their_link():
    progress = Progress(phase="playing", folded=10)
    for number, severity in enumerate(["watch", "page", "notice", *["watch"] * 9]):
        progress.put(_alert(number, severity))
    text = "\n".join(_drawn(progress, 100, 30))
    assert "reason 0 of alert 1" in text
    assert "http://127.0.0.1:8080/narratives/n-1" in text
    assert text.index("PAGE") < text.index("◆ notice") < text.index("● watch")


def test_an_alert_shows_why_it_was_raised_even_when_it_has_peaked_since():
    progress = Progress(phase="playing", folded=10)
    progress.put(_alert(1, "page", words=3))
    progress.put(_alert(1, "page", revision=2, transition="peaked", words=0))
    text = "\n".join(_drawn(progress, 100, 30))
    assert "reason 2 of alert 1" in text
    assert "peaked" in text


def test_an_alert_that_was_merged_is_told_of_no_more():
    progress = Progress(phase="playing", folded=10)
    progress.put(_alert(1, "page"))
    progress.put(_alert(1, "page", revision=2, transition="merged"))
    assert "label of 1" not in "\n".join(_drawn(progress, 100, 30))


def test_without_a_terminal_each_event_is_one_plain_line():
    console = Console(width=40, force_terminal=False, record=True, file=open(os.devnull, "w"))  # noqa: PTH123, SIM115
    with Lines(console, LINKS) as lines:
        lines.show(Progress(phase="playing"))
        lines.alert(_alert(1, "page"))
    told = console.export_text().splitlines()
    assert "playing" in told
    assert next(line for line in told if "label of 1" in line).startswith("14:01 page   opened")
    assert told[-1].endswith("http://127.0.0.1:8080/narratives/n-1")


def test_without_a_terminal_how_far_it_is_is_not_said_again_while_nothing_moves(monkeypatch):
    monkeypatch.setattr(demo_screen, "STATUS_EVERY_S", 0.0)
    console = Console(width=40, force_terminal=False, record=True, file=open(os.devnull, "w"))  # noqa: PTH123, SIM115
    with Lines(console, LINKS) as lines:
        for folded in (0, 10, 10, 10, 20, 20):
            lines.show(Progress(phase="playing", folded=folded))
    told = [line for line in console.export_text().splitlines() if "followed" in line]
    assert [f"{folded} followed" in line for folded, line in zip((10, 20), told, strict=True)] == [True, True]


def _drawn(progress: Progress, width: int, height: int) -> list[str]:
    console = Console(width=width, height=height, record=True, file=open(os.devnull, "w"))  # noqa: PTH123, SIM115
    console.print(picture(progress, LINKS, width, height))
    return console.export_text().splitlines()


# ---- the demo itself


class Running:
    """A demo in a process of its own, with ports and folders of its own."""

    def __init__(self, folder: Path, *arguments: str, **variables: str) -> None:
        environment = {key: value for key, value in os.environ.items() if not key.startswith("EMBERWATCH_")}
        environment |= {
            "EMBERWATCH_DATA_DIR": str(folder),
            "EMBERWATCH_CONSOLE_PORT": "0",
            "EMBERWATCH_METRICS_PORT": "0",
            **variables,
        }
        self.process = subprocess.Popen(
            [sys.executable, "-m", "streams.cli", "demo", *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=environment,
            # A shell that runs the tests in the background has them ignore Ctrl-C, and children inherit that.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509 - no thread is forked here
        )
        self.told: list[str] = []

    def until(self, words: str) -> str:
        """Read on to the line that has these words."""
        for line in self.process.stdout:
            self.told.append(line)
            if words in line:
                return line
        pytest.fail(f"the demo ended without {words!r}:\n{self.text}")

    def ended(self) -> int:
        """Read to the end; gives the exit status."""
        self.told += self.process.stdout
        return self.process.wait(60)

    @property
    def text(self) -> str:
        return "".join(self.told)

    @property
    def urls(self) -> list[str]:
        return re.findall(r"^(?:console|metrics) (\S+)$", self.text, flags=re.MULTILINE)


@pytest.fixture
def demo(tmp_path, embedded_address) -> Iterator[type]:
    """Starts a demo; `embedded_address` skips where this machine has no embedded broker."""
    running: list[Running] = []

    def start(*arguments: str, **variables: str) -> Running:
        running.append(Running(tmp_path, *arguments, **variables))
        return running[-1]

    yield start
    for one in running:
        one.process.kill()
        one.process.wait()


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5):
            return True
    except OSError:
        return False


@pytest.mark.broker
@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_demo_pages_for_the_rumour_and_the_call_and_for_nothing_else(demo):
    running = demo("--once")
    status = running.ended()
    assert status == 0, running.text
    assert not any(_answers(url) for url in running.urls)


@pytest.mark.broker
@pytest.mark.slow
@pytest.mark.timeout(600)
def test_ctrl_c_ends_the_demo_and_everything_it_started(demo):
    running = demo(EMBERWATCH_MODEL="hash")
    running.until("playing the sample")
    assert len(running.urls) == 3
    assert all(map(_answers, running.urls))
    running.process.send_signal(signal.SIGINT)
    assert running.ended() == 0
    assert "Traceback" not in running.text
    assert not any(_answers(url) for url in running.urls)


@pytest.mark.broker
@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_demo_names_the_part_that_has_died(demo):
    running = demo("--once", EMBERWATCH_MODEL="hash")
    running.until("playing the sample")
    time.sleep(1.0)
    _kill(running.process.pid, "worker monitor")
    assert running.ended() == 1
    assert "the monitor worker has ended" in running.text
    assert "monitor-worker.log" in running.text
    assert "Traceback" not in running.text


def _kill(ancestor: int, words: str) -> None:
    """SIGKILL the process below `ancestor` that was started with these words, not the leash that holds it."""
    table = subprocess.run(["ps", "-eo", "pid=,ppid=,args="], capture_output=True, text=True, check=True).stdout
    rows = [line.split(maxsplit=2) for line in table.splitlines()]
    parents = {int(pid): int(parent) for pid, parent, _ in rows}
    found = [int(pid) for pid, _, command in rows if words in command and "leash.py" not in command]
    for pid in found:
        above = parents[pid]
        while above > 1 and above != ancestor:
            above = parents.get(above, 0)
        if above == ancestor:
            os.kill(pid, signal.SIGKILL)
            return
    pytest.fail(f"no process with {words!r} below {ancestor}:\n{table}")
