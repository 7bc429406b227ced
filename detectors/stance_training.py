"""Fitting the stance head, and measuring it on threads that it was not fitted on.

A multinomial logistic regression on sentence vector and wording. Its logits on threads it did not see are scaled by
one number (temperature: Guo et al. 2017). Where one attitude has to be told, a constant for each evens out how rare
questions and denials are, so that the mean of the four F1 scores is best: two thirds of RumourEval are comments, and
the likeliest attitude would hardly ever be a denial. Seeded, so the same data gives the same weights. Needs
scikit-learn (extra `train`).
"""

from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from detectors.posts import answers_a_reply
from detectors.records import Stance
from detectors.stance_head import (
    ATTITUDES,
    FEATURES,
    LATER,
    OWN,
    Readings,
    StanceHead,
    StanceWeights,
    evened,
    features,
    standing,
)

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

SEED = 7
FOLDS = 5
"""Of the measuring; the constants are fitted on `INNER_FOLDS` of what is left."""
INNER_FOLDS = 4

INVERSE_REGULARISATION = 0.15
"""Cross-fitted figures are flat (within .005) from .05 to .3."""

WORDING_SCALE = 0.5
"""Features of the wording are 0 or 1, a unit vector's dimensions some .05: scaled down, they are held on a shorter
leash."""

DECIMALS = 4

STEPS = np.linspace(-1.5, 2.5, 33)
"""Constants that are tried for an attitude, in logits."""
ROUNDS = 3
DRAWS = 8
"""Constants are the mean over so many halves of the data: those that fit one set best fit another less well."""


WRITTEN_WEIGHTS = {True: 1.0, False: 3.0}
"""Weight of a written example, by whether it is a reply. Every source post of RumourEval starts a rumour, so nearly all
of them assert: what posts of their own ask and deny is known from the written ones alone."""


class Example(Struct, frozen=True, kw_only=True):
    """One labelled text, in the plain form that is scored; empty where a post has no words of its own."""

    text: str
    attitude: str
    """One of `ATTITUDES`."""
    is_reply: bool
    is_later: bool = False
    """It answers a reply, not the first post of its thread."""
    thread: str
    """Posts of one thread stay in one fold."""
    corpus: str
    weight: float = 1.0


class Told(NamedTuple):
    """What a head says of n examples."""

    shares: Floats
    """Probabilities of the attitudes, shape (n, 4); a report counts as support, as RumourEval counts it."""
    chosen: Ints
    """Places in `ATTITUDES` of the attitude that is told, shape (n,)."""


def example_of(row: dict[str, Any], text: str, corpus: str, place: int) -> Example | None:
    """Read a row with `gold.stance` (`root_id` names the thread), or a written one with `stance` and `reply`.

    None where there is no label; raises ValueError where the label is no attitude.
    """
    gold = row.get("gold") or {}
    attitude = gold.get("stance") or (row.get("stance") if "reply" in row else None)
    if attitude is None:
        return None
    if attitude not in ATTITUDES:
        raise ValueError(f"stance must be one of {', '.join(ATTITUDES)}, not {attitude!r}")
    root_id, parent_id = row.get("root_id"), row.get("parent_id")
    return Example(
        text=text,
        attitude=attitude,
        is_reply=bool(row.get("reply", root_id is not None and root_id != row.get("id"))),
        is_later=answers_a_reply(parent_id, root_id),
        thread=f"{corpus} {root_id or place}",
        corpus=corpus,
        weight=WRITTEN_WEIGHTS[row["reply"]] if "reply" in row else 1.0,
    )


def fit(
    examples: Sequence[Example], dense: NDArray[np.float32], space: str, *, languages: Sequence[str] = ("en",)
) -> StanceWeights:
    """Fit the head on texts with their unit vectors, shape (n, d); (n, 0) fits one that reads the wording alone."""
    inputs = _inputs(examples, dense)
    labels, weights = labels_of(examples), np.array([example.weight for example in examples])
    threads = _threads(examples)
    if len(set(labels.tolist())) < len(ATTITUDES) or len(set(threads.tolist())) < INNER_FOLDS:
        raise ValueError(f"the training data needs texts of each attitude, in {INNER_FOLDS} threads or more")
    unseen = np.zeros((len(labels), len(ATTITUDES)))
    for rest, fold in _folds(labels, threads, INNER_FOLDS):
        coefficients, intercept = _regression(inputs[rest], labels[rest], weights[rest])
        unseen[fold] = inputs[fold] @ coefficients + intercept
    scale = temperature(unseen, labels)
    coefficients, intercept = _regression(inputs, labels, weights)
    parts = np.split(scale * coefficients, np.cumsum([dense.shape[1], dense.shape[1]]))
    wording = parts[2] * WORDING_SCALE
    return StanceWeights(
        space=space if dense.shape[1] else "",
        languages=tuple(languages),
        dense=tuple(_four(row) for row in parts[0]),
        dense_later=tuple(_four(row) for row in parts[1]),
        wording={name: _four(row) for name, row in zip(FEATURES + OWN + LATER, wording, strict=True)},
        bias=_four(scale * intercept),
        evening=_four(evening(scale * unseen, labels)),
        trained_on=", ".join(
            f"{corpus} ({count:,})" for corpus, count in sorted(Counter(one.corpus for one in examples).items())
        ),
    )


