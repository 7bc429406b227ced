"""Task S: the attitude of a post to what its thread claims, from its text and whether it is a reply.

Three rows a figure: the head as `emberwatch train stance` makes it, cross-fitted by thread on the corpus itself; the
shipped head, on texts that it was not trained on; and the patterns alone, which serve where no head was trained.
"""

import importlib.util
import random
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
from corpora import corpus_name, files

from detectors import stance_training as training
from detectors.embedding import embed
from detectors.stance import stance_of
from detectors.stance_head import ATTITUDES
from detectors.stance_training import Example, Told
from streams.heads import load_weights
from streams.models import encoder_of
from streams.settings import Settings
from streams.train_command import labelled_rows, plain_of
from streams.train_stance_command import examples_of, figures, written

ANCHORS = {"macro_f1": 0.43, "auroc_query": 0.94, "auroc_deny": 0.71}
"""Best published macro-F1 on the task's own test set; the rest with MiniLM and simple patterns, on that set too."""

ROUNDS = 300
SEED = 17
TRAINED_ON = ("rumoureval_traindev",)
"""Corpora that the shipped head was fitted on, but for the texts that lie in `posts/`."""


def rows(settings: Settings, data: Path) -> list[dict]:
    """Macro-F1, and AUROC of questions and denials, of every file."""
    found = files(data, "stance")
    if not found:
        return []
    encoder = encoder_of(settings)
    seen = {plain_of(row["text"]) for file in files(data, "posts") for row in labelled_rows(file)}
    return [row for file in found for row in _of(file, encoder, seen)]


def _of(file: Path, encoder, seen: set[str]) -> list[dict]:
    examples, own = examples_of(file), written()
    if not examples:
        return []
    print(f"embedding {file.name}: {len(examples):,} texts", file=sys.stderr)
    dense = embed(encoder, [example.text for example in examples])
    everything = np.ones(len(examples), dtype=bool)
    out = _rows(file, examples, _cross_fitted(file, examples, dense, own, encoder), everything, "head, cross-fitted")
    shipped = load_weights(encoder.space).stance
    if shipped is not None:
        unseen = everything
        if corpus_name(file) in TRAINED_ON:
            unseen = np.array([example.text in seen or not example.text for example in examples])
        out += _rows(file, examples, training.tell(shipped, examples, dense), unseen, "shipped head, unseen texts")
    return out + _rows(file, examples, _by_patterns(examples), everything, "patterns")


def _cross_fitted(file: Path, examples: list[Example], dense: np.ndarray, own: list[Example], encoder) -> Told | None:
    if importlib.util.find_spec("sklearn") is None:
        print("no scikit-learn (extra `train`): nothing is cross-fitted", file=sys.stderr)
        return None
    both = np.vstack([dense, embed(encoder, [example.text for example in own])])
    try:
        fitted_on = np.array([bool(example.text) for example in [*examples, *own]])
        told = training.cross_fitted([*examples, *own], both, usable=fitted_on)
    except ValueError as error:
        print(f"{file.name}: {error}: not cross-fitted", file=sys.stderr)
        return None
    return Told(told.shares[: len(examples)], told.chosen[: len(examples)])


def _by_patterns(examples: list[Example]) -> Told:
    told = [stance_of(example.text, is_reply=example.is_reply) for example in examples]
    # The likeliest of what the corpus knows: it has no reports, and one is not counted as support here.
    shares = np.array([[getattr(stance, name) for name in ATTITUDES] for stance in told])
    return Told(shares, shares.argmax(axis=1))


def _rows(file: Path, examples: list[Example], told: Told | None, chosen: np.ndarray, by: str) -> list[dict]:
    places = np.flatnonzero(chosen)
    if told is None or not len(places):
        return []
    labels = training.labels_of(examples)

    def measured(some: np.ndarray) -> dict[str, float]:
        found = figures(labels[some], Told(told.shares[some], told.chosen[some]))
        return {metric: getattr(found, metric) for metric in ANCHORS}

    values, spread = measured(places), _intervals([examples[place].thread for place in places], places, measured)
    return [
        {
            "task": "S",
            "corpus": corpus_name(file),
            "metric": metric,
            "value": value,
            "anchor": ANCHORS[metric],
            "low": spread[metric][0],
            "high": spread[metric][1],
            "by": by,
            "posts": len(places),
        }
        for metric, value in values.items()
        if not np.isnan(value)
    ]


def _intervals(
    threads: list[str], places: np.ndarray, measured: Callable[[np.ndarray], dict[str, float]]
) -> dict[str, tuple[float, float]]:
    """95 % bootstrap over threads, with replacement: posts of one thread are not independent."""
    by_thread: dict[str, list[int]] = {}
    for place, thread in zip(places, threads, strict=True):
        by_thread.setdefault(thread, []).append(place)
    names, draw = sorted(by_thread), random.Random(SEED)
    drawn = [
        measured(np.array([place for name in draw.choices(names, k=len(names)) for place in by_thread[name]]))
        for _ in range(ROUNDS)
    ]
    ends = {metric: np.nanquantile([one[metric] for one in drawn], (0.025, 0.975)) for metric in ANCHORS}
    return {metric: (float(low), float(high)) for metric, (low, high) in ends.items()}
