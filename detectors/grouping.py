"""Micro-clusters into narratives (HDBSCAN), narratives into events (average link), and who inherits a name.

All distances come from exact products of whole vectors, so the groups depend on nothing but the vectors and their
order.
"""

from collections import defaultdict
from collections.abc import Hashable, Mapping, Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from detectors.vectors import COSINE, Floats, centroids

Item = TypeVar("Item", bound=Hashable)


def narrative_groups(wholes: Floats, least_similarity: float) -> list[list[int]]:
    """Groups of rows that tell one story, shape (n, d) in; every row is in exactly one, most alone or in few.

    HDBSCAN (Campello et al. 2013) with leaves as clusters, the finest it has. It gives whatever is left some
    neighbour, so a row further than `least_similarity` (joint cosine) from its group's centroid leaves the group.
    """
    import hdbscan  # slow to import, and only the monitor groups

    if len(wholes) < 3:
        return [[row] for row in range(len(wholes))]
    labels = hdbscan.HDBSCAN(
        min_cluster_size=2, min_samples=1, cluster_selection_method="leaf", metric="precomputed"
    ).fit_predict(_euclidean(wholes))
    groups: dict[int, list[int]] = defaultdict(list)
    alone: list[list[int]] = []
    for row, label in enumerate(labels.tolist()):
        if label < 0:
            alone.append([row])
        else:
            groups[label].append(row)
    for rows in groups.values():
        near, far = _split_far(wholes, rows, least_similarity)
        alone.extend([row] for row in far)
        if near:
            alone.append(near)
    return sorted(alone)


def event_groups(wholes: Floats, least_similarity: float) -> list[list[int]]:
    """Groups of rows (narratives' centroids, shape (n, d)) about one event, by mean cosine between their members."""
    from scipy.cluster.hierarchy import fcluster, linkage  # slow to import, and only the monitor groups
    from scipy.spatial.distance import squareform

    if len(wholes) < 2:
        return [[row] for row in range(len(wholes))]
    distances = squareform(1.0 - _cosines(wholes), checks=False)
    labels = fcluster(linkage(distances, "average"), 1.0 - least_similarity, "distance")
    groups: dict[int, list[int]] = defaultdict(list)
    for row, label in enumerate(labels.tolist()):
        groups[label].append(row)
    return sorted(groups.values())


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


def group_centroids(totals: NDArray[np.int32], groups: Sequence[Sequence[int]]) -> Floats:
    """A centroid for each group of rows, shape (groups, d); every post has one vote.

    `totals`, shape (n, d), are the rows' sums of whole vectors; they are halved until a group's sum fits int32.
    """
    sums = np.stack([totals[list(rows)].sum(axis=0, dtype=np.int64) for rows in groups])
    while np.abs(sums).max(initial=0) > np.iinfo(np.int32).max:
        sums //= 2
    return centroids(sums.astype(np.int32))


def _split_far(wholes: Floats, rows: list[int], least_similarity: float) -> tuple[list[int], list[int]]:
    middle = group_centroids(wholes.astype(np.int32), [rows])[0]
    similar = (wholes[rows] @ middle) * COSINE >= least_similarity
    near = [row for row, is_near in zip(rows, similar, strict=True) if is_near]
    far = [row for row, is_near in zip(rows, similar, strict=True) if not is_near]
    return near, far


def _cosines(wholes: Floats) -> NDArray[np.float64]:
    cosines = (wholes @ wholes.T).astype(np.float64) * COSINE
    np.fill_diagonal(cosines, 1.0)
    return np.minimum(cosines, 1.0)


def _euclidean(wholes: Floats) -> NDArray[np.float64]:
    return np.sqrt(2.0 - 2.0 * _cosines(wholes))
