"""Task E: which stories of a real stream are alerted, how early, and what is alerted on its background.

The stream is every file of `posts/` with rows that have `gold.story`; its other rows belong to no story, and alerts on
them are neither right nor wrong. The background is every other file there; a row without `gold.event` is of the event
that is named as its file. The clock of each background event is shifted, by a seeded rule, onto an event of the stream
and run at `BACKGROUND_PER_MINUTE` posts a minute. Beside the detector runs a bare counter: "this root (of the
background: this text) has N posts".
"""

import sys
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

import msgspec
import numpy as np
from corpora import corpus_name, files, in_time, post_of, read_rows, score, tells_a_story

from detectors.entries import ScoredPost
from detectors.monitor import fold, new_state
from detectors.policy import Configuration
from detectors.posts import clean
from detectors.records import SEVERITIES, Alert, Assignment
from detectors.replay import opening_entries, source_end
from streams.models import configuration_of, load_scorer
from streams.settings import Settings

BACKGROUND_PER_MINUTE = 10.0
LARGE_STORY = 100
COUNTERS = (10, 20, 40)
SEED = 7
BACKGROUND = "background"
NO_STORY = ""
UNRATED = "unrated"
ANCHORS = {("counter", 10): 14.35, ("counter", 20): 5.06, ("counter", 40): 0.84}
DAY_S = 86400.0


@dataclass
class Found:
    """First alert, of each severity, that was about a story."""

    posts: int
    share: float
    minutes: float


@dataclass
class Tally:
    """What a detector alerted."""

    stories: dict[str, dict[str, Found]] = field(default_factory=lambda: defaultdict(dict))
    false_alerts: Counter = field(default_factory=Counter)
    on_background: dict[str, Alert] = field(default_factory=dict)
    """Last revision of each false alert."""
    pages: int = 0
    pages_on_true: int = 0


def rows(settings: Settings, data: Path) -> list[dict]:
    stream, background = _corpora(data)
    if not stream:
        print(f"{data / 'posts'}: no file has gold.story, task E skipped", file=sys.stderr)
        return []
    if not background:
        print(f"{data / 'posts'}: every file has gold.story: no background, no rate of false alerts", file=sys.stderr)
    scorer = load_scorer(settings)
    configuration = configuration_of(msgspec.structs.replace(settings, posts_partitions=1, shards=1), Configuration())
    posts = score(scorer, [post_of(row, i) for i, row in enumerate(stream)], "stream")
    gold = {row["post_id"]: row["gold"] for row in stream}
    story_of = {
        row["post_id"]: f"{row['gold']['event']}/{row['gold']['story']}" if tells_a_story(row) else NO_STORY
        for row in stream
    }
    veracity = {story_of[post_id]: one.get("veracity") or UNRATED for post_id, one in gold.items()}
    noise = score(scorer, [post_of(row, i) for i, row in enumerate(background)], BACKGROUND)
    shifted = _shifted(noise, [row["gold"]["event"] for row in background], posts, gold)
    everything = in_time([*posts, *shifted])
    sizes = Counter(story_of.values())
    large = {story for story, size in sizes.items() if story != NO_STORY and size >= LARGE_STORY}
    days = (everything[-1].created_at_s - everything[0].created_at_s) / DAY_S
    found = _detector(configuration, scorer, everything, story_of, sizes, veracity)
    _print_stories(found, large, veracity, sizes)
    result = []
    for severity in SEVERITIES:
        result += _rows_of("emberwatch", severity, found, large, veracity, len(shifted), {})
    result.append(_row("pages_per_day", found.pages / days, "emberwatch", "page"))
    result.append(_row("pages_on_true_stories", found.pages_on_true, "emberwatch", "page"))
    for least in COUNTERS:
        counted = _counter(everything, story_of, sizes, least)
        result += _rows_of("counter", "watch", counted, large, veracity, len(shifted), {"posts": least})
    return result


def _print_stories(found: Tally, large: set[str], veracity: dict[str, str], sizes: Counter) -> None:
    """Say of each large story whether and how it was alerted, after how many posts and minutes; and what was false."""
    for story in sorted(large):
        told = [
            f"{severity} after {one.posts} posts ({one.share:.0%}), {one.minutes:.1f} minutes"
            for severity in SEVERITIES
            if (one := found.stories[severity].get(story))
        ]
        print(f"{story} ({veracity[story]}, {sizes[story]} posts): {'; '.join(told) or 'no alert'}", file=sys.stderr)
    for alert in found.on_background.values():
        print(f"background: {alert.severity}, {alert.counts.posts} posts: {alert.label}", file=sys.stderr)


def _corpora(data: Path) -> tuple[list[dict], list[dict]]:
    stream: list[dict] = []
    background: list[dict] = []
    for file in files(data, "posts"):
        corpus = read_rows(file)
        for row in corpus:
            row["gold"].setdefault("event", corpus_name(file))
        (stream if any(map(tells_a_story, corpus)) else background).extend(corpus)
    return stream, background


def _shifted(
    noise: list[ScoredPost], events: list[str], posts: list[ScoredPost], gold: dict[str, dict]
) -> list[ScoredPost]:
    """Background posts with the clock of each of their events laid onto an event of the stream."""
    generator = np.random.default_rng(SEED)
    spans: dict[str, list[float]] = defaultdict(list)
    for post in posts:
        spans[gold[post.post_id]["event"]].append(post.created_at_s)
    hosts = sorted(spans)
    by_event: dict[str, list[ScoredPost]] = defaultdict(list)
    for post, event in zip(noise, events, strict=True):
        by_event[event].append(post)
    shifted = []
    for number, event in enumerate(sorted(by_event)):
        host = hosts[number % len(hosts)]
        first_s, last_s = min(spans[host]), max(spans[host])
        own = by_event[event]
        start_s = min(post.created_at_s for post in own)
        length_s = max(post.created_at_s for post in own) - start_s
        stretch = len(own) / BACKGROUND_PER_MINUTE * 60.0 / max(length_s, 1.0)
        begin_s = first_s + float(generator.uniform(0.0, 0.5)) * (last_s - first_s)
        shifted += [
            msgspec.structs.replace(post, created_at_s=begin_s + stretch * (post.created_at_s - start_s))
            for post in own
        ]
    return shifted


