"""How often one client may ask: a bucket that fills at a steady rate and empties with each request."""

import time
from collections import OrderedDict
from collections.abc import Callable

MOST_CLIENTS = 10_000
"""Clients remembered; beyond them the one that was silent longest begins anew, with a full bucket."""


class Rates:
    """Buckets by client.

    Parameters
    ----------
    per_s : requests a second that a client may make for ever.
    burst : requests that it may make at once after a pause.
    monotonic_s : clock; another one in tests.
    """

    def __init__(self, per_s: float, burst: int, *, monotonic_s: Callable[[], float] = time.monotonic) -> None:
        self._per_s = per_s
        self._burst = float(burst)
        self._monotonic_s = monotonic_s
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def admits(self, client: str) -> bool:
        """Take one request out of the client's bucket; False where it is empty.

        >>> rates = Rates(1.0, 2, monotonic_s=lambda: 0.0)
        >>> [rates.admits("a"), rates.admits("a"), rates.admits("a"), rates.admits("b")]
        [True, True, False, True]
        """
        now_s = self._monotonic_s()
        left, at_s = self._buckets.pop(client, (self._burst, now_s))
        left = min(self._burst, left + self._per_s * (now_s - at_s))
        admitted = left >= 1.0
        self._buckets[client] = (left - admitted, now_s)
        if len(self._buckets) > MOST_CLIENTS:
            self._buckets.popitem(last=False)
        return admitted
