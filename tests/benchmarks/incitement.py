"""Task I: posts that incite told from others (I1), narratives (I2), and false alarms on look-alikes (I3)."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import numpy as np
from corpora import corpus_name, files, read_rows
from msgspec import Struct

from detectors import training
from detectors.incitement import evidence
from detectors.scoring import STAGES
from detectors.training import INCITES, auroc, is_held_out
from streams.errors import EmberwatchError
from streams.models import load_scorer
from streams.second_look import load_second_look
from streams.settings import Settings
from streams.train_command import labelled_rows, plain_of

I1_ANCHORS = {"hatecheck": 0.94, "ethos": 0.86}
"""Trained on other corpora; HateCheck's also on ETHOS, which the shipped weights never saw."""

I2_ANCHORS = {("ethos", 50, 0.2): 0.92, ("hatecheck", 50, 0.2): 0.95, ("ethos", 50, 0.1): 0.76}
I2_ANCHORS |= {("hatecheck", 50, 0.1): 0.84, ("ethos", 20, 0.2): 0.82, ("hatecheck", 20, 0.2): 0.86}

I3_ANCHORS = {("news", "first"): 0.14, ("news", "second"): 0.06, ("quoted", "first"): 0.50, ("quoted", "second"): 0.22}
I3_ANCHORS |= {("idiom", "first"): 0.61, ("idiom", "second"): 0.53}
"""A balanced sample with hard negatives; the same with the encoder fine-tuned."""

NARRATIVES = ((50, 0.2), (50, 0.1), (20, 0.2))
"""Posts, and the share of them that incites."""
DRAWN = 1000
ROUNDS = 1000
SEED = 5
RECALL = 0.9
RECALL_CORPUS = "ethos"
"""Its positives set the threshold of I3; where it is missing, those of the first corpus that has any."""

TIMED_TEXTS = 1000

TRAINED_ON = ("edos", "benign")
"""Corpora that the shipped weights saw three quarters of."""

OWN = Path(__file__).with_name("lookalikes.jsonl")
"""Posts that incite and harmless ones in the same words, written for this project without sight of the training."""

FITTED_ON = "three quarters of edos and benign, own written examples"


class Corpus(Struct):
    name: str
    incites: np.ndarray
    """Judged to incite, judged not to, or (NaN) not judged."""
    benign: np.ndarray
    groups: list[str]
    scores: dict[str, np.ndarray]
    """Look -> probabilities."""


def rows(settings: Settings, data: Path) -> list[dict]:
    """I1, I2 and I3 of every file of labelled texts and of our own, with the first look and with the second."""
    found = files(data, "incitement")
    if not found:
        return []
    scorer = load_scorer(settings)
    full = scorer if settings.tier == "full" else load_scorer(msgspec.structs.replace(settings, tier="full"))
    second = load_second_look(settings, full)
    corpora = [_scored(file, list(labelled_rows(file)), scorer, second) for file in found]
    corpora.append(_scored(OWN, read_rows(OWN)[1:], scorer, second))  # the first line is the licence
    out: list[dict] = []
    for corpus in corpora:
        out += _i1(corpus)
        out += _i2(corpus)
    out += _i3(corpora)
    out += _cost(settings, found[0], second)
    return out


def _scored(file: Path, labelled: list[dict], scorer, second) -> Corpus:
    name = corpus_name(file)
    if name in TRAINED_ON:  # the quarter that no shipped weight was fitted on
        labelled = [row for row in labelled if is_held_out(plain_of(row["text"]))]
    gold = [row.get("gold") or {} for row in labelled]
    try:
        incites = [training.incites_of(one) for one in gold]
    except ValueError as error:
        raise EmberwatchError(f"{file}: {error}") from error
    texts = [row["text"] for row in labelled]
    print(f"scoring {file.name}: {len(texts):,} texts", file=sys.stderr)
    scores = {"first": np.array([one.incitement for one in scorer.score_texts(texts, lang="en")])}
    if second is not None:
        scores["second"] = second.probabilities([plain_of(text) for text in texts])
    return Corpus(
        name=name,
        incites=np.array([np.nan if one is None else float(one) for one in incites]),
        benign=np.array([one.get("benign", "") for one in gold]),
        groups=[str(one.get("group", place)) for place, one in enumerate(gold)],
        scores=scores,
    )


