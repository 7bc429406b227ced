"""Fits the forecast of final size on cascades: gradient boosting of quantiles, and the offsets that calibrate it.

A cascade is any item with the times of its posts: reshares of one post, or all posts of a story, a link, a hashtag.
scikit-learn fits; what comes out are plain numbers that `forecast.Forecaster` reads without it.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from detectors.forecast import (
    ALREADY,
    FEATURES,
    FINE,
    HORIZON_S,
    LEAF,
    LEAST_POSTS,
    NODE,
    QUANTILES,
    features,
    interval,
)
from detectors.forecast_weights import ForecastWeights
from detectors.virality import Mark, Tally

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Offsets = tuple[tuple[float, float, float], ...]

AGES_S = (300.0, 600.0, 1800.0, 3600.0, 3 * 3600.0, 6 * 3600.0, 86400.0, 3 * 86400.0)
"""Ages at which each cascade is shown to the trees."""

OFFSET_BANDS_S = (600.0, 1800.0, 3600.0, 6 * 3600.0, 86400.0, 3 * 86400.0)
"""Upper ends of the age bands in which intervals are calibrated."""

LEAST_CALIBRATED = 40
"""Samples that a band needs; one with fewer takes the offset of all."""

FOLDS = 5
SEED = 7

UNKNOWN_START_S = 1_400_000_400.0
"""Where a cascade of unknown start is laid; its hour and weekday are read as missing."""


class Cascade(Struct, frozen=True):
    """Posts of one item, in order."""

    times_s: Floats
    """Since the first, ascending, shape (n,)."""
    followers: Ints
    """Of each post's account; -1 where unknown, shape (n,)."""
    begin_s: float | None = None
    """Epoch seconds of the first; None where unknown."""

    def final(self, age_s: float) -> int:
        """Posts within `HORIZON_S` from that age."""
        return int(np.searchsorted(self.times_s, age_s + HORIZON_S, side="right"))


class Samples(Struct, frozen=True):
    """Cascades at some ages; all arrays have one row a sample."""

    values: Floats
    """Shape (n, number of `FEATURES`)."""
    posts: Ints
    final: Ints
    ages_s: Floats
    items: Ints
    corpora: Ints

    def growth(self) -> Floats:
        """Logarithm of final size over posts so far."""
        growth: Floats = np.log(self.final / self.posts)
        return growth

    def where(self, mask: NDArray[np.bool_]) -> "Samples":
        """Those of a mask."""
        return Samples(*(getattr(self, name)[mask] for name in self.__struct_fields__))


class Figures(Struct, frozen=True, kw_only=True):
    """What forecasts reach on some samples."""

    samples: int
    median_ape: float
    spearman: float
    precision_top1: float
    coverage80: float


def growing(cascade: Cascade) -> Iterator[tuple[Tally, float]]:
    """Yield the tally as posts come, with the event time; the tally is the same object throughout."""
    begin_s = UNKNOWN_START_S if cascade.begin_s is None else cascade.begin_s
    tally = Tally()
    for author, (time_s, followers) in enumerate(zip(cascade.times_s, cascade.followers, strict=True)):
        at_s = begin_s + float(time_s)
        tally.add(Mark(at_s=at_s, author_key=author, followers=int(followers) if followers >= 0 else None))
        yield tally, at_s


def samples_of(corpora: Sequence[Sequence[Cascade]], ages_s: Sequence[float] = AGES_S) -> Samples:
    """Describe every cascade at every age at which it has `LEAST_POSTS`."""
    values: list[list[float]] = []
    rows: list[tuple[int, int, float, int, int]] = []
    item = 0
    for corpus, cascades in enumerate(corpora):
        for cascade in cascades:
            item += 1
            if len(cascade.times_s) < LEAST_POSTS:
                continue
            for age_s, posts, row in _at_ages(cascade, sorted(ages_s)):
                values.append(row)
                rows.append((posts, cascade.final(age_s), age_s, item, corpus))
    columns = np.array(rows, np.float64).reshape(-1, 5)
    whole = columns.astype(np.int64)
    return Samples(
        np.array(values).reshape(-1, len(FEATURES)), whole[:, 0], whole[:, 1], columns[:, 2], whole[:, 3], whole[:, 4]
    )


