"""Strands into events (average link), wordings into narratives (HDBSCAN), and who inherits a name.

All similarities come from exact products of whole vectors and are then changed number by number, in a fixed order, so
the groups depend on nothing but the vectors, their times and their order.
"""

from collections import defaultdict
from collections.abc import Hashable, Mapping, Sequence
from functools import lru_cache
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from detectors.strands import Strands
from detectors.vectors import COSINE, RADIUS, Floats

Item = TypeVar("Item", bound=Hashable)
Matrix = NDArray[np.float64]

NEVER = -np.inf
"""Similarity of what is not to be merged (any more)."""

LEAST_DISTANCE = 0.01
"""Between two wordings, so that HDBSCAN's densities (one over the distance) stay finite."""

BLOCK_NUMBERS = 32_768
"""Numbers of a matrix that are worked on at a time: they stay in the processor's cache."""

ROUNDING = 1e-9
"""More than rounding can take from a mean of similarities."""


def event_groups(
    strands: Strands, rows: NDArray[np.int64], least: float, fading: tuple[float, float]
) -> list[list[int]]:
    """Groups of strands, shape (n,) rows in, about one event.

    Average link over the *posts* of the strands: the mean cosine of all pairs of posts of two groups, less what is
    `faded` over the distance of their mean places in the stream, is at least `least`. That is what average link over
    every single post would give, had it begun with the strands.
    """
    sizes = strands.sizes[rows].astype(np.float64)
    similarities = cosines(strands.centroids[rows])
    # The mean cosine of pairs is that of the centroids times the length of each mean vector.
    totals = strands.totals[rows].astype(np.float64)
    lengths = np.sqrt(np.einsum("ij,ij->i", totals, totals)) / (RADIUS * sizes)
    similarities *= lengths[:, None]
    similarities *= lengths[None, :]
    _fade(similarities, strands.mean_places[rows], fading)
    return [[int(rows[index]) for index in group] for group in _linked(similarities, sizes, least)]


def narrative_groups(
    wordings: Floats, founded_at_s: NDArray[np.float64], least: float, fading: tuple[float, float]
) -> list[list[int]]:
    """Groups of one event's wordings that tell one story; every row is in exactly one, many alone.

    HDBSCAN (Campello et al. 2013) over `wordings`, whole sentence vectors of shape (n, d), with clusters by excess of
    mass: how alike two tellings of one story are differs from event to event, and it needs no one threshold for all.
    Nearness in time counts (`fading`, over the seconds between their foundings): a rumour's tellings come together.
    Density is relative, so what is grouped must also reach a mean similarity of `least`.
    """
    if len(wordings) < 3:
        return [[row] for row in range(len(wordings))]
    similarities = cosines(wordings)
    _fade(similarities, founded_at_s, fading)
    groups: list[list[int]] = []
    for label, rows in _by_label(hdbscan_labels(similarities)).items():
        if label < 0:
            groups += [[row] for row in rows]
        elif len(rows) == 2:
            groups += [rows] if similarities[rows[0], rows[1]] >= least else [[row] for row in rows]
        else:
            cut = _linked(similarities[np.ix_(rows, rows)], np.ones(len(rows)), least)
            groups += [[rows[index] for index in group] for group in cut]
    return sorted(groups)


def get_ready() -> None:
    """Import what grouping needs, which takes seconds: a worker does it before the first post comes."""
    _hdbscan_trees()
    import scipy.cluster.hierarchy
    import scipy.spatial.distance  # noqa: F401


@lru_cache(maxsize=1)
def _hdbscan_trees() -> Any:
    import hdbscan._hdbscan_tree as trees  # slow to import, and only the monitor groups

    return trees


def hdbscan_labels(similarities: Matrix) -> NDArray[np.int64]:
    """Labels of HDBSCAN with clusters of two and more by excess of mass, shape (n, n) in, (n,) out; -1 is left out.

    The trees are those of `hdbscan`; the linkage is SciPy's, the same for one neighbour and five times as fast for the
    many small events. `hdbscan.HDBSCAN` itself is the reference in the tests.
    """
    from scipy.cluster.hierarchy import linkage
    from scipy.spatial.distance import squareform

    distances = squareform(similarities, checks=False)
    np.subtract(1.0, distances, out=distances)
    np.maximum(distances, LEAST_DISTANCE, out=distances)
    trees = _hdbscan_trees()
    condensed = trees.condense_tree(linkage(distances, "single"), 2)
    labels: NDArray[np.int64] = trees.get_clusters(condensed, trees.compute_stability(condensed), "eom")[0]
    return labels


