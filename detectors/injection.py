"""Synthetic cascades with known figures, to be put into a real background, to see how small a story is found.

When posts come is a Hawkes process, drawn as the branching process that it is (Hawkes and Oakes 1974): posts that
nothing causes arrive evenly, and each post causes a Poisson number of further ones, `branching_factor` on average,
each after a delay drawn from the memory. The memory is exponential, or the power law that SEISMIC measured on
Twitter (Zhao et al. 2015): level for `memory_s`, then falling with the exponent 1.242. Rate and duration fix how many
posts are expected: the rate of uncaused posts follows from them (`expected_cluster`).

What the posts are is drawn apart: reshares and questions name the post they follow; near copies and posts in own
words name none, as in real streams, where only the wording ties them together.
"""

import hashlib
import math
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Annotated, Any, Literal, NamedTuple

import msgspec
import numpy as np
from msgspec import Meta, Struct
from numpy.typing import NDArray

from detectors.policy import Count, Positive
from detectors.records import Post, Ratio

Form = Literal["own_words", "copy", "reshare", "question"]

POWER_LAW_THETA = 0.242
"""Tail of reaction times on Twitter: density falls with the power 1 + theta (Zhao et al. 2015, section 3.1)."""

FOLLOWERS_SIGMA = 2.0
"""Spread of the logarithm of followers (of the authors in a Twitter sample of 2014 to 2015: 1.9 to 2.0)."""

LARGE_WITHIN_S = 120.0
"""Large accounts post within so many seconds of the start (or a tenth of the duration, where that is less)."""

GRID_STEPS = 1000
"""Steps of time in which the expected size of a cluster is integrated."""

MIXTURE_TOLERANCE = 1e-6


class InjectionError(ValueError):
    """A shape that cannot be drawn; the message says which figures do not go together."""


