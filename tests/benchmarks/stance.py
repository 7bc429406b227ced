"""Task S: the attitude of a post to what its thread claims, from its text and whether it is a reply."""

import random
from pathlib import Path

import numpy as np
from corpora import corpus_name, files, read_rows

from detectors.posts import clean, normalise
from detectors.stance import stance_of
from detectors.training import auroc
from streams.settings import Settings

ANCHORS = {"macro_f1": 0.43, "auroc_query": 0.94, "auroc_deny": 0.71}
"""Best published macro-F1 on the task's own test set; the rest with MiniLM and simple patterns."""

ROUNDS = 300
SEED = 17
FITTED_ON = "nothing: patterns chosen by reasoning"


def rows(settings: Settings, data: Path) -> list[dict]:
    """Macro-F1 over the corpus's own attitudes, and AUROC of questions and denials, of every file."""
    return [row for file in files(data, "stance") for row in _of(file)]


def _of(file: Path) -> list[dict]:
    labelled = [row for row in read_rows(file) if (row.get("gold") or {}).get("stance")]
    if not labelled:
        return []
    gold = np.array([row["gold"]["stance"] for row in labelled])
    threads = [str(row.get("root_id") or place) for place, row in enumerate(labelled)]
    told = [
        stance_of(normalise(clean(row["text"])), is_reply=row.get("root_id", row.get("id")) != row.get("id"))
        for row in labelled
    ]
    names = sorted(set(gold))
    weights = np.array([[getattr(stance, name) for name in names] for stance in told])
    measured = {
        "macro_f1": lambda some: _macro_f1(gold[some], weights[some], names),
        "auroc_query": lambda some: _auroc(gold[some] == "query", weights[some, names.index("query")]),
        "auroc_deny": lambda some: _auroc(gold[some] == "deny", weights[some, names.index("deny")]),
    }
    everything = np.arange(len(gold))
    out: list[dict] = []
    for metric, value_of in measured.items():
        if metric.startswith("auroc") and metric.removeprefix("auroc_") not in names:
            continue
        low, high = np.nanquantile([value_of(some) for some in _resampled(threads)], (0.025, 0.975))
        out.append(
            {
                "task": "S",
                "corpus": corpus_name(file),
                "metric": metric,
                "value": value_of(everything),
                "anchor": ANCHORS[metric],
                "low": float(low),
                "high": float(high),
                "posts": len(gold),
                "fitted_on": FITTED_ON,
            }
        )
    return out


def _resampled(threads: list[str]) -> list[np.ndarray]:
    """Places of the posts of threads drawn with replacement: posts of one thread are not independent."""
    by_thread: dict[str, list[int]] = {}
    for place, thread in enumerate(threads):
        by_thread.setdefault(thread, []).append(place)
    names = sorted(by_thread)
    draw = random.Random(SEED)
    return [np.array([i for name in draw.choices(names, k=len(names)) for i in by_thread[name]]) for _ in range(ROUNDS)]


def _macro_f1(gold: np.ndarray, weights: np.ndarray, names: list[str]) -> float:
    chosen = np.array(names)[weights.argmax(axis=1)]
    values = []
    for name in names:
        hits = np.sum((gold == name) & (chosen == name))
        values.append(2 * hits / max(1, np.sum(gold == name) + np.sum(chosen == name)))
    return float(np.mean(values))


def _auroc(positive: np.ndarray, scores: np.ndarray) -> float:
    return auroc(scores[positive], scores[~positive]) if positive.any() and not positive.all() else float("nan")
