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
    """Groups of rows that tell one story, shape (n, d) in; every row is in exactly one, most alone or in few."""
    return sorted(
        story for neighbours in neighbourhoods(wholes) for story in stories_in(wholes, neighbours, least_similarity)
    )


def neighbourhoods(wholes: Floats) -> list[list[int]]:
    """Groups of rows that are nearer to each other than to others, shape (n, d) in; every row is in exactly one.

    HDBSCAN (Campello et al. 2013) with leaves as clusters, the finest it has; what it leaves out is a group of its
    own. Density is relative, so neighbours may still be far apart where little is near.
    """
    import hdbscan  # slow to import, and only the monitor groups

    if len(wholes) < 3:
        return [[row] for row in range(len(wholes))]
    labels = hdbscan.HDBSCAN(
        min_cluster_size=2, min_samples=1, cluster_selection_method="leaf", metric="precomputed"
    ).fit_predict(_euclidean(wholes))
    groups: dict[int, list[int]] = defaultdict(list)
    for row, label in enumerate(labels.tolist()):
        groups[label if label >= 0 else -1 - row].append(row)
    return sorted(groups.values())


def stories_in(wholes: Floats, neighbours: list[int], least_similarity: float) -> list[list[int]]:
    """Cut neighbours: those within `least_similarity` (joint cosine) of their centroid, and each other one alone."""
    if len(neighbours) == 1:
        return [neighbours]
    near, far = _split_far(wholes, neighbours, least_similarity)
    return [*([near] if near else []), *([row] for row in far)]


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
    """A centroid for each group of rows, none empty, shape (groups, d); every post has one vote.

    `totals`, shape (n, d), are the rows' sums of whole vectors; they are halved until a group's sum fits int32.
    """
    sums = totals[[rows[0] for rows in groups]].astype(np.int64)
    for group, rows in enumerate(groups):
        if len(rows) > 1:  # most have one row
            sums[group] = totals[list(rows)].sum(axis=0, dtype=np.int64)
    while np.abs(sums).max(initial=0) > np.iinfo(np.int32).max:
        sums //= 2
    return centroids(sums.astype(np.int32))


def _split_far(wholes: Floats, rows: list[int], least_similarity: float) -> tuple[list[int], list[int]]:
    own = wholes[rows]
    middle = centroids(own.astype(np.int32).sum(axis=0, dtype=np.int32, keepdims=True))[0]
    similar = (own @ middle) * COSINE >= least_similarity
    near = [row for row, is_near in zip(rows, similar, strict=True) if is_near]
    far = [row for row, is_near in zip(rows, similar, strict=True) if not is_near]
    return near, far


def _cosines(wholes: Floats) -> NDArray[np.float64]:
    cosines = (wholes @ wholes.T).astype(np.float64)
    cosines *= COSINE
    np.fill_diagonal(cosines, 1.0)
    return np.minimum(cosines, 1.0, out=cosines)


def _euclidean(wholes: Floats) -> NDArray[np.float64]:
    distances = _cosines(wholes)
    distances *= -2.0
    distances += 2.0
    return np.sqrt(distances, out=distances)
