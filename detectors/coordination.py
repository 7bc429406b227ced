"""Accounts that act alike: who shares the same text, link, media or post within seconds of one another, repeatedly.

One popular link shared by thousands at once says nothing: they all saw it at once. So a single coincidence only makes
two accounts *partners*. What is counted is the next time: when an account shares something, were its partners, of
those who shared it too, near in time more often than strangers were at that very moment? Strangers who shared the
same thing within the last hour give the chance, so popularity, the pace of the moment and each account's activity are
in the null model (in the spirit of the configuration models of Pacheco et al., "Uncovering Coordinated Networks on
Social Media", ICWSM 2021, and of the repetition rule of CooRTweet). Where there are no strangers, the chance is that
of a share at any time of the hour.

An account acts alike when its coincidences are too many for chance, at a false-discovery rate over the accounts that
are looked at. That is no verdict: fans and protest organisers act alike too. The result is a share of the accounts of
a narrative with an interval, never a list of them. Everything is bounded, forgotten after the horizon, and whole in a
few microseconds a post.
"""

import hashlib
import math
from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable, Iterator, Sequence
from itertools import islice, takewhile
from typing import Any, TypeVar

from msgspec import Struct

from detectors.entries import ScoredPost
from detectors.policy import CoordinationParameters
from detectors.records import ActingAlike

T = TypeVar("T")

MOST_ACCOUNTS = 20_000
"""Accounts with partners that are remembered; beyond them the one silent longest is forgotten."""

MOST_PARTNERS = 16
"""Partners remembered of an account; beyond them the one met least often goes."""

MOST_ITEMS = 10_000
"""Shared things with several sharers; beyond them the one silent longest is forgotten."""

MOST_SHARERS = 128
"""Latest sharers kept of one thing."""

MOST_ONCE = 50_000
"""Things shared by one account so far; beyond them the oldest is forgotten."""

MET_AT_ONCE = 6
"""Latest sharers whom a newcomer is paired with, if they are near."""

STRANGERS_ASSUMED = 10.0
"""The chance counts as seen on so many strangers, spread over the memory, before any was."""

SIGNIFICANT_FROM_HITS = 3
"""Coincidences with partners from which an account can count as acting alike."""

LEAST_WORDS = 4
"""A text of fewer words is too often the same by itself ("so sad", "thoughts and prayers")."""


class Item(Struct, array_like=True):
    """One thing, and who shared it within the memory, at most `MOST_SHARERS`."""

    sharers: dict[int, float] = {}
    """Author key -> when, in the order in which they came."""
    times: list[float] = []
    """The same times, ascending: how many are near is found without counting."""

    def add(self, key: int, at_s: float) -> None:
        """Note a sharer; past the cap the oldest goes."""
        self.sharers[key] = at_s
        insort(self.times, at_s)
        if len(self.sharers) > MOST_SHARERS:
            self.drop(next(iter(self.sharers)))

    def drop(self, key: int) -> None:
        """Forget a sharer, if there."""
        at_s = self.sharers.pop(key, None)
        if at_s is not None:
            del self.times[bisect_left(self.times, at_s)]

    def near(self, at_s: float, window_s: float) -> int:
        """Sharers within the window."""
        return bisect_right(self.times, at_s + window_s) - bisect_left(self.times, at_s - window_s)


class Account(Struct, array_like=True):
    """What an account did with its partners, in the present half of the horizon and in the one before."""

    last_at_s: float
    since_s: float
    """Beginning of the present half."""
    hits: int = 0
    expected: float = 0.0
    hits_before: int = 0
    expected_before: float = 0.0
    hit_at_s: float = -math.inf
    """Last coincidence: another counts only when the window has passed, or one wave would count several times."""
    partners: dict[int, int] = {}
    """Key of the partner -> how often they met."""

    def total_hits(self) -> int:
        """Shares within seconds of a partner's, over one to two halves of the horizon."""
        return self.hits + self.hits_before

    def total_expected(self) -> float:
        """How many of these chance would give."""
        return self.expected + self.expected_before


