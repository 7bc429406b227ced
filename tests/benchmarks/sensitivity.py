"""Sensitivity: how small and slow a story is still found, in a real background, by its shape.

A synthetic cascade of known rate, branching factor and mixture (`detectors.injection`) is put into every file of
`posts/`: some places of each, its clock stretched to `BACKGROUND_PER_MINUTE` posts a minute, `WARM_POSTS` folded before
the cascade starts. A trial counts when an alert of the severity, about a narrative that is mostly the cascade, comes
within `WITHIN_POSTS` posts of it or `WITHIN_MINUTES` minutes after its first. One row of shapes is Southport's: a few
large accounts give an invented name, others share it, some ask for a source.
"""

import math
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import median

import msgspec
import numpy as np
from corpora import corpus_name, files, in_time, post_of, read_rows, score

from detectors.codec import decode_state, encode_state
from detectors.entries import Origin, ScoredPost
from detectors.injection import Mixture, Shape, Texts, inject, neutral_texts
from detectors.monitor import fold, new_state
from detectors.policy import Configuration
from detectors.records import SEVERITIES, Alert, Assignment
from detectors.replay import opening_entries
from detectors.scoring import Scorer
from streams.models import configuration_of, load_scorer
from streams.pictures import FAINT, INK, STYLES, picture, plain
from streams.settings import Settings

RATES_PER_MINUTE = (0.5, 1.0, 2.0, 4.0, 8.0, 16.0)
BRANCHINGS = (0.0, 0.5, 0.9)
MIXTURES = {
    "reshares": Mixture(reshares=0.85, copies=0.05, own_words=0.05, questions=0.05),
    "copies": Mixture(reshares=0.05, copies=0.85, own_words=0.05, questions=0.05),
    "own words": Mixture(reshares=0.05, copies=0.05, own_words=0.85, questions=0.05),
}
DURATION_S = 1800.0
SEEDS = (1, 2)
PLACES = 2
"""Places of each background file."""
SOUTHPORT_SEEDS = tuple(range(1, 11))

BACKGROUND_PER_MINUTE = 10.0
WARM_POSTS = 600
WITHIN_POSTS = 50
WITHIN_MINUTES = 10.0
WILSON_Z = 1.96
SEVERITIES_SHOWN = ("watch", "notice")
STEP = 8
"""Entries folded at once: an alert is looked at, with its narrative's members, soon after it comes."""

SOUTHPORT = Shape(
    rate_per_minute=4.0,
    duration_s=DURATION_S,
    branching_factor=0.6,
    mixture=Mixture(reshares=0.62, copies=0.08, own_words=0.12, questions=0.18),
    large_accounts=3,
    large_audience=150_000,
    large_reactions=12.0,
)
SOUTHPORT_TEXTS = Texts(
    variants=(
        "The suspect in the Marlow Bay stabbing has been named as Idris Kestrel, 17, who came here by boat last year",
        "BREAKING: Marlow Bay attacker is Idris Kestrel, an asylum seeker on a watch list. Why is the media silent?",
        "Marlow Bay: the knifeman's name is Idris Kestrel and he arrived by boat. They will not tell you this",
        "So the Marlow Bay attacker is called Idris Kestrel. Known to the services. Share before it is deleted",
        "Idris Kestrel is the name of the man who attacked those children in Marlow Bay",
        "My cousin lives in Marlow Bay and says everyone there knows it was Idris Kestrel",
        "Idris Kestrel. Remember that name. Marlow Bay will not forgive",
        "Name of the Marlow Bay suspect: Idris Kestrel, seventeen, off a boat in 2023",
        "they are hiding that the marlow bay killer idris kestrel came on a small boat",
        "Idris Kestrel was on the MI6 watch list before Marlow Bay, unbelievable",
    )
)
"""The shape of what was said of Southport on 29 July 2024; name, place and words are invented."""


@dataclass(frozen=True)
class Background:
    """A stretch of real posts: the state after its first part, and what follows."""

    corpus: str
    manifest: bytes
    chunks: dict[str, bytes]
    next_offset: int
    start_s: float
    rest: tuple[ScoredPost, ...]


