"""Runs `transcripts/time/*.yml`: what time does to the whole fold, from entries to published transitions.

A transcript is a list of steps. In go `posts` (count, at, every, words, partition, name, author, shares, shuffled: a
seed), `tick`, `end` (a partition), `claim` (words), `feedback` (a word on the only alert). `expect` lists all alerts
that came out since the one before, in order, each matched on the fields that it names; `state` names what the monitor
knows by then. Times are like `1h30m`, from the start. What comes out and is not expected fails.
"""

import random
import re
from pathlib import Path

import msgspec
import pytest
import yaml

from detectors.entries import Origin, SourceEnd, Tick
from detectors.monitor import fold, new_state
from detectors.records import Alert

FOLDER = Path(__file__).parent / "transcripts" / "time"
STORIES = (
    "reservoir poisoned ashford chlorine taps boiling",
    "bridge collapsed marlow engineers cracked closed",
)
UNIT_S = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}


def seconds(words):
    """`-1h30m` as seconds."""
    found = re.fullmatch(r"(-?)((?:\d+[smhdw])+)", str(words))
    if not found:
        raise ValueError(f"not a time: {words!r}")
    total = sum(int(count) * UNIT_S[unit] for count, unit in re.findall(r"(\d+)([smhdw])", found[2]))
    return -total if found[1] else total


class Journal:
    """Entries of a transcript, written and folded."""

    def __init__(self, streams, partitions, speed):
        self.streams, self.state = streams, new_state()
        self.speed = speed
        self.offsets = {}
        self.alerts = []
        self.fold(streams.configured(source_partitions=partitions))

    def at(self, words):
        return self.streams.start_s + seconds(words)

    def fold(self, *entries):
        outputs = fold(self.state, enumerate(entries, start=self.state.next_offset))
        self.alerts += [output for output in outputs if isinstance(output, Alert)]

    def offset(self, source):
        self.offsets[source] = self.offsets.get(source, -1) + 1
        return self.offsets[source]

    def posts(
        self, *, at, count=1, every="0s", words=0, partition=0, name=None, author=None, shares=None, shuffled=None
    ):
        name = name or f"p{self.state.next_offset}-"
        if isinstance(words, int):
            made = self.streams.burst(
                self.at(at), posts=count, every_s=seconds(every), words=STORIES[words], name=name, partition=partition
            )
        else:
            made = [
                self.streams.post(f"{name}{i}", self.at(at) + i * seconds(every), words, partition=partition)
                for i in range(count)
            ]
        if shuffled is not None:
            random.Random(shuffled).shuffle(made)
        for post in made:
            changes = {"origin": Origin("posts", partition, self.offset(partition)), "speed": self.speed}
            if author:
                changes["author_id"] = author
            if shares:
                changes |= {"kind": "reshare", "parent_id": shares, "root_id": shares}
            self.fold(msgspec.structs.replace(post, **changes))

    def step(self, word, what):
        if word == "posts":
            self.posts(**what)
        elif word == "tick":
            self.fold(Tick(now_at_s=self.at(what)))
        elif word == "end":
            self.fold(SourceEnd(origin=Origin("posts", what, self.offset(what))))
        elif word == "claim":
            self.fold(self.streams.claim(self.offset("claims"), what))
        elif word == "feedback":
            [alert_id] = {alert.alert_id for alert in self.alerts_ever}
            self.fold(self.streams.feedback(self.offset("feedback"), what, alert_id=alert_id))
        elif word == "state":
            self.expect_state(what)
        elif word == "expect":
            self.expect(what)
        else:
            raise ValueError(f"not a step: {word}")

    @property
    def alerts_ever(self):
        return self.state.core.cases.values()

    def expect(self, wanted):
        shown = [self.shown(alert) for alert in self.alerts]
        assert len(shown) == len(wanted), f"expected {wanted}, came {shown}"
        for one, alert in zip(wanted, shown, strict=True):
            assert one == {field: alert[field] for field in one}, f"expected {one}, came {alert}"
        self.alerts = []

    def shown(self, alert):
        return {
            "transition": alert.transition,
            "revision": alert.revision,
            "posts": alert.counts.posts,
            "late_ratio": alert.data_health.late_ratio,
            "behind": alert.data_health.behind_s,
            "silent": alert.data_health.silent_partitions,
        }

    def expect_state(self, wanted):
        core = self.state.core
        known = {
            "folded": core.folded,
            "late": core.late,
            "watermark": core.time.watermark_at_s - self.streams.start_s,
            "time": core.time.greatest_at_s - self.streams.start_s,
            "idle": sum(one.idle for one in core.time.partitions.values()),
            "open": sum(case.is_live() for case in core.cases.values()),
            **{reason: count for reason, count in self.state.left_out().items() if count},
        }
        for name, value in wanted.items():
            expected = seconds(value) if name in {"watermark", "time"} else value
            assert known.get(name, 0) == expected, f"{name}: expected {value}, it is {known}"


def run(streams, document):
    journal = Journal(streams, document.get("partitions", 1), document.get("speed", 1.0))
    for step in document["transcript"]:
        [(word, what)] = step.items()
        journal.step(word, what)
    journal.expect([])
    return journal


def documents():
    for path in sorted(FOLDER.glob("*.yml")):
        for document in yaml.safe_load_all(path.read_text("utf-8")):
            yield pytest.param(document, id=f"{path.stem}: {document['name']}")


@pytest.mark.parametrize("document", list(documents()))
def test_transcript(streams, document):
    if "error" in document:
        with pytest.raises(AssertionError, match=document["error"]):
            run(streams, document)
    else:
        run(streams, document)


def test_there_are_transcripts_that_must_fail():
    errors = [one.values[0].get("error") for one in documents()]
    assert sum(error is not None for error in errors) >= 3
    assert errors.count(None) >= 12
