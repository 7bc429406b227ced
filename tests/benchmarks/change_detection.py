"""Changes in simulated counts: how many bins each detector needs for a doubling, at equal false alarms.

Counts are negative binomial: five a bin, variance mean + mean² / 20, so one and a quarter times the mean before and
one and a half times after. Each detector's threshold is set on runs without a change, so that 5 % of them alarm in
600 bins.
"""

from collections.abc import Callable

import numpy as np

from detectors.change_points import step

MEAN, AFTER = 5.0, 10.0
SIZE = 20.0
DISPERSION = 1.0 + MEAN / SIZE
BINS = 600
FALSE_ALARMS = 0.05
QUIET_RUNS = 2000
CHANGED_RUNS = 1000
WARM = 60
LONGEST = 300
SEED = 11


def bins_to_detect() -> dict[str, int]:
    """Median number of bins from the change to the alarm, the alarming bin included."""
    generator = np.random.default_rng(SEED)
    quiet = _counts(generator, MEAN, (QUIET_RUNS, BINS))
    changed = np.concatenate(
        [_counts(generator, MEAN, (CHANGED_RUNS, WARM)), _counts(generator, AFTER, (CHANGED_RUNS, LONGEST))], axis=1
    )
    result = {}
    for name, scores_of in DETECTORS.items():
        threshold = np.quantile(scores_of(quiet).max(axis=1), 1.0 - FALSE_ALARMS)
        above = scores_of(changed)[:, WARM:] > threshold
        needed = np.where(above.any(axis=1), above.argmax(axis=1) + 1, LONGEST)
        result[name] = int(np.median(needed))
    return result


def false_alarms_at(alarm: float) -> float:
    """Share of runs without a change whose CUSUM reaches that score."""
    quiet = _counts(np.random.default_rng(SEED), MEAN, (QUIET_RUNS, BINS))
    return float((_cusum(quiet).max(axis=1) >= alarm).mean())


def _counts(generator: np.random.Generator, mean: float, shape: tuple[int, int]) -> np.ndarray:
    return generator.negative_binomial(SIZE, SIZE / (SIZE + mean), shape).astype(float)


def _cusum(counts: np.ndarray) -> np.ndarray:
    """The project's own CUSUM, run by run."""
    scores = np.zeros_like(counts)
    for run, row in enumerate(counts):
        score = 0.0
        for place, count in enumerate(row.tolist()):
            scores[run, place] = score = step(score, count, MEAN, DISPERSION)
    return scores


def _ewma(counts: np.ndarray, weight: float = 0.3) -> np.ndarray:
    scores = np.zeros_like(counts)
    level = np.full(len(counts), MEAN)
    for place in range(counts.shape[1]):
        level = (1.0 - weight) * level + weight * counts[:, place]
        scores[:, place] = level
    return scores


def _focus(counts: np.ndarray, longest: int = 60) -> np.ndarray:
    """Best of all changes that began in the last `longest` bins, whatever their size (FOCuS, by brute force)."""
    upto = np.concatenate([np.zeros((len(counts), 1)), np.cumsum(counts, axis=1)], axis=1)
    scores = np.zeros_like(counts)
    for length in range(1, longest + 1):
        sums = upto[:, length:] - upto[:, :-length]
        mean = MEAN * length
        gain = np.where(sums > mean, sums * np.log(np.maximum(sums, 1e-9) / mean) - (sums - mean), 0.0)
        scores[:, length - 1 :] = np.maximum(scores[:, length - 1 :], gain)
    return scores


DETECTORS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "cusum": _cusum,
    "ewma": _ewma,
    "focus": _focus,
    "last_bin_z": lambda counts: counts,
}
