"""Journals of made-up stories: everything a journal can hold, in an order that a seed decides."""

import random
from datetime import UTC, datetime

import msgspec
import pytest

from detectors.codec import encode_record
from detectors.embedding import HashEncoder
from detectors.entries import (
    ConfigurationEntry,
    CrisisEntry,
    DeletionEntry,
    FeedbackEntry,
    Indicator,
    Origin,
    Skip,
    SourceEnd,
    Tick,
)
from detectors.incitement import HeadWeights, IncitementWeights
from detectors.monitor import fold, new_state
from detectors.policy import Configuration
from detectors.records import Alert, Claim, Crisis, Deletion, Feedback, Post, Rating
from detectors.scoring import Scorer, ScoringWeights

START_S = 1_400_000_400
"""Divisible by 600: the tens of minutes of a stream begin with it."""

PARTITIONS = 3

WORDS = (
    "reservoir poisoned ashford chlorine taps boiling",
    "bridge collapsed marlow engineers cracked closed",
    "mayor resigned envelope casino ferry scandal",
    "vaccine batch recalled clinic fainting nurse",
    "election ballots burned warehouse kettering counted",
    "wolves escaped sanctuary paddock rangers night",
)
NOISE = [
    "today",
    "omg",
    "really",
    "saw",
    "photo",
    "cousin",
    "friend",
    "street",
    "says",
    "again",
    "why",
    "nobody",
    "telling",
]

INDICATORS = (Indicator("call_to_act", "go there"), Indicator("place", "the hall"), Indicator("time", "tonight"))

WEIGHTS = ScoringWeights(
    incitement=IncitementWeights(
        space="",
        incites=HeadWeights(dense=(), lexical={}, bias=-3.0, calibration=(1.0, 0.0)),
        trained_on="nothing: a test",
    )
)


def at(at_s):
    return datetime.fromtimestamp(at_s, UTC)


class Streams:
    """Makes posts and whole journals, and folds them."""

    start_s = START_S
    words = WORDS

    def __init__(self):
        self.scorer = Scorer(HashEncoder(), WEIGHTS, cache_texts=50_000)
        self._journals = {}

    def configuration(self, **changes):
        """Small numbers: alerts open, groups change and clusters die within a few hundred posts."""
        small = {
            "virality": {
                "least_posts": 4,
                "least_cascade_posts": 4,
                "least_copies": 4,
                "least_worded_posts": 8,
                "least_authors": 3,
            },
            "narratives": {
                "micro_similarity": 0.5,
                "settling_s": 60,
                "regroup_changes": 6,
                "idle_after_s": 7200,
                "post_horizon_s": 5400,
            },
            "life_cycle": {"peaked_after_s": 600, "cleared_after_s": 1800, "pages_per_hour": 2},
            "embedding_space": self.scorer.space,
            "source_partitions": PARTITIONS,
        }
        for name, value in changes.items():
            small[name] = {**small[name], **value} if isinstance(small.get(name), dict) else value
        return msgspec.convert(small, Configuration)

    def configured(self, offset=0, **changes):
        return ConfigurationEntry(
            origin=Origin("configuration", 0, offset), configuration=self.configuration(**changes)
        )

    def post(self, post_id, at_s, text, *, partition=0, offset=0, author=None, incitement=0.0, calls=False, **fields):
        post = Post(
            post_id=post_id,
            platform=fields.pop("platform", "x"),
            created_at=at(at_s),
            author_id=author or f"author of {post_id}",
            text=text,
            lang="en",
            **fields,
        )
        [scored] = self.scorer.score([(post, Origin("posts", partition, offset), 0.0)])
        indicators = INDICATORS if calls else ()
        return msgspec.structs.replace(scored, incitement=incitement, indicators=indicators)

    def burst(self, at_s, *, posts=12, every_s=5, first_offset=0, words=WORDS[0], name="p", partition=0):
        """Posts in nearly the same words by as many authors: enough to open an alert."""
        return [
            self.post(
                f"{name}{place}",
                at_s + place * every_s,
                f"{words} {NOISE[place % len(NOISE)]}",
                partition=partition,
                offset=first_offset + place,
            )
            for place in range(posts)
        ]

    def deletion(self, offset, *, post_id=None, author_id=None, at_s=START_S):
        deletion = Deletion(post_id=post_id, author_id=author_id, requested_by="dpo", at=at(at_s))
        return DeletionEntry(origin=Origin("deletions", 0, offset), deletion=deletion)

    def feedback(self, offset, word, *, at_s=START_S, **fields):
        feedback = Feedback(feedback_id=f"f{offset}", by="ana", at=at(at_s), word=word, **fields)
        return FeedbackEntry(origin=Origin("feedback", 0, offset), feedback=feedback)

    def claim(self, offset, text, *, rating="False", claim_id="c"):
        claim = Claim(id=claim_id, claim_reviewed=text, review_rating=Rating(alternate_name=rating))
        return self.scorer.claim_entry(claim, claim_id, Origin("claims", 0, offset))

    def journal(self, seed, posts=400, **changes):
        """A journal with everything in it; the same for the same arguments."""
        key = (seed, posts, repr(changes))
        if key not in self._journals:
            self._journals[key] = list(enumerate(_Writer(self, seed, changes).entries(posts)))
        return self._journals[key]

    @staticmethod
    def fold(entries, state=None):
        """Outputs of entries that follow those which the state has folded, and the state."""
        state = state or new_state()
        return list(fold(state, enumerate(entries, start=state.next_offset))), state

    @staticmethod
    def encoded(outputs):
        return [type(one).__name__.encode() + encode_record(one) for one in outputs]


