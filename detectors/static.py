"""The fast tier's sentence vectors: a sum over the words of a text, from a table distilled from a full model.

Every piece of the full model's vocabulary is embedded once, on its own; the vectors are reduced to their main
directions. The vector of a word is the mean of its pieces, weighed by its rarity, and that of a text is their sum: no
network runs for a post. Two texts are near where their words are; word order, negation and context are lost, and
that is what second looks are for.

Sources: model2vec (Tulkens and van Dongen 2024) for distilling by vocabulary; Arora, Liang and Ma, "A simple but
tough-to-beat baseline for sentence embeddings" (ICLR 2017) for the weights a / (a + p).
"""

import hashlib
from collections.abc import Callable, Sequence

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from detectors.lexical import COMMONEST_ZIPF, DEFAULT_LANGUAGE, WordTable, unit_rows, weight_hundredths, words_in

PiecesOf = Callable[[str], Sequence[int]]
"""Ids of the pieces of a word, as the full model's tokenizer cuts it."""

DIMENSIONS = 256
"""News-T and tweets: 128 lose .01 of AMI, more gain nothing."""

WEIGHT_A = 1e-3
"""The `a` of the weights: a word with this share of all words weighs one half (Arora et al.: 1e-3 to 1e-4)."""

MOST_WORDS = 50_000
"""Words remembered, 1 KB each."""


class StaticTable(Struct, frozen=True, kw_only=True):
    """What distilling gives: a vector of whole numbers for each piece."""

    model: str
    """Space of the full model that it was distilled from."""
    pieces: NDArray[np.int8]
    """Shape (pieces, d)."""
    scales: NDArray[np.float32]
    """Shape (pieces,): vector = scale * whole numbers."""

    @property
    def space(self) -> str:
        """Names the full model, the kind of the table and its content."""
        digest = hashlib.blake2b(self.pieces.tobytes() + self.scales.tobytes(), digest_size=4).hexdigest()
        name = self.model.rpartition("@")[0] or self.model
        return f"{name}-static{self.pieces.shape[1]}@{digest}"


class StaticEncoder:
    """Vectors of texts from a table; the same text gives the same bits in any batch."""

    def __init__(self, table: StaticTable, pieces_of: PiecesOf) -> None:
        self._table = table
        self._pieces_of = pieces_of
        self._space = table.space
        self._words: WordTable[str] = WordTable(
            self._vector_of, np.zeros((0, table.pieces.shape[1]), np.float32), MOST_WORDS
        )

    @property
    def space(self) -> str:
        """`model-static256@` and eight digits of the table's hash."""
        return self._space

    @property
    def dimensions(self) -> int:
        """Length of a vector."""
        return int(self._table.pieces.shape[1])

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Unit rows in the order of the texts, shape (n, dimensions); zeros for a text of which no piece is known."""
        self._words.forget()
        # A text without words (an emoji) is one word.
        return unit_rows(self._words.sums([words_in(text) or (text.strip(),) for text in texts], np.float64))

    def _vector_of(self, word: str) -> NDArray[np.float32]:
        pieces = list(self._pieces_of(word))
        if not pieces:
            return np.zeros(self.dimensions, np.float32)
        vectors = self._table.pieces[pieces].astype(np.float64) * self._table.scales[pieces, None]
        return np.asarray(vectors.mean(axis=0) * weight_of(word), np.float32)


def weight_of(word: str) -> float:
    """Weight of a word by its share p of all (English) words, a / (a + p).

    >>> round(weight_of("the"), 2), round(weight_of("police"), 2), round(weight_of("navelli"), 2)
    (0.09, 0.82, 1.0)
    """
    zipf = COMMONEST_ZIPF - weight_hundredths(word, DEFAULT_LANGUAGE) / 100.0
    share: float = 10.0 ** (zipf - 9.0)
    return WEIGHT_A / (WEIGHT_A + share)


def distilled(model: str, pieces: NDArray[np.float32], *, dimensions: int = DIMENSIONS) -> StaticTable:
    """Reduce the vectors of a vocabulary, shape (pieces, n), to their main directions, and round them to int8.

    The mean is taken out first: it is what all words share. Signs of the directions are fixed, so that the same
    vectors give the same table.
    """
    centred = pieces.astype(np.float64) - pieces.mean(axis=0, dtype=np.float64)
    _, directions = np.linalg.eigh(centred.T @ centred)
    directions = directions[:, ::-1][:, : min(dimensions, centred.shape[1])]
    largest = np.argmax(np.abs(directions), axis=0)
    directions = directions * np.sign(directions[largest, np.arange(directions.shape[1])])
    reduced = centred @ directions
    scales = np.maximum(np.abs(reduced).max(axis=1), 1e-12) / 127.0
    return StaticTable(
        model=model,
        pieces=np.rint(reduced / scales[:, None]).astype(np.int8),
        scales=scales.astype(np.float32),
    )
