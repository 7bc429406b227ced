"""Weights of the forecast of final size, as a file and as an entry of the journal hold them."""

from msgspec import Struct


class ForecastWeights(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Trained trees; `detectors/weights/forecast.json` holds some."""

    schema_version: int = 1
    features: tuple[str, ...]
    """Names of what the trees read; must be `forecast.FEATURES`."""
    nodes: bytes
    """Nodes of all trees, as `forecast.NODE`."""
    roots: tuple[tuple[int, ...], ...]
    """First node of each tree, for each of `forecast.QUANTILES`."""
    start: tuple[int, ...]
    """What is added to the sum of the leaves, for each quantile, in units of `1 / forecast.FINE`."""
    ages_s: tuple[float, float]
    """Ages that were seen in training; beyond them the trees are not asked."""
    offsets: tuple[tuple[float, float, float], ...]
    """Ages up to which they hold, and how far (in logarithms) the interval's ends are moved outwards: where it begins
    at the posts that there are (only the upper end moves), and else."""
    corpora: tuple[str, ...]
    trained_on: str
    """The data, in words."""
