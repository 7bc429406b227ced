"""Writes `posts.jsonl.gz` from the phrases in `ordinary.toml` and `stories.toml`; the same bytes every time.

    python -m streams.sample.write_sample            # write it
    python -m streams.sample.write_sample --check    # exit status 1 if the file is not what the phrases give

Every person, place and word is invented. Ordinary posts arrive as a Poisson process whose rate drifts with the hour
of day; reshares and replies follow with power-law (Lomax) delays; each voice of a story sets in at its time and
fades like a gamma density. No parameter of the detectors was chosen on them.
"""

import gzip
import io
import json
import math
import re
import sys
import tomllib
from bisect import bisect
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from random import Random
from typing import Any

from streams.sample import FOLDER, POSTS

SEED = 20260605
STARTS_AT = datetime(2026, 6, 5, 11, 15, tzinfo=UTC)
"""A Friday, a quarter past noon in the town."""
LASTS_MIN = 345.0
ORDINARY_POSTS = 2700
"""Expected number of ordinary posts that are neither reply nor reshare."""
ACCOUNTS = 2600
RATE_BY_MIN = ((0.0, 1.15), (45.0, 1.1), (120.0, 0.8), (180.0, 0.85), (240.0, 1.1), (300.0, 1.25), (LASTS_MIN, 1.3))
"""Hour-of-day drift: minutes after the start, and the rate there as a multiple of the mean."""
RESHARE_DELAY = (12.0, 1.1)
REPLY_DELAY = (6.0, 1.3)
APPEAL_SIGMA = 1.5
"""Spread of the logarithm of a post's appeal. Sizes of real cascades are heavy-tailed: a few posts draw most of the
reshares, and in real rumours (PHEME) most posts are reshares."""
"""Scale (minutes) and exponent of the power law; SEISMIC (Zhao et al. 2015) finds the exponent near 0.25 without a
cut at the end of an afternoon, we shorten the tail so that most of a cascade fits into the sample."""
PLATFORMS = {"chirp": 0.52, "fedi": 0.2, "board": 0.18, "clips": 0.1}
"""Invented ones: `chirp` writes reshares as "RT @handle: text", `fedi` and `clips` leave their text empty, and on
`board`, a forum, nobody can reshare."""


@dataclass(frozen=True)
class Account:
    """Somebody who posts: one platform, one audience, one way of writing."""

    author_id: str
    handle: str
    platform: str
    followers: int
    lower_case: bool
    drops_full_stops: bool
    emoji_share: float
    hashtag_share: float


@dataclass
class Draft:
    """A post before it has an id; ids are given in order of time."""

    at_min: float
    account: Account
    text: str
    gold: dict[str, str]
    kind: str = "post"
    parent: "Draft | None" = None
    lang: str | None = "en"
    community: str | None = None
    media: tuple[str, ...] = ()
    post_id: str = ""

    @property
    def root(self) -> "Draft":
        """The first post of the conversation."""
        return self if self.parent is None else self.parent.root


@dataclass
class Phrases:
    """The grammar: `[a|b]` is a choice, `{name}` a slot.

    >>> Phrases({"who": ["Gulls"]}, Random(1)).say("{who} [fly|fly]")
    'Gulls fly'
    """

    slots: dict[str, list[str]]
    rng: Random
    said: set[str] = field(default_factory=set)

    _CHOICE = re.compile(r"\[([^\[\]]*)\]")
    _SLOT = re.compile(r"\{(\w+)\}")

    def say(self, phrase: str) -> str:
        """One sentence of the phrase; a slot never gives the same words twice in it."""
        used: set[str] = set()
        while True:
            if choice := self._CHOICE.search(phrase):
                words = self.rng.choice(choice[1].split("|"))
            elif choice := self._SLOT.search(phrase):
                options = self.slots[choice[1]]
                words = self.rng.choice([option for option in options if option not in used] or options)
                used.add(words)
            else:
                phrase = phrase.replace(" ,", ",")
                return phrase[:1].upper() + phrase[1:] if self.rng.random() < 0.5 else phrase
            phrase = phrase[: choice.start()] + words + phrase[choice.end() :]

    def say_anew(self, templates: Sequence[str], lines: list[str]) -> str:
        """A sentence not said before: now and then one of `lines` (used up), else from a template."""
        for _ in range(40):
            if lines and (not templates or self.rng.random() < 0.12):
                text = lines.pop(self.rng.randrange(len(lines)))
            else:
                text = self.say(self.rng.choice(templates))
            if text not in self.said:
                break
        self.said.add(text)
        return text


Answer = Callable[[], tuple[str, dict[str, str]]]
"""Gives the text of a reply, and what its gold says beside its parent's."""


