"""Fitting the incitement head, and measuring it on corpora that it was not fitted on.

A logistic regression on sentence vector and wording; its scores on folds that it did not see are calibrated with two
numbers (Platt 1999). Seeded, so the same data gives the same weights. Needs scikit-learn (extra `train`).
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from detectors import surface_forms
from detectors.incitement import FEATURES, IncitementHead, IncitementWeights, features

Floats = NDArray[np.float64]

SEED = 7
FOLDS = 4
INVERSE_REGULARISATION = 1.0
"""Cross-corpus AUROC is flat (within .01) from .1 to 2."""

INCITES = 0.5
"""Share of annotators from which a text counts as inciting."""

WEIGHTS = {"incites": 2.0, "does not": 0.3, "not judged": 0.15, "benign": 0.5, "written": 4.0}
"""Weight of one example by what is known of it. EDOS has 44 texts that do not incite, or were not judged, for each
that does; together these weights make one fifth of the whole inciting, and that is the mix the probability is
calibrated for."""

DECIMALS = 4
"""Of the stored weights; the probability changes by less than .001."""


class Example(Struct, frozen=True, kw_only=True):
    """One labelled text, in the plain form that is scored."""

    text: str
    incites: bool | None
    """None where nobody judged it."""
    corpus: str
    kind: str = ""
    """Kind of a harmless look-alike, or of a written example."""
    weight: float = 1.0


class Figure(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One measured value."""

    corpus: str
    metric: str
    value: float
    posts: int
    kind: str = ""


def example_of(row: dict[str, Any], text: str, corpus: str) -> Example | None:
    """Read the label of a corpus row (`gold.incites`, `gold.benign`), or of a written example (`incites`, `kind`).

    A row without any label is not judged; raises ValueError where a label is neither a number nor missing.
    """
    if not text:
        return None
    gold = row.get("gold") or {}
    if "incites" in row and not gold:
        return Example(
            text=text, incites=bool(row["incites"]), corpus=corpus, kind=row.get("kind", ""), weight=WEIGHTS["written"]
        )
    if "benign" in gold and "incites" not in gold:
        return Example(text=text, incites=False, corpus=corpus, kind=gold["benign"], weight=WEIGHTS["benign"])
    label = gold.get("incites")
    if label is None:
        return Example(text=text, incites=None, corpus=corpus, weight=WEIGHTS["not judged"])
    if not isinstance(label, int | float):
        raise ValueError(f"gold.incites must be a number, not {label!r}")  # noqa: TRY004 - bad data, not a bad call
    incites = label >= INCITES
    weight = WEIGHTS["incites" if incites else "does not"]
    return Example(text=text, incites=incites, corpus=corpus, kind=gold.get("benign", ""), weight=weight)


def wording_of(texts: Sequence[str]) -> Floats:
    """Features of the wording, shape (n, len(FEATURES))."""
    return np.array([features(text, surface_forms.read(text)) for text in texts]).reshape(-1, len(FEATURES))


def fit(examples: Sequence[Example], dense: NDArray[np.float32], space: str) -> tuple[IncitementWeights, list[Figure]]:
    """Fit and calibrate a head.

    Parameters
    ----------
    dense : unit vectors of the examples' texts, shape (n, d); (n, 0) fits a head on the wording alone, for any space.

    Returns the weights, and what the cross-fitted scores say on the training corpora themselves.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedKFold

    inputs = np.hstack([dense.astype(np.float64), wording_of([example.text for example in examples])])
    labels = np.array([example.incites is True for example in examples])
    weights = np.array([example.weight for example in examples])
    if not 0 < labels.sum() < len(labels):
        raise ValueError("the training data needs texts that incite and texts that do not")

    def fitted(rows: Any) -> Any:
        model = LogisticRegression(C=INVERSE_REGULARISATION, max_iter=1000, tol=1e-4)
        return model.fit(inputs[rows], labels[rows], sample_weight=weights[rows])

    unseen = np.zeros(len(labels))
    for rest, fold in StratifiedKFold(FOLDS, shuffle=True, random_state=SEED).split(inputs, labels):
        unseen[fold] = fitted(rest).decision_function(inputs[fold])
    platt = LogisticRegression(C=1e6).fit(unseen[:, None], labels, sample_weight=weights)
    a, b = float(platt.coef_[0, 0]), float(platt.intercept_[0])
    whole = fitted(np.arange(len(labels)))
    coefficients = [round(float(value), DECIMALS) for value in whole.coef_[0]]
    dimensions = dense.shape[1]
    head = IncitementWeights(
        space=space if dimensions else "",
        dense=tuple(coefficients[:dimensions]),
        lexical=dict(zip(FEATURES, coefficients[dimensions:], strict=True)),
        bias=round(float(whole.intercept_[0]), DECIMALS),
        calibration=(round(a, DECIMALS), round(b, DECIMALS)),
        trained_on=", ".join(f"{corpus} ({count:,})" for corpus, count in corpora_of(examples).items()),
    )
    return head, figures(examples, 1.0 / (1.0 + np.exp(-(a * unseen + b))))


def measure(
    head: IncitementWeights, examples: Sequence[Example], dense: NDArray[np.float32], space: str
) -> list[Figure]:
    """What a head says of texts that it was not fitted on."""
    if not head.space:
        dense = dense[:, :0]
    probabilities = IncitementHead(head, space).probabilities([example.text for example in examples], dense)
    return figures(examples, probabilities)


def figures(examples: Sequence[Example], probabilities: Floats) -> list[Figure]:
    """AUROC by corpus (inciting against judged not to), and the share at .5 and above of each label and kind."""
    rows: list[Figure] = []
    for corpus in corpora_of(examples):
        mine = np.array([example.corpus == corpus for example in examples])
        incites = np.array([example.incites is True for example in examples]) & mine
        rest = np.array([example.incites is False for example in examples]) & mine
        if incites.any() and rest.any():
            value = auroc(probabilities[incites], probabilities[rest])
            rows.append(Figure(corpus=corpus, metric="auroc", value=value, posts=int(incites.sum() + rest.sum())))
        if incites.any():
            value = float((probabilities[incites] >= INCITES).mean())
            rows.append(Figure(corpus=corpus, metric="recall_at_half", value=value, posts=int(incites.sum())))
        groups = np.array([_group(example) for example in examples])
        for group in sorted({str(name) for name in groups[mine & ~incites]}):
            chosen = mine & ~incites & (groups == group)
            value = float((probabilities[chosen] >= INCITES).mean())
            rows.append(
                Figure(corpus=corpus, metric="alarms_at_half", value=value, posts=int(chosen.sum()), kind=group)
            )
    return rows


def auroc(positive: Floats, negative: Floats) -> float:
    """Chance that a positive scores above a negative, ties counted half (Mann-Whitney).

    >>> auroc(np.array([0.9, 0.5]), np.array([0.5, 0.1]))
    0.875
    """
    ordered = np.sort(negative)
    below = np.searchsorted(ordered, positive, side="left")
    not_above = np.searchsorted(ordered, positive, side="right")
    return float((below + not_above).sum() / (2.0 * len(positive) * len(negative)))


def corpora_of(examples: Iterable[Example]) -> dict[str, int]:
    """How many examples each corpus gives, by name."""
    return dict(sorted(Counter(example.corpus for example in examples).items()))


def _group(example: Example) -> str:
    return example.kind or ("not judged" if example.incites is None else "judged")
