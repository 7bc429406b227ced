"""AMI and B-cubed F1 of a clustering, with bootstrap intervals."""

from collections import Counter
from collections.abc import Callable, Hashable, Sequence

import numpy as np
from sklearn.metrics import adjusted_mutual_info_score

Labels = Sequence[Hashable]


def ami(gold: Labels, found: Labels) -> float:
    """Adjusted mutual information (Vinh et al. 2010): 1 for the same groups, 0 for chance."""
    return float(adjusted_mutual_info_score([_name(label) for label in gold], [_name(label) for label in found]))


def bcubed_f1(gold: Labels, found: Labels) -> float:
    """Element-averaged B-cubed F1 (Amigo et al. 2009).

    >>> bcubed_f1(["a", "a", "b"], [1, 1, 2]), round(bcubed_f1(["a", "a", "b"], [1, 1, 1]), 3)
    (1.0, 0.714)
    """
    pairs = Counter(zip(gold, found, strict=True))
    gold_sizes, found_sizes = Counter(gold), Counter(found)
    precision = sum(n * n / found_sizes[label] for (_, label), n in pairs.items()) / len(gold)
    recall = sum(n * n / gold_sizes[label] for (label, _), n in pairs.items()) / len(gold)
    return 2 * precision * recall / (precision + recall)


def interval(
    measure: Callable[[Labels, Labels], float], gold: Labels, found: Labels, *, rounds: int, seed: int = 7
) -> tuple[float, float]:
    """95 % interval over draws of posts with replacement, each post once: copies would agree.

    A draw has fewer posts, and B-cubed F1 is higher of fewer; so the spread of the draws is laid around the value.
    """
    generator = np.random.default_rng(seed)
    values = []
    for _ in range(rounds):
        drawn = np.unique(generator.integers(0, len(gold), len(gold)))
        values.append(measure([gold[i] for i in drawn], [found[i] for i in drawn]))
    low, high = np.percentile(values, [2.5, 97.5]) - np.mean(values) + measure(gold, found)
    return float(low), float(high)


def _name(label: Hashable) -> str:
    return str(label)
