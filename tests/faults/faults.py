"""What can go wrong, each as a function from a way to make a pipeline to a row of figures."""

import signal
import time
from contextlib import AbstractContextManager
from typing import Any, Protocol

from rig import Pipeline, Row

from streams.apache_kafka import Node


class Bench(Protocol):
    """Where pipelines are made."""

    node: Node
    """The only node of the broker."""

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
    with bench.make(posts=rounds * (360 if long else 240)) as pipeline:
        pipeline.start_both()
        pipeline.publish(60.0)
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


def _owner(pipeline: Pipeline) -> str:
    """Name of the monitor that has the shard: the one that said so last."""
    loaded = {name: pipeline.worker("monitor", name).words().rfind("is loaded") for name in ("a", "b")}
    return max(loaded, key=lambda name: loaded[name])


ALL = (nothing, kills, zombie)
"""In the order in which they are run."""
