"""Task T: what a post costs, relative to embedding its text, and how long it takes until it can be seen.

Machines differ and are noisy, so scoring is compared with plain `SentenceTransformer.encode` in the same run, chunk by
chunk in turns. All times are of the processor, summed over threads, as others may want it too; only latency is of the
wall.
"""

import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import latency
import msgspec
import numpy as np
from corpora import corpus_name, files, in_time, post_of, read_rows, score

from detectors.codec import encode_entry
from detectors.embedding import Encoder
from detectors.entries import Origin, ScoredPost
from detectors.grouping import get_ready
from detectors.monitor import fold, new_state
from detectors.policy import Configuration
from detectors.posts import clean, decode_post, normalise
from detectors.records import Post
from detectors.replay import opening_entries
from detectors.scoring import Scorer
from detectors.state import MonitorState
from detectors.vectors import quantise
from streams.backends import WARM_UP
from streams.heads import load_weights
from streams.models import configuration_of, encoder_of, load_scorer
from streams.score_worker import MAX_BATCH
from streams.sentence_model import SentenceEncoder, load_encoder
from streams.settings import Settings, Tier

DISTINCT_TEXTS = 1000
AS_IS_POSTS = 2000
"""In a row, from the middle of the corpus: a short stretch, so a cache that begins empty finds less than in the long
run."""
CHUNK = 250
"""Texts after which the two take turns; the scorer works in the worker's batches within it."""
FOLDED_TEXTS = 4000
"""The first posts of a corpus with so many texts are folded: to embed more takes too long, and repeats cost nothing."""
LIVE = (1000, 5000)
FOUNDS_ONE_IN = 10
"""Of the synthetic posts, each of which is new, one in so many founds a micro-cluster; the others join one."""
POSTS_PER_LIVE = 3
"""Posts measured, for each live micro-cluster: enough for HDBSCAN to run at its pace."""
TOPICS = 50
SEED = 7
WIDTHS = (384, 256)
"""Dimensions of the synthetic sentence and lexical channels: those of the default model."""
ENCODE_ANCHORS = {"full": 3.15, "fast": 64.0}
"""OpenVINO against torch, the best way known to embed these texts with the full model; a static model alone, without
the rest of the scorer."""
TIERS: tuple[Tier, ...] = ("full", "fast")
FOLD_ANCHORS = {"news_t": 3000.0}
"""Two levels, a first sketch: micro-clusters, then HDBSCAN every 1,000 posts."""
STAGES = ("decode", "normalise", "embed", "lexical", "heads", "encode")