def _i1(corpus: Corpus) -> list[dict]:
    positive, negative = corpus.incites == 1, corpus.incites == 0
    if not positive.any() or not negative.any():
        return []
    out: list[dict] = []
    for look, scores in corpus.scores.items():
        common = {"task": "I1", "corpus": corpus.name, "look": look, "fitted_on": FITTED_ON}
        area = {
            "metric": "auroc",
            "value": auroc(scores[positive], scores[negative]),
            "anchor": I1_ANCHORS.get(corpus.name),
            **_interval(corpus, scores, positive, negative),
            "posts": int(positive.sum() + negative.sum()),
        }
        found = {
            "metric": "recall_at_half",
            "value": float((scores[positive] >= INCITES).mean()),
            "anchor": None,
            "posts": int(positive.sum()),
        }
        out += [common | area, common | found]
    return out


def _interval(corpus: Corpus, scores: np.ndarray, positive: np.ndarray, negative: np.ndarray) -> dict[str, float]:
    """95 % bootstrap over groups (functionality and template) where the corpus has them, else over posts."""
    draw = np.random.default_rng(SEED)

    def members(chosen: np.ndarray) -> list[np.ndarray]:
        by_group: dict[str, list[int]] = {}
        for place in np.flatnonzero(chosen):
            by_group.setdefault(corpus.groups[place], []).append(place)
        return [scores[places] for places in by_group.values()]

    ours, theirs = members(positive), members(negative)
    values = [
        auroc(
            np.concatenate([ours[i] for i in draw.integers(len(ours), size=len(ours))]),
            np.concatenate([theirs[i] for i in draw.integers(len(theirs), size=len(theirs))]),
        )
        for _ in range(ROUNDS)
    ]
    low, high = np.quantile(values, (0.025, 0.975))
    return {"low": float(low), "high": float(high)}


def _i2(corpus: Corpus) -> list[dict]:
    """Narratives of so many posts with a share of inciting ones, against narratives with none.

    By the evidence that narratives carry (`records.IncitementShare.evidence`: the sum over their posts), and beside it
    by the mean of the probabilities.
    """
    positive, negative = np.flatnonzero(corpus.incites == 1), np.flatnonzero(corpus.incites == 0)
    out: list[dict] = []
    for look, scores in corpus.scores.items():
        for by, values in (("evidence", np.array([evidence(float(one)) for one in scores])), ("mean", scores)):
            for posts, share in NARRATIVES:
                inciting = round(posts * share)
                if len(positive) < inciting or len(negative) < posts:
                    continue
                mixed, clear = _means(values, positive, negative, posts, inciting)
                out.append(
                    {
                        "task": "I2",
                        "corpus": corpus.name,
                        "metric": "auroc" if by == "evidence" else "auroc_by_mean",
                        "value": auroc(mixed, clear),
                        "anchor": I2_ANCHORS.get((corpus.name, posts, share)),
                        "posts": posts,
                        "share": share,
                        "look": look,
                        "fitted_on": FITTED_ON,
                    }
                )
    return out


def _means(
    values: np.ndarray, positive: np.ndarray, negative: np.ndarray, posts: int, inciting: int
) -> tuple[np.ndarray, np.ndarray]:
    """Mean values of drawn narratives of so many posts: with so many inciting ones, and with none."""
    draw = np.random.default_rng(SEED)

    def drawn(places: np.ndarray, count: int) -> np.ndarray:
        return values[draw.choice(places, count, replace=False)]

    mixed = [
        np.mean(np.concatenate([drawn(positive, inciting), drawn(negative, posts - inciting)])) for _ in range(DRAWN)
    ]
    return np.array(mixed), np.array([np.mean(drawn(negative, posts)) for _ in range(DRAWN)])