class _Writer:
    """Writes one journal; it folds what it wrote, so that people can speak of alerts that are there."""

    def __init__(self, streams, seed, changes):
        self._streams, self._random, self._changes = streams, random.Random(seed), changes
        self._offsets = dict.fromkeys(
            ["posts/0", "posts/1", "posts/2", "claims", "feedback", "crisis", "deletions", "configuration"], 0
        )
        self._state, self._alerts = new_state(), {}
        self._entries, self._posts, self._held_back = [], [], []
        self._now_s = START_S

    def entries(self, posts):
        self._write(self._streams.configured(self._next("configuration"), **self._changes))
        for number in range(posts):
            self._now_s += self._random.choice([1, 2, 5, 20, 60]) if number % 90 < 70 else 120
            self._post(number)
            if self._random.random() < 0.15:
                self._something_else()
        for partition in range(PARTITIONS):
            self._write(SourceEnd(origin=Origin("posts", partition, self._next(f"posts/{partition}"))))
        self._write(Tick(now_at_s=self._now_s + 4 * 3600.0))
        return self._entries

    def _write(self, entry):
        self._entries.append(entry)
        for output in fold(self._state, [(len(self._entries) - 1, entry)]):
            if isinstance(output, Alert):
                self._alerts[output.alert_id] = output

    def _next(self, source):
        self._offsets[source] += 1
        return self._offsets[source] - 1

    def _post(self, number):
        draw = self._random
        place = draw.choices(range(len(WORDS)), weights=[1 + 8 * (number // 90 % len(WORDS) == i) for i in range(6)])[0]
        words = WORDS[place].split()
        text = " ".join(draw.sample(words, draw.choice([3, 4, 5, 6])) + draw.sample(NOISE, 2))
        kind = draw.choices(["post", "quote", "reply", "reshare"], weights=[9, 1, 4, 6])[0]
        partition = draw.randrange(PARTITIONS)
        at_s = self._now_s - draw.choice([0, 0, 3, 30, 100])
        if draw.random() < 0.03:
            at_s -= draw.choice([600, 3000])
        fields = {}
        if kind != "post":
            ids = [post.post_id for post in self._posts[-60:]] or ["p0"]
            fields["parent_id"] = draw.choice([*draw.choices(ids, k=6), f"p{number + 2}", f"never-{number}"])
            fields["root_id"] = draw.choice([None, draw.choice(ids)])
        if (kind == "reshare" and draw.random() < 0.4) or draw.random() < 0.02:
            text = ""
        if draw.random() < 0.1:
            text += " false not true" if draw.random() < 0.5 else " is this true?"
        inciting = draw.random() < 0.1
        post = self._streams.post(
            f"p{number}",
            at_s,
            text,
            partition=partition,
            offset=self._next(f"posts/{partition}"),
            author=f"a{draw.randrange(60)}",
            kind=kind,
            platform=draw.choice(["x", "y"]),
            incitement=0.9 if inciting else 0.1,
            calls=inciting and draw.random() < 0.5,
            **fields,
        )
        self._posts.append(post)
        self._write(post)

    def _something_else(self):
        draw = self._random
        what = draw.choice(["claim", "withdrawal", "word", "word", "word", "crisis", "deletion", "erasure", "before"])
        what = draw.choice([what, what, "tick", "again", "edited", "skip", "configuration"])
        post = draw.choice(self._posts)
        if what == "claim":
            rating = draw.choice(["False", "True", "Mixture"])
            number = draw.randrange(6)
            self._write(self._streams.claim(self._next("claims"), WORDS[number], rating=rating, claim_id=f"c{number}"))
        elif what == "withdrawal":
            self._write(self._streams.scorer.claim_entry(None, "c1", Origin("claims", 0, self._next("claims"))))
        elif what == "word":
            self._word(post)
        elif what == "crisis":
            crisis = Crisis(
                crisis_id="k",
                word=draw.choice(["declare", "declare", "stand_down"]),
                by="ana",
                why="flood",
                at=at(self._now_s),
                scope=draw.choice([{}, {"platform": "y"}]),
                threshold_ratio=0.5,
                expires_at=at(self._now_s + 1800),
            )
            self._write(CrisisEntry(origin=Origin("crisis", 0, self._next("crisis")), crisis=crisis))
        elif what == "deletion":
            self._write(self._streams.deletion(self._next("deletions"), post_id=post.post_id))
        elif what == "before":
            self._write(self._streams.deletion(self._next("deletions"), post_id=f"p{len(self._posts) + 5}"))
        elif what == "erasure":
            self._write(self._streams.deletion(self._next("deletions"), author_id=post.author_id))
        elif what == "tick":
            self._now_s += draw.choice([0, 90, 1500])
            self._write(Tick(now_at_s=float(self._now_s)))
        elif what == "again":
            self._write(post)
        elif what == "edited":
            origin = Origin("posts", 0, self._next("posts/0"))
            text = f"{post.text} {draw.choice(NOISE)}"
            edited = self._streams.post(post.post_id, post.created_at_s, text, author=post.author_id)
            self._write(msgspec.structs.replace(edited, origin=origin))
        elif what == "skip":
            self._write(Skip(offset=len(self._entries), why="a test"))
        else:
            changes = {**self._changes, "virality": {"least_ratio": draw.choice([1.5, 3.0])}}
            self._write(self._streams.configured(self._next("configuration"), **changes))

    def _word(self, post):
        draw = self._random
        word = draw.choice(["acknowledge", "dismiss", "snooze", "mute", "escalate", "resolve", "merge", "link_claim"])
        target = draw.choice(sorted(self._alerts)) if self._alerts else "a-unknown"
        into = draw.choice(sorted(self._alerts)) if self._alerts and word == "merge" else None
        claim_id = "c0" if word == "link_claim" else None
        self._write(
            self._streams.feedback(
                self._next("feedback"), word, at_s=self._now_s, alert_id=target, into_alert_id=into, claim_id=claim_id
            )
        )


@pytest.fixture(scope="session")
def streams():
    return Streams()