class Mixture(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Shares of what the posts are; they add up to 1."""

    reshares: Ratio = 0.70
    copies: Ratio = 0.10
    own_words: Ratio = 0.15
    questions: Ratio = 0.05
    """Replies that ask whether it is true."""


def mixture_of(given: Mapping[str, float]) -> Mixture:
    """Complete a mixture: shares that are not given divide what is left as they do in the default one.

    Raises `InjectionError` where the given shares are more than all, or all are given and they are less.

    >>> round(mixture_of({"reshares": 0.85}).own_words, 3)
    0.075
    """
    default: dict[str, float] = msgspec.structs.asdict(Mixture())
    left = 1.0 - sum(given.values())
    rest = {name: share for name, share in default.items() if name not in given}
    if left < -MIXTURE_TOLERANCE or (not rest and left > MIXTURE_TOLERANCE):
        raise InjectionError(f"the shares of the mixture add up to {1.0 - left:g}, not to 1")
    scale = max(0.0, left) / sum(rest.values()) if rest else 0.0
    return Mixture(**{**given, **{name: share * scale for name, share in rest.items()}})


class Shape(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is known of a cascade before it is drawn."""

    rate_per_minute: Positive = 6.0
    """Expected posts a minute, over the whole duration and reactions included."""
    duration_s: Positive = 1800.0
    branching_factor: Annotated[float, Meta(ge=0.0, le=5.0)] = 0.6
    """Further posts that one causes, over all time; those after the end are not drawn."""
    memory: Literal["power_law", "exponential"] = "power_law"
    memory_s: Positive = 300.0
    """Exponential: mean delay. Power law: delay up to which every moment is as likely (300 in Zhao et al. 2015)."""
    mixture: Mixture = Mixture()
    accounts: Count = 500
    """Each posts once before one posts twice."""
    audience: Annotated[int, Meta(ge=0)] = 400
    """Median followers of an account."""
    large_accounts: Annotated[int, Meta(ge=0)] = 0
    """Post first, in words of their own."""
    large_audience: Annotated[int, Meta(ge=0)] = 150_000
    large_reactions: Annotated[float, Meta(ge=0.0)] = 15.0
    """Direct reactions to a large account's post, over all time."""
    most_posts: Count = 50_000
    """A cascade that grows beyond is refused (a branching factor above 1 may)."""


class Texts(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the posts say: the same thing in several words, and what people ask who doubt it."""

    variants: Annotated[tuple[str, ...], Meta(min_length=1)]
    questions: Annotated[tuple[str, ...], Meta(min_length=1)] = (
        "source?",
        "Is this true?",
        "Any proof of this?",
        "Who says so? Link please",
        "Has this been confirmed by anyone?",
        "Really? Where did you get this from?",
        "is this confirmed or just a rumour?",
        "Can anyone verify this?",
    )


class Arrival(NamedTuple):
    """When a post comes, in seconds from the start, and what caused it."""

    at_s: float
    parent: int | None
    """Place of the causing post in the same list; None of a post that nothing caused."""
    generation: int
    large: bool = False


class Injected(NamedTuple):
    """One post of the cascade, and the truth about it."""

    post: Post
    gold: dict[str, Any]
    """`injection` (its name), `form`, `generation` and `cause` (id of the post that caused it, or None)."""


class _Drawn(NamedTuple):
    post: Post
    form: Form
    source: int | None
    """Place of the post that it shares or answers."""


def arrivals(shape: Shape, generator: np.random.Generator) -> list[Arrival]:
    """Draw when posts come and what caused each, in order of time.

    Raises `InjectionError` where large accounts alone bring more than the rate allows, or growth has no bound.

    >>> shape = Shape(rate_per_minute=10.0, duration_s=600.0, branching_factor=0.0)
    >>> drawn = arrivals(shape, np.random.default_rng(1))
    >>> all(one.parent is None for one in drawn), 70 < len(drawn) < 130
    (True, True)
    """
    _check(shape)
    alone_per_s = _uncaused_per_s(shape)
    starts = generator.uniform(0.0, shape.duration_s, generator.poisson(alone_per_s * shape.duration_s))
    early_s = min(LARGE_WITHIN_S, shape.duration_s / 10)
    early = generator.uniform(0.0, early_s, shape.large_accounts)
    drawn = [Arrival(float(at_s), None, 0, large=True) for at_s in early]
    drawn += [Arrival(float(at_s), None, 0) for at_s in starts]
    place = 0
    while place < len(drawn):  # each post's reactions are drawn once, and then theirs
        cause = drawn[place]
        mean = shape.large_reactions if cause.large else shape.branching_factor
        for delay_s in _delays(shape, int(generator.poisson(mean)), generator):
            at_s = cause.at_s + float(delay_s)
            if at_s < shape.duration_s:
                drawn.append(Arrival(at_s, place, cause.generation + 1))
        if len(drawn) > shape.most_posts:
            raise InjectionError(f"more than {shape.most_posts:,} posts: branching factor or duration are too large")
        place += 1
    return _in_time(drawn)


def inject(
    shape: Shape,
    texts: Texts,
    generator: np.random.Generator,
    *,
    name: str,
    start: datetime,
    platform: str,
    lang: str | None = None,
) -> list[Injected]:
    """Draw a cascade as posts, in order of time; the same generator state gives the same posts.

    Parameters
    ----------
    name : begins every post's id, and is the truth that `gold` holds.
    start : aware; no post comes before it.

    Raises `InjectionError` for figures that do not go together.
    """
    when = arrivals(shape, generator)
    accounts = _Accounts(shape, name, generator)
    wording = _Wording(texts, generator)
    drawn: list[_Drawn] = []
    shares: list[float] = []
    for place, arrival in enumerate(when):
        form = _form(shape.mixture, arrival, is_first=place == 0, generator=generator)
        source = None if form == "own_words" else _source(drawn, shares, arrival, generator)
        author_id, followers = accounts.next(large=arrival.large)
        original = drawn[source].post if source is not None else None
        post = Post(
            post_id=f"{name}-{place + 1:05d}",
            platform=platform,
            created_at=start + timedelta(milliseconds=math.floor(1000 * arrival.at_s)),
            author_id=author_id,
            text=wording.text(form, original),
            kind=_KINDS[form],
            parent_id=original.post_id if original is not None and form in _LINKED else None,
            root_id=(original.root_id or original.post_id) if original is not None and form in _LINKED else None,
            lang=lang,
            followers=followers,
        )
        drawn.append(_Drawn(post, form, source))
        shares.append(0.0 if form in _LINKED else 1.0)  # what is a reshare or a question is not shared itself
        if source is not None:
            shares[source] += 1.0
    return [_with_gold(name, one, arrival, drawn) for one, arrival in zip(drawn, when, strict=True)]


def expected_cluster(shape: Shape) -> NDArray[np.float64]:
    """Expected posts that one post has caused by a time, itself included, shape (GRID_STEPS + 1,) over the duration.

    C(t) = 1 + n * integral of f(s) C(t - s) ds from 0 to t, with branching factor n and memory f: the renewal equation
    of a branching process (Harris 1963), stepped forward with the chance that falls into each step.

    >>> flat = expected_cluster(Shape(branching_factor=0.0))
    >>> float(flat[0]), float(flat[-1])
    (1.0, 1.0)
    """
    chances = _chances(shape)
    cluster = np.ones(GRID_STEPS + 1)
    for step in range(1, GRID_STEPS + 1):
        cluster[step] = cluster[step - 1]  # the newest end of the first step, which is being found
        cluster[step] = 1.0 + shape.branching_factor * _mean_after(chances[:step], cluster[: step + 1])
    return cluster


def neutral_texts() -> Texts:
    """Ways to say one harmless, made-up thing: what is injected where no texts are given.

    >>> len(neutral_texts().variants), neutral_texts().variants[0]
    (192, 'The clock tower on Miller Square has stopped at noon')
    """
    variants = [
        f"{opening}{thing} {verb} {ending}".strip()
        for ending in ("at noon", "again today", "and nobody knows why", "for the first time in 40 years")
        for verb in ("has stopped", "stands still", "does not move any more", "froze")
        for thing in (
            "the clock tower on Miller Square",
            "that big old clock at Miller Square",
            "the Miller Square clock",
            "the town clock by the market in Miller Square",
        )
        for opening in ("", "Just walked past, ", "My neighbour says ")
    ]
    return Texts(variants=tuple(text[0].upper() + text[1:] for text in variants))


_KINDS: dict[Form, Literal["post", "reshare", "reply"]] = {
    "own_words": "post",
    "copy": "post",
    "reshare": "reshare",
    "question": "reply",
}

_LINKED: tuple[Form, ...] = ("reshare", "question")
"""Forms that name the post they follow."""

_FORMS: tuple[Form, ...] = ("reshare", "copy", "own_words", "question")

_OPENERS = ("BREAKING: ", "So ", "Just in: ", "Hearing that ", "wow. ", "Unbelievable: ", "FYI ")
_ENDINGS = ("!", "!!", "...", " smh", " #breaking", " wow", " please share", " 😳")


class _Accounts:
    """Who posts: each account once before one posts twice; the large ones first, in their own order."""

    def __init__(self, shape: Shape, name: str, generator: np.random.Generator) -> None:
        self._generator = generator
        self._name = name
        self._shape = shape
        sizes = generator.lognormal(math.log(max(1, shape.audience)), FOLLOWERS_SIGMA, shape.accounts)
        self._followers = [int(size) for size in sizes] if shape.audience else [0] * shape.accounts
        self._large = [int(one) for one in generator.lognormal(0.0, 0.3, shape.large_accounts) * shape.large_audience]
        self._turns: list[int] = []
        self._large_turn = 0

    def next(self, *, large: bool) -> tuple[str, int]:
        """Account and followers of the next post."""
        if large:
            self._large_turn += 1
            return self._account(f"large/{self._large_turn}"), self._large[self._large_turn - 1]
        if not self._turns:
            self._turns = [int(one) for one in self._generator.permutation(self._shape.accounts)]
        turn = self._turns.pop()
        return self._account(str(turn)), self._followers[turn]

    def _account(self, number: str) -> str:
        digest = hashlib.blake2b(f"{self._name}/{number}".encode(), digest_size=8)
        return f"a-{digest.hexdigest()}"


class _Wording:
    """What is said: own words are new while there are variants left, and edited ones of them afterwards."""

    def __init__(self, texts: Texts, generator: np.random.Generator) -> None:
        self._texts = texts
        self._generator = generator
        self._fresh = [*(int(one) + 1 for one in generator.permutation(len(texts.variants) - 1)[::-1]), 0]

    def text(self, form: Form, original: Post | None) -> str:
        if form == "question":
            return self._one_of(self._texts.questions)
        if original is not None and form == "reshare":
            return f"RT @{original.author_id[2:10]}: {original.text}"
        if original is not None:
            return edited(original.text, self._generator)
        if self._fresh:
            return self._texts.variants[self._fresh.pop()]
        return edited(self._one_of(self._texts.variants), self._generator)

    def _one_of(self, texts: Sequence[str]) -> str:
        return texts[int(self._generator.integers(len(texts)))]


def edited(text: str, generator: np.random.Generator) -> str:
    """Change a text as people do who copy it: one or two of an opener, an ending, a lost word, a slip of the finger.

    >>> edited("The bridge is closed", np.random.default_rng(4)) != "The bridge is closed"
    True
    """
    changed = text
    for edit in generator.permutation(5)[: int(generator.integers(1, 3))]:
        changed = _edit(changed, int(edit), generator)
    return changed if changed != text else f"{text}!"  # the second edit may have undone the first


def _edit(text: str, edit: int, generator: np.random.Generator) -> str:
    words = text.split()
    place = int(generator.integers(len(words))) if words else 0
    match edit:
        case 0:
            return _OPENERS[int(generator.integers(len(_OPENERS)))] + text
        case 1:
            return text.rstrip(".!") + _ENDINGS[int(generator.integers(len(_ENDINGS)))]
        case 2 if len(words) > 4:
            return " ".join(words[:place] + words[place + 1 :])
        case 3 if words and len(words[place]) > 3:
            word = words[place]
            words[place] = f"{word[0]}{word[2]}{word[1]}{word[3:]}"
            return " ".join(words) if words[place] != word else f"{text}!"
        case _:
            return text.upper() if text != text.upper() else f"{text} !"


def _form(mixture: Mixture, arrival: Arrival, *, is_first: bool, generator: np.random.Generator) -> Form:
    """Draw what a post is; the first one, and those of large accounts, are in own words."""
    drawn = generator.random()  # always, so that the figures of one post do not move those of the next
    if is_first or arrival.large:
        return "own_words"
    shares = (mixture.reshares, mixture.copies, mixture.own_words)
    return _FORMS[int(np.searchsorted(np.cumsum(shares), drawn, side="right"))]


def _source(
    drawn: Sequence[_Drawn], shares: Sequence[float], arrival: Arrival, generator: np.random.Generator
) -> int | None:
    """Say which post is followed: the one that caused this (of a reshare or a question, the one that it followed).

    What nothing caused follows what was followed before, the more the oftener (cumulative advantage, Price 1976).
    """
    if arrival.parent is not None:
        cause = drawn[arrival.parent]
        return cause.source if cause.form in _LINKED and cause.source is not None else arrival.parent
    weights = np.cumsum(shares)
    return int(np.searchsorted(weights, generator.random() * weights[-1], side="right"))


def _with_gold(name: str, one: _Drawn, arrival: Arrival, drawn: Sequence[_Drawn]) -> Injected:
    cause = None if arrival.parent is None else drawn[arrival.parent].post.post_id
    gold = {"injection": name, "form": one.form, "generation": arrival.generation, "cause": cause}
    return Injected(one.post, gold)


def _check(shape: Shape) -> None:
    """Refuse what cannot be drawn, however the shape was made."""
    try:
        msgspec.convert(msgspec.to_builtins(shape), Shape)
    except msgspec.ValidationError as error:
        raise InjectionError(str(error)) from error
    total = sum(msgspec.structs.astuple(shape.mixture))
    if abs(total - 1.0) > MIXTURE_TOLERANCE:
        raise InjectionError(f"the shares of the mixture add up to {total:g}, not to 1")


def _uncaused_per_s(shape: Shape) -> float:
    """Rate of uncaused posts with which, after reactions, the expected posts are rate times duration."""
    cluster = expected_cluster(shape)
    wanted = shape.rate_per_minute * shape.duration_s / 60.0
    one_large = 1.0 + shape.large_reactions * _mean_after(_chances(shape), cluster)
    left = wanted - shape.large_accounts * one_large
    if left < 0.0:
        raise InjectionError(
            f"{shape.large_accounts} large accounts alone bring {wanted - left:.0f} posts, the rate only {wanted:.0f}:"
            " raise the rate or the duration, or lower the reactions or the branching factor"
        )
    area = shape.duration_s / GRID_STEPS * float(np.sum((cluster[1:] + cluster[:-1]) / 2.0))
    return left / area


def _chances(shape: Shape) -> NDArray[np.float64]:
    """Chance that a reaction falls into each step of the grid, shape (GRID_STEPS,)."""
    chances: NDArray[np.float64] = np.diff(_reached(shape, np.linspace(0.0, shape.duration_s, GRID_STEPS + 1)))
    return chances


def _mean_after(chances: NDArray[np.float64], cluster: NDArray[np.float64]) -> float:
    """Mean cluster of a reaction whose delay has these chances, shapes (n,) and (n + 1,): trapezia within the steps."""
    backwards = cluster[::-1]
    return float(np.dot(chances, (backwards[1:] + backwards[:-1]) / 2.0))


def _reached(shape: Shape, times_s: NDArray[np.float64]) -> NDArray[np.float64]:
    """Share of reactions that have come by each time: the distribution function of the memory."""
    scaled = times_s / shape.memory_s
    if shape.memory == "exponential":
        return 1.0 - np.exp(-scaled)
    level = POWER_LAW_THETA / (1.0 + POWER_LAW_THETA)
    tail = 1.0 - np.maximum(scaled, 1.0) ** -POWER_LAW_THETA / (1.0 + POWER_LAW_THETA)
    return np.where(scaled <= 1.0, level * scaled, tail)


def _delays(shape: Shape, count: int, generator: np.random.Generator) -> NDArray[np.float64]:
    """Draw delays from the memory, in seconds, by inverting `_reached`."""
    drawn = generator.random(count)
    if shape.memory == "exponential":
        return -shape.memory_s * np.log1p(-drawn)
    level = POWER_LAW_THETA / (1.0 + POWER_LAW_THETA)
    with np.errstate(over="ignore"):  # a delay beyond all floats is after the end as well
        tail = ((1.0 + POWER_LAW_THETA) * (1.0 - drawn)) ** (-1.0 / POWER_LAW_THETA)
    return shape.memory_s * np.where(drawn <= level, drawn / level, tail)


def _in_time(drawn: Sequence[Arrival]) -> list[Arrival]:
    order = sorted(range(len(drawn)), key=lambda place: (drawn[place].at_s, place))
    place_of = {old: new for new, old in enumerate(order)}
    return [
        drawn[old]._replace(parent=None if (parent := drawn[old].parent) is None else place_of[parent]) for old in order
    ]