def cross_fitted(
    examples: Sequence[Example], dense: NDArray[np.float32], *, usable: NDArray[np.bool_] | None = None
) -> Told:
    """What heads that saw no post of the thread say of the examples.

    `usable` says which examples heads may be fitted on; all are measured. All constants are fitted inside the folds.
    """
    shares, chosen = np.zeros((len(examples), len(ATTITUDES))), np.zeros(len(examples), dtype=np.int64)
    for rest, fold in _folds(labels_of(examples), _threads(examples), FOLDS):
        seen = rest if usable is None else rest[usable[rest]]
        weights = fit([examples[place] for place in seen], dense[seen], "fold")
        shares[fold], chosen[fold] = tell(weights, [examples[place] for place in fold], dense[fold])
    return Told(shares, chosen)


def tell(weights: StanceWeights, examples: Sequence[Example], dense: NDArray[np.float32]) -> Told:
    """Let a head speak on examples with their unit vectors, shape (n, d)."""
    head = StanceHead(weights, weights.space)
    read = head.read([example.text for example in examples], dense)
    chosen = [_standing_as(example, readings) for example, readings in zip(examples, read, strict=True)]
    shares = np.array([(one.support + one.report, one.deny, one.query, one.comment) for one in chosen]).reshape(-1, 4)
    return Told(shares, evened(shares, np.array(weights.evening)))


def _standing_as(example: Example, readings: Readings) -> Stance:
    if example.is_later:
        return readings.later
    return readings.reply if example.is_reply else readings.own


def macro_f1(labels: Ints, chosen: Ints) -> float:
    """Mean of the F1 scores of the four attitudes, from their places in `ATTITUDES`."""
    return _macro_f1(labels, chosen, len(ATTITUDES))


def _macro_f1(labels: Ints, chosen: Ints, names: int) -> float:
    hits = np.bincount(labels[labels == chosen], minlength=names)
    both = np.bincount(labels, minlength=names) + np.bincount(chosen, minlength=names)
    return float(np.mean(2 * hits / np.maximum(1, both)))


def temperature(logits: Floats, labels: Ints) -> float:
    """Factor on the logits of unseen texts that makes the labels likeliest (Guo et al. 2017)."""
    scales = np.linspace(0.4, 1.6, 61)
    return float(scales[np.argmin([_surprise(scale * logits, labels) for scale in scales])])


def evening(logits: Floats, labels: Ints) -> Floats:
    """Constants for the attitudes, shape (4,), under which macro-F1 of unseen texts is best; that of the last is 0."""
    draw = np.random.default_rng(SEED)
    halves = (draw.choice(len(labels), (len(labels) + 1) // 2, replace=False) for _ in range(DRAWS))
    found = np.array([_best_constants(logits[half], labels[half]) for half in halves])
    return np.asarray((found - found[:, -1:]).mean(axis=0), dtype=np.float64)


def _best_constants(logits: Floats, labels: Ints) -> Floats:
    """Constants found one by one, a few times over."""
    names = logits.shape[1]
    constants = np.zeros(names)
    best = _macro_f1(labels, logits.argmax(axis=1), names)
    for _ in range(ROUNDS):
        for place in range(names):
            for step in STEPS:
                tried = constants.copy()
                tried[place] = step
                value = _macro_f1(labels, (logits + tried).argmax(axis=1), names)
                if value > best + 1e-9:
                    best, constants = value, tried
    return constants


def _surprise(logits: Floats, labels: Ints) -> float:
    top = logits.max(axis=1)
    total = top + np.log(np.exp(logits - top[:, None]).sum(axis=1))
    return float(np.mean(total - logits[np.arange(len(labels)), labels]))


def _inputs(examples: Sequence[Example], dense: NDArray[np.float32]) -> Floats:
    wording = np.array([features(example.text) for example in examples]).reshape(-1, len(FEATURES))
    own = np.array([[float(not example.is_reply)] for example in examples])
    later = np.array([[float(example.is_later)] for example in examples])
    besides, vectors = standing(wording) * WORDING_SCALE, dense.astype(np.float64)
    return np.hstack([vectors, later * vectors, wording * WORDING_SCALE, own * besides, later * besides])


def labels_of(examples: Sequence[Example]) -> Ints:
    """Places in `ATTITUDES` of the labels, shape (n,)."""
    return np.array([ATTITUDES.index(example.attitude) for example in examples], dtype=np.int64)


def _threads(examples: Sequence[Example]) -> Ints:
    return np.asarray(np.unique([example.thread for example in examples], return_inverse=True)[1], dtype=np.int64)


def _folds(labels: Ints, threads: Ints, folds: int) -> list[tuple[Ints, Ints]]:
    from sklearn.model_selection import StratifiedGroupKFold

    return list(StratifiedGroupKFold(folds, shuffle=True, random_state=SEED).split(labels, labels, threads))


def _regression(inputs: Floats, labels: Ints, weights: Floats) -> tuple[Floats, Floats]:
    """Coefficients, shape (k, 4), and intercepts; an attitude that a fold lacks is never told there."""
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(C=INVERSE_REGULARISATION, max_iter=1000, tol=1e-3)
    model.fit(inputs, labels, sample_weight=weights)
    coefficients = np.zeros((inputs.shape[1], len(ATTITUDES)))
    intercept = np.full(len(ATTITUDES), -30.0)
    coefficients[:, model.classes_], intercept[model.classes_] = model.coef_.T, model.intercept_
    return coefficients, intercept


def _four(row: Floats) -> tuple[float, float, float, float]:
    support, deny, query, comment = (round(float(value), DECIMALS) for value in row)
    return support, deny, query, comment
