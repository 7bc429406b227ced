"""How a narrative grows just now, from its posts a minute: reproduction number, since when it rises, whether faster.

All functions take the posts of consecutive minutes, the oldest first, the present minute last.
"""

import math
from collections.abc import Sequence
from functools import lru_cache

from msgspec import Struct

from detectors.change_points import risen

FLAT_MINUTES = 5
KERNEL_POWER = 1.242
"""How long people take to pass a post on: flat for five minutes, then a power law (Zhao et al. 2015, SEISMIC)."""

LEAST_REPRODUCED = 8
"""Posts in the window from which a reproduction number is told."""

Z80 = 1.2815515655446004
"""Standard normal quantile of the ends of an 80 % interval."""

LEAST_TIMES = 1.5
ACCELERATES = 1.25
"""Second half of the window over the first, from which it accelerates (and more than one standard deviation)."""


class Course(Struct, frozen=True, kw_only=True):
    """What the minutes tell beyond counts."""

    reproduction: tuple[float, float, float] | None = None
    """Posts that each post brings: 10 %, 50 % and 90 % quantile."""
    rising_minutes: int | None = None
    times: float | None = None
    """Posts of the window over those of the window two windows earlier; None where that had none or it is no rise."""
    accelerating: bool = False


def course(minutes: Sequence[int], window: int, expected: float, dispersion: float) -> Course:
    """Describe the last `window` minutes; `expected` posts in them, `dispersion` is variance over mean of counts.

    >>> told = course([1] * 90 + [2, 2, 3, 3, 4, 5, 6, 8, 10, 12] * 3, 10, 10.0, 2.0)
    >>> told.rising_minutes, told.accelerating
    (30, True)
    """
    now = sum(minutes[-window:])
    before = sum(minutes[-3 * window : -2 * window])
    half = window // 2
    late, early = sum(minutes[-half:]), sum(minutes[-2 * half : -half])
    times = now / before if before else 0.0
    return Course(
        reproduction=reproduction(minutes, window, dispersion),
        rising_minutes=risen(minutes, max(expected, 1.0) / window, dispersion) if now > expected else None,
        times=round(times, 1) if times >= LEAST_TIMES else None,
        accelerating=bool(half)
        and late >= ACCELERATES * early
        and late - early > math.sqrt(dispersion * (late + early)),
    )


def reproduction(minutes: Sequence[int], window: int, dispersion: float) -> tuple[float, float, float] | None:
    """Posts that each post brings: quantiles at 10 %, 50 % and 90 %; None where there is too little to tell.

    Posts of the window over what earlier posts could have caused by then (Cori et al. 2013), with the delay kernel of
    reshares. The uncertainty is that of a Gamma posterior whose counts are divided by the dispersion.

    >>> reproduction([0] * 60 + [5] * 60, 10, 1.0) is not None
    True
    """
    posts = sum(minutes[-window:])
    if posts < LEAST_REPRODUCED:
        return None
    if posts == sum(minutes):
        posts -= 1  # somebody began
    caused = 0.0
    for count, share in zip(minutes, _caused_shares(len(minutes), window), strict=True):
        if count:
            caused += count * share
    if caused <= 0.0:
        return None
    shape = 0.5 + posts / dispersion
    low, middle, high = (_gamma(shape, z) * dispersion / caused for z in (-Z80, 0.0, Z80))
    return round(low, 2), round(middle, 2), round(high, 2)


@lru_cache(maxsize=8)
def _caused_shares(minutes: int, window: int) -> tuple[float, ...]:
    """Of the reactions to the posts of each minute, the share that comes in the window at the end."""
    kernel, first = _kernel(minutes), minutes - window
    return tuple(sum(kernel[max(0, first - place) : minutes - place]) for place in range(minutes))


@lru_cache(maxsize=8)
def _kernel(minutes: int) -> tuple[float, ...]:
    """Share of reactions that come after so many minutes; those of the same minute count half."""
    weights = [1.0 if lag <= FLAT_MINUTES else (lag / FLAT_MINUTES) ** -KERNEL_POWER for lag in range(minutes)]
    weights[0] = 0.5
    total = math.fsum(weights)
    return tuple(weight / total for weight in weights)


def _gamma(shape: float, z: float) -> float:
    """Quantile of a Gamma distribution of scale 1 (Wilson and Hilferty 1931)."""
    return max(0.0, shape * (1.0 - 1.0 / (9.0 * shape) + z / (3.0 * math.sqrt(shape))) ** 3)
