"""Fitting the incitement heads, and measuring them on corpora that they were not fitted on.

Logistic regressions on sentence vector and wording, one for "incites" and one for each class of the taxonomy; scores
on folds that they did not see are calibrated with two numbers (Platt 1999). Seeded, so the same data gives the same
weights. Needs scikit-learn (extra `train`).
"""

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec
import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from detectors import surface_forms
from detectors.incitement import FEATURES, MIX, HeadWeights, IncitementHead, IncitementWeights, features
from detectors.taxonomy import CLASSES

Floats = NDArray[np.float64]

SEED = 7
FOLDS = 4
INVERSE_REGULARISATION = 0.3
"""Cross-fitted AUROC is flat (within .01) from .1 to 1."""

WORDING_SCALE = 0.4
"""Features of the wording are 0 or 1, a unit vector's dimensions some .05: scaled down, they are held on a shorter
leash, and the head leans on them less where a corpus words things in its own way."""

INCITES = 0.5
"""Share of annotators from which a text counts as inciting."""

WEIGHTS = {
    "incites": 2.0,
    "does not": 0.3,
    "not judged": 0.15,
    "told": 1.0,
    "benign": 0.5,
    "written": 0.67,
    "filled": 1.0,
}
"""Weight of one example by what is known of it; EDOS has 44 texts that do not incite, or were not judged, for each
that does. Where the second look tells of a text that nobody judged, that is worth more than to count it as not
inciting; and what people posted is worth more than what was written for the purpose: with 1 for what was written, the
AUROC on EDOS's held out quarter falls from .896 to .894, with 2 to .885."""

FEWEST_OF_A_CLASS = 20
"""A class with fewer examples gets no head."""

HELD_OUT_IN_256 = 64
"""A quarter of every public corpus is never trained on, so that what is shipped can be measured on it."""

DECIMALS = 4
"""Of the stored weights; the probability changes by less than .001."""

NOT_VIOLENT = {"call_to_violence": False, "threat": False, "glorification": False, "mobilisation": False}

CLASSES_OF_EDOS: dict[str, dict[str, bool]] = {
    "1.1 threats of harm": {"threat": True},
    "1.2 incitement and encouragement of harm": {"call_to_violence": True},
    "2.3 dehumanising attacks & overt sexual objectification": NOT_VIOLENT | {"dehumanisation": True},
}
"""What the vectors of EDOS (SemEval-2023 task 10) say of our classes; its other sexist posts are not violent."""


class Example(Struct, frozen=True, kw_only=True):
    """One labelled text, in the plain form that is scored."""

    text: str
    incites: bool | None
    """None where nobody judged it."""
    told: float | None = None
    """What a better model says of a text that nobody judged, 0 to 1: learned like a label (Hinton et al. 2015)."""
    corpus: str
    kind: str = ""
    """Kind of a harmless look-alike, or of a written example."""
    classes: dict[str, bool] = {}
    """What is known of the classes of the taxonomy; one that is missing was not judged."""
    lang: str = "en"
    group: str = ""
    """Texts made of one pattern stay in one fold; empty where the text stands alone."""
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
        return _written_example(row, text, corpus)
    lang = str(row.get("lang") or "en").lower().partition("-")[0]
    if "benign" in gold and "incites" not in gold:
        return Example(
            text=text,
            incites=False,
            corpus=corpus,
            kind=gold["benign"],
            classes=NOT_VIOLENT | {"weapons": False, "dehumanisation": False},
            lang=lang,
            weight=WEIGHTS["benign"],
        )
    incites = incites_of(gold)
    if incites is None:
        return Example(text=text, incites=None, corpus=corpus, lang=lang, weight=WEIGHTS["not judged"])
    weight = WEIGHTS["incites" if incites else "does not"]
    classes = CLASSES_OF_EDOS.get(row.get("vector", ""), {} if incites else NOT_VIOLENT)
    return Example(
        text=text,
        incites=incites,
        corpus=corpus,
        kind=gold.get("benign", ""),
        classes=classes,
        lang=lang,
        weight=weight,
    )


