"""How fast a narrative grows, against what is normal for it.

Every post that is counted becomes a `Mark`; a `Tally` adds marks up, for a micro-cluster or a narrative. Tallies
merge: the tally of a narrative is the merge of those of its micro-clusters. A `Population` learns what is typical
for narratives of an age, and `assess` compares: with the narrative's own history where it has one, else with
narratives of its age. All sums are whole numbers, so that no order of adding can show in a result.
"""

import hashlib
import math
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from statistics import NormalDist
from typing import Literal

import msgspec
from msgspec import Struct, field

from detectors.entries import Naming, ScoredPost
from detectors.growth import course
from detectors.incitement import evidence
from detectors.policy import SourceParameters, ViralityParameters
from detectors.records import STANCES, Counts, Growth, PostKind, Spread, Stance, StanceTrend, TimelineBucket
from detectors.sources import is_credible, is_satirical
from detectors.taxonomy import CLASSES

MINUTE_S = 60
"""Finest bucket of event time."""

MINUTES_KEPT = 120
"""Minutes that a tally remembers one by one (the longest window)."""

MINUTE_ROW = 11
"""Whole numbers that a minute of a tally holds."""

FOLLOWERS_PLACE = 10
"""Where a row of a minute holds the followers of its posts' accounts."""

TEN_S = 600
TENS_KEPT = 288
"""Buckets of ten minutes: two days, the history that a baseline looks at."""

HOUR_S = 3600
HOURS_KEPT = 336
"""Buckets of an hour: two weeks, for timelines of what lasts."""

AUTHORS_KEPT = 256
"""Smallest author keys that a sketch keeps: exact up to so many authors, beyond it within some 6 % (one sigma)."""

MINUTE_AUTHORS_KEPT = 32
"""The same for each minute of the window; ten full minutes give some 10 %."""

LEAST_OTHERS = 20.0
"""Posts of the rest of the stream in a usual window, below which its changes say nothing."""

LEAST_LIFT, MOST_LIFT = 0.5, 4.0
"""How far the rest of the stream may move an expectation."""

AUTHOR_MINUTES_KEPT = 60

SPREAD_KEYS = 50
"""Platforms, languages or communities counted by name; the rest is counted as `other`."""

OTHER = "other"

KEYS = 2**64
"""Author keys are uniform over this many values."""

MILLI = 1000
"""Stance weights are counted in thousandths: whole numbers add up the same in every order."""

NO_SOURCES = SourceParameters()

CALL_INDICATORS = frozenset(("call_to_act", "place", "time"))
"""Indicators that together make a call with place and time."""

AGE_BANDS_S = (600.0, 1800.0, 3600.0, 3 * 3600.0, 6 * 3600.0, 24 * 3600.0)
"""Upper ends of the age bands of a population; the last band is open."""

TYPICAL_POSTS = 1.5
"""Posts in ten minutes of a narrative that had any, before anything was seen: most such buckets hold one post."""

TYPICAL_WEIGHT = 50
"""Buckets that the prior counts for."""

WINSOR_POSTS = 4
"""A bucket counts for at most so many posts in a population, so that bursts do not become what is typical.

With the default floors (12 posts, three times the expectation) even a stream in which everything bursts cannot make
so much typical that the ratio asks for more than the floor in posts does.
"""

FORGET_AT = 8192
"""A band that has seen so many buckets halves its sums: what is typical may change."""

BASELINE_CLIP = 3.0
"""A closed bucket counts for at most so many times the level before it: a burst does not become the baseline."""


class Mark(Struct, frozen=True, kw_only=True, gc=False):
    """What one post adds to a tally; a deletion takes the same away."""

    at_s: float
    author_key: int
    """From `author_key`: uniform in 64 bits."""
    kind: PostKind = "post"
    late: bool = False
    """Behind the watermark: counted in totals, not in rates."""
    cascade_posts: int = 0
    """Posts of its cascade in the last window, itself included."""
    own_words: bool = True
    stance: tuple[int, int, int, int, int] | None = None
    """In the order of `records.STANCES`, in thousandths; None where nothing is said."""
    inciting: bool = False
    evidence: int = 0
    """`incitement.evidence` of it."""
    calls: bool = False
    """Incites, and names place and time of an act."""
    classes: int = 0
    """Classes of the taxonomy it is of: bit i for the i-th of `taxonomy.CLASSES`."""
    unjudged: bool = False
    """In a language that the incitement heads do not cover."""
    hedged: bool = False
    """Passes it on without vouching for it."""
    credible: bool = False
    """By a credible source, or with a link to one."""
    satirical: bool = False
    """With a link to a satirical site."""
    namings: tuple[Naming, ...] = ()
    """Whom it names in an accusation."""
    platform: str = ""
    lang: str | None = None
    community: str | None = None
    place: str | None = None
    followers: int | None = None
    """Of the account; None where the platform does not say."""


@lru_cache(maxsize=64)  # it is asked for a few times for each post
def author_key(author_id: str) -> int:
    """64 bits that stand for an author in sketches.

    >>> 0 <= author_key("a-1") < 2**64
    True
    """
    return int.from_bytes(hashlib.blake2b(author_id.encode(), digest_size=8).digest(), "big")