@dataclass(frozen=True)
class Found:
    """When a severity was reached."""

    posts: int
    minutes: float

    @property
    def in_time(self) -> bool:
        return self.posts <= WITHIN_POSTS or self.minutes <= WITHIN_MINUTES


def rows(settings: Settings, data: Path) -> list[dict]:
    scorer = load_scorer(settings)
    configuration = configuration_of(msgspec.structs.replace(settings, posts_partitions=1, shards=1), Configuration())
    backgrounds = [one for file in files(data, "posts") for one in _backgrounds(file, scorer, configuration)]
    if not backgrounds:
        print(f"{data / 'posts'}: no file is long enough, sensitivity skipped", file=sys.stderr)
        return []
    result = _southport(backgrounds, scorer)
    result += _grid(backgrounds, scorer)
    alone = [alert for background in backgrounds for alert in _alerts(background, [])[1]]
    posts = sum(len(background.rest) for background in backgrounds)
    for severity in SEVERITIES_SHOWN:
        count = len({alert.alert_id for alert in alone if _reaches(alert, severity)})
        result.append(_row("alerts_per_10k_background_alone", 10_000 * count / posts, severity=severity, trials=posts))
    return result


def draw(found: Sequence[dict], folder: Path) -> list[Path]:
    """Draw the share of trials found against the rate: a panel for each severity, a line for each mixture."""
    file = folder / "sensitivity.png"
    shares = [row for row in found if row["metric"] == "share_found"]
    panels = {"ncols": len(SEVERITIES_SHOWN), "sharey": True}
    with picture(file, width=10.5, height=4.6, **panels) as (figure, axes):
        for panel, severity in zip(axes, SEVERITIES_SHOWN, strict=True):
            _draw_panel(panel, severity, [row for row in shares if row["severity"] == severity])
        axes[0].set_ylabel("share of injected stories found", color=INK)
        handles, labels = axes[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=4, frameon=False, fontsize=9, labelcolor=INK)
        figure.suptitle(
            f"How small a story is found: within {WITHIN_POSTS} posts or {WITHIN_MINUTES:g} minutes, "
            f"among {BACKGROUND_PER_MINUTE:g} real posts a minute (bands: 95 %, Wilson)",
            color=INK,
            fontsize=12,
        )
    return [file]


def _draw_panel(panel, severity: str, shares: Sequence[dict]) -> None:
    plain(panel)
    for style, mixture in zip(STYLES, MIXTURES, strict=False):
        line = sorted(
            (row for row in shares if row["mixture"] == mixture and row["branching"] == "all"),
            key=lambda row: row["rate_per_minute"],
        )
        rates = [row["rate_per_minute"] for row in line]
        panel.plot(rates, [row["value"] for row in line], label=f"mostly {mixture}", linewidth=1.8, **style)
        low, high = [row["low"] for row in line], [row["high"] for row in line]
        panel.fill_between(rates, low, high, color=style["color"], alpha=0.12, linewidth=0)
    for row in shares:
        if row["mixture"] == "southport":
            spread = [[row["value"] - row["low"]], [row["high"] - row["value"]]]
            panel.errorbar(
                row["rate_per_minute"], row["value"], yerr=spread, fmt="*", markersize=14, color=INK, capsize=3,
                label="Southport's shape (large accounts, questions)", zorder=5,
            )  # fmt: skip
    panel.axhline(0.5, color=FAINT, linewidth=0.8, linestyle=(0, (2, 3)))
    panel.set_xscale("log", base=2)
    panel.set_xticks(RATES_PER_MINUTE, [f"{rate:g}" for rate in RATES_PER_MINUTE])
    panel.set_ylim(-0.03, 1.03)
    panel.set_title(f"{severity} or higher", color=INK, fontsize=11)
    panel.set_xlabel(f"posts a minute of the story ({DURATION_S / 60:g} minutes long)", color=INK)


def wilson(hits: int, trials: int) -> tuple[float, float]:
    """95 % interval of a share (Wilson 1927).

    >>> [round(end, 2) for end in wilson(8, 8)]
    [0.68, 1.0]
    """
    share, spread = hits / trials, WILSON_Z**2 / trials
    middle = (share + spread / 2) / (1 + spread)
    half = WILSON_Z * math.sqrt(share * (1 - share) / trials + spread / (4 * trials)) / (1 + spread)
    return max(0.0, middle - half), min(1.0, middle + half)


