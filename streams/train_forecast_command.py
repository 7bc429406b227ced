"""`emberwatch train forecast --data DIR --out FILE`: fit the forecast of final size on cascades.

Reads every archive of `DIR/cascades/`. Intervals are calibrated on corpora that the trees did not see, so the figures
that it prints say what to expect of a stream that is none of these.
"""

import importlib.util
from pathlib import Path

import msgspec
import numpy as np
from rich.console import Console
from rich.table import Table

from detectors import forecast_training as training
from detectors.forecast import Forecaster
from streams.cascade_files import cascade_files, read_cascades
from streams.errors import EmberwatchError
from streams.settings import Settings

SHOWN_AGES_S = (600.0, 1800.0, 3600.0, 86400.0)
LEAST_SHOWN = 20


def run(_settings: Settings, *, data: Path, out: Path) -> int:
    """Fit on `data`, write the weights to `out`, print what they reach on corpora left out; returns the exit status."""
    if importlib.util.find_spec("sklearn") is None:
        raise EmberwatchError("training needs scikit-learn: install `emberwatch[train]`")
    files = cascade_files(data)
    if not files:
        raise EmberwatchError(f"{data / 'cascades'}: no archive of cascades (*.npz)")
    console = Console(stderr=True)
    names = [file.stem for file in files]
    corpora = []
    for name, file in zip(names, files, strict=True):
        corpora.append(read_cascades(file))
        console.print(f"{name}: {len(corpora[-1]):,} cascades", highlight=False)
    samples = training.samples_of(corpora)
    try:
        weights = training.fit(samples, names)
    except ValueError as error:
        raise EmberwatchError(f"{data}: {error}") from error
    Forecaster(weights)  # what cannot be read back is not written
    try:
        out.write_bytes(msgspec.json.format(msgspec.json.encode(weights), indent=1) + b"\n")
    except OSError as error:
        raise EmberwatchError(f"{out}: {error.strerror or error}") from error
    _print(console, names, samples)
    console.print(f"{out}: {out.stat().st_size:,} bytes, trained on {weights.trained_on}", highlight=False)
    return 0


def _print(console: Console, names: list[str], samples: training.Samples) -> None:
    """Show what trees reach on each corpus that they did not see (with one corpus: on cascades they did not see)."""
    several = len(names) > 1
    groups = samples.corpora if several else training.folds(samples.items)
    predicted = training.cross_fitted(samples, groups)
    ends = training.cross_intervals(samples, predicted, groups)
    table = Table("corpus left out" if several else "corpus, cross-fitted", "age", "cascades", "median APE", "Spearman")
    table.add_column("80 % interval covers")
    for number, name in enumerate(names):
        for age_s in SHOWN_AGES_S:
            chosen = (samples.corpora == number) & (samples.ages_s == age_s)
            if np.count_nonzero(chosen) < LEAST_SHOWN:
                continue
            one = training.figures(samples.where(chosen), *(end[chosen] for end in ends))
            shown = (f"{one.samples:,}", f"{one.median_ape:.3f}", f"{one.spearman:.3f}", f"{one.coverage80:.3f}")
            table.add_row(name, f"{age_s / 60:.0f} min", *shown)
    console.print(table)