def average_link(similarities: Matrix, weights: NDArray[np.float64], least: float) -> list[list[int]]:
    """Groups of rows whose mean similarity, weighted, is at least `least`; shapes (n, n) and (n,) in.

    Agglomerative clustering by the nearest-neighbour chain (Murtagh 1983), which costs n**2; a similarity of two groups
    is the mean over their pairs. What has no partner within `least` never gets one, as a mean is never above its parts.
    """
    return _linked(similarities.copy(), weights.astype(np.float64), least)


def _linked(similar: Matrix, weight: NDArray[np.float64], least: float) -> list[list[int]]:
    """Do what `average_link` does, in the very arrays that it is given: a copy of a large matrix takes long."""
    count = len(similar)
    if count and similar.min() >= least + ROUNDING:
        return [list(range(count))]
    np.fill_diagonal(similar, NEVER)
    if count < 2 or similar.max() < least:
        return [[row] for row in range(count)]
    members = [[row] for row in range(count)]
    chain: list[int] = []
    for start in range(count):
        if not chain and members[start]:
            chain = [start]
        while chain:
            last = chain[-1]
            row = similar[last]
            nearest = int(row.argmax())
            before = chain[-2] if len(chain) > 1 else -1
            if before >= 0 and row[before] >= row[nearest]:
                chain = chain[:-2]
                _merge(similar, weight, members, before, last)
                if not chain and members[start]:
                    chain = [start]
            elif row[nearest] < least:
                chain = []
            else:
                chain.append(nearest)
    return sorted(sorted(group) for group in members if group)


def inherit(groups: Sequence[Sequence[Item]], old: Mapping[Item, str], weight: Mapping[Item, int]) -> list[str | None]:
    """For each group the old name that it carries on, or None: heaviest overlap first, each name to one group only.

    >>> inherit([["a", "b"], ["c"]], {"a": "x", "b": "y", "c": "y"}, {"a": 5, "b": 1, "c": 3})
    ['x', 'y']
    """
    overlaps: dict[tuple[int, str], int] = defaultdict(int)
    for index, group in enumerate(groups):
        for item in group:
            if item in old:
                overlaps[index, old[item]] += weight[item]
    names: list[str | None] = [None] * len(groups)
    taken: set[str] = set()
    for (index, name), _ in sorted(overlaps.items(), key=lambda one: (-one[1], one[0])):
        if names[index] is None and name not in taken:
            names[index] = name
            taken.add(name)
    return names


def cosines(wholes: Floats) -> Matrix:
    """Cosines of all pairs of whole vectors, shape (n, d) in, (n, n) out, from exact products."""
    products = wholes @ wholes.T
    similarities: Matrix = np.multiply(products, COSINE, dtype=np.float64)
    return similarities


def _fade(similarities: Matrix, positions: NDArray[np.float64], fading: tuple[float, float]) -> None:
    """Take from each similarity what is `faded` over the distance of its row and its column in time, in place.

    The same operations in the same order as `faded`, a few rows at a time: whole matrices would go through memory.
    """
    most, half_at = fading
    count = len(positions)
    rows = max(1, BLOCK_NUMBERS // max(1, count))
    distances, sums = np.empty((rows, count)), np.empty((rows, count))
    for start in range(0, count, rows):
        some = positions[start : start + rows, None]
        lost, further = distances[: len(some)], sums[: len(some)]
        np.subtract(some, positions, out=lost)
        np.abs(lost, out=lost)
        np.add(lost, half_at, out=further)
        np.divide(lost, further, out=lost)
        np.multiply(most, lost, out=lost)
        similarities[start : start + rows] -= lost


def _merge(similar: Matrix, weight: NDArray[np.float64], members: list[list[int]], one: int, other: int) -> None:
    """Let a group take over another one; means are weighted by what each consists of (Lance and Williams 1967)."""
    both = weight[one] + weight[other]
    merged = (weight[one] * similar[one] + weight[other] * similar[other]) / both
    merged[one] = merged[other] = NEVER
    similar[:, other] = NEVER
    similar[one] = similar[:, one] = merged
    weight[one] = both
    members[one] += members[other]
    members[other] = []


def _by_label(labels: NDArray[np.int64]) -> dict[int, list[int]]:
    rows: dict[int, list[int]] = defaultdict(list)
    for row, label in enumerate(labels.tolist()):
        rows[label].append(row)
    return rows