def rows(settings: Settings, data: Path) -> list[dict]:
    corpora = _corpora(data)
    if not corpora:
        return []
    plain = load_encoder(settings.model, threads=settings.threads, revision=settings.model_revision)
    found = []
    for tier in TIERS:
        encoder = encoder_of(msgspec.structs.replace(settings, tier=tier))
        for name, posts in corpora.items():
            found += _scoring(settings, tier, encoder, plain, name, "distinct", _distinct(posts))
            middle = max(0, (len(posts) - AS_IS_POSTS) // 2)
            found += _scoring(settings, tier, encoder, plain, name, "as_is", posts[middle : middle + AS_IS_POSTS])
    get_ready()  # as a worker does before its first post
    found += [_fold_of_synthetic(live) for live in LIVE]
    scorer = load_scorer(settings)
    configuration = configuration_of(msgspec.structs.replace(settings, posts_partitions=1, shards=1), Configuration())
    for name, posts in corpora.items():
        scored = in_time(score(scorer, _first_with(posts, FOLDED_TEXTS), name))
        found.append(_fold_of_corpus(configuration, scorer, name, scored))
    return found + latency.rows_of_texts(
        settings, {name: [post.text for post in posts] for name, posts in corpora.items()}
    )


def _corpora(data: Path) -> dict[str, list[Post]]:
    """Posts of each corpus, in order of time."""
    found = {}
    for file in [*files(data, "narratives"), *files(data, "posts")]:
        posts = [post_of(row, place) for place, row in enumerate(read_rows(file))]
        found[corpus_name(file)] = sorted(posts, key=lambda post: post.created_at)
    return found


def _first_with(posts: Sequence[Post], texts: int) -> Sequence[Post]:
    """As many of the first posts as have so many different texts."""
    seen: set[str] = set()
    for place, post in enumerate(posts):
        seen.add(post.text)
        if len(seen) > texts:
            return posts[:place]
    return posts


def _distinct(posts: Sequence[Post]) -> list[Post]:
    """Posts no two of which the scorer takes for the same text, drawn by a seed."""
    first: dict[str, Post] = {}
    for post in posts:
        if text := normalise(clean(post.text)):
            first.setdefault(text, post)
    drawn = np.random.default_rng(SEED).permutation(len(first))[:DISTINCT_TEXTS]
    distinct = list(first.values())
    return [distinct[place] for place in drawn]


class _Stopwatch:
    """Seconds of the processor by stage."""

    def __init__(self) -> None:
        self.seconds: Counter[str] = Counter()

    @contextmanager
    def __call__(self, stage: str) -> Iterator[None]:
        started = time.process_time()
        yield
        self.seconds[stage] += time.process_time() - started


def _scoring(
    settings: Settings,
    tier: str,
    encoder: Encoder,
    plain_encoder: Encoder,
    corpus: str,
    texts: str,
    posts: Sequence[Post],
) -> list[dict]:
    """Everything a score worker does with the bytes of a post, against plain encoding of its text."""
    watch = _Stopwatch()
    cache_texts = settings.cache_texts
    scorer = Scorer(encoder, load_weights(encoder.space), cache_texts=cache_texts, timed=watch)
    scorer.score_texts(WARM_UP)  # word lists are loaded with the first text
    watch.seconds.clear()
    scorer.cache.hits = scorer.cache.misses = 0
    values = [msgspec.json.encode(post) for post in posts]
    plain = getattr(plain_encoder, "_model", plain_encoder).encode
    options = {"show_progress_bar": False} if isinstance(plain_encoder, SentenceEncoder) else {}
    plain_s = full_s = 0.0
    for turn, start in enumerate(range(0, len(posts), CHUNK)):
        for is_full in (True, False) if turn % 2 else (False, True):
            started = time.process_time()
            if is_full:
                _score_bytes(scorer, values[start : start + CHUNK], watch)
                full_s += time.process_time() - started
            else:
                plain([post.text for post in posts[start : start + CHUNK]], **options)
                plain_s += time.process_time() - started
        print(f"\r{corpus}, {texts}: {min(start + CHUNK, len(posts)):,} of {len(posts):,}", end="", file=sys.stderr)
    print(file=sys.stderr)
    more = {"corpus": corpus, "tier": tier, "texts": texts, "posts": len(posts)}
    return [
        _row("ratio_to_encode", plain_s / full_s, anchor=ENCODE_ANCHORS[tier], **more),
        _row("posts_per_cpu_second", len(posts) / full_s, **more),
        _row("cache_hit_ratio", scorer.cache.hits / max(1, scorer.cache.hits + scorer.cache.misses), **more),
        *(
            _row("microseconds_per_post", 1e6 * watch.seconds[stage] / len(posts), stage=stage, **more)
            for stage in STAGES
        ),
    ]


def _score_bytes(scorer: Scorer, values: Sequence[bytes], watch: _Stopwatch) -> None:
    for start in range(0, len(values), MAX_BATCH):
        batch = values[start : start + MAX_BATCH]
        with watch("decode"):
            posts = [decode_post(value, received_at_s=None) for value in batch]
        scored = scorer.score([(post, Origin("posts", 0, start + place), 1.0) for place, post in enumerate(posts)])
        with watch("encode"):
            for post in scored:
                encode_entry(post)


def _fold_of_synthetic(live: int) -> dict:
    """A fold that holds so many micro-clusters and gets posts none of which repeats another."""
    state = new_state()
    chance = np.random.default_rng(SEED)
    topics = _units(chance, TOPICS)
    centres = _near(chance, topics[chance.integers(0, TOPICS, live)], 0.3)
    _timed_fold(state, _synthetic(centres, 0))
    assert len(state.narratives.micros) == live, "the synthetic texts are not new to each other"
    posts = POSTS_PER_LIVE * live
    vectors = _near(chance, centres[chance.integers(0, live, posts)], 0.8)
    new = np.arange(0, posts, FOUNDS_ONE_IN)
    vectors[new] = _near(chance, topics[chance.integers(0, TOPICS, len(new))], 0.3)
    entries = _synthetic(vectors, live)
    seconds = _timed_fold(state, entries)
    return _row("fold_posts_per_second", posts / seconds, corpus="synthetic", micro_clusters=live, posts=posts)


def _fold_of_corpus(configuration: Configuration, scorer: Scorer, corpus: str, posts: list[ScoredPost]) -> dict:
    state = new_state()
    _timed_fold(state, opening_entries(configuration, [], scorer))
    seconds = _timed_fold(state, posts)
    return _row(
        "fold_posts_per_second",
        len(posts) / seconds,
        anchor=FOLD_ANCHORS.get(corpus),
        corpus=corpus,
        micro_clusters=len(state.narratives.micros),
        posts=len(posts),
    )


def _timed_fold(state: MonitorState, entries) -> float:
    items = list(enumerate(entries, start=state.next_offset))
    started = time.process_time()
    for _ in fold(state, items):
        pass
    return time.process_time() - started


def _synthetic(vectors: np.ndarray, first: int) -> list[ScoredPost]:
    """A scored post for each row, shape (n, sum of `WIDTHS`), ten a second."""
    dense, lexical = np.split(vectors.astype(np.float32), [WIDTHS[0]], axis=1)
    return [
        ScoredPost(
            origin=Origin("posts", 0, number),
            post_id=f"p{number}",
            platform="corpus",
            created_at_s=1.5e9 + number / 10,
            author_id=f"author-of-{number}",
            text=f"words of post {number}",
            ingested_at_s=1.5e9 + number / 10,
            vector=quantise(dense[place], lexical[place], "synthetic"),
        )
        for place, number in enumerate(range(first, first + len(vectors)))
    ]


def _units(chance: np.random.Generator, count: int) -> np.ndarray:
    """Random directions, each channel of unit length, shape (count, sum of `WIDTHS`)."""
    channels = [chance.standard_normal((count, width)) for width in WIDTHS]
    return np.hstack([channel / np.linalg.norm(channel, axis=1, keepdims=True) for channel in channels])


def _near(chance: np.random.Generator, centres: np.ndarray, share: float) -> np.ndarray:
    """Directions whose cosine with another of the same centre is about `share`, or with it the root of that."""
    return np.sqrt(share) * centres + np.sqrt(1.0 - share) * _units(chance, len(centres))


def _row(metric: str, value: float, *, corpus: str, anchor: float | None = None, **more) -> dict:
    return {"task": "T", "corpus": corpus, "metric": metric, "value": value, "anchor": anchor, **more}
