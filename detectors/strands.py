"""Strands: posts in loosely similar wording, found online by the nearest centroid, exactly, in batches.

One product of a batch of posts with all centroids finds the nearest for each; a centroid that changes while the
batch is worked through, and a new one, get their column of products again. All products are of whole vectors
(`detectors.vectors`), hence exact: any batch size gives what one post at a time gives.

What a strand is nearest to also depends on how long ago it had its last post, on the stream's own clock, which counts
the posts that are placed by their text: two alike texts with thousands of others between them are less likely about
one thing. That clock does not care whether a corpus spans a minute or a month.
"""

from collections.abc import Collection

import numpy as np
from numpy.typing import NDArray

from detectors.vectors import COSINE, Floats, centroid

FULL_AT = 500_000
"""Posts after which a centroid moves no more: sums of whole vectors stay within int32."""

FIRST_ROWS = 256

ROUNDING = 1e-5
"""More than rounding to float32 can take from a cosine."""


class Strands:
    """Centroids of strands, a row each, in order of creation; a tie goes to the older one."""

    def __init__(self) -> None:
        self.count = 0
        self.layout = 0
        """Rises whenever rows move, so that a search knows that its columns are stale."""
        self._totals: NDArray[np.int32] = np.zeros((0, 0), np.int32)
        self._centroids: Floats = np.zeros((0, 0), np.float32)
        self._counts: NDArray[np.int64] = np.zeros((0, 3), np.int64)

    @classmethod
    def restore(cls, totals: NDArray[np.int32], counts: NDArray[np.int64]) -> "Strands":
        """From what `totals` and `counts` gave; the centroids follow from them."""
        restored = cls()
        for total, count in zip(totals, counts, strict=True):
            row = restored._new_row(len(total))
            restored._totals[row] = total
            restored._counts[row] = count
            restored._centroids[row] = total if count[0] == 1 else centroid(total)
        return restored

    @property
    def totals(self) -> NDArray[np.int32]:
        """Sums of the members' whole vectors, shape (count, d)."""
        return self._totals[: self.count]

    @property
    def counts(self) -> NDArray[np.int64]:
        """Posts of each strand, the sum of their places in the stream, and the last place; shape (count, 3)."""
        return self._counts[: self.count]

    @property
    def sizes(self) -> NDArray[np.int64]:
        """Posts that each centroid was made of, shape (count,)."""
        return self._counts[: self.count, 0]

    @property
    def last_places(self) -> NDArray[np.int64]:
        """Place in the stream of each strand's last post, shape (count,)."""
        return self._counts[: self.count, 2]

    @property
    def mean_places(self) -> NDArray[np.float64]:
        """Mean place in the stream of each strand's posts, shape (count,)."""
        return self._counts[: self.count, 1] / np.maximum(self.sizes, 1)

    @property
    def centroids(self) -> Floats:
        """Whole-number centroids, shape (count, d)."""
        return self._centroids[: self.count]

    def found(self, vector: Floats, place: int = 0) -> int:
        """Start a strand from one post's whole vector, shape (d,), at a place in the stream; its row."""
        row = self._new_row(len(vector))
        self._totals[row] = vector.astype(np.int32)
        self._counts[row] = (1, place, place)
        self._centroids[row] = vector
        return row

    def absorb(self, row: int, vector: Floats, place: int = 0) -> None:
        """Move a centroid by one more post."""
        self._counts[row, 2] = place
        if self._counts[row, 0] >= FULL_AT:
            return
        self._totals[row] += vector.astype(np.int32)
        self._counts[row, :2] += (1, place)
        self._centroids[row] = centroid(self._totals[row])

    def similarities(self, row: int, place: int, fading: tuple[float, float]) -> NDArray[np.float64]:
        """Of a strand with each, shape (count,), as a post in its centroid's words at a place has them (`Search`)."""
        return _less_time(self.centroids @ self.centroids[row], place - self.last_places, fading)

    def remove(self, rows: Collection[int]) -> None:
        """Forget some; the others move up, in order."""
        keep = np.ones(self.count, bool)
        keep[list(rows)] = False
        kept = int(keep.sum())
        for array in (self._totals, self._centroids, self._counts):
            array[:kept] = array[: self.count][keep]
        self.count = kept
        self.layout += 1

    def _new_row(self, dimensions: int) -> int:
        if self.count == len(self._counts):
            self._grow(dimensions)
        if self._totals.shape[1] != dimensions:
            raise ValueError(f"a vector of {dimensions} dimensions among some of {self._totals.shape[1]}")
        self.count += 1
        return self.count - 1

    def _grow(self, dimensions: int) -> None:
        rows = max(FIRST_ROWS, 2 * self.count)
        width = self._totals.shape[1] or dimensions
        totals, wholes = np.zeros((rows, width), np.int32), np.zeros((rows, width), np.float32)
        counts = np.zeros((rows, 3), np.int64)
        if self.count:
            totals[: self.count], wholes[: self.count], counts[: self.count] = self.totals, self.centroids, self.counts
        self._totals, self._centroids, self._counts = totals, wholes, counts


