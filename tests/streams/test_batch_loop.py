import asyncio
import subprocess
import sys
from types import SimpleNamespace

from streams.batch_loop import run_in_batches


class _Stream:
    """A stream that ends after its events, and notes what is acknowledged."""

    def __init__(self, count, pause_after=None):
        self.events_left = [
            SimpleNamespace(value=number, message=SimpleNamespace(topic="posts", partition=0, offset=number))
            for number in range(count)
        ]
        self.pause_after = pause_after
        self.acknowledged = []
        self.pulled = 0

    def noack(self):
        return self

    async def events(self):
        for event in self.events_left:
            if event.value == self.pause_after:
                await asyncio.sleep(0.2)
            self.pulled += 1
            yield event

    async def ack(self, event):
        self.acknowledged.append(event.value)
        return True


def _run(stream, handle, **options):
    asyncio.run(run_in_batches(stream, handle, **{"max_batch": 8, "max_wait_s": 0.03, **options}))


def test_every_event_is_handled_once_and_acknowledged_in_order():
    stream, batches = _Stream(100), []

    async def handle(events):
        batches.append([event.value for event in events])

    _run(stream, handle)
    assert [value for batch in batches for value in batch] == list(range(100))
    assert stream.acknowledged == list(range(100))
    assert max(map(len, batches)) == 8


def test_a_batch_is_acknowledged_only_after_its_handler_has_returned():
    stream, seen = _Stream(20), []

    async def handle(events):
        seen.append((events[0].value, len(stream.acknowledged)))
        await asyncio.sleep(0.01)

    _run(stream, handle)
    assert all(first == acknowledged for first, acknowledged in seen)


def test_a_batch_that_is_not_full_does_not_wait_for_long():
    stream, batches = _Stream(5, pause_after=3), []

    async def handle(events):
        batches.append([event.value for event in events])

    _run(stream, handle)
    assert batches == [[0, 1, 2], [3, 4]]


def test_no_more_than_two_batches_wait_behind_a_slow_handler():
    stream, pulled = _Stream(100), []

    async def handle(events):
        await asyncio.sleep(0.01)
        pulled.append(stream.pulled - events[-1].value - 1)

    _run(stream, handle)
    assert max(pulled) <= 16


def test_a_cancelled_loop_leaves_its_batch_unacknowledged():
    stream = _Stream(3)

    async def handle(events):
        raise asyncio.CancelledError

    async def run():
        task = asyncio.create_task(run_in_batches(stream, handle, max_batch=8, max_wait_s=0.01))
        await asyncio.wait({task})
        assert task.cancelled()

    asyncio.run(run())
    assert stream.acknowledged == []


_FAILING = """
import asyncio, logging
from types import SimpleNamespace as N
from streams.batch_loop import run_in_batches
logging.basicConfig()
class Stream:
    def noack(self): return self
    async def events(self):
        yield N(value=1, message=N(topic="posts", partition=2, offset=7))
    async def ack(self, event): print("acknowledged")
async def handle(events): raise KeyError("no such thing")
async def main():
    try: await run_in_batches(Stream(), handle, max_batch=8, max_wait_s=.01)
    finally: print("on the way down")
asyncio.run(main())
"""


def test_an_error_nobody_expected_ends_the_process_before_anything_is_acknowledged():
    done = subprocess.run([sys.executable, "-c", _FAILING], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 70
    assert done.stdout == ""
    assert "posts[2] at offset 7" in done.stderr
    assert "no such thing" in done.stderr
