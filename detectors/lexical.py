"""The lexical channel: a text's words, weighted by rarity, as one vector.

Two posts that share a name, a number and a hashtag are close here even where their sentences differ. Every word has
a fixed direction of plus and minus ones, taken from the bits of its hash, so nothing is learned, stored or seeded; and
weights are whole hundredths, so sums are exact in any order. In two-level clustering of News-T this channel is worth
more than any other choice.

Source of the idea: random indexing (Kanerva, Kristofersson, Holst 2000), with signs as in Achlioptas 2003.
"""

import hashlib
import re
from collections.abc import Iterator, Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from wordfreq import available_languages, zipf_frequency

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
        self._weighted = lru_cache(maxsize=cache_words)(weighted_direction)

    def vectors(self, texts: Sequence[str], languages: Sequence[str]) -> NDArray[np.float32]:
        """Unit rows, shape (n, 256); zeros for a text without words. `languages` as `language_of` gives them."""
        out = np.zeros((len(texts), DIMENSIONS), np.float32)
        for row, text, language in zip(out, texts, languages, strict=True):
            directions = [self._weighted(word, language) for word in set(words_of(text))]
            if directions:
                row[:] = _unit(np.sum(directions, axis=0, dtype=np.int32))
        return out


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
    wordlist = "best" if language == DEFAULT_LANGUAGE else "small"
    zipf: float = zipf_frequency(word, language, wordlist=wordlist)
    return max(0, round(100 * (COMMONEST_ZIPF - zipf)))


def _unit(total: NDArray[np.int32]) -> NDArray[np.float32]:
    values = total.astype(np.float64)
    length = float(np.sqrt(np.dot(values, values)))  # a sum of squares of integers: exact below 2**53
    return (values / length if length else values).astype(np.float32)
