"""Task K: who is said to act alike among crowds where nobody does, and which rings are found.

Crowds and rings are simulated from seeds, as no public corpus says who acted together: fans of popular links at
several paces, some quicker than others; rings that share links of their own within seconds, a number of times, hidden
in a crowd. Besides, every file of `posts/` is run as it is and under its null model: authors drawn anew for every
share, from the file's own, so that how popular a thing is, when it is shared and how busy authors are stay the same.
"""

import random
import sys
import time
from pathlib import Path

from corpora import corpus_name, files, post_of, read_rows

from detectors.coordination import Coordination
from detectors.policy import CoordinationParameters
from detectors.posts import clean
from detectors.records import Post
from detectors.virality import author_key
from streams.settings import Settings

PARAMETERS = CoordinationParameters()
HORIZON_S = 48 * 3600.0
DAY_S = 86400.0
SEEDS = 10
LOOKED_AT = 256
FANS = 3000
CROWDS = {
    "one_link": {"things": 1, "sharers": 3000, "pace_s": 300.0, "uneven": False},
    "twenty_links": {"things": 20, "sharers": 600, "pace_s": 300.0, "uneven": False},
    "twenty_links_in_a_minute": {"things": 20, "sharers": 600, "pace_s": 60.0, "uneven": False},
    "twenty_links_some_quicker": {"things": 20, "sharers": 600, "pace_s": 300.0, "uneven": True},
}
RINGS = [(size, times, 10.0) for size in (5, 10, 30) for times in (3, 4, 5, 6, 10)]
RINGS += [(10, 10, within_s) for within_s in (30.0, 60.0, 120.0, 300.0)]
BYSTANDERS = 40

Share = tuple[float, int, int]
"""When, who (a key), what (a key)."""


def rows(settings: Settings, data: Path) -> list[dict]:
    del settings  # nothing here is embedded
    found: list[dict] = []
    for crowd, shape in CROWDS.items():
        found += _crowd(crowd, shape)
    for size, times, within_s in RINGS:
        found.append(_ring(size, times, within_s))
    for file in files(data, "posts"):
        found += _corpus(file)
    return found


def _crowd(crowd: str, shape: dict) -> list[dict]:
    """Share of fans, and of crowds, in which somebody is said to act alike; coincidences over those expected."""
    flagged = looked = crowds = 0
    hits = expected = 0.0
    took_s, shares = 0.0, 0
    for seed in range(SEEDS):
        draw = random.Random(seed)
        fans = [draw.getrandbits(64) for _ in range(FANS)]
        events = sorted(_bursts(draw, fans, **shape))
        start_s = time.perf_counter()
        whole = _shared(events)
        took_s, shares = took_s + time.perf_counter() - start_s, shares + len(events)
        alike = whole.assess(sorted(fans)[:LOOKED_AT], FANS, PARAMETERS)
        flagged += alike.accounts if alike else 0
        crowds += alike is not None
        looked += LOOKED_AT
        hits += sum(account.total_hits() for account in whole.accounts.values())
        expected += sum(account.total_expected() for account in whole.accounts.values())
    result = [
        _row("simulation", "false_positive_rate", flagged / looked, crowd=crowd, of=looked),
        _row("simulation", "crowds_flagged", crowds, crowd=crowd, of=SEEDS),
        _row("simulation", "microseconds_per_share", 1e6 * took_s / shares, crowd=crowd),
    ]
    if expected:
        result.append(_row("simulation", "coincidences_over_expected", hits / expected, crowd=crowd))
    return result


def _ring(size: int, times: int, within_s: float) -> dict:
    """Share of a ring's accounts that are found, in a narrative with bystanders, in a crowd of fans."""
    found = 0
    for seed in range(SEEDS):
        draw = random.Random(seed)
        fans, ring = ([draw.getrandbits(64) for _ in range(count)] for count in (FANS, size))
        events = _bursts(draw, fans, **CROWDS["twenty_links"])
        for _ in range(times):
            start_s, thing = draw.uniform(0, DAY_S), draw.getrandbits(63)
            events += [(start_s + draw.uniform(0, within_s), account, thing) for account in ring]
        alike = _shared(sorted(events)).assess([*ring, *fans[:BYSTANDERS]], size + BYSTANDERS, PARAMETERS)
        found += min(size, alike.accounts) if alike else 0
    return _row("simulation", "ring_recall", found / (SEEDS * size), ring=size, times=times, within_s=within_s)


def _corpus(file: Path) -> list[dict]:
    posts = [post_of(row, place) for place, row in enumerate(read_rows(file))]
    events = sorted(event for post in posts for event in _shares_of(post))
    if not events:
        print(f"{file}: nothing is shared, skipped", file=sys.stderr)
        return []
    draw = random.Random(0)
    authors = [account for _, account, _ in events]
    draw.shuffle(authors)
    null = [(at_s, account, thing) for (at_s, _, thing), account in zip(events, authors, strict=True)]
    result = []
    for name, shares in (("as_it_is", events), ("null", null)):
        whole = _shared(shares)
        accounts = sorted({account for _, account, _ in shares})
        parts = [accounts[start : start + LOOKED_AT] for start in range(0, len(accounts), LOOKED_AT)]
        found = [whole.assess(part, len(part), PARAMETERS) for part in parts]
        alike = sum(one.accounts for one in found if one)
        result.append(
            _row(corpus_name(file), "accounts_acting_alike", alike / len(accounts), authors=name, of=len(accounts))
        )
    return result


def _shares_of(post: Post) -> list[Share]:
    if post.kind == "reply":
        return []
    things = [f"post/{post.parent_id}"] if post.kind == "reshare" and post.parent_id else [*post.urls, *post.media]
    words = clean(post.text).lower()
    if not things and len(words.split()) >= 4:
        things = [f"words/{words}"]
    return [(post.created_at.timestamp(), author_key(post.author_id), author_key(thing)) for thing in things[:4]]


def _bursts(
    draw: random.Random, accounts: list[int], *, things: int, sharers: int, pace_s: float, uneven: bool
) -> list[Share]:
    quickness = {account: draw.lognormvariate(0, 1) if uneven else 1.0 for account in accounts}
    started = [(draw.getrandbits(63), draw.uniform(0, DAY_S)) for _ in range(things)]
    return [
        (start_s + draw.expovariate(1 / pace_s) * quickness[account], account, thing)
        for thing, start_s in started
        for account in draw.sample(accounts, sharers)
    ]


def _shared(events: list[Share]) -> Coordination:
    whole = Coordination()
    for at_s, account, thing in events:
        whole.share(account, thing, at_s, PARAMETERS, HORIZON_S)
    return whole


def _row(corpus: str, metric: str, value: float, **more) -> dict:
    return {"task": "K", "corpus": corpus, "metric": metric, "value": value, "anchor": None, **more}