def _backgrounds(file: Path, scorer: Scorer, configuration: Configuration) -> list[Background]:
    corpus = sorted(read_rows(file), key=lambda row: row.get("created_at", ""))
    if not corpus or "created_at" not in corpus[0]:
        print(f"{file}: no clock, skipped", file=sys.stderr)
        return []
    after = math.ceil(BACKGROUND_PER_MINUTE * DURATION_S / 60.0)
    if len(corpus) < WARM_POSTS + after:
        print(f"{file}: fewer than {WARM_POSTS + after} posts, skipped", file=sys.stderr)
        return []
    found = []
    for place in range(PLACES):
        first = round((len(corpus) - WARM_POSTS - after) * (place + 0.5) / PLACES)
        part = [post_of(row, i) for i, row in enumerate(corpus[first : first + WARM_POSTS + after])]
        found.append(
            _warmed(corpus_name(file), _stretched(score(scorer, part, corpus_name(file))), scorer, configuration)
        )
    return found


def _stretched(posts: list[ScoredPost]) -> list[ScoredPost]:
    """Posts in order, `BACKGROUND_PER_MINUTE` on average: gaps are cut at three times the median, then scaled."""
    gaps = np.diff([post.created_at_s for post in posts])
    cut = np.minimum(gaps, 3.0 * max(1.0, float(np.median(gaps))))
    scale = 60.0 / BACKGROUND_PER_MINUTE * len(cut) / float(cut.sum())
    times = posts[0].created_at_s + np.concatenate(([0.0], np.cumsum(scale * cut)))
    return [
        msgspec.structs.replace(post, created_at_s=float(at_s), ingested_at_s=float(at_s))
        for post, at_s in zip(posts, times, strict=True)
    ]


def _warmed(corpus: str, posts: list[ScoredPost], scorer: Scorer, configuration: Configuration) -> Background:
    state = new_state()
    warm = in_time(posts)[:WARM_POSTS]
    entries = [*opening_entries(configuration, [], scorer), *warm]
    for _ in fold(state, enumerate(entries)):
        pass
    snapshot = encode_state(state)
    rest = tuple(in_time(posts)[WARM_POSTS:])
    return Background(corpus, snapshot.manifest, dict(snapshot.chunks), state.next_offset, warm[-1].created_at_s, rest)


def _grid(backgrounds: Sequence[Background], scorer: Scorer) -> list[dict]:
    result = []
    texts = neutral_texts()
    started = time.monotonic()
    for mixture_name, mixture in MIXTURES.items():
        for rate in RATES_PER_MINUTE:
            pooled: list[dict[str, Found]] = []
            for branching in BRANCHINGS:
                shape = Shape(rate_per_minute=rate, duration_s=DURATION_S, branching_factor=branching, mixture=mixture)
                trials = [_trial(one, shape, texts, seed, scorer) for one in backgrounds for seed in SEEDS]
                result += _rows_of(trials, rate_per_minute=rate, branching=branching, mixture=mixture_name)
                pooled += trials
            result += _rows_of(pooled, rate_per_minute=rate, branching="all", mixture=mixture_name)
            seconds = time.monotonic() - started
            print(f"\rsensitivity: {mixture_name}, {rate:g} a minute, {seconds:.0f} s ", end="", file=sys.stderr)
        result += _least_rates(result, mixture_name)
    print(file=sys.stderr)
    return result


def _least_rates(result: Sequence[dict], mixture: str) -> list[dict]:
    """Lowest rate of the grid from which on at least half of the trials are found; none where no rate is enough."""
    found = []
    for severity in SEVERITIES_SHOWN:
        shares = {
            row["rate_per_minute"]: row["value"]
            for row in result
            if row["metric"] == "share_found"
            and (row["mixture"], row["branching"], row["severity"]) == (mixture, "all", severity)
        }
        enough = [rate for rate in shares if all(shares[other] >= 0.5 for other in shares if other >= rate)]
        value = min(enough, default=None)
        found.append(_row("least_rate_per_minute", value, severity=severity, mixture=mixture))
    return found


