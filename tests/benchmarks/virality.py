"""Task V: the final size of cascades at a given age (V1), alerts on it (V2), and changes in counts (V3).

V1 and V2 run on every archive of `cascades/`. Rows `cross-fit` are fitted on other cascades of the same corpus; rows
with the shipped weights appear only for corpora that these never saw. The final size of V1 is that within a week of
the age at which it is forecast, that of V2 the whole cascade. V3 is simulated: over-dispersed counts that double.
"""

import sys
from pathlib import Path

import numpy as np
from change_detection import bins_to_detect

from detectors.forecast import FEATURES, LEAST_POSTS, Forecaster, features, interval
from detectors.forecast_training import (
    Cascade,
    Samples,
    boosted,
    cross_fitted,
    cross_intervals,
    figures,
    folds,
    growing,
    samples_of,
)
from streams.cascade_files import cascade_files, read_cascades
from streams.models import shipped_forecast
from streams.settings import Settings

AGES_S = (600.0, 1800.0, 3600.0)
FITTED_AGES_S = (*AGES_S, 3 * 3600.0)
LEAST_CASCADES = 50
TOP_SHARE = 0.01
RATES = (0.01, 0.04)
FEWEST = 3
"""Posts from which V2 looks at a cascade."""
GROWTH_BETWEEN_LOOKS = 1.08
MOST_CASCADES = 12_000
"""V2 looks at so many cascades of a corpus at most, drawn by a seed."""
ALERT_QUANTILE = 0.5
"""V2 alerts on the middle of the forecast, as the fact `forecast_large` does."""
SEED = 7

ANCHORS = {
    ("upfd_news", 3600.0, "median_ape"): 0.35,
    ("upfd_news", 3600.0, "spearman"): 0.61,
    ("upfd_news", 3600.0, "precision_top1"): 0.12,
    ("upfd_news", 3600.0, "median_ape_of_constant_factor"): 0.43,
    ("upfd_news", 3600.0, "spearman_of_constant_factor"): 0.58,
    ("upfd_news", 3600.0, "precision_top1_of_constant_factor"): 0.12,
    ("seismic100", 600.0, "median_ape"): 0.33,
    ("seismic100", 1800.0, "median_ape"): 0.30,
    ("seismic100", 3600.0, "median_ape"): 0.23,
}
"""Comparable figures: gradient boosting, cross-fitted (precision: a constant factor), and a constant factor."""

ALERT_ANCHORS = {
    ("german_url", "count", 0.01): 0.24,
    ("german_url", "count", 0.04): 0.99,
    ("german_url", "forecast", 0.01): 0.72,
    ("german_url", "forecast", 0.04): 0.99,
}
"""Of items that end in the top hundredth; forecast: a predicted size."""

CHANGE_ANCHORS = {"cusum": 4, "ewma": 5, "focus": 5, "last_bin_z": 24}


def rows(_settings: Settings, data: Path) -> list[dict]:
    files = cascade_files(data)
    if not files:
        print(f"{data / 'cascades'}: no archive of cascades, V1 and V2 skipped", file=sys.stderr)
    result = []
    for file in files:
        corpus = file.name.split(".", 1)[0]
        cascades = read_cascades(file)
        print(f"{corpus}: {len(cascades):,} cascades", file=sys.stderr, flush=True)
        result += _sizes(corpus, cascades)
        result += _alerts(corpus, cascades)
    for detector, bins in bins_to_detect().items():
        row = {"task": "V3", "corpus": "simulated", "metric": "bins_to_detect", "value": bins}
        result.append({**row, "anchor": CHANGE_ANCHORS.get(detector), "detector": detector, "fitted_on": "simulation"})
    return result


def _sizes(corpus: str, cascades: list[Cascade]) -> list[dict]:
    """V1: cross-fitted inside the corpus, and with the shipped weights where they never saw it."""
    samples = samples_of([cascades], FITTED_AGES_S)
    if len(np.unique(samples.items)) < LEAST_CASCADES:
        print(f"{corpus}: fewer than {LEAST_CASCADES} cascades of {LEAST_POSTS} posts, V1 skipped", file=sys.stderr)
        return []
    groups = folds(samples.items)
    ends = cross_intervals(samples, cross_fitted(samples, groups), groups)
    result = _rows_of_sizes(corpus, samples, ends, "cross-fit")
    result += _rows_of_sizes(corpus, samples, _constant(samples, groups), "cross-fit", suffix="_of_constant_factor")
    weights = shipped_forecast()
    if weights is not None and corpus not in weights.corpora:
        predicted = Forecaster(weights).quantiles(samples.values)
        ends = interval(predicted, samples.ages_s, weights.offsets)
        result += _rows_of_sizes(corpus, samples, ends, "shipped weights: " + ", ".join(weights.corpora))
    return result


def _rows_of_sizes(corpus: str, samples: Samples, ends: tuple, fitted_on: str, suffix: str = "") -> list[dict]:
    result = []
    for age_s in AGES_S:
        chosen = samples.ages_s == age_s
        if chosen.sum() < LEAST_CASCADES:
            continue
        found = figures(samples.where(chosen), *(end[chosen] for end in ends))
        for metric in ("median_ape", "spearman", "precision_top1", "coverage80"):
            anchor = ANCHORS.get((corpus, age_s, metric + suffix))
            row = {"task": "V1", "corpus": corpus, "metric": metric + suffix, "value": getattr(found, metric)}
            more = {"anchor": anchor, "age_minutes": age_s / 60, "cascades": found.samples, "fitted_on": fitted_on}
            result.append({**row, **more})
    return result


