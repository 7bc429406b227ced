"""A few words that name a narrative."""

from collections import Counter
from collections.abc import Sequence

from detectors.lexical import language_of, weight_hundredths, words_of
from detectors.posts import clean

WORDS_SHOWN = 6

LEAST_HUNDREDTHS = 150
"""Words commoner than this (Zipf 5.5, about one in 3,000) say nothing about a narrative."""


def label_of(texts: Sequence[str], lang: str | None) -> str:
    """The rarest words that most of the texts share, in the order of the first text.

    >>> label_of(["They poisoned the reservoir in Ashford", "Reservoir poisoned!! Ashford"], "en")
    'poisoned reservoir ashford'
    """
    language = language_of(lang)
    words = [list(words_of(clean(text))) for text in texts]
    texts_with = Counter(word for of_one in words for word in set(of_one))
    weights = {word: weight_hundredths(word, language) for word in texts_with if len(word) > 1}
    telling = {
        word: (texts_with[word] * weight, word) for word, weight in weights.items() if weight >= LEAST_HUNDREDTHS
    }
    most = max(texts_with.values(), default=0)
    shared = [word for word in telling if 2 * texts_with[word] > most] or list(telling)
    chosen = set(sorted(shared, key=lambda word: telling[word], reverse=True)[:WORDS_SHOWN])
    in_order = dict.fromkeys(word for of_one in words for word in of_one if word in chosen)
    return " ".join(in_order) or "(no words)"
