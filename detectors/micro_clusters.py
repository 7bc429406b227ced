"""Near-identical wording, assigned online: the nearest centroid among whole-number vectors, exactly, in batches.

One product of a batch of posts with all centroids finds the nearest for each; a centroid that changes while the
batch is worked through, and a new one, get their column of products again. All products are of whole vectors
(`detectors.vectors`), hence exact: any batch size gives what one post at a time gives.
"""

from collections.abc import Collection

import numpy as np
from numpy.typing import NDArray

from detectors.vectors import COSINE, Floats, centroids

FULL_AT = 500_000
"""Posts after which a centroid moves no more: sums of whole vectors stay within int32."""

FIRST_ROWS = 256


class MicroClusters:
    """Centroids of micro-clusters, a row each, in order of creation; a tie goes to the older one."""

    def __init__(self) -> None:
        self.count = 0
        self.layout = 0
        """Rises whenever rows move, so that a search knows that its columns are stale."""
        self._totals: NDArray[np.int32] = np.zeros((0, 0), np.int32)
        self._centroids: Floats = np.zeros((0, 0), np.float32)
        self._sizes: NDArray[np.int64] = np.zeros(0, np.int64)

    @classmethod
    def restore(cls, totals: NDArray[np.int32], sizes: NDArray[np.int64]) -> "MicroClusters":
        """From what `totals` and `sizes` gave; the centroids follow from them."""
        restored = cls()
        for total, size in zip(totals, sizes, strict=True):
            row = restored._new_row(len(total))
            restored._totals[row] = total
            restored._sizes[row] = size
            restored._centroids[row] = total if size == 1 else centroids(total[None])[0]
        return restored

    @property
    def totals(self) -> NDArray[np.int32]:
        """Sums of the members' whole vectors, shape (count, d)."""
        return self._totals[: self.count]

    @property
    def sizes(self) -> NDArray[np.int64]:
        """Posts that each centroid was made of, shape (count,)."""
        return self._sizes[: self.count]

    @property
    def centroids(self) -> Floats:
        """Whole-number centroids, shape (count, d)."""
        return self._centroids[: self.count]

    def found(self, vector: Floats) -> int:
        """Start a micro-cluster from one post's whole vector, shape (d,); its row."""
        row = self._new_row(len(vector))
        self._totals[row] = vector.astype(np.int32)
        self._sizes[row] = 1
        self._centroids[row] = vector
        return row

    def absorb(self, row: int, vector: Floats) -> None:
        """Move a centroid by one more post."""
        if self._sizes[row] >= FULL_AT:
            return
        self._totals[row] += vector.astype(np.int32)
        self._sizes[row] += 1
        self._centroids[row] = centroids(self._totals[row][None])[0]

    def remove(self, rows: Collection[int]) -> None:
        """Forget some; the others move up, in order."""
        keep = np.ones(self.count, bool)
        keep[list(rows)] = False
        kept = int(keep.sum())
        for array in (self._totals, self._centroids, self._sizes):
            array[:kept] = array[: self.count][keep]
        self.count = kept
        self.layout += 1

    def _new_row(self, dimensions: int) -> int:
        if self.count == len(self._sizes):
            self._grow(dimensions)
        if self._totals.shape[1] != dimensions:
            raise ValueError(f"a vector of {dimensions} dimensions among some of {self._totals.shape[1]}")
        self.count += 1
        return self.count - 1

    def _grow(self, dimensions: int) -> None:
        rows = max(FIRST_ROWS, 2 * self.count)
        width = self._totals.shape[1] or dimensions
        totals, wholes = np.zeros((rows, width), np.int32), np.zeros((rows, width), np.float32)
        sizes = np.zeros(rows, np.int64)
        if self.count:
            totals[: self.count], wholes[: self.count], sizes[: self.count] = self.totals, self.centroids, self.sizes
        self._totals, self._centroids, self._sizes = totals, wholes, sizes


class Search:
    """Nearest centroids of a batch of posts, worked through in order while the centroids change.

    After post `i` was put somewhere, call `changed(row)`; then ask for post `i + 1`.
    """

    def __init__(self, clusters: MicroClusters, vectors: Floats) -> None:
        self._clusters = clusters
        self._vectors = vectors
        self._next = 0
        self.restart()

    def nearest(self, post: int) -> tuple[int, float]:
        """Row of the nearest centroid of the batch's post, and their cosine; (-1, -1.0) where there is none."""
        self._next = post
        if self._layout != self._clusters.layout:
            self.restart()
        if not self._clusters.count:
            return -1, -1.0
        products = self._products[post, : self._clusters.count]
        row = int(products.argmax())
        return row, float(products[row]) * COSINE

    def vector(self, post: int) -> Floats:
        """The post's whole vector, shape (d,)."""
        row: Floats = self._vectors[post]
        return row

    def changed(self, row: int) -> None:
        """A centroid moved or is new: products of the posts to come with it are taken again."""
        if self._layout != self._clusters.layout or self._next + 1 >= len(self._vectors):
            return  # all are taken again when the next post asks, or none is to come
        coming = slice(self._next + 1, None)
        self._products[coming, row] = self._vectors[coming] @ self._clusters.centroids[row]

    def restart(self) -> None:
        """Take all products of the posts to come again: centroids changed that were not found by this search."""
        count, posts = self._clusters.count, len(self._vectors)
        self._layout = self._clusters.layout
        self._products = np.zeros((posts, count + posts), np.float32)
        if count and posts:
            self._products[self._next :, :count] = self._vectors[self._next :] @ self._clusters.centroids.T