def _constant(samples: Samples, groups: np.ndarray) -> tuple:
    """The plainest forecast: quantiles of the growth factor at that age, of the other cascades."""
    ends = np.zeros((3, len(groups)))
    growth = samples.growth()
    for group in np.unique(groups):
        for age_s in np.unique(samples.ages_s):
            at_age = samples.ages_s == age_s
            held, others = at_age & (groups == group), at_age & (groups != group)
            if others.any():
                ends[:, held] = np.quantile(growth[others], (0.1, 0.5, 0.9))[:, None]
    return ends[0], ends[1], ends[2]


def _alerts(corpus: str, cascades: list[Cascade]) -> list[dict]:
    """V2: of the cascades that end in the top hundredth, how many are alerted before half of their size."""
    if len(cascades) > MOST_CASCADES:
        drawn = np.sort(np.random.default_rng(SEED).choice(len(cascades), MOST_CASCADES, replace=False))
        whole = np.array([len(cascade.times_s) for cascade in cascades])
        # What cannot be alerted costs nothing, so all are kept where the rest is few enough.
        cascades = [cascades[place] for place in drawn] if (whole >= FEWEST).sum() > MOST_CASCADES else cascades
    sizes = np.array([len(cascade.times_s) for cascade in cascades])
    looks = _looks(cascades)
    top = np.zeros(len(sizes), bool)
    top[np.argsort(-sizes, kind="stable")[: max(1, round(TOP_SHARE * len(sizes)))]] = True
    if len(np.unique(looks.items)) < LEAST_CASCADES or top.sum() < 5:
        print(f"{corpus}: too few cascades of {FEWEST} posts, V2 skipped", file=sys.stderr)
        return []
    groups = folds(looks.items)
    expected = np.zeros(len(groups))
    for group in np.unique(groups):
        held = groups == group
        fitted = boosted(looks.where(~held), ALERT_QUANTILE, trees=80)
        expected[held] = looks.posts[held] * np.exp(fitted.predict(looks.values[held]))
    result = []
    for detector, scores in (("forecast", expected), ("count", looks.posts.astype(float))):
        suffix = "" if detector == "forecast" else f"_of_{detector}"
        for rate in RATES:
            found = _alerted(looks, scores, sizes, top, rate)
            for metric, value in found.items():
                anchor = ALERT_ANCHORS.get((corpus, detector, rate)) if metric == "recall_before_half" else None
                row = {"task": "V2", "corpus": corpus, "metric": metric + suffix, "value": value, "anchor": anchor}
                more = {"share": TOP_SHARE, "fpr": rate, "detector": detector, "items": len(sizes)}
                result.append({**row, **more, "fitted_on": "cross-fit"})
    return result


def _looks(cascades: list[Cascade]) -> Samples:
    """Every cascade as it stood at its third post and each time it had grown by some percent."""
    values, told = [], []
    for item, cascade in enumerate(cascades):
        next_look = float(FEWEST)
        if len(cascade.times_s) < FEWEST:
            continue
        for tally, now_s in growing(cascade):
            if tally.posts < next_look:
                continue
            next_look = tally.posts * GROWTH_BETWEEN_LOOKS
            values.append(features(tally, now_s, clock=cascade.begin_s is not None))
            told.append((tally.posts, len(cascade.times_s), now_s - tally.first_at_s, item))
    columns = np.array(told, float).reshape(-1, 4)
    whole = columns.astype(np.int64)
    corpora = np.zeros(len(told), np.int64)
    return Samples(
        np.array(values).reshape(-1, len(FEATURES)), whole[:, 0], whole[:, 1], columns[:, 2], whole[:, 3], corpora
    )


def _alerted(looks: Samples, scores: np.ndarray, sizes: np.ndarray, top: np.ndarray, rate: float) -> dict[str, float]:
    """Alert where a score exceeds what only `rate` of the other items ever exceed.

    Items below `FEWEST` posts never alert and count among the others. `lead_minutes` is the median time from the alert
    to the post that made half of the final size, `share_seen` the median share of it that was already there.
    """
    highest = np.full(len(sizes), -np.inf)
    np.maximum.at(highest, looks.items, scores)
    others = np.sort(highest[~top])[::-1]
    threshold = others[int(rate * len(others))]
    first: dict[int, int] = {}
    for place in np.flatnonzero(scores > threshold):
        first.setdefault(int(looks.items[place]), int(place))
    alerts = [(item, place) for item, place in first.items() if top[item]]
    early = [place for item, place in alerts if 2 * looks.posts[place] <= sizes[item]]
    half_s = _half_times(looks)
    leads = [(half_s[int(looks.items[place])] - looks.ages_s[place]) / 60 for _, place in alerts]
    shares = [looks.posts[place] / looks.final[place] for _, place in alerts]
    return {
        "recall_before_half": len(early) / int(top.sum()),
        "recall": len(alerts) / int(top.sum()),
        "lead_minutes": float(np.median(leads)) if leads else 0.0,
        "share_seen": float(np.median(shares)) if shares else 1.0,
        "threshold_posts": float(threshold),
    }


def _half_times(looks: Samples) -> dict[int, float]:
    """Age of each item at the first look with half of its posts."""
    result: dict[int, float] = {}
    for place in np.flatnonzero(2 * looks.posts >= looks.final):
        result.setdefault(int(looks.items[place]), float(looks.ages_s[place]))
    return result
