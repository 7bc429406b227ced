"""The lexical channel: a text's words, weighted by rarity, as one vector.

Two posts that share a name, a number and a hashtag are close here even where their sentences differ. Every word has
a fixed direction of plus and minus ones, taken from the bits of its hash, so nothing is learned, stored or seeded; and
weights are whole hundredths, so sums are exact in any order. In two-level clustering of News-T this channel is worth
more than any other choice.

Source of the idea: random indexing (Kanerva, Kristofersson, Holst 2000), with signs as in Achlioptas 2003.
"""

import hashlib
import math
import re
from collections.abc import Callable, Hashable, Iterator, Sequence
from functools import lru_cache
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray
from wordfreq import available_languages, get_frequency_dict, zipf_frequency

DIMENSIONS = 256
"""As good on News-T as 512; the bits of one BLAKE2 digest of 32 bytes."""

SPACE = f"words{DIMENSIONS}"
"""Names this recipe; it is part of the name of an embedding space."""

DEFAULT_LANGUAGE = "en"

COMMONEST_ZIPF = 7.0
"""Zipf value (log10 of occurrences in a billion words) at which a word weighs nothing; "the" has 7.7."""

_WORD = re.compile(r"\w+")
_UNSPACED = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]+"
)
"""Runs of Thai, Lao, Burmese, Khmer, Japanese and Chinese, which are written without blanks between words."""

_NEED_A_SEGMENTER = frozenset({"zh", "ja", "ko"})
"""Languages for which `wordfreq` wants packages that we do not install."""

_LANGUAGES = frozenset(available_languages("small")) - _NEED_A_SEGMENTER


class LexicalChannel:
    """Lexical vectors; remembers the directions of the last `cache_words` words (0.6 KB each)."""

    def __init__(self, *, cache_words: int = 50_000) -> None:
        self._directions: WordTable[tuple[str, str]] = WordTable(
            lambda key: weighted_direction(*key), np.zeros((0, DIMENSIONS), np.int16), cache_words
        )

    def vectors(self, texts: Sequence[str], languages: Sequence[str]) -> NDArray[np.float32]:
        """Unit rows, shape (n, 256); zeros for a text without words. `languages` as `language_of` gives them."""
        keys = [
            [(word, language) for word in dict.fromkeys(words_in(text))]
            for text, language in zip(texts, languages, strict=True)
        ]
        self._directions.forget()
        return unit_rows(self._directions.sums(keys, np.int32))


_Key = TypeVar("_Key", bound=Hashable)


class WordTable(Generic[_Key]):
    """Vectors of words, made when they are first asked for, as rows of one table: sums over texts are one call.

    Parameters
    ----------
    vector_of : vector of a word, shape (d,).
    empty : array of shape (0, d) and the type of the vectors.
    most_words : beyond so many everything is forgotten; what is asked for often is soon there again.
    """

    def __init__(self, vector_of: Callable[[_Key], NDArray[Any]], empty: NDArray[Any], most_words: int) -> None:
        self._vector_of = vector_of
        self._rows = empty
        self._most_words = most_words
        self._places: dict[_Key, int] = {}

    def sums(self, texts: Sequence[Sequence[_Key]], kind: type[np.generic]) -> NDArray[Any]:
        """Sums of the vectors of the words of each text, in their order, shape (n, d); zeros for one without words."""
        places = [place for words in texts for place in self._places_of(words)]
        sums = np.zeros((len(texts), self._rows.shape[1]), kind)
        spoken = [row for row, words in enumerate(texts) if words]
        if spoken:
            starts = np.cumsum([0, *(len(texts[row]) for row in spoken[:-1])])
            sums[spoken] = np.add.reduceat(self._rows[places], starts, axis=0, dtype=kind)
        return sums

    def _places_of(self, words: Sequence[_Key]) -> Iterator[int]:
        for word in words:
            place = self._places.get(word)
            yield self._added(word) if place is None else place

    def _added(self, word: _Key) -> int:
        place = len(self._places)
        if place == len(self._rows):
            room = np.zeros((max(1024, place), self._rows.shape[1]), self._rows.dtype)
            self._rows = np.concatenate([self._rows, room])
        self._rows[place] = self._vector_of(word)
        self._places[word] = place
        return place

    def forget(self) -> None:
        """Forget everything where too much is known; called between two batches."""
        if len(self._places) > self._most_words:
            self._places.clear()
            self._rows = self._rows[:0]