class Town:
    """Everybody in it, and everything they post."""

    def __init__(self, seed: int) -> None:
        self.rng = Random(seed)  # noqa: S311 - a sample, not a secret: the seed makes it the same every time
        self.ordinary = tomllib.loads((FOLDER / "ordinary.toml").read_text(encoding="utf-8"))
        self.stories = tomllib.loads((FOLDER / "stories.toml").read_text(encoding="utf-8"))["stories"]
        self.accounts = [self._account() for _ in range(ACCOUNTS)]
        self.drafts: list[Draft] = []

    def posts(self) -> list[dict[str, Any]]:
        """The whole afternoon, in order of time, as rows of the topic `posts` with their `gold`."""
        self._talk()
        self._talk_in_other_languages()
        for story in self.stories:
            self._tell(story)
        in_time = sorted((draft for draft in self.drafts if draft.at_min < LASTS_MIN), key=lambda draft: draft.at_min)
        for number, draft in enumerate(in_time, start=1):
            draft.post_id = f"mq-{number:05d}"
        return [_row(draft) for draft in in_time]

    def _account(self) -> Account:
        rng, words = self.rng, self.ordinary["handles"]
        return Account(
            author_id=f"a-{rng.getrandbits(48):012x}",
            handle=f"{rng.choice(words)}_{rng.choice(words)}{rng.choice(('', str(rng.randrange(100))))}",
            platform=rng.choices(list(PLATFORMS), list(PLATFORMS.values()))[0],
            followers=int(rng.lognormvariate(5.4, 1.7)),
            lower_case=rng.random() < 0.22,
            drops_full_stops=rng.random() < 0.45,
            emoji_share=0.5 if rng.random() < 0.2 else 0.03,
            hashtag_share=0.5 if rng.random() < 0.2 else 0.05,
        )

    # ---- ordinary traffic

    def _talk(self) -> None:
        themes = self.ordinary["themes"]
        phrases = {
            theme["name"]: Phrases({**self.ordinary["slots"], **theme.get("slots", {})}, self.rng) for theme in themes
        }
        shares = [theme["share"] for theme in themes]
        for at_min in self._poisson(ORDINARY_POSTS):
            theme = self.rng.choices(themes, shares)[0]
            self._chat(theme, phrases[theme["name"]], at_min)

    def _chat(self, theme: dict[str, Any], phrases: Phrases, at_min: float) -> None:
        account = self.rng.choice(self.accounts)
        text = phrases.say_anew(theme["templates"], theme["lines"])
        if "https://" not in text and self.rng.random() < 0.05:
            text += f" {self.rng.choice(phrases.slots['url'])}"
        text = self._in_own_way(account, text, theme["hashtags"], self.ordinary["emoji"])
        post = self._post(at_min, account, text, {"theme": theme["name"]}, theme["communities"])
        replies = theme["replies"] * 3 + self.ordinary["replies"]["any"]
        self._answers(post, 0.34, lambda: (phrases.say(self.rng.choice(replies)), {}), self.accounts)
        self._reshares(post, 0.4, self.accounts)
        if self.rng.random() < 0.05:
            quote = phrases.say(self.rng.choice(self.ordinary["replies"]["quotes"]))
            self._follow(post, "quote", quote, REPLY_DELAY, self.accounts, {})

    def _talk_in_other_languages(self) -> None:
        for language in self.ordinary["languages"]:
            lines = list(language["lines"])
            self.rng.shuffle(lines)
            for text in lines:
                account = self.rng.choice(self.accounts)
                post = self._post(
                    self.rng.random() * LASTS_MIN,
                    account,
                    text,
                    {"theme": f"visitors-{language['lang']}"},
                    language["communities"],
                    lang=language["lang"],
                )
                self._reshares(post, 0.3, self.accounts)

    # ---- stories

    def _tell(self, story: dict[str, Any]) -> None:
        phrases = Phrases({**self.ordinary["slots"], **story["slots"]}, self.rng)
        crowd = self.rng.sample(self.accounts, story["accounts"])
        voices = {voice["name"]: voice for voice in story["voices"]}
        picture = f"m-{self.rng.getrandbits(48):012x}"
        for voice in story["voices"]:
            lines = list(voice.get("lines", ()))
            told: list[str] = []
            posts: list[Draft] = []
            for at_min in self._voice_times(voice):
                text = self._story_text(voice, phrases, lines, told)
                account = self._speaker(voice, crowd)
                if text not in told:
                    text = self._in_own_way(account, text, story["hashtags"], story["emoji"])
                told.append(text)
                gold = {"theme": story["theme"], "story": story["name"], "voice": voice["name"]}
                post = self._post(at_min, account, text, gold, story["communities"])
                if self.rng.random() < story.get("picture", 0.0):
                    post.media = (picture,)
                posts.append(post)
                heard = [voices[name] for name in voice["answered_by"] if voices[name]["onset_min"] <= at_min]
                self._answers(post, voice["replies"], partial(self._story_answer, heard or [voice], phrases), crowd)
            self._share_out(posts, round(voice["reshares"] * voice["posts"]), crowd)

    def _voice_times(self, voice: dict[str, Any]) -> list[float]:
        """Minutes after the start; the first post is the onset itself."""
        scale = voice["mean_min"] / voice["shape"]
        delays = [self.rng.gammavariate(voice["shape"], scale) for _ in range(voice["posts"] - 1)]
        return [voice["onset_min"] + delay for delay in sorted([0.0, *delays])]

    def _story_text(self, voice: dict[str, Any], phrases: Phrases, lines: list[str], told: list[str]) -> str:
        if told and self.rng.random() < voice.get("copied", 0.0):
            return self.rng.choice(told)  # copies are in the list, too: what was copied is copied again
        return phrases.say_anew(voice["templates"], lines)

    def _speaker(self, voice: dict[str, Any], crowd: list[Account]) -> Account:
        """One of the crowd; a `loud` share of a voice speaks from the twelve largest audiences."""
        if self.rng.random() < voice.get("loud", 0.0):
            return self.rng.choice(sorted(crowd, key=lambda account: account.followers)[-12:])
        return self.rng.choice(crowd)

    def _story_answer(self, voices: list[dict[str, Any]], phrases: Phrases) -> tuple[str, dict[str, str]]:
        """A reply in one of the voices that have set in by now, or in a bystander's words."""
        voice = self.rng.choice(voices)
        if self.rng.random() < 0.4:
            return phrases.say(self.rng.choice(self.ordinary["replies"]["any"])), {"voice": "bystanders"}
        return phrases.say(self.rng.choice(voice["templates"])), {"voice": voice["name"]}

    # ---- posts and what follows them

    def _post(
        self,
        at_min: float,
        account: Account,
        text: str,
        gold: dict[str, str],
        communities: list[str],
        lang: str | None = "en",
    ) -> Draft:
        share = 1.0 if account.platform == "board" else 0.25
        community = self.rng.choice(communities) if communities and self.rng.random() < share else None
        lang = lang if self.rng.random() < 0.95 else None
        post = Draft(at_min, account, text, gold, lang=lang, community=community)
        if self.rng.random() < 0.07:
            post.media = (f"m-{self.rng.getrandbits(48):012x}",)
        self.drafts.append(post)
        return post

    def _reshares(self, post: Draft, mean: float, crowd: list[Account]) -> None:
        """As many reshares as the post's pull gives it."""
        for _ in range(self._count(mean * self._pull(post))):
            self._reshare(post, crowd)

    def _share_out(self, posts: list[Draft], reshares: int, crowd: list[Account]) -> None:
        """So many reshares of these posts in all, to each as its pull is."""
        pulls = [self._pull(post) for post in posts]
        for post in self.rng.choices(posts, pulls, k=reshares):
            self._reshare(post, crowd)

    def _pull(self, post: Draft) -> float:
        """Audience and appeal: a larger audience reshares more, but not in proportion; appeal is heavy-tailed."""
        if post.account.platform == "board":
            return 0.0
        audience = min(6.0, max(0.3, math.sqrt(post.account.followers / 900)))
        return audience * self.rng.lognormvariate(-(APPEAL_SIGMA**2) / 2, APPEAL_SIGMA)

    def _reshare(self, post: Draft, crowd: list[Account]) -> None:
        text = f"RT @{post.account.handle}: {post.text}" if post.account.platform == "chirp" else ""
        self._follow(post, "reshare", text, RESHARE_DELAY, crowd, {})

    def _answers(self, post: Draft, mean: float, answer: Answer, crowd: list[Account]) -> None:
        for _ in range(self._count(mean * self.rng.gammavariate(0.8, 1 / 0.8))):
            text, gold = answer()
            reply = self._follow(post, "reply", text, REPLY_DELAY, crowd, gold)
            if self.rng.random() < 0.25:
                text, gold = answer()
                self._follow(reply, "reply", text, REPLY_DELAY, crowd, gold)

    def _follow(
        self,
        parent: Draft,
        kind: str,
        text: str,
        delay: tuple[float, float],
        crowd: list[Account],
        gold: dict[str, str],
    ) -> Draft:
        platform = parent.account.platform
        account = self.rng.choice([one for one in crowd if one.platform == platform and one is not parent.account])
        if kind == "reply" and account.platform in {"chirp", "fedi"}:
            text = f"@{parent.account.handle} {text}"
        scale, exponent = delay
        delay_min = scale * ((1.0 - self.rng.random()) ** (-1.0 / exponent) - 1.0)
        draft = Draft(
            at_min=parent.at_min + 0.05 + delay_min,
            account=account,
            text=text.lower() if account.lower_case and kind != "reshare" else text,
            gold={**parent.gold, **gold},
            kind=kind,
            parent=parent,
            lang=parent.lang,
            community=parent.community,
            media=parent.media if kind == "reshare" else (),
        )
        self.drafts.append(draft)
        return draft

    def _in_own_way(self, account: Account, text: str, hashtags: list[str], emoji: list[str]) -> str:
        """The habits of an account: case, full stops, hashtags, emoji, and slips of the finger."""
        rng = self.rng
        if account.lower_case:
            text = text.lower()
        if account.drops_full_stops:
            text = text.removesuffix(".")
        if rng.random() < 0.05:
            text = _slip(text, rng)
        if rng.random() < account.hashtag_share:
            text += "".join(f" #{tag}" for tag in rng.sample(hashtags, min(len(hashtags), rng.choice((1, 1, 2)))))
        if rng.random() < account.emoji_share:
            text += f" {rng.choice(emoji)}"
        return text

    # ---- chance

    def _poisson(self, expected: float) -> Iterator[float]:
        """Arrival times in minutes, by thinning a process at the highest rate."""
        highest = max(rate for _, rate in RATE_BY_MIN)
        at_min = 0.0
        while True:
            at_min += self.rng.expovariate(expected / LASTS_MIN * highest)
            if at_min >= LASTS_MIN:
                return
            if self.rng.random() * highest < _rate(at_min):
                yield at_min

    def _count(self, mean: float) -> int:
        """A Poisson count (Knuth's product of uniforms; means here are small)."""
        limit, product, count = math.exp(-min(mean, 60.0)), self.rng.random(), 0
        while product > limit:
            product *= self.rng.random()
            count += 1
        return count