def _at_ages(cascade: Cascade, ages_s: Sequence[float]) -> Iterator[tuple[float, int, list[float]]]:
    counts = np.searchsorted(cascade.times_s, ages_s, side="right")
    posts = growing(cascade)
    begin_s = UNKNOWN_START_S if cascade.begin_s is None else cascade.begin_s
    tally, added = Tally(), 0
    for age_s, count in zip(ages_s, counts, strict=True):
        while added < count:
            tally, _ = next(posts)
            added += 1
        if count >= LEAST_POSTS:
            yield age_s, int(count), features(tally, begin_s + age_s, clock=cascade.begin_s is not None)


def fit(samples: Samples, corpora: Sequence[str], *, trees: int = 80) -> ForecastWeights:
    """Fit trees on samples, and calibrate their intervals on cascades (with several corpora: corpora) left out.

    Raises `ValueError` where there is too little to learn from.
    """
    if len(np.unique(samples.items)) < 2 * FOLDS:
        raise ValueError(f"a forecast needs at least {2 * FOLDS} cascades with {LEAST_POSTS} posts")
    groups = samples.corpora if len(np.unique(samples.corpora)) > 1 else folds(samples.items)
    predicted = cross_fitted(samples, groups, trees=trees)
    nodes, roots, start = _pack([boosted(samples, quantile, trees=trees) for quantile in QUANTILES])
    return ForecastWeights(
        features=FEATURES,
        nodes=nodes,
        roots=roots,
        start=start,
        ages_s=(float(samples.ages_s.min()), float(samples.ages_s.max()) + HORIZON_S),
        offsets=offsets(samples, predicted),
        corpora=tuple(corpora),
        trained_on=f"{len(np.unique(samples.items)):,} cascades of {', '.join(corpora)}",
    )


def folds(items: Ints) -> Ints:
    """Fold of each sample; all samples of a cascade are in one."""
    fold = np.random.default_rng(SEED).integers(0, FOLDS, int(items.max()) + 1)
    return fold[items]


def cross_fitted(samples: Samples, groups: Ints, *, trees: int = 80) -> Floats:
    """Quantiles of each sample by trees that never saw its group, shape (n, 3)."""
    predicted = np.zeros((len(groups), len(QUANTILES)))
    for group in np.unique(groups):
        held = groups == group
        for place, quantile in enumerate(QUANTILES):
            predicted[held, place] = boosted(samples.where(~held), quantile, trees=trees).predict(samples.values[held])
    return predicted


