"""How big a narrative will get: posts within a week from now, with an 80 % interval.

The forecast reads a tally alone: how many posts, how old, how they lie in time, whom they reach. Quantile boosting
(trees trained on many cascades, see `weights/forecast.md`) gives the growth factor's quantiles; the interval's ends
are moved by split-conformal offsets, so that it covers what it says (Romano, Patterson, Candès 2019). Without
weights, or where a narrative is of no age that they know, a factor by age serves.
"""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from detectors.forecast_weights import ForecastWeights
from detectors.records import Forecast
from detectors.virality import FOLLOWERS_PLACE, HOUR_S, HOURS_KEPT, MINUTE_S, MINUTES_KEPT, TEN_S, TENS_KEPT, Tally

HORIZON_S = 7 * 86400.0
"""What is forecast is the number of posts so long from now."""

DAY_S = 86400.0

MISSING = -1.0
"""Value of a feature that is not known."""

PARTS = 12
"""Equal parts of the age in which posts are counted."""

LAST_SHARES = (1 / 64, 1 / 32, 1 / 16, 1 / 8, 1 / 4, 1 / 2)
"""Shares of the age, back from now, in which posts are counted."""

LAST_MINUTES = (1, 2, 5, 10, 30, 60)

NTH = (2, 3, 5, 10, 20, 50)
"""Posts whose time since the first is read."""

NTH_LAST = (2, 3, 5, 10)

KERNEL_FLAT_S = 300.0
KERNEL_POWER = 0.242
KERNEL_SCALE = 6.27e-4
"""How long people take to pass a post on: flat for five minutes, then a power law (Zhao et al. 2015, SEISMIC)."""

FEATURES: tuple[str, ...] = (
    "posts",
    "age",
    "per_hour",
    "silence",
    "silence_share",
    "mean_time",
    *(f"last_{round(1 / share)}th" for share in LAST_SHARES),
    *(f"last_{minutes}_minutes" for minutes in LAST_MINUTES),
    *(f"part_{part + 1}" for part in range(PARTS)),
    *(f"time_of_{nth}" for nth in NTH),
    *(f"time_of_{nth}_last" for nth in NTH_LAST),
    "buckets_with_posts",
    "fullest_bucket",
    "crowding",
    "hour_sine",
    "hour_cosine",
    "weekday",
    "first_followers",
    "followers",
    "most_followers",
    "recent_followers",
    "yet_to_come",
)
"""Names of what the trees read, in order."""


LEAST_POSTS = 5
"""Fewer say too little about what will come."""

QUANTILES = (0.1, 0.5, 0.9)
"""Of the growth factor: the ends of the 80 % interval and the middle."""

FINE = 100_000
"""Leaves of the trees are whole hundred-thousandths: their sum is the same in every order."""

NODE = np.dtype([("feature", "u1"), ("left", "<u2"), ("threshold", "<f8"), ("leaf", "<i4")])
"""One node of a tree: below or at the threshold it goes on at `left`, else at the node after that."""

ALREADY = 0.02
"""A lower quantile up to this (a logarithm) says that there may be no more posts than there are."""

LEAF = 255
"""Value of `feature` where a tree ends."""

FACTORS = (
    (600.0, (1.0, 3.9, 17.0)),
    (1800.0, (1.0, 2.9, 11.0)),
    (3600.0, (1.0, 2.2, 8.0)),
    (3 * 3600.0, (1.0, 1.7, 4.9)),
    (6 * 3600.0, (1.0, 1.5, 3.8)),
    (86400.0, (1.0, 1.2, 2.5)),
    (3 * 86400.0, (1.0, 1.1, 1.9)),
    (math.inf, (1.0, 1.02, 1.5)),
)
"""Growth factors where there are no trees: ages up to which they hold, and their quantiles."""


