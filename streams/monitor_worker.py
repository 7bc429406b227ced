"""The monitor worker: the journal in, alerts and narratives out, one owner a shard.

What decides is not the group's committed offset but the state's own: a shard is loaded from its last snapshot and
read on by a plain consumer, entries below its next offset are skipped, and a gap means reading on again. Outputs
that were published before a crash are recognised and not published twice.
"""

import asyncio
import logging
from collections.abc import Sequence
from typing import Any

import prometheus_client

from detectors import scoring
from detectors.codec import encode_entry, encode_record
from detectors.policy import Configuration, config_hash
from streams.batch_loop import Event, fail_stop, run_in_batches
from streams.control_records import last_configuration
from streams.errors import SettingsError
from streams.faust_app import Outlet, build_app, group_of, stop_on_signal
from streams.kafka_clients import demand_topic, producer, read_to_end
from streams.lag import GroupLag
from streams.metrics import Metrics
from streams.models import configuration_of, space_of_settings
from streams.settings import Settings, load_configuration, variable_of
from streams.shard_owner import ShardOwner, show_configuration
from streams.topics import topic_name
from streams.worker import Worker

MAX_BATCH = 256
MAX_WAIT_S = 0.02
TICK_EVERY_S = 1.0
LOADING_TURN_S = 0.1

_log = logging.getLogger("streams.monitor")


class MonitorWorker:
    """The shards of this worker, as they come and go."""

    def __init__(self, settings: Settings, metrics: Metrics) -> None:
        self.app = build_app(settings, "monitor")
        self.worker = Worker(self.app, settings, "monitor", metrics, [topic_name(settings, "journal")])
        self._settings = settings
        self._metrics = metrics
        self._journal = Outlet(self.app, settings, "journal")
        self._owners: dict[int, ShardOwner] = {}
        self._loading: set[asyncio.Task[None]] = set()
        # Faust holds receivers weakly: the attributes keep these alive.
        self._receivers = (self._give_up, self._take_over)
        self.app.on_partitions_revoked.connect(self._receivers[0])
        self.app.on_partitions_assigned.connect(self._receivers[1])
        self.app.agent(self.app.topic(topic_name(settings, "journal")), name="monitor-journal")(self._consume)

    async def handle(self, events: Sequence[Event]) -> None:
        """Fold a batch; returns when what it gave is confirmed."""
        by_shard: dict[int, list[tuple[int, bytes]]] = {}
        for event in events:
            by_shard.setdefault(event.message.partition, []).append((event.message.offset, event.message.value))
        for shard, items in by_shard.items():
            owner = await self._owner_of(shard)
            if owner is not None:
                await owner.take(items)

    def is_loaded(self) -> str | None:
        """Check for readiness: every shard of this worker knows what its journal says."""
        loading = [shard for shard, owner in self._owners.items() if not owner.is_loaded.is_set()]
        return f"loading shard(s) {', '.join(map(str, loading))}" if loading else None

    def is_whole(self) -> str | None:
        """Check for readiness: no shard lacks entries; it says so until a start from a snapshot."""
        missing = {shard: owner.missing_entries for shard, owner in self._owners.items() if owner.missing_entries}
        words = ", ".join(f"{count} entries of shard {shard}" for shard, count in missing.items())
        return f"cold: {words} were gone from the journal before they were read" if missing else None

    async def write_ticks(self) -> None:
        """Say in the journal that time passes, about once a second, where no post says so."""
        topics = (topic_name(self._settings, "posts"),)
        scorers = await asyncio.to_thread(GroupLag, self._settings, group_of(self._settings, "score"), topics)
        try:
            while True:
                await asyncio.sleep(TICK_EVERY_S)
                for owner in list(self._owners.values()):
                    if owner.is_loaded.is_set():
                        await self._tick(owner, scorers)
        finally:
            scorers.close()

    async def keep_snapshots(self) -> None:
        """Write the snapshots that are due where no entry comes that would do it."""
        while True:
            await asyncio.sleep(TICK_EVERY_S)
            for owner in list(self._owners.values()):
                await owner.snapshot_if_due()

    async def take_snapshots(self) -> None:
        """Write a snapshot of every shard: the worker ends."""
        for owner in list(self._owners.values()):
            await owner.snapshot()

    async def _tick(self, owner: ShardOwner, scorers: GroupLag) -> None:
        event_time = await owner.event_time()
        tick = await asyncio.to_thread(owner.ticks.due, event_time, scorers)
        if tick is not None and self._owners.get(owner.shard) is owner:
            await (await self._journal.send(encode_entry(tick), partition=owner.shard))

    async def _consume(self, stream: Any) -> None:
        await run_in_batches(stream, self.handle, max_batch=MAX_BATCH, max_wait_s=MAX_WAIT_S)

    async def _owner_of(self, shard: int) -> ShardOwner | None:
        """Wait until a shard is loaded; None when it is given up first: its next owner reads the journal itself."""
        while not self.app.rebalancing and not self.app.should_stop:
            owner = self._owners.get(shard)
            if owner is not None and owner.is_loaded.is_set():
                return owner
            await asyncio.sleep(LOADING_TURN_S)
        return None

    async def _give_up(self, _app: object, _revoked: set[Any], **_: object) -> None:
        owners, self._owners = self._owners, {}
        for owner in owners.values():
            await owner.retire()
        self._metrics.open_alerts.clear()
        self._metrics.watermark.set(0.0)  # what it stood at is no longer ours to tell

    async def _take_over(self, _app: object, assigned: set[Any], **_: object) -> None:
        await self._give_up(_app, assigned)
        for partition in sorted(assigned):
            owner = ShardOwner(self._settings, partition.partition, self._metrics, self.worker.watchdog.progressed)
            self._owners[partition.partition] = owner
            task = asyncio.create_task(self._load(owner))
            self._loading.add(task)
            task.add_done_callback(self._loading.discard)

    async def _load(self, owner: ShardOwner) -> None:
        try:
            await owner.load()
        except Exception as error:  # noqa: BLE001  a shard without its state must not be taken for one with it
            if self._owners.get(owner.shard) is owner:
                fail_stop(f"shard {owner.shard} was not loaded: {error!r}", error)


