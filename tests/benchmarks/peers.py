"""Other people's software on the same corpora, the same vectors and the same scorer as task N, in the same run.

River's TextClust reads the texts and DBSTREAM the vectors, one post at a time; Birch takes vectors in batches of a
thousand; scikit-learn's HDBSCAN and fast_hdbscan see all of them at once, with everything known, which no stream
does. The vectors are those of the scorer, both channels joined as ours are. Parameters are one set for all corpora:
TextClust's of its documentation, DBSTREAM's and Birch's radius that of a cosine of .4, of HDBSCAN the finest clusters.
Figures are of the labels at the end; what HDBSCAN calls noise is alone. One that is not installed is named and skipped.
"""

import importlib.util
import math
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from clustering_scores import ami, bcubed_f1, interval
from corpora import corpus_name, files, in_time, post_of, read_rows, score, tells_a_story

from detectors.entries import ScoredPost
from detectors.policy import NarrativeParameters
from detectors.posts import clean, normalise
from detectors.vectors import whole
from streams.models import load_scorer
from streams.settings import Settings

COSINE = 0.4
"""The threshold at which a nearest centroid does best on short news."""
RADIUS = math.sqrt(2.0 - 2.0 * COSINE)
"""Euclidean distance of unit vectors of that cosine."""
BIRCH_RADIUS = math.sqrt(1.0 - COSINE)
"""Root mean square distance from the centroid of unit vectors whose mean cosine is that."""
BATCH = 1000
ROUNDS = 50
ANCHORS = {
    ("news_t", "textclust", "ami"): 0.843,
    ("news_t", "textclust", "bcubed_f1"): 0.713,
    ("news_t", "textclust", "posts_per_second"): 323.0,
    ("news_t", "dbstream", "ami"): 0.662,
    ("news_t", "dbstream", "bcubed_f1"): 0.498,
    ("news_t", "dbstream", "posts_per_second"): 109.0,
    ("news_t", "hdbscan_sklearn", "ami"): 0.750,
    ("news_t", "hdbscan_sklearn", "bcubed_f1"): 0.688,
}
"""The same software on the same texts, measured before with MiniLM's vectors alone."""

COMPILED = ("fast_hdbscan",)
"""Compiled on their first use, some fifty seconds, which are not counted."""
COMPILED_ON = 300

Labels = Sequence[object]


def peer_rows(settings: Settings, data: Path) -> list[dict]:
    """Rows of every peer that is installed, over every corpus of task N."""
    there = {name: run for name, (package, run) in PEERS.items() if _is_there(name, package)}
    if not there:
        return []
    scorer = load_scorer(settings)
    found: list[dict] = []
    for file in [*files(data, "narratives"), *files(data, "posts")]:
        rows = [row for row in read_rows(file) if tells_a_story(row) and row.get("kind", "post") == "post"]
        if not rows:
            continue
        corpus = corpus_name(file)
        posts = in_time(score(scorer, [post_of(row, place) for place, row in enumerate(rows)], f"{corpus} for peers"))
        gold = {str(row.get("post_id", row.get("id"))): row["gold"] for row in rows}
        for name, run in there.items():
            print(f"{corpus}: {name} ...", end="", file=sys.stderr, flush=True)
            try:
                found += _peer(corpus, name, run, posts, gold)
            except (ImportError, ValueError, MemoryError) as error:  # theirs, and no reason to lose the other figures
                print(f" failed, skipped: {type(error).__name__}: {error}", file=sys.stderr)
            else:
                print(f" {found[-1]['value']:,.0f} posts/s", file=sys.stderr)
    return found


def _is_there(name: str, package: str) -> bool:
    if importlib.util.find_spec(package) is None:
        print(f"{name}: {package} is not installed, skipped (`make peers` installs it)", file=sys.stderr)
        return False
    return True


