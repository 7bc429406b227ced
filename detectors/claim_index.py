"""Fact-checked claims by what they say: exact search by sentence vector and by words, small enough for half a million.

Vectors lie in one matrix of int8, a row a claim (the mean direction of claim and title), and are compared in blocks,
as whole numbers: a product of two rows of int8 is a sum of at most 4,000 products below 2**14, which float32 holds
exactly, so neither blocks nor threads can show in an answer. Words lie in inverted lists of plain integers. What
the lists hold of a claim beside that is its length; its text is read again for the few claims that are looked at
closely. Everything is exact: the answer depends on the claims held, not on the order they came in.
"""

import math
from array import array
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from detectors.lexical import COMMONEST_ZIPF, DEFAULT_LANGUAGE, weight_hundredths

LEXICAL_BONUS = 0.3
LEXICAL_SCALE = 20.0
"""Fused score = cosine + LEXICAL_BONUS * BM25 / (BM25 + LEXICAL_SCALE)."""

BM25_K1 = 1.5
BM25_B = 0.75
"""Usual values (Robertson and Zaragoza 2009)."""

COMMON_HUNDREDTHS = 100
"""Words said more often than once in a thousand words do not search."""
COMMON_RATIO = 0.05
COMMON_CLAIMS = 50
"""Nor do words in more than this share of the claims (and in at least so many): they cost, and tell little."""

IMAGINED_CLAIMS = 2000
CLAIM_WORDS = 25
"""A claim with its title has about so many words."""

BLOCK_ROWS = 8192
"""Rows that are compared at a time: 12 MB as float32 of 384 dimensions, which stays in the cache of a processor."""

FIRST_ROWS = 64

Ints = NDArray[np.int8]


class Hit(NamedTuple):
    """One claim near a text."""

    claim_id: str
    fused: float
    cosine: float
    bm25: float


class Asked(NamedTuple):
    """One wording that is looked up: its sentence vector, int8 of shape (d,), and its words that are not common."""

    dense: bytes
    words: frozenset[str]