@lru_cache(maxsize=512)
def words_in(text: str) -> tuple[str, ...]:
    """Words of a text as `words_of` gives them; several channels ask for those of the same batch."""
    return tuple(words_of(text))


def words_of(text: str) -> Iterator[str]:
    """Words in lower case, hashtags without their sign; pairs of characters where words are not set apart.

    >>> list(words_of("Fire at #TownHall, 12 dead")), list(words_of("火災発生 now"))
    (['fire', 'at', 'townhall', '12', 'dead'], ['火災', '災発', '発生', 'now'])
    """
    for match in _WORD.finditer(text.lower()):
        word = match[0]
        if word.isascii() or not _UNSPACED.search(word):
            yield word
            continue
        for run in _UNSPACED.finditer(word):
            characters = run[0]
            yield from (characters[i : i + 2] for i in range(max(1, len(characters) - 1)))
        yield from _UNSPACED.sub(" ", word).split()


def language_of(tag: str | None) -> str:
    """Language whose word frequencies weigh a post, from its BCP 47 tag; English where we have none.

    >>> language_of("pt-BR"), language_of("xx"), language_of(None)
    ('pt', 'en', 'en')
    """
    language = (tag or "").replace("_", "-").partition("-")[0].lower()
    return language if language in _LANGUAGES else DEFAULT_LANGUAGE


def weighted_direction(word: str, language: str) -> NDArray[np.int16]:
    """Direction of a word times its weight in hundredths, shape (256,), values of one size and either sign."""
    digest = hashlib.blake2b(word.encode(errors="surrogatepass"), digest_size=DIMENSIONS // 8).digest()
    signs = np.unpackbits(np.frombuffer(digest, np.uint8)).astype(np.int16) * 2 - 1
    return signs * np.int16(weight_hundredths(word, language))


@lru_cache(maxsize=50_000)
def weight_hundredths(word: str, language: str) -> int:
    """How much a word says, 0 to 700: hundredths of Zipf below `COMMONEST_ZIPF`.

    Of other languages than English only the short list is used, to bound what a stream of many languages can load
    (190 MB for all, against 1 GB).

    >>> weight_hundredths("the", "en"), weight_hundredths("police", "en"), weight_hundredths("navelli", "en")
    (0, 167, 700)
    """
    if language == DEFAULT_LANGUAGE and word.isascii() and word.isalpha():
        zipf = _plain_zipf(word)
    else:
        zipf = zipf_frequency(word, language, wordlist="best" if language == DEFAULT_LANGUAGE else "small")
    return max(0, round(100 * (COMMONEST_ZIPF - zipf)))


def _plain_zipf(word: str) -> float:
    """`zipf_frequency` of an English word of plain letters, which needs no splitting: a tenth of the time."""
    frequency: float = get_frequency_dict(DEFAULT_LANGUAGE, "best").get(word, 0.0)
    if frequency == 0.0:
        return 0.0
    digits = math.floor(-math.log10(frequency)) + 3
    return round(math.log10(round(frequency, digits)) + 9.0, 2)


def unit_rows(sums: NDArray[Any]) -> NDArray[np.float32]:
    """Rows of unit length, shape (n, d); of integers the squared lengths are exact (below 2**53)."""
    values = sums.astype(np.float64)
    lengths = np.sqrt(np.einsum("ij,ij->i", values, values))
    return (values / np.where(lengths == 0.0, 1.0, lengths)[:, None]).astype(np.float32)