def _peer(
    corpus: str,
    name: str,
    run: Callable[[list[str], np.ndarray], Labels],
    posts: list[ScoredPost],
    gold: dict[str, dict],
) -> list[dict]:
    posts = [post for post in posts if post.vector is not None]
    texts = [normalise(clean(post.text)) for post in posts]
    weight = NarrativeParameters().lexical_weight
    joint = whole([post.vector for post in posts], weight).astype(np.float64)
    joint /= np.linalg.norm(joint, axis=1, keepdims=True)
    if name in COMPILED:
        run(texts[:COMPILED_ON], joint[:COMPILED_ON])
    started = time.process_time()
    labels = list(run(texts, joint))
    seconds = time.process_time() - started
    truth = [gold[post.post_id] for post in posts]
    found = []
    for level, stories in _levels(truth).items():
        for metric, measure in (("ami", ami), ("bcubed_f1", bcubed_f1)):
            low, high = interval(measure, stories, labels, rounds=ROUNDS)
            more = {"low": round(low, 3), "high": round(high, 3), "level": level}
            found.append(_row(corpus, name, metric, measure(stories, labels), **more))
    return [*found, _row(corpus, name, "posts_per_second", len(posts) / max(seconds, 1e-9))]


def _levels(truth: Sequence[dict]) -> dict[str, list[str]]:
    """Gold labels of each level; stories without events are read as events, as in task N."""
    if not any("event" in one for one in truth):
        return {"event": [str(one["story"]) for one in truth]}
    return {
        "story": [f"{one.get('event', '')}/{one['story']}" for one in truth],
        "event": [str(one.get("event", "")) for one in truth],
    }


def _row(corpus: str, peer: str, metric: str, value: float, **more) -> dict:
    anchor = ANCHORS.get((corpus, peer, metric))
    return {
        "task": "N", "corpus": corpus, "metric": metric, "value": value, "anchor": anchor,
        "peer": peer, "clock": "own", "when": "end", **more,
    }  # fmt: skip


def _textclust(texts: list[str], _vectors: np.ndarray) -> Labels:
    from river import cluster, feature_extraction

    words = feature_extraction.BagOfWords(lowercase=True, ngram_range=(1, 2))
    model = cluster.TextClust(real_time_fading=False, fading_factor=0.001, tgap=100, auto_r=True, radius=0.9)
    labels = []
    for text in texts:
        bag = words.transform_one(text)
        model.learn_one(bag)
        labels.append(model.predict_one(bag))
    return labels


def _dbstream(_texts: list[str], vectors: np.ndarray) -> Labels:
    from river import cluster

    model = cluster.DBSTREAM(clustering_threshold=RADIUS, fading_factor=0.001, cleanup_interval=100)
    points = [dict(enumerate(row)) for row in vectors.tolist()]
    for point in points:
        model.learn_one(point)
    return [model.predict_one(point) for point in points]


def _birch(_texts: list[str], vectors: np.ndarray) -> Labels:
    from sklearn.cluster import Birch

    model = Birch(threshold=BIRCH_RADIUS, n_clusters=None)
    for start in range(0, len(vectors), BATCH):
        model.partial_fit(vectors[start : start + BATCH])
    return model.predict(vectors).tolist()


def _hdbscan_sklearn(_texts: list[str], vectors: np.ndarray) -> Labels:
    from sklearn.cluster import HDBSCAN

    model = HDBSCAN(min_cluster_size=2, min_samples=1, cluster_selection_method="leaf", copy=True)
    return _noise_alone(model.fit_predict(vectors).tolist())


def _fast_hdbscan(_texts: list[str], vectors: np.ndarray) -> Labels:
    import fast_hdbscan

    model = fast_hdbscan.HDBSCAN(min_cluster_size=2, min_samples=1, cluster_selection_method="leaf")
    return _noise_alone(model.fit_predict(vectors).tolist())


def _noise_alone(labels: Sequence[int]) -> Labels:
    """What is noise gets a label of its own.

    >>> _noise_alone([0, -1, 0, -1])
    [0, 'alone-1', 0, 'alone-3']
    """
    return [label if label >= 0 else f"alone-{place}" for place, label in enumerate(labels)]


PEERS: dict[str, tuple[str, Callable[[list[str], np.ndarray], Labels]]] = {
    "textclust": ("river", _textclust),
    "dbstream": ("river", _dbstream),
    "birch": ("sklearn", _birch),
    "hdbscan_sklearn": ("sklearn", _hdbscan_sklearn),
    "fast_hdbscan": ("fast_hdbscan", _fast_hdbscan),
}
"""Package and function of each."""