def boosted(samples: Samples, quantile: float, *, trees: int) -> Any:
    """One boosted quantile. Each corpus weighs as the root of its number of samples: none drowns the others."""
    from sklearn.ensemble import HistGradientBoostingRegressor

    sizes = np.bincount(samples.corpora)
    model = HistGradientBoostingRegressor(
        loss="quantile",
        quantile=quantile,
        max_iter=trees,
        learning_rate=0.1,
        max_leaf_nodes=15,
        min_samples_leaf=int(np.clip(len(samples.posts) // 50, 5, 20)),
        max_features=0.3,
        early_stopping=False,
        random_state=SEED,
    )
    return model.fit(samples.values, samples.growth(), sample_weight=1.0 / np.sqrt(sizes[samples.corpora]))


def offsets(samples: Samples, predicted: Floats) -> Offsets:
    """How far the ends must move so that 80 % of what was left out lies between them, by age (corpora weigh alike)."""
    from_now = predicted[:, 0] <= ALREADY
    # Forecasts are whole posts: half a post more or less makes no difference.
    above = np.log((samples.final - 0.5) / samples.posts) - np.maximum(predicted[:, 2], predicted[:, 1])
    below = predicted[:, 0] - np.log((samples.final + 0.5) / samples.posts)
    missed = np.where(from_now, above, np.maximum(below, above))
    result = []
    lower = 0.0
    for upper in OFFSET_BANDS_S:
        inside = (samples.ages_s > lower) & (samples.ages_s <= upper)
        pair = []
        for kind in (from_now, ~from_now):
            chosen = next((one for one in (inside & kind, kind, inside) if one.sum() >= LEAST_CALIBRATED), kind | True)
            pair.append(round(_quantile(missed[chosen], samples.corpora[chosen], 0.8), 5))
        result.append((upper, pair[0], pair[1]))
        lower = upper
    return tuple(result)


def cross_intervals(samples: Samples, predicted: Floats, groups: Ints) -> tuple[Floats, Floats, Floats]:
    """Intervals of samples with the offsets that the other groups' cascades give (cross-conformal)."""
    ends = np.zeros((3, len(groups)))
    for group in np.unique(groups):
        held = groups == group
        table = offsets(samples.where(~held), predicted[~held])
        ends[:, held] = interval(predicted[held], samples.ages_s[held], table)
    return ends[0], ends[1], ends[2]


def figures(samples: Samples, low: Floats, middle: Floats, high: Floats) -> Figures:
    """Measure forecasts, given as logarithms of the growth factor.

    Error and order of the middle, share of the largest hundredth that it finds, and how much the interval covers.
    """
    ends = [np.round(samples.posts * np.exp(end)) for end in (low, middle, high)]
    forecast, final = ends[1], samples.final
    covered = (ends[0] <= final) & (final <= ends[2])
    top = max(1, round(len(final) / 100))
    largest = set(np.argsort(-final, kind="stable")[:top].tolist())
    return Figures(
        samples=len(final),
        median_ape=float(np.median(np.abs(forecast - final) / final)),
        spearman=_spearman(forecast, final),
        precision_top1=len(largest & set(np.argsort(-forecast, kind="stable")[:top].tolist())) / top,
        coverage80=float(covered.mean()),
    )


def _spearman(one: NDArray[Any], other: NDArray[Any]) -> float:
    if len(one) < 2 or len(np.unique(one)) < 2 or len(np.unique(other)) < 2:
        return 0.0
    return float(np.corrcoef(_ranks(one), _ranks(other))[0, 1])


def _ranks(values: NDArray[Any]) -> Floats:
    """Ranks, ties at their mean."""
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    means: Floats = last - (counts - 1) / 2.0
    return means[place]


def _quantile(values: Floats, corpora: Ints, share: float) -> float:
    """Quantile with every corpus of the same weight."""
    weights = 1.0 / np.bincount(corpora)[corpora]
    order = np.argsort(values, kind="stable")
    upto = np.cumsum(weights[order])
    return float(values[order][np.searchsorted(upto, share * upto[-1])])


def _pack(models: Sequence[Any]) -> tuple[bytes, tuple[tuple[int, ...], ...], tuple[int, ...]]:
    """Nodes of all trees in one block, the children of a node side by side."""
    packed: list[tuple[int, int, float, int]] = []
    roots: list[tuple[int, ...]] = []
    for model in models:
        firsts = []
        for predictors in model._predictors:  # noqa: SLF001 - scikit-learn has no public way to its trees
            firsts.append(len(packed))
            _pack_tree(predictors[0].nodes, packed)
        roots.append(tuple(firsts))
    start = tuple(round(FINE * float(model._baseline_prediction.item())) for model in models)  # noqa: SLF001
    return np.array(packed, NODE).tobytes(), tuple(roots), start


def _pack_tree(nodes: NDArray[Any], packed: list[tuple[int, int, float, int]]) -> None:
    first = len(packed)
    order = [0]
    for place in order:  # grows as it goes: breadth first
        node = nodes[place]
        if node["is_leaf"]:
            packed.append((LEAF, 0, 0.0, round(FINE * float(node["value"]))))
        else:
            packed.append((int(node["feature_idx"]), first + len(order), float(node["num_threshold"]), 0))
            order += [int(node["left"]), int(node["right"])]