def incites_of(gold: Mapping[str, Any]) -> bool | None:
    """Whether half of the annotators or more said that a text incites; None where nobody judged it.

    Raises ValueError where the label is no number.

    >>> incites_of({"incites": 0.6}), incites_of({"incites": 0}), incites_of({})
    (True, False, None)
    """
    label = gold.get("incites")
    if label is None:
        return None
    if not isinstance(label, int | float):
        raise ValueError(f"gold.incites must be a number, not {label!r}")  # noqa: TRY004 - bad data, not a bad call
    return label >= INCITES


def told_by(example: Example, probability: float) -> Example:
    """The example, with what a better model says of it, 0 to 1."""
    return msgspec.structs.replace(example, told=probability, weight=WEIGHTS["told"])


def _written_example(row: dict[str, Any], text: str, corpus: str) -> Example:
    held = frozenset(row.get("classes", ()))
    return Example(
        text=text,
        incites=bool(row["incites"]),
        corpus=corpus,
        kind=row.get("kind", ""),
        classes={name: name in held for name in CLASSES},
        lang=row.get("lang", "en"),
        group=row.get("pattern", ""),
        weight=WEIGHTS["filled" if "pattern" in row else "written"],
    )


def is_held_out(text: str) -> bool:
    """Whether a text of a public corpus is kept out of all training, by its hash: the same quarter for everybody.

    >>> sum(is_held_out(f"text {number}") for number in range(1000))
    225
    """
    return hashlib.blake2b(text.encode(errors="surrogatepass"), digest_size=1).digest()[0] < HELD_OUT_IN_256


def wording_of(texts: Sequence[str]) -> Floats:
    """Features of the wording, shape (n, len(FEATURES))."""
    return np.array([features(text, surface_forms.read(text)) for text in texts]).reshape(-1, len(FEATURES))


def fit(
    examples: Sequence[Example], dense: NDArray[np.float32], space: str, *, languages: Sequence[str] = ("en",)
) -> tuple[IncitementWeights, list[Figure]]:
    """Fit and calibrate the heads.

    Parameters
    ----------
    dense : unit vectors of the examples' texts, shape (n, d); (n, 0) fits heads on the wording alone, for any space.
    languages : those that the heads may judge, as far as the examples can tell.

    Returns the weights, and what the cross-fitted scores say on the training corpora themselves.
    """
    wording = wording_of([example.text for example in examples]) * WORDING_SCALE
    inputs = np.hstack([dense.astype(np.float64), wording])
    groups = np.unique([example.group or example.text for example in examples], return_inverse=True)[1]
    weights = np.array([example.weight for example in examples])
    labels = np.array([example.incites is True for example in examples])
    if not 0 < labels.sum() < len(labels):
        raise ValueError("the training data needs texts that incite and texts that do not")
    told = np.array(
        [float(label) if one.told is None else one.told for one, label in zip(examples, labels, strict=True)]
    )
    incites, unseen = _fit_head(inputs, labels, weights, groups, dense.shape[1], told, mix_of(examples))
    rows = figures(examples, unseen)
    classes: dict[str, HeadWeights] = {}
    for name in CLASSES:
        known = np.array([name in example.classes for example in examples])
        held = np.array([example.classes.get(name, False) for example in examples])[known]
        if min(held.sum(), (~held).sum()) < FEWEST_OF_A_CLASS:
            continue
        classes[name], told = _fit_head(inputs[known], held, weights[known], groups[known], dense.shape[1])
        rows += _class_figures(name, held, told)
    head = IncitementWeights(
        space=space if dense.shape[1] else "",
        languages=tuple(languages),
        incites=incites,
        classes=classes,
        trained_on=", ".join(f"{corpus} ({count:,})" for corpus, count in corpora_of(examples).items()),
    )
    return head, rows


