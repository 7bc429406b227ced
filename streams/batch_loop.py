"""Events of one stream in batches, acknowledged strictly in order and only after success.

Faust's own `take()` acknowledges a batch whose handler failed, and a plain `async for` acknowledges an event whose
body raised. Here nothing is acknowledged before its handler has returned, and what escapes the handler ends the
process before an offset can be committed past it.
"""

import asyncio
import logging
import os
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any, NoReturn, Protocol, TypeAlias

EXIT_FAILED = 70
"""Exit status of a worker that met an error nobody expected (EX_SOFTWARE): start it again."""

Event: TypeAlias = Any
"""A Faust event: `.value` as raw bytes or None, `.headers`, `.message` with topic, partition and offset."""

_log = logging.getLogger("streams.worker")


class Stream(Protocol):
    """What is used of a Faust stream."""

    def noack(self) -> "Stream":
        """Leave acknowledging to the reader."""
        ...

    def events(self) -> AsyncIterator[Event]:
        """Yield events as they come."""
        ...

    def ack(self, event: Event) -> Awaitable[bool]:
        """Let the event's offset be committed."""
        ...


def fail_stop(reason: str, error: BaseException | None = None, *, status: int = EXIT_FAILED) -> NoReturn:
    """Log why and end the process at once, without a commit: what was not acknowledged comes again."""
    _log.critical("ending at once (status %d): %s", status, reason, exc_info=error)
    logging.shutdown()
    os._exit(status)


async def run_in_batches(
    stream: Stream,
    handle: Callable[[Sequence[Event]], Awaitable[None]],
    *,
    max_batch: int,
    max_wait_s: float,
) -> None:
    """Hand the events of a stream to `handle`, and acknowledge each batch when it returns; ends with the stream.

    Parameters
    ----------
    handle : sends what follows from a batch and returns when the broker has confirmed it. An exception from it ends
        the process.
    max_batch : most events a batch; twice as many wait at most, then Faust pauses the partitions.
    max_wait_s : how long a batch that is not full waits for more.
    """
    waiting: deque[Event] = deque()
    arrived, room = asyncio.Event(), asyncio.Event()

    async def pump() -> None:
        async for event in stream.noack().events():
            waiting.append(event)
            arrived.set()
            while len(waiting) >= 2 * max_batch:
                room.clear()
                await room.wait()

    pumping = asyncio.create_task(pump())
    pumping.add_done_callback(lambda _: arrived.set())
    try:
        while True:
            batch = await _next_batch(waiting, arrived, pumping, max_batch, max_wait_s)
            if not batch:
                return
            room.set()
            try:
                await handle(batch)
            except asyncio.CancelledError:
                raise  # the worker stops: the batch stays unacknowledged and comes again
            except BaseException as error:  # noqa: BLE001  an offset must not be committed past what failed
                fail_stop(f"a batch from {_where(batch)} failed: {error!r}", error)
            for event in batch:
                await stream.ack(event)
    finally:
        pumping.cancel()


async def _next_batch(
    waiting: deque[Event], arrived: asyncio.Event, pumping: asyncio.Task[None], max_batch: int, max_wait_s: float
) -> list[Event]:
    """Wait for events; an empty batch says that the stream has ended."""
    while not waiting:
        if pumping.done():
            pumping.result()  # raises what ended the pump, if it was an error
            return []
        arrived.clear()
        await arrived.wait()
    loop = asyncio.get_running_loop()
    deadline_s = loop.time() + max_wait_s
    while len(waiting) < max_batch and not pumping.done() and loop.time() < deadline_s:
        arrived.clear()
        try:
            async with asyncio.timeout_at(deadline_s):
                await arrived.wait()
        except TimeoutError:
            break
    return [waiting.popleft() for _ in range(min(len(waiting), max_batch))]


def _where(batch: Sequence[Event]) -> str:
    message = batch[0].message
    return f"{message.topic}[{message.partition}] at offset {message.offset}"
