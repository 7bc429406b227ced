"""Task N: posts into narratives and events, online, in one pass, with the parameters that the workers use."""

import sys
import time
from collections import Counter, defaultdict
from pathlib import Path

import msgspec
from clustering_scores import ami, bcubed_f1, interval
from corpora import MADE_UP_START, corpus_name, files, in_time, post_of, read_rows, score, tells_a_story
from peers import peer_rows  # noqa: F401 -- `emberwatch bench narratives --peers` calls it

from detectors.entries import ScoredPost
from detectors.grouping import get_ready
from detectors.policy import Configuration
from detectors.records import Assignment
from detectors.replay import Replay, opening_entries, source_end
from streams.models import configuration_of, load_scorer
from streams.settings import Settings

ANCHORS = {
    ("news_t", "own", "event", "ami"): 0.908,
    ("news_t", "own", "event", "bcubed_f1"): 0.841,
    ("pheme_stories", "own", "story", "ami"): 0.42,
    ("pheme_stories", "own", "story", "bcubed_f1"): 0.62,
    ("pheme_stories", "own", "event", "ami"): 0.94,
    ("pheme_stories", "own", "event", "bcubed_f1"): 0.97,
}
"""Best comparable figures: of parameters fitted to the corpus, over all its posts at once or without time."""

ROUNDS = 100


def rows(settings: Settings, data: Path) -> list[dict]:
    get_ready()  # as a worker does before its first post
    scorer = load_scorer(settings)
    configuration = configuration_of(msgspec.structs.replace(settings, posts_partitions=1, shards=1), Configuration())
    found: list[dict] = []
    for file in [*files(data, "narratives"), *files(data, "posts")]:
        corpus = [row for row in read_rows(file) if tells_a_story(row) and row.get("kind", "post") == "post"]
        if not corpus:
            print(f"{file}: no row has gold.story, skipped", file=sys.stderr)
            continue
        posts = score(scorer, [post_of(row, place) for place, row in enumerate(corpus)], corpus_name(file))
        gold = {post.post_id: row["gold"] for post, row in zip(posts, corpus, strict=True)}
        clocks = {"own": posts}
        if any("event" in one for one in gold.values()):
            clocks["overlaid"] = _overlaid(posts, gold)
        for clock, stream in clocks.items():
            assignments, seconds = _replay(configuration, scorer, in_time(stream))
            found += _rows_of(corpus_name(file), clock, assignments, gold, seconds)
    return found


def _overlaid(posts: list[ScoredPost], gold: dict[str, dict]) -> list[ScoredPost]:
    """The events' clocks laid over each other: all begin at the same time."""
    start: dict[str, float] = {}
    for post in posts:
        event = gold[post.post_id].get("event", "")
        start[event] = min(start.get(event, post.created_at_s), post.created_at_s)
    begin_s = MADE_UP_START.timestamp()
    return [
        msgspec.structs.replace(
            post, created_at_s=begin_s + post.created_at_s - start[gold[post.post_id].get("event", "")]
        )
        for post in posts
    ]


def _replay(configuration: Configuration, scorer, posts: list[ScoredPost]) -> tuple[list[Assignment], float]:
    replay = Replay()
    replay.append(opening_entries(configuration, [], scorer))
    started = time.process_time()
    replay.append(posts)
    seconds = time.process_time() - started
    replay.append([source_end(0, len(posts))])
    return list(replay.assignments()), seconds


def _rows_of(
    corpus: str, clock: str, assignments: list[Assignment], gold: dict[str, dict], seconds: float
) -> list[dict]:
    has_event = any("event" in one for one in gold.values())
    levels = {"story": "story", "event": "event"} if has_event else {"event": "story"}
    found = []
    for level, truth in levels.items():
        of = "narrative" if level == "story" else "event"
        gold_labels = [
            f"{gold[one.post_id].get('event', '')}/{gold[one.post_id]['story']}"
            if truth == "story"
            else gold[one.post_id].get("event", "")
            for one in assignments
        ]
        for when in ("then", "end"):
            name = f"{of}_then" if when == "then" else f"{of}_at_end"
            labels = [getattr(one, name) or one.post_id for one in assignments]
            for metric, measure in (("ami", ami), ("bcubed_f1", bcubed_f1)):
                low, high = interval(measure, gold_labels, labels, rounds=ROUNDS)
                found.append(
                    {
                        "task": "N",
                        "corpus": corpus,
                        "metric": metric,
                        "value": measure(gold_labels, labels),
                        "anchor": ANCHORS.get((corpus, clock, level, metric)),
                        "low": round(low, 3),
                        "high": round(high, 3),
                        "clock": clock,
                        "level": level,
                        "when": when,
                    }
                )
    found.append(
        {
            "task": "N",
            "corpus": corpus,
            "metric": "posts_per_second",
            "value": len(assignments) / seconds,
            "anchor": None,
            "clock": clock,
        }
    )
    found.append(
        {
            "task": "N",
            "corpus": corpus,
            "metric": "id_changes_per_story",
            "value": _id_changes(assignments, gold),
            "anchor": None,
            "clock": clock,
        }
    )
    return found


def _id_changes(assignments: list[Assignment], gold: dict[str, dict]) -> float:
    """How often the narrative that most of a story's posts so far were put in has another id, per story."""
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    main: dict[str, str] = {}
    changes: Counter[str] = Counter()
    for one in assignments:
        story = f"{gold[one.post_id].get('event', '')}/{gold[one.post_id]['story']}"
        counts[story][one.narrative_then or one.post_id] += 1
        leader = counts[story].most_common(1)[0][0]
        if story in main and leader != main[story]:
            changes[story] += 1
        main[story] = leader
    return sum(changes.values()) / max(1, len(main))