def _fit_head(
    inputs: Floats,
    labels: NDArray[np.bool_],
    weights: Floats,
    groups: NDArray[np.int64],
    dimensions: int,
    told: Floats | None = None,
    mix: Floats | None = None,
) -> tuple[HeadWeights, Floats]:
    """Fit one head; return its weights, and calibrated probabilities of each text by a head that did not see it.

    Parameters
    ----------
    told : what is learned, 0 to 1, where it is not the labels; it is calibrated on the labels.
    mix : weights for the calibration, where they are not those of the fit.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedGroupKFold

    learned = labels.astype(np.float64) if told is None else told

    def fitted(rows: NDArray[np.int64]) -> Any:
        # A text of which .3 is told is two: one that incites, of weight .3, and one that does not, of weight .7.
        both = np.concatenate([rows, rows[(learned[rows] > 0.0) & (learned[rows] < 1.0)]])
        incites = np.concatenate([learned[rows] > 0.0, np.zeros(len(both) - len(rows), dtype=bool)])
        parts = np.where(incites, learned[both], 1.0 - learned[both])
        model = LogisticRegression(C=INVERSE_REGULARISATION, max_iter=1000, tol=1e-4)
        return model.fit(inputs[both], incites, sample_weight=weights[both] * parts)

    unseen = np.zeros(len(labels))
    folds = StratifiedGroupKFold(FOLDS, shuffle=True, random_state=SEED)
    for rest, fold in folds.split(inputs, labels, groups):
        unseen[fold] = fitted(rest).decision_function(inputs[fold])
    a, b = platt(unseen, labels, weights if mix is None else mix)
    whole = fitted(np.arange(len(labels)))
    coefficients = whole.coef_[0]
    return HeadWeights(
        dense=tuple(round(float(value), DECIMALS) for value in coefficients[:dimensions]),
        lexical={
            name: round(float(value) * WORDING_SCALE, DECIMALS)
            for name, value in zip(FEATURES, coefficients[dimensions:], strict=True)
        },
        bias=round(float(whole.intercept_[0]), DECIMALS),
        calibration=(a, b),
    ), 1.0 / (1.0 + np.exp(-(a * unseen + b)))


def mix_of(examples: Sequence[Example]) -> Floats:
    """Weights of the examples in the mix that probabilities are calibrated for: `MIX` of the whole incites."""
    weights = np.array([WEIGHTS["not judged"] if one.incites is None else one.weight for one in examples])
    incites = np.array([one.incites is True for one in examples])
    whole: float = weights[~incites].sum() / (1.0 - MIX)
    return np.where(incites, weights * MIX * whole / max(weights[incites].sum(), 1e-9), weights)


def platt(scores: Floats, labels: NDArray[np.bool_], weights: Floats) -> tuple[float, float]:
    """Fit the two numbers that make scores of unseen texts probabilities (Platt 1999)."""
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(C=1e6).fit(scores[:, None], labels, sample_weight=weights)
    return round(float(model.coef_[0, 0]), DECIMALS), round(float(model.intercept_[0]), DECIMALS)


def _class_figures(name: str, held: NDArray[np.bool_], told: Floats) -> list[Figure]:
    value = auroc(told[held], told[~held])
    recall = float((told[held] >= INCITES).mean())
    return [
        Figure(corpus="all", metric="auroc", value=value, posts=len(held), kind=name),
        Figure(corpus="all", metric="recall_at_half", value=recall, posts=int(held.sum()), kind=name),
    ]


def measure(
    head: IncitementWeights, examples: Sequence[Example], dense: NDArray[np.float32], space: str
) -> list[Figure]:
    """What a head says of texts that it was not fitted on."""
    if not head.space:
        dense = dense[:, :0]
    probabilities = IncitementHead(head, space).probabilities([example.text for example in examples], dense)
    return figures(examples, probabilities)


def figures(examples: Sequence[Example], probabilities: Floats) -> list[Figure]:
    """AUROC by corpus (inciting against judged not to), and the share at .5 and above of each label and kind.

    Where there are several languages, also the AUROC of each (`kind`).
    """
    rows = language_figures(examples, probabilities) if len({example.lang for example in examples}) > 1 else []
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


def language_figures(examples: Sequence[Example], probabilities: Floats) -> list[Figure]:
    """AUROC of each language (`kind`) that has texts which incite and texts which do not."""
    rows: list[Figure] = []
    for lang in sorted({example.lang for example in examples}):
        mine = np.array([example.lang == lang for example in examples])
        incites = np.array([example.incites is True for example in examples]) & mine
        rest = np.array([example.incites is False for example in examples]) & mine
        if incites.any() and rest.any():
            value = auroc(probabilities[incites], probabilities[rest])
            posts = int(incites.sum() + rest.sum())
            rows.append(Figure(corpus="all", metric="auroc", value=value, posts=posts, kind=lang))
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
