"""Ends a worker that no longer does its work, so that a supervisor starts another.

A thread of its own watches from outside the event loop: Faust itself only logs such things. Three of them end the
process with status 75 (try again): the loop does not turn, records wait and none is handled, a rebalance does not end.
"""

import threading
import time
from collections.abc import Callable

from streams.batch_loop import fail_stop

EXIT_STUCK = 75
"""Exit status of a worker that was stuck (EX_TEMPFAIL): start it again."""

LOOP_WITHIN_S = 60.0
PROGRESS_WITHIN_S = 180.0
REBALANCE_WITHIN_S = 300.0


class Watchdog:
    """What a worker tells it, and what it concludes.

    Parameters
    ----------
    monotonic_s : clock; another one in tests.
    """

    def __init__(self, *, monotonic_s: Callable[[], float] = time.monotonic) -> None:
        self._monotonic_s = monotonic_s
        self._turned_at_s = self._progress_at_s = monotonic_s()
        self._rebalancing_since_s: float | None = None

    def turned(self, *, rebalancing: bool) -> None:
        """The event loop turned, once a second or so."""
        self._turned_at_s = self._monotonic_s()
        if not rebalancing:
            self._rebalancing_since_s = None
        elif self._rebalancing_since_s is None:
            self._rebalancing_since_s = self._turned_at_s

    def progressed(self) -> None:
        """A batch was handled, a part of the state was loaded, or nothing was waiting."""
        self._progress_at_s = self._monotonic_s()

    def fault(self) -> str | None:
        """Say what is wrong, or None."""
        now_s = self._monotonic_s()
        if now_s - self._turned_at_s > LOOP_WITHIN_S:
            return f"the loop has not turned for {now_s - self._turned_at_s:.0f} s"
        if self._rebalancing_since_s is not None and now_s - self._rebalancing_since_s > REBALANCE_WITHIN_S:
            return f"a rebalance has not ended for {now_s - self._rebalancing_since_s:.0f} s"
        if now_s - self._progress_at_s > PROGRESS_WITHIN_S:
            age_s = now_s - self._progress_at_s
            return f"records wait, or the broker does not say, and none was handled for {age_s:.0f} s"
        return None

    def start(self) -> None:
        """Look once a second, until the process ends."""
        threading.Thread(target=self._watch, name="watchdog", daemon=True).start()

    def _watch(self) -> None:
        while True:
            time.sleep(1.0)
            if fault := self.fault():
                fail_stop(fault, status=EXIT_STUCK)
