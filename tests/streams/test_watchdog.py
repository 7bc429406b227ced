import subprocess
import sys

import pytest

from streams.watchdog import LOOP_WITHIN_S, PROGRESS_WITHIN_S, REBALANCE_WITHIN_S, Watchdog


class _Clock:
    now_s = 1000.0

    def __call__(self):
        return self.now_s


@pytest.fixture
def clock():
    return _Clock()


@pytest.fixture
def watchdog(clock):
    return Watchdog(monotonic_s=clock)


def test_a_loop_that_does_not_turn_is_a_fault(watchdog, clock):
    clock.now_s += LOOP_WITHIN_S
    assert watchdog.fault() is None
    clock.now_s += 1
    assert "has not turned for 61 s" in watchdog.fault()


def test_records_that_wait_while_none_is_handled_are_a_fault(watchdog, clock):
    clock.now_s += PROGRESS_WITHIN_S + 1
    watchdog.turned(rebalancing=False)
    assert "none was handled" in watchdog.fault()
    watchdog.progressed()
    assert watchdog.fault() is None


def test_a_rebalance_that_does_not_end_is_a_fault(watchdog, clock):
    for _ in range(int(REBALANCE_WITHIN_S) + 2):
        watchdog.turned(rebalancing=True)
        watchdog.progressed()
        assert watchdog.fault() is None or clock.now_s > 1000.0 + REBALANCE_WITHIN_S
        clock.now_s += 1
    assert "a rebalance has not ended" in watchdog.fault()


def test_a_rebalance_that_ended_is_no_fault_however_many_there_were(watchdog, clock):
    for turn in range(1000):
        watchdog.turned(rebalancing=turn % 100 != 0)
        watchdog.progressed()
        assert watchdog.fault() is None
        clock.now_s += 1


_STUCK = """
import time, streams.watchdog as w
w.LOOP_WITHIN_S = 1.0
w.Watchdog().start()
time.sleep(30)
"""


def test_a_stuck_process_is_ended_so_that_another_can_start():
    done = subprocess.run([sys.executable, "-c", _STUCK], check=False, timeout=60, capture_output=True, text=True)
    assert done.returncode == 75
    assert "the loop has not turned" in done.stderr
