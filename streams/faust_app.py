"""From settings to a Faust app that loses nothing, started and stopped inside a loop of our own.

Each value that differs from Faust's default guards against something that was seen to lose or stall records.
"""

import asyncio
import logging
import signal
from collections.abc import Awaitable, Iterable
from typing import Any

import faust
from faust.auth import SASLCredentials, SSLCredentials

from streams.batch_loop import fail_stop
from streams.kafka_clients import LARGEST_RECORD_BYTES, tls_context
from streams.settings import Settings, Stage
from streams.topics import Name, topic_name

EMBEDDED_GROUP_TIMEOUT_S = 6.0
"""The embedded broker lets a group join wait for half of the rebalance timeout: it must be short."""
SESSION_TIMEOUT_S = 10.0
"""A worker that died loses its partitions after so long."""
REBALANCE_TIMEOUT_S = 30.0
"""A worker has so long to finish its batch before it loses its partitions."""
STOP_WITHIN_S = 10.0
"""Then the process ends anyway: what was not acknowledged comes again."""

_log = logging.getLogger("streams.worker")


def group_of(settings: Settings, stage: Stage) -> str:
    """Name of a stage's consumer group."""
    return f"{settings.topic_prefix}emberwatch-{stage}"


def build_app(settings: Settings, stage: Stage) -> faust.App:
    """Make the app of one stage: one consumer group, raw bytes in and out, no tables, no web server."""
    datadir = settings.data_dir / "faust"
    datadir.mkdir(parents=True, exist_ok=True)
    session_timeout_s = EMBEDDED_GROUP_TIMEOUT_S if settings.embedded else SESSION_TIMEOUT_S
    return faust.App(
        group_of(settings, stage),
        broker=[f"aiokafka://{address}" for address in settings.broker.split(",")],
        broker_credentials=_credentials(settings),
        datadir=str(datadir),
        # Raw bytes: a codec that raises would stop the stream, and pickle would run what anyone sends.
        key_serializer="raw",
        value_serializer="raw",
        store="memory://",
        processing_guarantee="at_least_once",
        consumer_auto_offset_reset="earliest",
        # Topics are made and verified by a command of ours.
        topic_disable_leader=True,
        topic_allow_declare=False,
        # An idle spare would leave the group after this long, and never come back.
        broker_max_poll_interval=86400.0,
        broker_max_poll_records=500,
        broker_commit_interval=1.0,
        broker_session_timeout=session_timeout_s,
        broker_rebalance_timeout=EMBEDDED_GROUP_TIMEOUT_S if settings.embedded else REBALANCE_TIMEOUT_S,
        broker_heartbeat_interval=session_timeout_s / 5,
        # A member that is known by name and comes back within the session has its partitions again, at once.
        consumer_group_instance_id=f"{stage}-{settings.instance}" if settings.instance else None,
        stream_buffer_maxsize=1024,
        # A batch in hand is finished before its partition goes to another worker.
        stream_wait_empty=True,
        producer_acks=-1,
        producer_request_timeout=60.0,
        # A dead letter holds the refused record unchanged, with headers: it must pass where the record itself did.
        producer_max_request_size=LARGEST_RECORD_BYTES,
        web_enabled=False,
    )


class Outlet:
    """Sends to one topic; what `send` returns is awaited for the broker's confirmation."""

    def __init__(self, app: faust.App, settings: Settings, name: Name) -> None:
        self.name = name
        self._topic = app.topic(topic_name(settings, name))

    async def send(
        self,
        value: bytes | None,
        *,
        key: bytes | None = None,
        partition: int | None = None,
        headers: list[tuple[str, bytes]] | None = None,
    ) -> Awaitable[Any]:
        """Hand a record to the producer, in order; the result completes when the broker has it."""
        return await self._topic.send(key=key, value=value, partition=partition, headers=headers)  # type: ignore[no-any-return]


async def confirmed(deliveries: Iterable[Awaitable[Any]]) -> list[Any]:
    """Wait until the broker has confirmed all; gives where each record went."""
    return list(await asyncio.gather(*deliveries))


def stop_on_signal() -> asyncio.Event:
    """Event that SIGTERM and SIGINT set."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    return stop


async def run_app(app: faust.App, stop: asyncio.Event) -> None:
    """Start an app and return when it is asked to stop.

    An app that crashes ends the process at once: its own way down would commit.
    """
    app.finalize()
    stopping = asyncio.ensure_future(stop.wait())
    starting = asyncio.ensure_future(app.start())
    await asyncio.wait({starting, stopping}, return_when=asyncio.FIRST_COMPLETED)
    if starting.done():
        if error := starting.exception():
            fail_stop(f"the Kafka client did not start: {error!r}", error)
        await app.wait(stopping)
    if app.crashed:
        fail_stop(f"the Kafka client failed: {app.crash_reason!r}", app.crash_reason)


async def stop_app(app: faust.App) -> None:
    """Commit what was acknowledged and leave the group, so that the partitions move at once."""
    try:
        async with asyncio.timeout(STOP_WITHIN_S):
            await app.stop()
    except TimeoutError:
        _log.warning("leaving the group took too long; it will find out")


def _credentials(settings: Settings) -> SASLCredentials | SSLCredentials | None:
    context = tls_context(settings)
    if settings.security_protocol.startswith("SASL") and settings.sasl_password is not None:
        return SASLCredentials(
            username=settings.sasl_username,
            password=settings.sasl_password.reveal(),
            mechanism=settings.sasl_mechanism,
            ssl_context=context,
        )
    # Given as `cafile`, Faust's own class raises.
    return None if context is None else SSLCredentials(context=context)