class Coordination(Struct, dict=True):
    """Who shared what with whom, over the stream; all that is in it fades with the horizon."""

    accounts: dict[int, Account] = {}
    """By author key, the longest silent first."""
    items: dict[int, Item] = {}
    """Things that several shared, the longest silent first."""
    once: dict[int, tuple[int, float]] = {}
    """Thing -> the one account that shared it, and when."""
    evicted: int = 0

    def __post_init__(self) -> None:
        self._hitting = {key for key, one in self.accounts.items() if one.hits or one.hits_before}
        """Keys of all accounts with a hit, and of some that had one. Not stored: it follows from the accounts."""

    def posted(self, post: ScoredPost, author_key: int, parameters: CoordinationParameters, horizon_s: float) -> None:
        """Note what a post shares."""
        for thing in things_of(post):
            self.share(author_key, thing, post.created_at_s, parameters, horizon_s)

    def share(
        self, author_key: int, thing: int, at_s: float, parameters: CoordinationParameters, horizon_s: float
    ) -> None:
        """Note that an account shares something; the same account counts once an hour for the same thing."""
        item = self._item(thing, author_key, at_s, parameters)
        if item is None or author_key in item.sharers:
            return
        account = self._account(author_key, at_s, horizon_s)
        self._test(author_key, account, item, at_s, parameters)
        for key in self._latest(item, at_s, parameters.window_s):
            _meet(account, key)
            _meet(self._account(key, at_s, horizon_s), author_key)
        item.add(author_key, at_s)

    @staticmethod
    def _latest(item: Item, at_s: float, window_s: float) -> list[int]:
        """Return the latest sharers that are near."""
        return [key for key in islice(reversed(item.sharers), MET_AT_ONCE) if abs(at_s - item.sharers[key]) <= window_s]

    def _test(
        self, author_key: int, account: Account, item: Item, at_s: float, parameters: CoordinationParameters
    ) -> None:
        """Compare partners with strangers among those who shared it before: who is near, and how likely that was."""
        sharers = item.sharers
        partners = [key for key in account.partners if key in sharers]
        if not partners:
            return
        window_s = parameters.window_s
        near = [key for key in partners if abs(at_s - sharers[key]) <= window_s]
        # Partners of partners are no strangers: in a large ring everybody has met only some of the others.
        known = {key for partner in partners for key in self._partners(partner) if key in sharers}.union(partners)
        known_near = sum(abs(at_s - sharers[key]) <= window_s for key in known)
        strangers, strangers_near = len(sharers) - len(known), item.near(at_s, window_s) - known_near
        base = window_s / parameters.memory_s
        chance = (strangers_near + STRANGERS_ASSUMED * base) / (strangers + STRANGERS_ASSUMED)
        account.expected += 1.0 - (1.0 - chance) ** len(partners)
        if near:
            self._hit(author_key, account, at_s, window_s)
        for key in partners:
            if (partner := self.accounts.get(key)) is not None:
                partner.expected += chance
                if key in near:
                    self._hit(key, partner, at_s, window_s)

    def _hit(self, key: int, account: Account, at_s: float, window_s: float) -> None:
        if at_s > account.hit_at_s + window_s:
            account.hits += 1
            account.hit_at_s = at_s
            self._hitting.add(key)

    def _partners(self, key: int) -> dict[int, int]:
        account = self.accounts.get(key)
        return account.partners if account is not None else {}

    def assess(
        self, author_keys: Sequence[int], accounts: int, parameters: CoordinationParameters
    ) -> ActingAlike | None:
        """Say how many of a narrative's accounts act alike; None where fewer than `parameters.least_accounts` do.

        Parameters
        ----------
        author_keys : distinct; a uniform sample of the accounts (the smallest keys of a sketch).
        accounts : how many there are in all.
        """
        found = self._significant(author_keys, parameters)
        if len(found) < parameters.least_accounts:
            return None
        low, high = wilson(len(found), len(author_keys))
        hits = sorted(account.total_hits() for account in found)
        expected = sorted(account.total_expected() for account in found)
        return ActingAlike(
            accounts=len(found),
            looked_at=len(author_keys),
            share=round(len(found) / len(author_keys), 4),
            low=round(low, 4),
            high=round(high, 4),
            times=hits[(len(hits) - 1) // 2],
            by_chance=round(expected[len(expected) // 2], 2),
            window_s=parameters.window_s,
            # Only what is sure is discounted: the lower bound.
            effective_accounts=round(accounts * (1.0 - low * (1.0 - parameters.weight)), 1),
        )

    def forget(self, author_key: int) -> None:
        """Take an erased author out, wherever it stands (a scan: erasures are rare)."""
        self.accounts.pop(author_key, None)
        self._hitting.discard(author_key)
        for account in self.accounts.values():
            account.partners.pop(author_key, None)
        for item in self.items.values():
            item.drop(author_key)
        self.once = {thing: first for thing, first in self.once.items() if first[0] != author_key}

    def expire(self, now_s: float, parameters: CoordinationParameters, horizon_s: float) -> None:
        """Forget accounts silent for the horizon, and things that nobody shared within the memory."""
        silent_s, stale_s = now_s - horizon_s, now_s - parameters.memory_s
        _drop(self.accounts, lambda account: account.last_at_s < silent_s)
        if len(self._hitting) > len(self.accounts):
            self._hitting.intersection_update(self.accounts)
        _drop(self.items, lambda item: not item.times or item.times[-1] < stale_s)
        _drop(self.once, lambda first: first[1] < stale_s)

    def _significant(self, author_keys: Sequence[int], parameters: CoordinationParameters) -> list[Account]:
        """Accounts that pass at the false-discovery rate (Benjamini and Hochberg 1995) and the floors."""
        found = self._hitting.intersection(author_keys)
        if len(found) < parameters.least_accounts:
            return []  # which is nearly always so
        known = [account for key in author_keys if key in found and (account := self.accounts.get(key)) is not None]
        hitting = [account for account in known if account.hits or account.hits_before]
        tested = [(poisson_tail(one.total_hits(), one.total_expected()), one) for one in hitting]
        tested.sort(key=lambda item: item[0])
        passing = 0
        for rank, (p, _) in enumerate(tested, start=1):
            if p <= parameters.false_discovery_rate * rank / len(author_keys):
                passing = rank
        return [
            account
            for _, account in tested[:passing]
            if account.total_hits() >= max(SIGNIFICANT_FROM_HITS, parameters.least_ratio * account.total_expected())
        ]

    def _item(self, thing: int, author_key: int, at_s: float, parameters: CoordinationParameters) -> Item | None:
        """Thing with its sharers within the memory; None where it has none yet but this account."""
        item = self.items.pop(thing, None)
        if item is None:
            first = self.once.pop(thing, None)
            if first is None or first[0] == author_key or first[1] < at_s - parameters.memory_s:
                self.once[thing] = (author_key, at_s)
                self.evicted += _keep_latest(self.once, MOST_ONCE)
                return None
            item = Item({first[0]: first[1]}, [first[1]])
        while item.sharers and item.sharers[oldest := next(iter(item.sharers))] < at_s - parameters.memory_s:
            item.drop(oldest)
        self.items[thing] = item
        self.evicted += _keep_latest(self.items, MOST_ITEMS)
        return item

    def _account(self, key: int, at_s: float, horizon_s: float) -> Account:
        account = self.accounts.pop(key, None) or Account(at_s, at_s)
        halves = int((at_s - account.since_s) // (horizon_s / 2))
        if halves > 0:
            account.hits_before = account.hits if halves == 1 else 0
            account.expected_before = account.expected if halves == 1 else 0.0
            account.hits, account.expected = 0, 0.0
            account.since_s += halves * horizon_s / 2
        account.last_at_s = max(account.last_at_s, at_s)
        self.accounts[key] = account
        self.evicted += _keep_latest(self.accounts, MOST_ACCOUNTS)
        return account


def things_of(post: ScoredPost) -> Iterator[int]:
    """64 bits for each thing that a post shares: the post it reshares, else its links and media, else its words."""
    if post.kind == "reply":
        return
    root_id = post.parent_id or post.root_id
    if post.kind == "reshare" and root_id:
        yield _key(f"post/{root_id}".encode(errors="surrogatepass"))
        return
    things = [*(f"link/{_address(url)}" for url in post.urls[:4]), *(f"media/{name}" for name in post.media[:4])]
    yield from dict.fromkeys(_key(thing.encode(errors="surrogatepass")) for thing in things)
    if not things and post.vector is not None and len(post.text.split()) >= LEAST_WORDS and any(post.vector.lexical):
        yield _key(b"words/" + post.vector.lexical)


def poisson_tail(hits: int, expected: float) -> float:
    """Chance of so many hits or more where so many are expected.

    >>> round(poisson_tail(4, 0.3), 6), poisson_tail(0, 5.0)
    (0.000266, 1.0)
    """
    term = total = math.exp(-expected)
    if not hits:
        return 1.0
    for count in range(1, hits):
        term *= expected / count
        total += term
    return max(0.0, 1.0 - total)


def wilson(hits: int, of: int, z: float = 1.96) -> tuple[float, float]:
    """Bounds of a share (Wilson 1927).

    >>> [round(bound, 3) for bound in wilson(14, 60)]
    [0.144, 0.354]
    """
    if not of:
        return 0.0, 1.0
    share, spread = hits / of, z * z / of
    middle = share + spread / 2
    width = z * math.sqrt(share * (1 - share) / of + spread / (4 * of))
    return max(0.0, (middle - width) / (1 + spread)), min(1.0, (middle + width) / (1 + spread))


def _meet(account: Account, key: int) -> None:
    partners = account.partners
    known = partners.get(key, 0)
    partners[key] = known + 1
    if not known and len(partners) > MOST_PARTNERS:
        least = next((one for one, times in partners.items() if times == 1), None)  # the newest is the last of them
        del partners[min(partners, key=lambda one: partners[one]) if least is None else least]


def _keep_latest(table: dict[int, Any], most: int) -> int:
    """Drop the oldest beyond `most`; how many that were."""
    if len(table) <= most:
        return 0
    del table[next(iter(table))]
    return 1


def _drop(table: dict[int, T], is_old: Callable[[T], bool]) -> None:
    """Drop what is old at the front; the longest silent comes first, but for posts within the allowed lateness."""
    old = [key for key, _ in takewhile(lambda pair: is_old(pair[1]), table.items())]
    for key in old:
        del table[key]


def _address(url: str) -> str:
    """A link without what differs between copies of it: scheme, "www.", query and fragment.

    >>> _address("https://www.Example.org/a/?utm_source=x#top")
    'example.org/a'
    """
    bare = url.partition("#")[0].partition("?")[0].partition("://")[2] or url
    host, slash, path = bare.partition("/")
    return f"{host.lower().removeprefix('www.')}{slash}{path}".rstrip("/")


def _key(name: bytes) -> int:
    return int.from_bytes(hashlib.blake2b(name, digest_size=8).digest(), "big")