def _detector(
    configuration: Configuration,
    scorer,
    posts: list[ScoredPost],
    story_of: dict[str, str],
    sizes: Counter,
    veracity: dict[str, str],
) -> Tally:
    """Fold the stream and look at each alert as it comes, with the members that its narrative has then."""
    state = new_state()
    opening = list(opening_entries(configuration, [], scorer))
    entries = [*opening, *posts, source_end(0, len(posts))]
    seen: Counter = Counter()
    first: dict[str, float] = {}
    in_micro: dict[str, Counter] = defaultdict(Counter)
    at_s = {post.post_id: post.created_at_s for post in posts}
    tally = Tally()
    credited: dict[str, str] = {}
    false_ids: dict[str, set] = defaultdict(set)
    paged: set = set()
    for output in fold(state, enumerate(entries)):
        if isinstance(output, Assignment):
            story = story_of.get(output.post_id, BACKGROUND)
            seen[story] += 1
            first.setdefault(story, at_s[output.post_id])
            if output.micro_cluster:
                in_micro[output.micro_cluster][story] += 1
        elif isinstance(output, Alert) and output.transition in {"opened", "updated", "resurged"}:
            narrative = state.narratives.narratives.get(output.narrative_id)
            if narrative is None:
                continue
            members = sum((in_micro[micro_id] for micro_id in narrative.members), Counter())
            story, posts_of_story = members.most_common(1)[0]
            if 2 * posts_of_story <= members.total():
                story = BACKGROUND if 2 * members[BACKGROUND] > members.total() else NO_STORY
            _credit(tally, output, story, credited, false_ids, seen, sizes, first)
            if story == BACKGROUND:
                tally.on_background[output.alert_id] = output
            if output.severity == "page" and output.alert_id not in paged:
                paged.add(output.alert_id)
                tally.pages += 1
                tally.pages_on_true += veracity.get(story) == "true"
    tally.false_alerts = Counter({severity: len(ids) for severity, ids in false_ids.items()})
    return tally


def _credit(tally, alert, story, credited, false_ids, seen, sizes, first) -> None:
    """One alert credits one story; an alert about the background is false at its severity and below."""
    severities = SEVERITIES[: SEVERITIES.index(alert.severity) + 1]
    if story == BACKGROUND:
        for severity in severities:
            false_ids[severity].add(alert.alert_id)
    elif story != NO_STORY and credited.setdefault(alert.alert_id, story) == story:
        minutes = (alert.changed_at.timestamp() - first[story]) / 60.0
        for severity in severities:
            tally.stories[severity].setdefault(story, Found(seen[story], seen[story] / sizes[story], minutes))


def _counter(posts: list[ScoredPost], story_of: dict[str, str], sizes: Counter, least: int) -> Tally:
    """Alert when a root, or a text of the background, has so many posts."""
    tally = Tally()
    counts: Counter = Counter()
    seen: Counter = Counter()
    first: dict[str, float] = {}
    for post in posts:
        story = story_of.get(post.post_id, BACKGROUND)
        seen[story] += 1
        first.setdefault(story, post.created_at_s)
        root = post.root_id or post.parent_id or post.post_id if story != BACKGROUND else clean(post.text).lower()
        counts[root] += 1
        if counts[root] != least or story == NO_STORY:
            continue
        if story == BACKGROUND:
            tally.false_alerts["watch"] += 1
        else:
            minutes = (post.created_at_s - first[story]) / 60.0
            tally.stories["watch"].setdefault(story, Found(seen[story], seen[story] / sizes[story], minutes))
    return tally


def _rows_of(
    detector: str, severity: str, tally: Tally, large: set[str], veracity: dict[str, str], background: int, more: dict
) -> list[dict]:
    found = {story: one for story, one in tally.stories[severity].items() if story in large}
    early = [one for one in found.values() if one.share <= 0.5]
    result = [_row("stories_alerted_before_half", len(early), detector, severity, of=len(large), **more)]
    for kind in sorted({veracity[story] for story in large}):
        of_kind = {story for story in large if veracity[story] == kind}
        hit = sum(found[story].share <= 0.5 for story in of_kind if story in found)
        result.append(
            _row("stories_alerted_before_half", hit, detector, severity, veracity=kind, of=len(of_kind), **more)
        )
    if early:
        result.append(_row("median_posts_to_alert", median(one.posts for one in early), detector, severity, **more))
        result.append(_row("median_minutes_to_alert", median(one.minutes for one in early), detector, severity, **more))
        result.append(_row("median_share_seen", median(one.share for one in early), detector, severity, **more))
    if background:
        rate = 10_000 * tally.false_alerts[severity] / background
        anchor = ANCHORS.get((detector, more.get("posts"))) if more else None
        result.append(_row("false_alerts_per_10k", rate, detector, severity, anchor=anchor, **more))
    return result


def _row(metric: str, value: float, detector: str, severity: str, *, anchor: float | None = None, **more) -> dict:
    return {
        "task": "E",
        "corpus": "stream",
        "metric": metric,
        "value": value,
        "anchor": anchor,
        "detector": detector,
        "severity": severity,
        **more,
    }
