"""What following narratives costs (task N): a post's search and join, a grouping, and how long one holds the fold.

Synthetic vectors of the default widths, around topics as real ones are; processor time, so that a busy machine counts
for little. The longest hold is also taken on every corpus of task N, where groupings come as they do in a worker.
"""

import sys
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
from corpora import corpus_name, files, in_time, post_of, read_rows, score, tells_a_story
from throughput import SEED, TOPICS, _near, _synthetic, _units

from detectors.entries import ScoredPost
from detectors.grouping import get_ready
from detectors.monitor import BATCH, fold, new_state
from detectors.policy import Configuration, NarrativeParameters
from detectors.replay import opening_entries, source_end
from detectors.state import MonitorState
from detectors.strands import Search, Strands
from detectors.vectors import whole
from streams.models import configuration_of, load_scorer
from streams.settings import Settings

LIVE = (1_000, 10_000, 50_000)
SEARCH_ANCHORS = {1_000: 1e6 / 61_000, 10_000: 1e6 / 6_000, 50_000: 1e6 / 1_150}
"""Microseconds of an exact search alone, float32, 896 dimensions, in batches of 256, on one quiet core."""
SEARCHED_POSTS = 1_024

GROUPED = (1_000, 2_000, 5_000)
GROUP_ANCHORS = {1_000: 0.27, 2_000: 1.04, 5_000: 6.1}
"""Seconds of one HDBSCAN alone over vectors of 384 dimensions."""
HOLD_AIM_S = 0.5


def rows(settings: Settings, data: Path) -> list[dict]:
    found = [_search_and_join(live) for live in LIVE]
    get_ready()  # as a worker does before its first post
    for live in GROUPED:
        print(f"grouping {live:,} micro-clusters", file=sys.stderr)
        found.append(_grouping(live))
    corpora = [
        (file, [row for row in read_rows(file) if tells_a_story(row)])
        for file in [*files(data, "narratives"), *files(data, "posts")]
    ]
    corpora = [(file, corpus) for file, corpus in corpora if corpus]
    if not corpora:
        return found
    scorer = load_scorer(settings)
    configuration = configuration_of(msgspec.structs.replace(settings, posts_partitions=1, shards=1), Configuration())
    for file, corpus in corpora:
        posts = score(scorer, [post_of(row, place) for place, row in enumerate(corpus)], corpus_name(file))
        state = new_state()
        _folded(state, list(opening_entries(configuration, [], scorer)))
        found += _holds(state, corpus_name(file), in_time(posts))
    return found


def _search_and_join(live: int) -> dict:
    """Microseconds of processor time in which a post finds its strand among so many, and joins it."""
    chance = np.random.default_rng(SEED)
    weight = NarrativeParameters().lexical_weight
    topics = _units(chance, TOPICS)
    strands = Strands()
    for start in range(0, live, BATCH):
        count = min(BATCH, live - start)
        centres = _near(chance, topics[chance.integers(0, TOPICS, count)], 0.3)
        for vector in whole([post.vector for post in _synthetic(centres, start)], weight):
            strands.found(vector)
    coming = _near(chance, topics[chance.integers(0, TOPICS, SEARCHED_POSTS)], 0.3)
    vectors = whole([post.vector for post in _synthetic(coming, live)], weight)
    started = time.process_time()
    for start in range(0, SEARCHED_POSTS, BATCH):
        search = Search(strands, vectors[start : start + BATCH])
        for place in range(len(vectors[start : start + BATCH])):
            row, _ = search.nearest(place)
            strands.absorb(row, search.vector(place))
            search.changed(row)
    micros = 1e6 * (time.process_time() - started) / SEARCHED_POSTS
    return _row("search_and_join_microseconds", micros, "synthetic", SEARCH_ANCHORS.get(live), micro_clusters=live)


def _grouping(live: int) -> dict:
    """Longest processor time of one grouping while so many micro-clusters, all new to each other, come to be."""
    chance = np.random.default_rng(SEED)
    topics = _units(chance, TOPICS)
    posts = _synthetic(_near(chance, topics[chance.integers(0, TOPICS, live)], 0.3), 0)
    state = new_state()
    times_s = _timed_groupings(state)
    _folded(state, posts)
    longest_s = max(times_s, default=0.0)
    return _row("grouping_seconds", longest_s, "synthetic", GROUP_ANCHORS.get(live), micro_clusters=live)


def _holds(state: MonitorState, corpus: str, posts: list[ScoredPost]) -> list[dict]:
    times_s = _timed_groupings(state)
    started = time.process_time()
    _folded(state, [*posts, source_end(0, len(posts))])
    whole_s = time.process_time() - started
    live = len(state.narratives.micros)
    return [
        _row("longest_hold_seconds", max(times_s, default=0.0), corpus, HOLD_AIM_S, micro_clusters=live),
        _row("grouping_share_of_fold", sum(times_s) / whole_s, corpus, None, groupings=len(times_s)),
    ]


def _timed_groupings(state: MonitorState) -> list[float]:
    """Seconds of processor time of each grouping of a state, filled while it is folded."""
    times_s: list[float] = []
    group: Callable = state.narratives.group

    def timed(*arguments, **named):
        started = time.process_time()
        try:
            return group(*arguments, **named)
        finally:
            times_s.append(time.process_time() - started)

    state.narratives.group = timed
    return times_s


def _folded(state: MonitorState, entries: list) -> None:
    for _ in fold(state, enumerate(entries, start=state.next_offset)):
        pass


def _row(metric: str, value: float, corpus: str, anchor: float | None, **more) -> dict:
    return {"task": "N", "corpus": corpus, "metric": metric, "value": value, "anchor": anchor, **more}
