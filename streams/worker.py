"""What both workers have around their stage: pulse, watchdog, health pages, background tasks, an orderly end."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import faust

from streams import health
from streams.faust_app import group_of, run_app, stop_app
from streams.lag import GroupLag, lag
from streams.metrics import Metrics
from streams.settings import Settings, Stage
from streams.watchdog import Watchdog

TURN_S = 1.0
LAG_EVERY_S = 2.0
RETRY_AFTER_S = 5.0

_log = logging.getLogger("streams.worker")


class Worker:
    """One app and what runs beside it.

    Parameters
    ----------
    consumed : full names of the topics whose lag is measured.
    """

    def __init__(
        self, app: faust.App, settings: Settings, stage: Stage, metrics: Metrics, consumed: Sequence[str]
    ) -> None:
        self.app = app
        self.watchdog = Watchdog()
        self.assigned: frozenset[tuple[str, int]] = frozenset()
        """Topic and partition of what this worker consumes now."""
        self._settings = settings
        self._stage = stage
        self._metrics = metrics
        self._consumed = tuple(consumed)
        self._joined = False
        # Faust holds receivers weakly: the attribute keeps these alive.
        self._receivers = (self._note_assignment, self._note_revocation)
        app.on_partitions_assigned.connect(self._receivers[0])
        app.on_partitions_revoked.connect(self._receivers[1])

    async def run(
        self,
        stop: asyncio.Event,
        *,
        ready: Mapping[str, health.Check],
        beside: Sequence[Callable[[], Awaitable[None]]] = (),
        before_stop: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        """Work until `stop` is set, then finish what is in hand and leave the group."""
        heartbeat = health.Heartbeat(self._metrics.heartbeat)
        checks = health.Checks(alive={"loop": heartbeat.check}, ready={"group": self._has_joined, **ready})
        port = self._settings.metrics_port_of(self._stage)
        pages = await health.start(self._settings, port, self._metrics, checks)
        _log.info("metrics and health on %s", pages.addresses)
        tasks = [asyncio.create_task(self._pulse(heartbeat))]
        tasks += [asyncio.create_task(_again_and_again(one)) for one in (self._follow_lag, *beside)]
        self.watchdog.start()
        try:
            await run_app(self.app, stop)
            _log.info("stopping")
            if before_stop is not None:
                await before_stop()
            await stop_app(self.app)
        finally:
            for task in tasks:
                task.cancel()
            await pages.cleanup()

    async def _pulse(self, heartbeat: health.Heartbeat) -> None:
        while True:
            heartbeat.beat()
            self.watchdog.turned(rebalancing=self.app.rebalancing)
            await asyncio.sleep(TURN_S)

    async def _follow_lag(self) -> None:
        """Measure from outside how far the group is behind; nothing waiting for this worker counts as progress."""
        measured = await asyncio.to_thread(
            GroupLag, self._settings, group_of(self._settings, self._stage), self._consumed
        )
        try:
            while True:
                ends, committed = await asyncio.to_thread(lambda: (measured.ends(), measured.committed()))
                self._metrics.consumer_lag.labels(stage=self._stage).set(lag(ends, committed))
                waits_s = await asyncio.to_thread(measured.waits_s, ends, committed)
                self._metrics.consumer_wait.labels(stage=self._stage).set(waits_s)
                mine = {partition: end for partition, end in ends.items() if tuple(partition) in self.assigned}
                if not lag(mine, committed):
                    self.watchdog.progressed()
                await asyncio.sleep(LAG_EVERY_S)
        finally:
            measured.close()

    async def _note_assignment(self, _app: object, assigned: set[Any], **_: object) -> None:
        self._joined = True
        self.assigned = frozenset((partition.topic, partition.partition) for partition in assigned)

    async def _note_revocation(self, _app: object, _revoked: set[Any], **_: object) -> None:
        self.assigned = frozenset()

    def _has_joined(self) -> str | None:
        """Check for readiness: a worker that has no partitions, or waits for them, is of no use now."""
        if not self._joined:
            return "not in the consumer group yet"
        if self.app.rebalancing:
            return "the group is sharing out its partitions"
        return None if self.assigned else "no partition for this worker: it is a spare"


async def _again_and_again(work: Callable[[], Awaitable[None]]) -> None:
    """Run what must not end: a broker that does not answer for a moment is no reason to stop."""
    while True:
        try:
            await work()
        except Exception:  # noqa: BLE001  whatever it is, the stage itself goes on
            _log.exception("a background task failed; it starts again")
        await asyncio.sleep(RETRY_AFTER_S)