def mark_of(
    post: ScoredPost,
    *,
    late: bool,
    post_probability: float,
    sources: SourceParameters = NO_SOURCES,
    parent: Mark | None = None,
    cascade_posts: int = 0,
) -> Mark:
    """Say what a scored post adds.

    A reshare repeats what its parent says: where `parent` is known, its stance, incitement and sources are taken from
    there. `post_probability` is `IncitementParameters.post_probability`.
    """
    words = bool(post.text)
    credible, satirical = is_credible(post, sources), is_satirical(post, sources)
    if post.kind == "reshare" and parent is not None:
        stance, inciting, calls, hedged = parent.stance, parent.inciting, parent.calls, parent.hedged
        classes, unjudged, speaks = parent.classes, parent.unjudged, parent.evidence
        credible, satirical = credible or parent.credible, satirical or parent.satirical
        namings = parent.namings
    else:
        stance, hedged, namings = _thousandths(post.stance) if words else None, post.hedged, post.namings
        inciting = post.incitement >= post_probability
        calls = inciting and {indicator.kind for indicator in post.indicators} >= CALL_INDICATORS
        classes, unjudged = _bits(post.classes), not post.judged
        speaks = evidence(post.incitement) if post.judged and words else 0
    return Mark(
        at_s=post.created_at_s,
        author_key=author_key(post.author_id),
        kind=post.kind,
        late=late,
        cascade_posts=cascade_posts,
        own_words=words and post.kind != "reshare",
        stance=stance,
        inciting=inciting,
        evidence=speaks,
        calls=calls,
        classes=classes,
        unjudged=unjudged,
        hedged=hedged,
        credible=credible,
        satirical=satirical,
        namings=namings,
        platform=post.platform,
        lang=post.lang,
        community=post.community,
        place=post.place,
        followers=post.followers,
    )