def _rate(at_min: float) -> float:
    """Linear between the points of `RATE_BY_MIN`."""
    right = min(bisect([point for point, _ in RATE_BY_MIN], at_min), len(RATE_BY_MIN) - 1)
    (left_min, left_rate), (right_min, right_rate) = RATE_BY_MIN[right - 1], RATE_BY_MIN[right]
    return left_rate + (right_rate - left_rate) * (at_min - left_min) / (right_min - left_min)


def _slip(text: str, rng: Random) -> str:
    """Two neighbouring letters swapped."""
    at = rng.randrange(max(1, len(text) - 1))
    return text[:at] + text[at + 1 : at + 2] + text[at : at + 1] + text[at + 2 :]


def _row(draft: Draft) -> dict[str, Any]:
    created_at = STARTS_AT + timedelta(milliseconds=round(draft.at_min * 60_000))
    row: dict[str, Any] = {
        "post_id": draft.post_id,
        "platform": draft.account.platform,
        "created_at": created_at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "author_id": draft.account.author_id,
        "text": draft.text,
        "kind": draft.kind,
    }
    if draft.parent is not None:
        row |= {"parent_id": draft.parent.post_id, "root_id": draft.root.post_id}
    optional = {
        "lang": draft.lang,
        "followers": draft.account.followers,
        "urls": re.findall(r"https://[\w./-]+", draft.text),
        "media": list(draft.media),
        "community": draft.community,
        "gold": draft.gold,
    }
    return row | {name: value for name, value in optional.items() if value not in (None, [])}


def jsonl() -> bytes:
    """The sample, one post a line."""
    return b"".join(
        json.dumps(row, ensure_ascii=False, separators=(",", ":")).encode() + b"\n" for row in Town(SEED).posts()
    )


def compressed(rows: bytes) -> bytes:
    """Gzip without a name and a time, so that the same rows give the same bytes."""
    buffer = io.BytesIO()
    with gzip.GzipFile(filename="", mode="wb", fileobj=buffer, mtime=0) as file:
        file.write(rows)
    return buffer.getvalue()


def main(arguments: Sequence[str]) -> int:
    """Write the sample, or with `--check` compare it."""
    rows = jsonl()
    if "--check" in arguments:
        # The rows are compared, not their compression: another zlib may pack the same rows into other bytes.
        same = POSTS.exists() and gzip.decompress(POSTS.read_bytes()) == rows
        print("the sample is what its phrases give" if same else f"{POSTS.name} is out of date: write it again")  # noqa: T201
        return 0 if same else 1
    POSTS.write_bytes(compressed(rows))
    print(f"wrote {len(rows.splitlines())} posts to {POSTS.name}")  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