class ClaimShelf:
    """The claims of one embedding space, by row."""

    def __init__(self) -> None:
        self._rows: dict[str, int] = {}
        self._ids: list[str] = []
        self._free: list[int] = []
        self._matrix: Ints = np.zeros((0, 0), np.int8)
        self._lengths = np.zeros(0, np.float64)
        """Euclidean length of each row of the matrix; infinite where there is no claim."""
        self._words = np.zeros(0, np.int32)
        self._total_words = 0
        self._postings: dict[str, array[int]] = {}
        """Word -> row, count, row, count ..."""

    def __len__(self) -> int:
        return len(self._rows)

    def put(self, claim_id: str, directions: Sequence[bytes], counts: Counter[str]) -> None:
        """Add a claim that is not there, by the int8 vectors of what it says and its words."""
        mean = _mean_direction(directions)
        row = self._new_row(len(mean))
        self._rows[claim_id] = row
        self._ids[row] = claim_id
        self._matrix[row] = mean
        values = mean.astype(np.int64)
        squares = int(values @ values)
        self._lengths[row] = math.sqrt(squares) if squares else math.inf
        self._words[row] = counts.total()
        self._total_words += counts.total()
        for word, count in counts.items():
            self._postings.setdefault(word, array("I")).extend((row, count))

    def remove(self, claim_id: str, words: Iterable[str]) -> None:
        """Take a claim out, leaving no trace of it; `words` are those that it was put with."""
        row = self._rows.pop(claim_id)
        for word in words:
            postings = self._postings[word]
            at = next(place for place in range(0, len(postings), 2) if postings[place] == row)
            del postings[at : at + 2]
            if not postings:
                del self._postings[word]
        self._total_words -= int(self._words[row])
        self._lengths[row] = math.inf
        self._matrix[row] = 0
        self._ids[row] = ""
        self._free.append(row)

    def nearest(self, asked: Sequence[Asked], k: int) -> list[list[Hit]]:
        """For each wording its nearest claims, best first: `k` and their ties; ties by `claim_id`."""
        if not asked or not self._rows:
            return [[] for _ in asked]
        cosines = self._cosines([one.dense for one in asked])
        return [self._best(row, self._bm25(one.words), k) for row, one in zip(cosines, asked, strict=True)]

    def alike(self, one_id: str, other_id: str) -> float:
        """Cosine of two claims."""
        one, other = self._rows[one_id], self._rows[other_id]
        product = int(self._matrix[one].astype(np.int64) @ self._matrix[other].astype(np.int64))
        return product / float(self._lengths[one] * self._lengths[other])

    def rarity(self, word: str) -> float:
        """Inverse document frequency among the claims and `IMAGINED_CLAIMS` more of everyday wording.

        So a word is rare or common from the first claim on, and an index of one answers like an index of thousands.
        """
        holding = len(self._postings.get(word, ())) // 2 + IMAGINED_CLAIMS * _claims_holding(word)
        return math.log(1.0 + (len(self) + IMAGINED_CLAIMS - holding + 0.5) / (holding + 0.5))

    def nbytes(self) -> int:
        """Memory of matrix, lists and lengths, in bytes; ids and texts are kept elsewhere."""
        lists = sum(postings.buffer_info()[1] * postings.itemsize for postings in self._postings.values())
        return self._matrix.nbytes + self._lengths.nbytes + self._words.nbytes + lists

    def _cosines(self, queries: Sequence[bytes]) -> NDArray[np.float64]:
        """Cosines of wordings and rows, shape (n, rows); zero where there is no claim."""
        used = len(self._ids)
        asked = np.frombuffer(b"".join(queries), np.int8).reshape(len(queries), -1)
        if asked.shape[1] != self._matrix.shape[1]:
            raise ValueError(f"a vector of {asked.shape[1]} dimensions among some of {self._matrix.shape[1]}")
        values = asked.astype(np.float64)
        lengths = np.sqrt(np.einsum("ij,ij->i", values, values))
        lengths[lengths == 0.0] = math.inf
        wide = asked.astype(np.float32)
        products = np.empty((len(queries), used), np.float64)
        for start in range(0, used, BLOCK_ROWS):
            stop = min(used, start + BLOCK_ROWS)
            products[:, start:stop] = wide @ self._matrix[start:stop].astype(np.float32).T
        cosines: NDArray[np.float64] = products / lengths[:, None] / self._lengths[:used]
        return cosines

    def _bm25(self, words: Iterable[str]) -> NDArray[np.float64]:
        """BM25 of every row; words in their sorted order, so that sums are repeatable."""
        scores = np.zeros(len(self._ids), np.float64)
        most = max(COMMON_CLAIMS, int(COMMON_RATIO * len(self)))
        mean = self._total_words / max(1, len(self))
        for word in sorted(words):
            postings = self._postings.get(word)
            if postings is None or len(postings) > 2 * most:
                continue
            pairs = np.frombuffer(postings, np.uint32).reshape(-1, 2)
            rows, counts = pairs[:, 0], pairs[:, 1].astype(np.float64)
            norms = BM25_K1 * (1.0 - BM25_B + BM25_B * self._words[rows] / mean)
            scores[rows] += self.rarity(word) * (BM25_K1 + 1.0) * counts / (counts + norms)
        return scores

    def _best(self, cosines: NDArray[np.float64], scores: NDArray[np.float64], k: int) -> list[Hit]:
        fused = cosines + LEXICAL_BONUS * scores / (scores + LEXICAL_SCALE)
        if self._free:
            fused[self._free] = -math.inf
        wanted = min(k, len(self._rows))
        least = np.partition(fused, len(fused) - wanted)[len(fused) - wanted]
        chosen = np.flatnonzero(fused >= least).tolist()
        hits = [Hit(self._ids[row], float(fused[row]), float(cosines[row]), float(scores[row])) for row in chosen]
        return sorted(hits, key=lambda hit: (-hit.fused, hit.claim_id))

    def _new_row(self, dimensions: int) -> int:
        """A free row; the matrix grows by half when there is none."""
        if self._matrix.shape[1] not in {0, dimensions}:
            raise ValueError(f"a vector of {dimensions} dimensions among some of {self._matrix.shape[1]}")
        if self._free:
            return self._free.pop()
        row = len(self._ids)
        if row == len(self._matrix):
            rows = max(FIRST_ROWS, row + row // 2)
            matrix = np.zeros((rows, dimensions), np.int8)
            lengths, words = np.full(rows, math.inf), np.zeros(rows, np.int32)
            if row:
                matrix[:row], lengths[:row], words[:row] = self._matrix, self._lengths, self._words
            self._matrix, self._lengths, self._words = matrix, lengths, words
        self._ids.append("")
        return row


@lru_cache(maxsize=65_536)
def is_common(word: str) -> bool:
    """Whether a word is said too often to search with."""
    return weight_hundredths(word, DEFAULT_LANGUAGE) < COMMON_HUNDREDTHS


@lru_cache(maxsize=65_536)
def _claims_holding(word: str) -> float:
    """Share of claims of everyday wording that hold a word, from its Zipf frequency (per 10**9 words)."""
    zipf = COMMONEST_ZIPF - weight_hundredths(word, DEFAULT_LANGUAGE) / 100.0
    return min(1.0, CLAIM_WORDS * math.pow(10.0, zipf - 9.0))


def _mean_direction(directions: Sequence[bytes]) -> Ints:
    """Mean of unit vectors, rounded to int8, shape (d,)."""
    values = np.frombuffer(b"".join(directions), np.int8).reshape(len(directions), -1).astype(np.float64)
    lengths = np.sqrt(np.einsum("ij,ij->i", values, values))
    mean = (values / np.where(lengths == 0.0, 1.0, lengths)[:, None]).sum(axis=0)
    largest = float(np.max(np.abs(mean), initial=0.0))
    rounded: Ints = np.rint(mean * (127.0 / largest) if largest else mean).astype(np.int8)
    return rounded