class Tally(Struct, array_like=True):
    """Event-time record of one micro-cluster or narrative; mergeable, bounded.

    Some 2 kB for a handful of posts, 11 kB for a hundred; 130 kB for two weeks without a pause, and 180 kB with
    dozens of authors and fifty communities in every minute of the last hour (measured with tracemalloc).
    """

    posts: int = 0
    reshares: int = 0
    replies: int = 0
    late: int = 0
    first_at_s: float = 0.0
    last_at_s: float = 0.0
    newest_minute: int | None = None
    minutes: dict[int, list[int]] = {}
    """Minute -> posts, posts with a stance, thousandths of correction, posts of the largest cascade, posts that ask,
    thousandths of support, denial, question and report, posts that incite, and followers."""
    tens: dict[int, int] = {}
    hours: dict[int, int] = {}
    authors: list[int] = []
    """Smallest author keys, ascending: a k-minimum-values sketch (Bar-Yossef et al. 2002)."""
    minute_authors: dict[int, list[int]] = {}
    stance: list[int] = field(default_factory=lambda: [0] * len(STANCES))
    """Sums in thousandths, in the order of `records.STANCES`."""
    stanced: int = 0
    own_words: int = 0
    doubting: int = 0
    """Posts with own words that mostly ask or deny."""
    asking: int = 0
    """Posts with own words that mostly ask."""
    hedging: int = 0
    """Posts that pass it on without vouching for it, reshares included."""
    credible: int = 0
    """Posts by a credible source, or with a link to one."""
    satirical: int = 0
    """Posts with a link to a satirical site."""
    inciting: int = 0
    calls: int = 0
    unjudged: int = 0
    """Posts in languages that the incitement heads do not cover: they are in no share of inciting posts."""
    classes: list[int] = field(default_factory=lambda: [0] * len(CLASSES))
    """Posts of each class of the taxonomy."""
    inciting_authors: list[int] = []
    """Of the authors of inciting posts, a sketch like `authors`."""
    platforms: dict[str, int] = {}
    languages: dict[str, int] = {}
    communities: dict[str, int] = {}
    places: dict[str, int] = {}
    followers: int = 0
    """Of the accounts of all posts, as far as known."""
    followers_known: int = 0
    """Posts that said how many their account has."""
    most_followers: int = 0
    evidence: int = 0
    """Sum of `incitement.evidence` of the posts."""

    def add(self, mark: Mark) -> int:
        """Count a post; return how many posts its ten minutes hold now (0 for a late post)."""
        at_s = mark.at_s
        self.posts += 1
        if self.posts == 1 or at_s < self.first_at_s:
            self.first_at_s = at_s
        if self.posts == 1 or at_s > self.last_at_s:
            self.last_at_s = at_s
        self._add_flags(mark, 1)
        _keep_smallest(self.authors, mark.author_key, AUTHORS_KEPT)
        if mark.inciting:
            _keep_smallest(self.inciting_authors, mark.author_key, AUTHORS_KEPT)
        _add_key(self.platforms, mark.platform)
        if mark.lang is not None:
            _add_key(self.languages, mark.lang)
        if mark.community is not None:
            _add_key(self.communities, mark.community)
        if mark.place is not None:
            _add_key(self.places, mark.place)
        if mark.followers is not None:
            self.most_followers = max(self.most_followers, mark.followers)
        return 0 if mark.late else self._add_to_rates(mark)

    def remove(self, mark: Mark) -> None:
        """Take a deleted post out of the counts. Sketches and first and last times stay (`forget` an author apart)."""
        self.posts -= 1
        self._add_flags(mark, -1)
        for counter, key in (
            (self.platforms, mark.platform),
            (self.languages, mark.lang),
            (self.communities, mark.community),
            (self.places, mark.place),
        ):
            _take_key(counter, key)
        if mark.late:
            return
        minute = int(mark.at_s // MINUTE_S)
        row = self.minutes.get(minute)
        if row is not None:
            row[0] = max(0, row[0] - 1)
            row[9] = max(0, row[9] - mark.inciting)
            if mark.stance is not None:
                row[1] = max(0, row[1] - 1)
                row[2] = max(0, row[2] - _correcting(mark))
                row[4] = max(0, row[4] - _asks(mark))
                for place in range(4):
                    row[5 + place] = max(0, row[5 + place] - mark.stance[place])
            row[FOLLOWERS_PLACE] = max(0, row[FOLLOWERS_PLACE] - (mark.followers or 0))
        for bucket, per in ((self.tens, 10), (self.hours, 60)):
            if minute // per in bucket:
                bucket[minute // per] = max(0, bucket[minute // per] - 1)

    def forget(self, key: int) -> None:
        """Take an erased author's key out of the sketches."""
        for keys in (self.authors, self.inciting_authors, *self.minute_authors.values()):
            place = bisect_left(keys, key)
            if place < len(keys) and keys[place] == key:
                del keys[place]

    def merge(self, other: "Tally") -> "Tally":
        """Return a new tally that holds what both hold.

        Equal to adding every post to one, but for names of spread beyond `SPREAD_KEYS`, which are counted as `other`.
        """
        return merged_tally([self, other])

    def window(self, now_s: float, window_s: float) -> tuple[int, int, int]:
        """Posts, posts with a stance, and thousandths of correction, in the window that ends now.

        Correction is denial, and report by somebody who vouches for it: "unconfirmed reports say" corrects nothing.
        """
        rows = self.rows(now_s, window_s)
        return sum([row[0] for row in rows]), sum([row[1] for row in rows]), sum([row[2] for row in rows])

    def window_posts(self, now_s: float, window_s: float) -> int:
        """Posts in the window that ends now."""
        return sum([row[0] for row in self.rows(now_s, window_s)])

    def rows(self, now_s: float, window_s: float) -> list[list[int]]:
        """Rows of the minutes of the window that ends now, those without a post left out."""
        newest, minutes = int(now_s // MINUTE_S), self.minutes
        first = newest - window_minutes(window_s) + 1
        return [minutes[minute] for minute in range(first, newest + 1) if minute in minutes]

    def asked(self, now_s: float, window_s: float) -> int:
        """Posts of the window that ends now which ask."""
        return sum([row[4] for row in self.rows(now_s, window_s)]) if self.asking else 0

    def stance_trend(self, now_s: float, window_s: float) -> StanceTrend | None:
        """Shares of the attitudes in the window that ends now and in all before it; None where either says nothing."""
        rows = self.rows(now_s, window_s)
        posts = sum([row[1] for row in rows])
        posts_before = self.stanced - posts
        if posts <= 0 or posts_before <= 0:
            return None
        recent = [sum([row[place] for row in rows]) for place in range(5, 9)]
        recent.append(MILLI * posts - sum(recent))
        before = [whole - part for whole, part in zip(self.stance, recent, strict=True)]
        return StanceTrend(
            window_s=window_minutes(window_s) * MINUTE_S,
            posts=posts,
            posts_before=posts_before,
            recent=_shares(recent, posts),
            before=_shares(before, posts_before),
        )

    def largest_cascade(self, now_s: float, window_s: float) -> int:
        """Posts in the window that ends now of the cascade that had most, as far as its minutes tell."""
        return max([row[3] for row in self.rows(now_s, window_s)], default=0)

    def window_authors(self, now_s: float, window_s: float) -> int:
        """Authors of the window that ends now, at most its posts; exact up to `MINUTE_AUTHORS_KEPT` a minute."""
        newest, kept = int(now_s // MINUTE_S), self.minute_authors
        minutes = range(newest - window_minutes(window_s) + 1, newest + 1)
        held = [kept[minute] for minute in minutes if minute in kept]
        keys = set().union(*held)
        bound = min([one[-1] for one in held if len(one) >= MINUTE_AUTHORS_KEPT], default=KEYS)
        if bound == KEYS:
            return len(keys)
        # Below the smallest full sketch's last key every author of the window is known.
        estimate = max(len(keys), round(sum([key <= bound for key in keys]) * KEYS / max(bound, 1)))
        return min(estimate, self.window_posts(now_s, window_s))

    def window_inciting(self, now_s: float, window_s: float) -> int:
        """Posts that incite in the window that ends now."""
        return sum([row[9] for row in self.rows(now_s, window_s)]) if self.inciting else 0

    def distinct_inciting_authors(self) -> int:
        """Distinct authors of inciting posts; exact below `AUTHORS_KEPT`."""
        return _distinct(self.inciting_authors, self.inciting)

    def distinct_authors(self) -> int:
        """Distinct authors, late posts included; exact below `AUTHORS_KEPT`."""
        return _distinct(self.authors, self.posts)

    def stance_shares(self) -> Stance:
        """Shares of the posts that say something; all zero while none does."""
        if not self.stanced:
            return Stance()
        return _shares(self.stance, self.stanced)

    def spread(self) -> Spread:
        """The ten largest of each, the larger first and ties by name."""
        return Spread(
            platforms=_largest(self.platforms),
            languages=_largest(self.languages),
            communities=_largest(self.communities),
        )

    def prune(self) -> None:
        """Drop the buckets that no reader looks at any more."""
        newest = self.newest_minute
        if newest is None:
            return
        _drop_upto(self.minutes, newest - MINUTES_KEPT)
        _drop_upto(self.minute_authors, newest - AUTHOR_MINUTES_KEPT)
        _drop_upto(self.tens, newest // 10 - TENS_KEPT)
        _drop_upto(self.hours, newest // 60 - HOURS_KEPT)

    def take_over(self, others: "Sequence[Tally]") -> None:
        """Add what others hold, as if one after the other; the buckets are in order, and pruned, then."""
        self.first_at_s = min([self.first_at_s, *[other.first_at_s for other in others]])
        self.last_at_s = max([self.last_at_s, *[other.last_at_s for other in others]])
        self.most_followers = max([self.most_followers, *[other.most_followers for other in others]])
        for name in _SUMS:
            setattr(self, name, sum([getattr(other, name) for other in others], getattr(self, name)))
        self.stance = [sum(parts) for parts in zip(self.stance, *[other.stance for other in others], strict=True)]
        self.classes = [sum(parts) for parts in zip(self.classes, *[other.classes for other in others], strict=True)]
        self.authors = _smallest([self.authors, *[other.authors for other in others]], AUTHORS_KEPT)
        inciting = [self.inciting_authors, *[other.inciting_authors for other in others]]
        self.inciting_authors = _smallest(inciting, AUTHORS_KEPT)
        for name in _COUNTERS:
            counter = getattr(self, name)
            for other in others:
                for key, posts in getattr(other, name).items():
                    _add_key(counter, key, posts)
        _merge_buckets(self, others)
        self._put_in_order()

    def _put_in_order(self) -> None:
        """Put the oldest buckets first: that is how `prune` sees cheaply whether there is anything to drop."""
        self.minutes = dict(sorted(self.minutes.items()))
        self.minute_authors = dict(sorted(self.minute_authors.items()))
        self.tens = dict(sorted(self.tens.items()))
        self.hours = dict(sorted(self.hours.items()))
        self.prune()

    def _add_flags(self, mark: Mark, sign: int) -> None:
        if mark.kind == "reshare":
            self.reshares += sign
        elif mark.kind == "reply":
            self.replies += sign
        if mark.late:
            self.late += sign
        self.evidence += sign * mark.evidence
        # Most flags are not set: to ask costs less than to add nothing.
        if mark.hedged or mark.credible or mark.satirical:
            self.hedging += sign * mark.hedged
            self.credible += sign * mark.credible
            self.satirical += sign * mark.satirical
        if mark.unjudged or mark.classes or mark.inciting:
            self.unjudged += sign * mark.unjudged
            self._add_incitement(mark, sign)
        if mark.followers is not None:
            self.followers += sign * mark.followers
            self.followers_known += sign
        if mark.own_words:
            self.own_words += sign
        if mark.stance is not None:
            self._add_stance(mark, mark.stance, sign)

    def _add_stance(self, mark: Mark, stance: tuple[int, int, int, int, int], sign: int) -> None:
        self.stanced += sign
        support, deny, query, report, comment = stance
        sums = self.stance
        sums[0] += sign * support
        sums[1] += sign * deny
        sums[2] += sign * query
        sums[3] += sign * report
        sums[4] += sign * comment
        if mark.own_words:
            if deny + query >= MILLI // 2:
                self.doubting += sign
            if query >= MILLI // 2:  # `_asks`
                self.asking += sign

    def _add_incitement(self, mark: Mark, sign: int) -> None:
        self.inciting += sign * mark.inciting
        self.calls += sign * (mark.inciting and mark.calls)
        for place in range(len(CLASSES)):
            self.classes[place] += sign * (mark.classes >> place & 1)

    def _add_to_rates(self, mark: Mark) -> int:
        minute = int(mark.at_s // MINUTE_S)
        row = self.minutes.get(minute)
        if row is None:
            row = self._open_minute(minute)
        row[0] += 1
        if mark.inciting:
            row[9] += 1
        stance = mark.stance
        if stance is not None:
            support, deny, query, report, _ = stance
            row[1] += 1
            row[2] += deny if mark.hedged else deny + report  # `_correcting`
            row[5] += support
            row[6] += deny
            row[7] += query
            row[8] += report
            if mark.own_words and query >= MILLI // 2:  # `_asks`
                row[4] += 1
        row[3] = max(row[3], mark.cascade_posts)
        if mark.followers is not None:
            row[FOLLOWERS_PLACE] += mark.followers
        keys = self.minute_authors.get(minute)
        if keys is not None:
            _keep_smallest(keys, mark.author_key, MINUTE_AUTHORS_KEPT)
        ten = minute // 10
        hour = minute // 60
        posts = self.tens[ten] = self.tens.get(ten, 0) + 1
        self.hours[hour] = self.hours.get(hour, 0) + 1
        return posts

    def _open_minute(self, minute: int) -> list[int]:
        newest = self.newest_minute
        row = [0] * MINUTE_ROW
        if newest is not None and minute <= newest - MINUTES_KEPT:
            return row  # older than any window: counted into a row that is forgotten
        self.minutes[minute] = row
        if newest is None or minute > newest - AUTHOR_MINUTES_KEPT:
            self.minute_authors[minute] = []
        if newest is None or minute > newest:
            self.newest_minute = minute
            self.prune()
        return row


def merged_tally(tallies: Sequence[Tally]) -> Tally:
    """Return a new tally that holds what all of these hold, as if each were merged with those before it."""
    holding = [tally for tally in tallies if tally.posts]
    if not holding:
        return _copy(tallies[-1]) if tallies else Tally()
    merged = _copy(holding[0])
    if len(holding) > 1:
        merged.take_over(holding[1:])
    return merged


_SUMS = (
    "posts",
    "reshares",
    "replies",
    "late",
    "stanced",
    "own_words",
    "doubting",
    "asking",
    "hedging",
    "credible",
    "satirical",
    "inciting",
    "calls",
    "unjudged",
    "followers",
    "followers_known",
    "evidence",
)

_COUNTERS = ("platforms", "languages", "communities", "places")


class Population(Struct, array_like=True):
    """What is typical for narratives of an age: posts in ten minutes, of narratives that had any.

    Sums are winsorised at `WINSOR_POSTS` a bucket, so what is typical stays below that whatever bursts. It also
    knows how many posts the whole stream had in each of the last minutes.
    """

    buckets: list[int] = field(default_factory=lambda: [0] * (len(AGE_BANDS_S) + 1))
    posts: list[int] = field(default_factory=lambda: [0] * (len(AGE_BANDS_S) + 1))
    squares: list[int] = field(default_factory=lambda: [0] * (len(AGE_BANDS_S) + 1))
    stream: dict[int, int] = {}
    newest_minute: int | None = None
    tens: dict[int, int] = {}
    """Posts of the stream by ten minutes, for two days."""

    def add(self, at_s: float, age_s: float, posts_in_ten: int) -> None:
        """Learn from a post that was counted into a narrative of that age.

        `posts_in_ten` is what `Tally.add` returned; 0 (a late post) teaches nothing.
        """
        if posts_in_ten <= 0:
            return
        self._add_to_stream(int(at_s // MINUTE_S))
        if posts_in_ten > WINSOR_POSTS:
            return
        band = bisect_right(AGE_BANDS_S, age_s)
        if posts_in_ten == 1:
            self.buckets[band] += 1
            if self.buckets[band] >= FORGET_AT:
                for sums in (self.buckets, self.posts, self.squares):
                    sums[band] //= 2
        self.posts[band] += 1
        self.squares[band] += 2 * posts_in_ten - 1

    def typical(self, age_s: float) -> float:
        """Posts in ten minutes that are typical at that age."""
        band = bisect_right(AGE_BANDS_S, age_s)
        return (TYPICAL_WEIGHT * TYPICAL_POSTS + self.posts[band]) / (TYPICAL_WEIGHT + self.buckets[band])

    def dispersion(self, age_s: float) -> float:
        """Variance over mean of these (0 while nothing was seen)."""
        band = bisect_right(AGE_BANDS_S, age_s)
        buckets, posts = self.buckets[band], self.posts[band]
        if not buckets or not posts:
            return 0.0
        return max(0.0, (self.squares[band] * buckets - posts * posts) / (buckets * posts))

    def share_of_stream(self, tally: Tally, now_s: float, window_s: float) -> float:
        """Share of the stream's posts in the window that are this narrative's, 0 to 1."""
        posts = tally.window_posts(now_s, window_s)
        return posts / max(self.posts_in(now_s, window_s), posts, 1)

    def posts_in(self, now_s: float, window_s: float) -> int:
        """Posts of the whole stream in the window."""
        newest = int(now_s // MINUTE_S)
        first = newest - window_minutes(window_s) + 1
        return sum(self.stream.get(minute, 0) for minute in range(first, newest + 1))

    def _add_to_stream(self, minute: int) -> None:
        self.stream[minute] = self.stream.get(minute, 0) + 1
        self.tens[minute // 10] = self.tens.get(minute // 10, 0) + 1
        if self.newest_minute is None or minute > self.newest_minute:
            self.newest_minute = minute
        if len(self.tens) > 2 * TENS_KEPT:
            _drop_upto(self.tens, self.newest_minute // 10 - TENS_KEPT)
        if len(self.stream) > 2 * MINUTES_KEPT:
            _drop_upto(self.stream, self.newest_minute - MINUTES_KEPT)


def could_burst(tally: Tally, now_s: float, parameters: ViralityParameters) -> bool:
    """Whether the effect floors in posts and authors are met: a cheap look before `assess`."""
    return (
        tally.posts >= parameters.least_posts
        and len(tally.authors) >= min(parameters.least_authors, AUTHORS_KEPT)
        and tally.window_posts(now_s, parameters.window_s) >= parameters.least_posts
    )


def assess(
    tally: Tally,
    now_s: float,
    population: Population,
    parameters: ViralityParameters,
    *,
    watched: int = 1,
    told: bool = True,
) -> Growth:
    """Compare the window that ends now with what is expected.

    It bursts when posts, authors and the ratio to the expectation reach their floors, and the count lies as many
    standard deviations above it as `least_z` of the `watched` narratives says. `now_s` is event time, no earlier than
    the newest post on time. The doubling time, which decides nothing, is left out of what is not `told` on a record.
    """
    posts = tally.window_posts(now_s, parameters.window_s)
    age_s = max(0.0, now_s - tally.first_at_s)
    expected, basis = _expected(tally, now_s, posts, population, parameters)
    dispersion = max(parameters.dispersion, population.dispersion(age_s))
    # Below one expected post the variance is that of one: else a handful of posts would look like a miracle.
    burst_z = (posts - expected) / math.sqrt(dispersion * max(expected, 1.0))
    return Growth(
        state=_state(tally, now_s, posts, expected, burst_z >= least_z(watched, parameters), parameters),
        velocity_per_s=round(posts / max(MINUTE_S, min(parameters.window_s, age_s)), 6),
        expected=round(expected, 3),
        basis=basis,
        burst_z=round(burst_z, 3),
        doubling_time_s=_doubling_time_s(tally, now_s) if told and posts else None,
    )


def least_z(watched: int, parameters: ViralityParameters) -> float:
    """Standard deviations above expectation that are rare enough where so many narratives are watched at once.

    Of all their windows at one time, at most `chance_alarms` reach it by chance (Bonferroni, which keeps the false
    discovery rate below that too), if counts scaled by their dispersion were normal; `burst_z` is the floor.

    >>> [round(least_z(watched, ViralityParameters()), 2) for watched in (1, 1_000, 20_000)]
    [4.0, 4.0, 4.67]
    """
    return max(parameters.burst_z, _rare_z(watched.bit_length(), parameters.chance_alarms))


@lru_cache(maxsize=256)
def _rare_z(doublings: int, alarms: float) -> float:
    """Of the next power of two, so that it changes seldom; the normal quantile is plain arithmetic."""
    return -NormalDist().inv_cdf(min(0.5, alarms / 2.0**doublings))


def with_course(
    growth: Growth, tally: Tally, now_s: float, population: Population, parameters: ViralityParameters
) -> Growth:
    """Add what the minutes tell: reproduction number, since when it rises, how many times, whether it accelerates.

    Costs some hundred microseconds, so it is done for what is published and decides nothing.
    """
    window = window_minutes(parameters.window_s)
    newest = int(now_s // MINUTE_S)
    oldest = max(int(tally.first_at_s // MINUTE_S), newest - MINUTES_KEPT + 1)
    rows = (tally.minutes.get(minute) for minute in range(oldest, newest + 1))
    minutes = [row[0] if row is not None else 0 for row in rows]
    if growth.state == "insufficient_data" or not minutes:
        return growth
    dispersion = max(parameters.dispersion, population.dispersion(max(0.0, now_s - tally.first_at_s)))
    told = course([0] * (MINUTES_KEPT - len(minutes)) + minutes, window, growth.expected, dispersion)
    low, middle, high = told.reproduction or (None, None, None)
    return msgspec.structs.replace(
        growth,
        reproduction_number=middle,
        reproduction_low=low,
        reproduction_high=high,
        rising_for_s=None if told.rising_minutes is None else float(told.rising_minutes * MINUTE_S),
        times=told.times,
        accelerating=told.accelerating,
    )


def counts(tally: Tally, now_s: float, parameters: ViralityParameters) -> Counts:
    """Counts of the narrative and of its window, as they stand on an alert."""
    return Counts(
        posts=tally.posts,
        authors=tally.distinct_authors(),
        reshares=tally.reshares,
        replies=tally.replies,
        late=tally.late,
        window_s=window_minutes(parameters.window_s) * MINUTE_S,
        window_posts=tally.window_posts(now_s, parameters.window_s),
        window_authors=tally.window_authors(now_s, parameters.window_s),
    )


def timeline(tally: Tally, growth: Growth, window_s: float) -> tuple[int, tuple[TimelineBucket, ...]]:
    """Bucket width in seconds, and the posts on time from first to last bucket, empty ones included.

    Minutes for the first two hours of a narrative, then tens of minutes for two days, then hours for two weeks.
    """
    if tally.newest_minute is None:
        return MINUTE_S, ()
    lasted_s = tally.last_at_s - tally.first_at_s
    if lasted_s < MINUTE_S * (MINUTES_KEPT - 1):
        width_s, posts = MINUTE_S, {minute: row[0] for minute, row in tally.minutes.items()}
    elif lasted_s < TEN_S * (TENS_KEPT - 1):
        width_s, posts = TEN_S, tally.tens
    else:
        width_s, posts = HOUR_S, tally.hours
    kept = {MINUTE_S: MINUTES_KEPT, TEN_S: TENS_KEPT, HOUR_S: HOURS_KEPT}[width_s]
    last = tally.newest_minute * MINUTE_S // width_s
    first = max(min(posts), last - kept + 1)
    expected = round(growth.expected * width_s / window_s, 3)
    start, width = datetime.fromtimestamp(first * width_s, UTC), timedelta(seconds=width_s)
    return width_s, tuple(
        TimelineBucket(at=start + place * width, posts=posts.get(bucket, 0), expected=expected)
        for place, bucket in enumerate(range(first, last + 1))
    )


@lru_cache(maxsize=16)
def window_minutes(window_s: float) -> int:
    """Whole minutes that a window of that length takes, at least one and at most `AUTHOR_MINUTES_KEPT`.

    >>> window_minutes(600.0), window_minutes(61.0)
    (10, 2)
    """
    return min(max(1, math.ceil(window_s / MINUTE_S)), AUTHOR_MINUTES_KEPT)


def _expected(
    tally: Tally, now_s: float, posts: int, population: Population, parameters: ViralityParameters
) -> tuple[float, Literal["own_history", "narratives_of_this_age"]]:
    """Posts expected in the window, which has so many, and where the expectation comes from."""
    age_s = max(0.0, now_s - tally.first_at_s)
    minutes = window_minutes(parameters.window_s)
    typical = population.typical(age_s)
    last = (int(now_s // MINUTE_S) - minutes + 1) // 10 - 1
    first = max(int(tally.first_at_s // TEN_S), int(now_s // TEN_S) - TENS_KEPT + 1)
    if age_s < parameters.own_history_s or first > last:
        return typical * minutes / 10, "narratives_of_this_age"
    keep = 0.5 ** (TEN_S / parameters.baseline_half_life_s)
    weight = total = level = others = 0.0
    own_tens, all_tens = tally.tens, population.tens
    for ten in range(first, last + 1):
        own = own_tens.get(ten, 0)
        most = BASELINE_CLIP * (level if level > typical else typical)  # noqa: FURB136 -- a call costs more
        of_others = all_tens.get(ten, 0) - own
        weight = weight * keep + 1.0
        total = total * keep + (own if own < most else most)  # noqa: FURB136
        others = others * keep + (of_others if of_others > 0 else 0)  # noqa: FURB136
        level = total / weight
    others_now = population.posts_in(now_s, parameters.window_s) - posts
    return level * minutes / 10 * _lift(others_now, others / weight * minutes / 10), "own_history"


def _lift(others_now: int, others_usually: float) -> float:
    """How much more, or less, the rest of the stream has now than in the narrative's history.

    What is expected goes with it: the hour of day, a source that comes or goes, or a change in what is collected move
    everything at once, and are no virality.
    """
    if others_usually < LEAST_OTHERS:
        return 1.0
    return min(max(others_now / others_usually, LEAST_LIFT), MOST_LIFT)


def _state(
    tally: Tally, now_s: float, posts: int, expected: float, is_rare: bool, parameters: ViralityParameters
) -> Literal["insufficient_data", "steady", "bursting", "falling"]:
    if tally.posts < parameters.least_posts or tally.distinct_authors() < parameters.least_authors:
        return "insufficient_data"
    significant = posts >= parameters.least_ratio * expected and is_rare
    if posts >= parameters.least_posts and significant:
        largest = tally.largest_cascade(now_s, parameters.window_s)
        if largest >= parameters.least_cascade_posts or posts >= parameters.least_worded_posts:
            return "bursting"
    before = tally.window_posts(now_s - window_minutes(parameters.window_s) * MINUTE_S, parameters.window_s)
    return "falling" if before >= parameters.least_posts and 2 * posts <= before else "steady"


def _doubling_time_s(tally: Tally, now_s: float) -> float | None:
    """Seconds in which the posts on time have doubled, to the minute; None if that took more than two days."""
    half = (tally.posts - tally.late) / 2
    newest = int(now_s // MINUTE_S)
    posts = 0
    for minute in sorted(tally.minutes, reverse=True):
        if newest - MINUTES_KEPT < minute <= newest:
            posts += tally.minutes[minute][0]
            if posts >= half:
                return max(float(MINUTE_S), round(now_s - minute * MINUTE_S, 1))
    posts = 0
    for ten in sorted(tally.tens, reverse=True):
        if newest // 10 - TENS_KEPT < ten <= newest // 10:
            posts += tally.tens[ten]
            if posts >= half:
                return round(now_s - ten * TEN_S, 1)
    return None


def _asks(mark: Mark) -> bool:
    return mark.own_words and mark.stance is not None and mark.stance[2] >= MILLI // 2


def _correcting(mark: Mark) -> int:
    """Thousandths by which a post denies, or reports what somebody vouches for."""
    assert mark.stance is not None
    return mark.stance[1] + (0 if mark.hedged else mark.stance[3])


def _shares(thousandths: Sequence[int], posts: int) -> Stance:
    whole = MILLI * posts
    support, deny, query, report, comment = [round(max(0, milli) / whole, 4) for milli in thousandths]
    return Stance(support=support, deny=deny, query=query, report=report, comment=comment)


def _thousandths(stance: Stance) -> tuple[int, int, int, int, int]:
    return (
        round(stance.support * MILLI),
        round(stance.deny * MILLI),
        round(stance.query * MILLI),
        round(stance.report * MILLI),
        round(stance.comment * MILLI),
    )


def _keep_smallest(keys: list[int], key: int, most: int) -> None:
    """Insert a key into an ascending list of distinct keys that keeps the smallest."""
    if len(keys) >= most and key >= keys[-1]:
        return
    place = bisect_left(keys, key)
    if place < len(keys) and keys[place] == key:
        return
    keys.insert(place, key)
    if len(keys) > most:
        keys.pop()


def _smallest(ascending: Sequence[list[int]], most: int) -> list[int]:
    """Ascending and distinct, the smallest keys of several such lists."""
    return sorted(set().union(*ascending))[:most] if len(ascending) > 1 else ascending[0]


def _add_key(counter: dict[str, int], key: str, posts: int = 1) -> None:
    if key not in counter and len(counter) >= SPREAD_KEYS:
        key = OTHER
    counter[key] = counter.get(key, 0) + posts


def _bits(classes: Sequence[str]) -> int:
    return sum(1 << CLASSES.index(name) for name in classes if name in CLASSES) if classes else 0


def _distinct(sketch: Sequence[int], posts: int) -> int:
    if len(sketch) < AUTHORS_KEPT:
        return len(sketch)
    return min(posts, round((AUTHORS_KEPT - 1) * KEYS / max(sketch[-1], 1)))


def _take_key(counter: dict[str, int], key: str | None) -> None:
    if key is None:
        return
    held = key if key in counter else OTHER
    posts = counter.get(held, 0) - 1
    if posts > 0:
        counter[held] = posts
    else:
        counter.pop(held, None)


def _largest(counter: dict[str, int]) -> dict[str, int]:
    return dict(sorted(counter.items(), key=lambda item: (-item[1], item[0]))[:10])


def _drop_upto(buckets: dict[int, int] | dict[int, list[int]], last: int) -> None:
    """Drop the buckets up to `last`; the oldest comes first, but for posts within the allowed lateness."""
    if not buckets or next(iter(buckets)) > last:
        return
    for bucket in [bucket for bucket in buckets if bucket <= last]:
        del buckets[bucket]


def _merge_buckets(tally: Tally, others: Sequence[Tally]) -> None:
    authors = {minute: [keys] for minute, keys in tally.minute_authors.items()}
    for other in others:
        for minute, row in other.minutes.items():
            mine = tally.minutes.get(minute)
            tally.minutes[minute] = list(row) if mine is None else [a + b for a, b in zip(mine, row, strict=True)]
        for minute, keys in other.minute_authors.items():
            if keys:
                authors.setdefault(minute, []).append(keys)
        for into, source in ((tally.tens, other.tens), (tally.hours, other.hours)):
            for bucket, posts in source.items():
                into[bucket] = into.get(bucket, 0) + posts
        newest = other.newest_minute
        if newest is not None and (tally.newest_minute is None or newest > tally.newest_minute):
            tally.newest_minute = newest
    tally.minute_authors = {minute: list(_smallest(keys, MINUTE_AUTHORS_KEPT)) for minute, keys in authors.items()}


def _copy(tally: Tally) -> Tally:
    """Copy a tally with all that it holds."""
    return Tally(
        tally.posts,
        tally.reshares,
        tally.replies,
        tally.late,
        tally.first_at_s,
        tally.last_at_s,
        tally.newest_minute,
        {minute: list(row) for minute, row in tally.minutes.items()},
        dict(tally.tens),
        dict(tally.hours),
        list(tally.authors),
        {minute: list(keys) for minute, keys in tally.minute_authors.items()},
        list(tally.stance),
        tally.stanced,
        tally.own_words,
        tally.doubting,
        tally.asking,
        tally.hedging,
        tally.credible,
        tally.satirical,
        tally.inciting,
        tally.calls,
        tally.unjudged,
        list(tally.classes),
        list(tally.inciting_authors),
        dict(tally.platforms),
        dict(tally.languages),
        dict(tally.communities),
        dict(tally.places),
        tally.followers,
        tally.followers_known,
        tally.most_followers,
        tally.evidence,
    )