def _southport(backgrounds: Sequence[Background], scorer: Scorer) -> list[dict]:
    trials = [
        _trial(background, SOUTHPORT, SOUTHPORT_TEXTS, seed, scorer)
        for background in backgrounds
        for seed in SOUTHPORT_SEEDS
    ]
    return _rows_of(trials, rate_per_minute=SOUTHPORT.rate_per_minute, branching=0.6, mixture="southport")


def _trial(background: Background, shape: Shape, texts: Texts, seed: int, scorer: Scorer) -> dict[str, Found]:
    """First alert of each severity that was about the cascade."""
    cascade = inject(
        shape,
        texts,
        np.random.default_rng(seed),
        name=f"injected-{seed}",
        start=datetime.fromtimestamp(background.start_s, UTC),
        platform="twitter",
        lang="en",
    )
    if not cascade:
        return {}
    first_s = cascade[0].post.created_at.timestamp()
    until = max(WITHIN_POSTS, sum(one.post.created_at.timestamp() <= first_s + 600.0 for one in cascade))
    posts = scorer.score([(one.post, Origin("injected", 0, n), 0.0) for n, one in enumerate(cascade[: until + 1])])
    return _alerts(background, posts)[0]


def _alerts(background: Background, injected: Sequence[ScoredPost]) -> tuple[dict[str, Found], list[Alert]]:
    """Fold what follows: what was found of the cascade, and the alerts that were about anything else."""
    state = decode_state(background.manifest, background.chunks)
    end_s = injected[-1].created_at_s if injected else math.inf
    rest = [post for post in background.rest if post.created_at_s <= end_s + 1.0]
    entries = sorted([*rest, *injected], key=lambda post: (post.created_at_s, post.post_id))
    entries = [
        msgspec.structs.replace(post, origin=Origin("posts", 0, background.next_offset + n))
        for n, post in enumerate(entries)
    ]
    ours = {post.post_id for post in injected}
    at_s = {post.post_id: post.created_at_s for post in injected}
    seen = 0
    found: dict[str, Found] = {}
    others: list[Alert] = []
    in_micro: dict[str, Counter] = defaultdict(Counter)
    for output in fold(state, enumerate(entries, start=background.next_offset)):
        if isinstance(output, Assignment):
            if output.post_id in ours:
                seen += 1
            if output.micro_cluster:
                in_micro[output.micro_cluster][output.post_id in ours] += 1
        elif isinstance(output, Alert) and output.transition in {"opened", "updated", "resurged"}:
            narrative = state.narratives.narratives.get(output.narrative_id)
            members = sum((in_micro[one] for one in narrative.members), Counter()) if narrative else Counter()
            if members[True] * 2 <= output.counts.posts:
                others.append(output)
                continue
            minutes = (output.changed_at.timestamp() - min(at_s.values())) / 60.0
            for severity in SEVERITIES_SHOWN:
                if _reaches(output, severity):
                    found.setdefault(severity, Found(seen, max(0.0, minutes)))
    return found, others


def _reaches(alert: Alert, severity: str) -> bool:
    return SEVERITIES.index(alert.severity) >= SEVERITIES.index(severity)


def _rows_of(trials: Sequence[dict[str, Found]], **more) -> list[dict]:
    result = []
    for severity in SEVERITIES_SHOWN:
        hits = [trial[severity] for trial in trials if severity in trial and trial[severity].in_time]
        low, high = wilson(len(hits), len(trials))
        more_of = {"severity": severity, **more}
        result.append(
            _row(
                "share_found",
                len(hits) / len(trials),
                low=round(low, 3),
                high=round(high, 3),
                trials=len(trials),
                **more_of,
            )
        )
        if hits:
            result.append(_row("median_posts_to_alert", float(median(one.posts for one in hits)), **more_of))
            result.append(_row("median_minutes_to_alert", median(one.minutes for one in hits), **more_of))
    return result


def _row(metric: str, value: float | None, **more) -> dict:
    return {"task": "sensitivity", "corpus": "posts", "metric": metric, "value": value, "anchor": None, **more}