def _i3(corpora: list[Corpus]) -> list[dict]:
    """False alarms on look-alikes where nine of ten of a corpus's positives are kept, and at .5, where alerts work."""
    with_positives = [corpus for corpus in corpora if (corpus.incites == 1).any()]
    if not with_positives:
        print("I3: no corpus with texts that incite, skipped", file=sys.stderr)
        return []
    setting = next((one for one in with_positives if one.name == RECALL_CORPUS), with_positives[0])
    out: list[dict] = []
    for corpus in corpora:
        for look, scores in corpus.scores.items():
            positives = setting.scores[look][setting.incites == 1]
            threshold = _keeping(positives)
            for benign in sorted({str(kind) for kind in corpus.benign} - {""}):
                alarms = scores[corpus.benign == benign]
                common = {
                    "task": "I3",
                    "corpus": corpus.name,
                    "benign": benign,
                    "look": look,
                    "posts": len(alarms),
                    "fitted_on": FITTED_ON,
                }
                at_recall = {
                    "metric": "false_alarm_at_recall_90",
                    "value": float((alarms >= threshold).mean()),
                    "anchor": I3_ANCHORS.get((benign, look)),
                    "recall_of": setting.name,
                    **_alarms_interval(positives, alarms),
                }
                at_half = {
                    "metric": "false_alarm_at_half",
                    "value": float((alarms >= INCITES).mean()),
                    "anchor": None,
                }
                out += [common | at_recall, common | at_half]
    return out


def _keeping(positives: np.ndarray) -> float:
    """Threshold that keeps so many positives: the share of them at or above it is at least the recall."""
    return float(np.quantile(positives, 1.0 - RECALL, method="lower"))


def _alarms_interval(positives: np.ndarray, harmless: np.ndarray) -> dict[str, float]:
    """95 % bootstrap over the positives, which set the threshold, and over the harmless posts."""
    draw = np.random.default_rng(SEED)
    rates = [
        np.mean(draw.choice(harmless, len(harmless)) >= _keeping(draw.choice(positives, len(positives))))
        for _ in range(ROUNDS)
    ]
    low, high = np.quantile(rates, (0.025, 0.975))
    return {"low": float(low), "high": float(high)}


def _cost(settings: Settings, file: Path, second) -> list[dict]:
    """Processor time a text of what is not embedding, and relative to embedding, on texts never seen, in one run."""
    texts = list(dict.fromkeys(text for row in labelled_rows(file) if (text := plain_of(row["text"]))))
    texts = texts[:TIMED_TEXTS]
    spent = dict.fromkeys(STAGES, 0.0)

    @contextmanager
    def timed(stage: str) -> Iterator[None]:
        started = time.process_time()
        yield
        spent[stage] += time.process_time() - started

    load_scorer(settings, timed=timed).score_texts(texts, lang="en")
    looks = {"first": (spent["heads"], spent["embed"])}
    if second is not None:
        started = time.process_time()
        second.probabilities(texts)
        looks["second"] = (time.process_time() - started, spent["embed"])
    return [
        row
        for look, (own, embedding) in looks.items()
        for row in (
            _cost_row(corpus_name(file), "microseconds_per_post", 1e6 * own / len(texts), look, len(texts)),
            _cost_row(corpus_name(file), "ratio_to_embedding", own / embedding, look, len(texts)),
        )
    ]


def _cost_row(corpus: str, metric: str, value: float, look: str, posts: int) -> dict:
    return {
        "task": "I",
        "corpus": corpus,
        "metric": metric,
        "value": value,
        "anchor": None,
        "look": look,
        "posts": posts,
    }