def faded(distance: NDArray[np.float64] | float, most: float, half_at: float) -> NDArray[np.float64] | float:
    """Similarity that is lost over a distance in time: none at 0, half of `most` at `half_at`, never more than `most`.

    Nothing but a division, which gives the same bits on every machine.

    >>> faded(0.0, 0.12, 1400.0), faded(1400.0, 0.12, 1400.0)
    (0.0, 0.06)
    """
    return most * (distance / (distance + half_at))


def _less_time(products: Floats, places_ago: NDArray[np.int64], fading: tuple[float, float]) -> NDArray[np.float64]:
    similarities: NDArray[np.float64] = np.multiply(products, COSINE, dtype=np.float64)
    if fading[0]:
        similarities -= faded(places_ago.astype(np.float64), *fading)
    return similarities


class Search:
    """Nearest centroids of a batch of posts, worked through in order while the centroids change.

    After post `i` was put somewhere, call `changed(row)`; then ask for post `i + 1`.
    """

    def __init__(self, strands: Strands, vectors: Floats) -> None:
        self._strands = strands
        self._vectors = vectors
        self._next = 0
        self.restart()

    def nearest(self, post: int, place: int = 0, fading: tuple[float, float] = (0.0, 1.0)) -> tuple[int, float]:
        """Row of the centroid nearest to the batch's post, and their similarity; (-1, -1.0) where there is none.

        The similarity is the cosine less what is `faded` over the places between the strand's last post and `place`.
        """
        self._next = post
        if self._layout != self._strands.layout:
            self.restart()
        if not self._strands.count:
            return -1, -1.0
        products = self._products[post, : self._strands.count]
        most, half_at = fading
        # Time takes no more than `most`: what is further behind the best one cannot be the nearest.
        rows = (products >= products.max() - (most + ROUNDING) / COSINE).nonzero()[0]
        similarities = np.multiply(products[rows], COSINE, dtype=np.float64)
        if most:
            similarities -= faded(place - self._strands.last_places[rows], most, half_at)
        best = int(similarities.argmax())
        return int(rows[best]), float(similarities[best])

    def similarities(self, post: int, place: int, fading: tuple[float, float]) -> NDArray[np.float64]:
        """Similarities, as `nearest` has them, of the post that it was asked for with each centroid, shape (count,)."""
        products = self._products[post, : self._strands.count]
        return _less_time(products, place - self._strands.last_places, fading)

    def vector(self, post: int) -> Floats:
        """The post's whole vector, shape (d,)."""
        row: Floats = self._vectors[post]
        return row

    def changed(self, row: int) -> None:
        """A centroid moved or is new: products of the posts to come with it are taken again."""
        if self._layout != self._strands.layout or self._next + 1 >= len(self._vectors):
            return  # all are taken again when the next post asks, or none is to come
        coming = slice(self._next + 1, None)
        self._products[coming, row] = self._vectors[coming] @ self._strands.centroids[row]

    def restart(self) -> None:
        """Take all products of the posts to come again: centroids changed that were not found by this search."""
        count, posts = self._strands.count, len(self._vectors)
        self._layout = self._strands.layout
        self._products = np.empty((posts, count + posts), np.float32)
        if count and posts:
            np.matmul(self._vectors[self._next :], self._strands.centroids.T, out=self._products[self._next :, :count])