class Forecaster:
    """Forecasts with trees, or without weights by age alone.

    Raises `ValueError` where the weights read other features than these.
    """

    def __init__(self, weights: ForecastWeights | None = None) -> None:
        self.weights = weights
        if weights is None:
            return
        if weights.features != FEATURES:
            raise ValueError("these weights read other features")
        nodes = np.frombuffer(weights.nodes, NODE)
        self._feature = nodes["feature"].astype(np.int64)
        self._left = nodes["left"].astype(np.int64)
        self._threshold = nodes["threshold"].copy()
        self._leaf = nodes["leaf"].astype(np.int64)
        # A leaf leads to itself, so that trees of every depth can be walked together.
        ends = self._feature == LEAF
        self._left[ends] = np.flatnonzero(ends)
        self._threshold[ends] = np.inf
        self._feature[ends] = 0
        self._ends = ends
        self._roots = np.array([root for roots in weights.roots for root in roots], np.int64)
        self._tree_counts = [len(roots) for roots in weights.roots]

    def forecast(self, tally: Tally, now_s: float) -> Forecast | None:
        """Posts of the narrative in the end; None while it has fewer than `LEAST_POSTS`."""
        if tally.posts < LEAST_POSTS:
            return None
        age_s = max(now_s - tally.first_at_s, MINUTE_S)
        weights = self.weights
        if weights is None or not weights.ages_s[0] <= age_s <= weights.ages_s[1]:
            low, middle, high = next(factors for upto_s, factors in FACTORS if age_s <= upto_s)
            return _forecast(tally.posts, low, middle, high, "factor_by_age")
        predicted = self.quantiles(np.array([features(tally, now_s)]))
        ends = interval(predicted, np.array([age_s]), weights.offsets)
        low, middle, high = (math.exp(float(end[0])) for end in ends)
        return _forecast(tally.posts, low, middle, high, "trained")

    def quantiles(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Logarithms of the growth factor at `QUANTILES` by the trees alone, shape (rows, 3); rows as `features`."""
        assert self.weights is not None
        rows = np.arange(len(values))[:, None]
        at = np.repeat(self._roots[None], len(values), axis=0)
        while not self._ends[at].all():
            at = self._left[at] + (values[rows, self._feature[at]] > self._threshold[at])
        leaves = self._leaf[at]
        sums = np.empty((len(values), len(QUANTILES)))
        first = 0
        for place, count in enumerate(self._tree_counts):
            sums[:, place] = (self.weights.start[place] + leaves[:, first : first + count].sum(axis=1)) / FINE
            first += count
        return sums


def interval(
    predicted: NDArray[np.float64], ages_s: NDArray[np.float64], offsets: Sequence[tuple[float, float, float]]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Low end, middle and high end of the growth factor's logarithm, from the trees' quantiles (shape (n, 3))."""
    bands = np.minimum(np.searchsorted([upto_s for upto_s, _, _ in offsets], ages_s), len(offsets) - 1)
    from_now = predicted[:, 0] <= ALREADY
    moved = np.array([each[1:] for each in offsets])[bands, (~from_now).astype(int)]
    middle = np.maximum(0.0, predicted[:, 1])
    low = np.where(from_now, 0.0, np.clip(predicted[:, 0] - moved, 0.0, middle))
    high = np.maximum(middle, np.maximum(predicted[:, 2], predicted[:, 1]) + moved)
    return low, middle, high


def _forecast(posts: int, low: float, middle: float, high: float, basis: str) -> Forecast:
    """Whole posts, no fewer than there are."""
    return Forecast(
        posts=float(round(posts * middle)),
        low=float(round(posts * low)),
        high=float(round(posts * high)),
        basis="trained" if basis == "trained" else "factor_by_age",
    )


def features(tally: Tally, now_s: float, *, clock: bool = True) -> list[float]:
    """Describe a tally by `FEATURES`; `clock` is False where its times have no known place in day and week.

    Counts, times and followers are logarithms of one plus the value.
    """
    first_s = tally.first_at_s
    age_s = max(now_s - first_s, MINUTE_S)
    course = _Course(tally, now_s, age_s)
    silence_s = max(0.0, now_s - tally.last_at_s)
    posts = tally.posts
    values = [
        math.log(max(1, posts)),
        math.log(age_s),
        math.log(max(1, posts) / age_s * HOUR_S),
        math.log1p(silence_s),
        silence_s / age_s,
        course.mean_share(),
    ]
    values += [math.log1p(course.last(age_s * share)) for share in LAST_SHARES]
    values += [math.log1p(_last_minutes(tally, now_s, minutes)) for minutes in LAST_MINUTES]
    values += course.parts()
    values += [course.time_of(nth) for nth in NTH]
    values += [course.time_of_last(nth) for nth in NTH_LAST]
    values += course.crowding()
    values += _clock(first_s, now_s) if clock else [MISSING] * 3
    values += _reach(tally, now_s, age_s)
    return values


class _Course:
    """Posts on time from the first to now, in the finest buckets that reach back so far."""

    def __init__(self, tally: Tally, now_s: float, age_s: float) -> None:
        if age_s < MINUTE_S * (MINUTES_KEPT - 1):
            self._width_s, kept = MINUTE_S, MINUTES_KEPT
            buckets = {minute: row[0] for minute, row in tally.minutes.items()}
        elif age_s < TEN_S * (TENS_KEPT - 1):
            self._width_s, kept, buckets = TEN_S, TENS_KEPT, tally.tens
        else:
            self._width_s, kept, buckets = HOUR_S, HOURS_KEPT, tally.hours
        newest = int(now_s // self._width_s)
        oldest = max(int(tally.first_at_s // self._width_s), newest - kept + 1)
        counts = np.zeros(newest - oldest + 1)
        for bucket, posts in buckets.items():
            if oldest <= bucket <= newest:
                counts[bucket - oldest] = posts
        self._counts = counts
        self._upto = np.cumsum(counts)
        self._begin_s, self._now_s, self._age_s = oldest * self._width_s, now_s, age_s

    def mean_share(self) -> float:
        """Mean time of the posts, as a share of the age."""
        total = self._upto[-1]
        middle = float(self._counts @ (np.arange(len(self._counts)) + 0.5)) / total if total else 0.5
        return middle / len(self._counts)

    def last(self, span_s: float) -> float:
        """Posts in the last so many seconds, at least the newest bucket."""
        buckets = max(1, round(span_s / self._width_s))
        return float(self._counts[-buckets:].sum())

    def parts(self) -> list[float]:
        """Posts in equal parts of the age, logarithms; buckets longer than a part count for those they cover."""
        edges = np.linspace(0, len(self._counts), PARTS + 1)
        upto = np.interp(edges, np.arange(len(self._counts) + 1), np.concatenate(([0.0], self._upto)))
        return [float(value) for value in np.log1p(np.diff(upto))]

    def time_of(self, nth: int) -> float:
        """Time from the first to the n-th post, logarithm of seconds to the bucket; `MISSING` where there are fewer."""
        if self._upto[-1] < nth:
            return MISSING
        return math.log1p(float(np.searchsorted(self._upto, nth)) * self._width_s)

    def time_of_last(self, nth: int) -> float:
        """Time from the n-th last post to now."""
        total = self._upto[-1]
        if total < nth:
            return MISSING
        bucket = float(np.searchsorted(self._upto, total - nth + 1))
        return math.log1p((len(self._counts) - 1 - bucket) * self._width_s)

    def crowding(self) -> list[float]:
        """Buckets with posts, posts of the fullest, and how the posts crowd into few of them."""
        total = max(1.0, float(self._upto[-1]))
        filled = float(np.count_nonzero(self._counts))
        return [filled, math.log1p(float(self._counts.max())), float(self._counts @ self._counts) / total]


def _last_minutes(tally: Tally, now_s: float, minutes: int) -> int:
    newest = int(now_s // MINUTE_S)
    rows = (tally.minutes.get(minute) for minute in range(newest - minutes + 1, newest + 1))
    return sum(row[0] for row in rows if row is not None)


def _clock(first_s: float, now_s: float) -> list[float]:
    """Hour of day as a point on a circle, and the day of the week (0 is Thursday, as the epoch's first day)."""
    turn = 2.0 * math.pi * (now_s % DAY_S) / DAY_S
    return [math.sin(turn), math.cos(turn), float(int(first_s // DAY_S) % 7)]


def _reach(tally: Tally, now_s: float, age_s: float) -> list[float]:
    """Whom the posts reach, where at least half of them say so."""
    if 2 * tally.followers_known < tally.posts or not tally.followers_known:
        return [MISSING] * 5
    newest = int(now_s // MINUTE_S)
    oldest = int(tally.first_at_s // MINUTE_S)
    row = tally.minutes.get(oldest)
    recent = sum(
        tally.minutes[minute][FOLLOWERS_PLACE]
        for minute in range(newest - min(MINUTES_KEPT - 1, int(age_s / 4 / MINUTE_S)), newest + 1)
        if minute in tally.minutes
    )
    return [
        MISSING if row is None else math.log1p(row[FOLLOWERS_PLACE]),
        math.log1p(tally.followers),
        math.log1p(tally.most_followers),
        math.log1p(recent),
        _yet_to_come(tally, now_s),
    ]


def _yet_to_come(tally: Tally, now_s: float) -> float:
    """What SEISMIC expects still to come of followers already reached, over the posts so far; a logarithm.

    Infectiousness is posts over followers who have had their time to react; what is left is the others' (its first
    generation, minutes for posts). `MISSING` beyond the minutes that a tally keeps.
    """
    reacted = waiting = 0.0
    for minute, row in tally.minutes.items():
        age_s = now_s - (minute + 0.5) * MINUTE_S
        done = _reacted(max(0.0, age_s))
        reacted += row[FOLLOWERS_PLACE] * done
        waiting += row[FOLLOWERS_PLACE] * (1.0 - done)
    if reacted <= 0.0:
        return MISSING
    return math.log1p(waiting / reacted)


def _reacted(age_s: float) -> float:
    """Share of those who will react that have done so by then."""
    if age_s <= KERNEL_FLAT_S:
        return KERNEL_SCALE * age_s
    tail = KERNEL_FLAT_S / KERNEL_POWER * (1.0 - (age_s / KERNEL_FLAT_S) ** -KERNEL_POWER)
    return float(KERNEL_SCALE * (KERNEL_FLAT_S + tail))
