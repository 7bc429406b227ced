"""When counts changed: a one-sided CUSUM on counts scaled by their dispersion (Page 1954; Lucas 1985)."""

import math
from collections.abc import Iterable

FACTOR = 2.0
"""The rise that is looked for: a doubling."""

ALARM = 8.0
"""Score from which a rise is certain enough: some 5 % false alarms in 600 bins (measured by simulation, with five
counts a bin and a variance of a quarter more)."""


def step(score: float, count: float, expected: float, dispersion: float) -> float:
    """Score after one more bin: the log-likelihood ratio of a doubled rate, never below zero.

    `dispersion` is variance over mean; it shrinks what each count says, as in quasi-Poisson regression.

    >>> round(step(0.0, 10, 5.0, 1.0), 2), step(0.0, 5, 5.0, 1.0)
    (1.93, 0.0)
    """
    gain = count * math.log(FACTOR) - expected * (FACTOR - 1.0)
    return max(0.0, score + gain / max(1.0, dispersion))


def risen(counts: Iterable[float], expected: float, dispersion: float, alarm: float = ALARM) -> int | None:
    """Say how many bins ago counts rose, the last bin included; None where they have not (or no longer).

    The rise begins after the last bin at which the score was zero.

    >>> risen([5, 6, 4, 5, 12, 14, 15], expected=5.0, dispersion=1.5)
    3
    """
    score, bins = 0.0, 0
    alarmed = False
    told, usual, spread = math.log(FACTOR), expected * (FACTOR - 1.0), max(1.0, dispersion)
    for count in counts:
        score = max(0.0, score + (count * told - usual) / spread)  # `step`, without what is the same for all
        bins = bins + 1 if score > 0.0 else 0
        alarmed = score > 0.0 and (alarmed or score >= alarm)
    return bins if alarmed else None
