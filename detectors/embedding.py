"""Sentence vectors over an encoder that the shell has loaded, and the cache that makes repeated texts cheap."""

import hashlib
from collections import OrderedDict
from collections.abc import Sequence
from typing import Generic, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from detectors.lexical import words_of

MICRO_BATCH = 16
"""Texts that an encoder sees at once. On one core, MiniLM and tweets in batches of 64, 8 and 16 are within 5 % of each
other and 32 is some 8 % slower: more texts in a row mean more padding."""

_Value = TypeVar("_Value")


class Encoder(Protocol):
    """Turns texts into unit vectors. Deterministic for the same batch; another batch may change last bits."""

    @property
    def space(self) -> str:
        """Name of the embedding space, `model@revision`."""

    @property
    def dimensions(self) -> int:
        """Length of a vector."""

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Unit rows in the order of the texts, shape (n, dimensions)."""


class HashEncoder:
    """Deterministic vectors of hashed words: texts with the same words are near. No model, so for tests only.

    >>> a, b, c = HashEncoder().encode(["a fire in the hall", "a big fire in the hall", "cats"])
    >>> bool(a @ b > 0.8 > 0.4 > a @ c)
    True
    """

    def __init__(self, dimensions: int = 64) -> None:
        if not 8 <= dimensions <= 512 or dimensions % 8:
            raise ValueError(f"dimensions must be a multiple of 8 from 8 to 512, not {dimensions}")
        self._dimensions = dimensions

    @property
    def space(self) -> str:
        """`hash-` and the number of dimensions."""
        return f"hash-{self._dimensions}"

    @property
    def dimensions(self) -> int:
        """Length of a vector."""
        return self._dimensions

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Unit rows in the order of the texts, shape (n, dimensions)."""
        out = np.zeros((len(texts), self._dimensions), np.float32)
        for row, text in zip(out, texts, strict=True):
            # The word without letters lets an empty text have a direction too, as it has with real models.
            total = np.sum([self._signs(word) for word in ("", *words_of(text))], axis=0, dtype=np.int64)
            if not total.any():  # words may cancel out
                total = self._signs("")
            row[:] = total / np.linalg.norm(total)
        return out

    def _signs(self, word: str) -> NDArray[np.int64]:
        digest = hashlib.blake2b(
            word.encode(errors="surrogatepass"), digest_size=self._dimensions // 8, person=b"encoder"
        )
        return np.unpackbits(np.frombuffer(digest.digest(), np.uint8)).astype(np.int64) * 2 - 1


class TextCache(Generic[_Value]):
    """What is known of the texts seen last, by the text's hash: the cache holds no text.

    >>> cache = TextCache[int](2)
    >>> cache.put("a", 1); cache.put("b", 2); cache.get("a"); cache.put("c", 3)
    1
    >>> cache.get("b"), cache.get("c"), cache.hits, cache.misses
    (None, 3, 2, 1)
    """

    def __init__(self, most_texts: int) -> None:
        if most_texts < 1:
            raise ValueError(f"a cache holds at least one text, not {most_texts}")
        self._most_texts = most_texts
        self._values: OrderedDict[bytes, tuple[int, _Value]] = OrderedDict()
        self._round = 0
        self.hits = 0
        """Look-ups that found their text."""
        self.misses = 0
        """Look-ups that did not."""

    def __len__(self) -> int:
        return len(self._values)

    def get(self, text: str) -> _Value | None:
        """What was put for this text, unless it has made room for others."""
        key = _key(text)
        known = self._values.get(key)
        if known is None:
            self.misses += 1
            return None
        self.hits += 1
        self._keep(key, known[1])
        return known[1]

    def put(self, text: str, value: _Value) -> None:
        """Remember a text's value; the text not asked for longest makes room."""
        self._keep(_key(text), value)
        if len(self._values) > self._most_texts:
            self._values.popitem(last=False)

    def forget_unasked(self) -> int:
        """Begin a round, and forget what was not asked for in the one that ends; how many those were.

        What is known of a text holds words of it, so a text that was deleted and comes no more must go from here too.

        >>> cache = TextCache[int](9)
        >>> cache.put("a", 1); cache.put("b", 2); cache.forget_unasked(); cache.get("a"); cache.forget_unasked()
        0
        1
        1
        >>> cache.get("a"), cache.get("b")
        (1, None)
        """
        before = len(self._values)
        while self._values and next(iter(self._values.values()))[0] < self._round:
            self._values.popitem(last=False)
        self._round += 1
        return before - len(self._values)

    def _keep(self, key: bytes, value: _Value) -> None:
        self._values[key] = (self._round, value)
        self._values.move_to_end(key)


def embed(encoder: Encoder, texts: Sequence[str]) -> NDArray[np.float32]:
    """Vectors in the order of the texts, shape (n, d): each distinct text once, in an order of their own.

    >>> embed(HashEncoder(), ["b", "a", "b"]).shape
    (3, 64)
    """
    distinct = sorted(set(texts), key=lambda text: (len(text), text))
    place = {text: i for i, text in enumerate(distinct)}
    rows: NDArray[np.float32] = encoder.encode(distinct)[[place[text] for text in texts]]
    return rows


def _key(text: str) -> bytes:
    return hashlib.blake2b(text.encode(errors="surrogatepass"), digest_size=16).digest()