def run(settings: Settings) -> int:
    """Run a monitor until it is asked to stop."""
    return asyncio.run(_run(settings))


async def _run(settings: Settings) -> int:
    metrics = Metrics(prometheus_client.CollectorRegistry(), "monitor")
    configuration = await asyncio.to_thread(ensure_configuration, settings)
    show_configuration(metrics, configuration)
    stage = MonitorWorker(settings, metrics)
    await stage.worker.run(
        stop_on_signal(),
        ready={"state": stage.is_loaded, "memory": stage.is_whole},
        beside=[stage.write_ticks, stage.keep_snapshots],
        before_stop=stage.take_snapshots,
    )
    return 0


def ensure_configuration(settings: Settings) -> Configuration:
    """Give the configuration in force; on an empty topic, write the first one: that of these settings.

    Raises `SettingsError` where there are configurations, and none for this model and number of shards.
    """
    space = scoring.space_of(space_of_settings(settings))
    found = last_configuration(settings, space)
    if found is not None:
        return found[0]
    topic = topic_name(settings, "configuration")
    demand_topic(settings, topic)
    if any(True for _ in read_to_end(settings, [topic])):
        raise SettingsError(
            f"the configuration on the broker is not for {space} and {settings.shards} shard(s); compare"
            f" {variable_of('model')} and {variable_of('shards')}, or use another {variable_of('topic_prefix')}"
        )
    first = configuration_of(settings, load_configuration(settings.configuration))
    sender = producer(settings)
    try:
        sender.send(topic, value=encode_record(first)).get(timeout=30.0)
    finally:
        sender.close(timeout=10.0)
    _log.info("the first configuration is %s", config_hash(first))
    return first
