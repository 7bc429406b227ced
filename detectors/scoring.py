"""Everything that a post's text alone can tell: vector, incitement with its indicators, stance.

Texts are scored by their own words (`clean`), in plain form (`normalise`). Scores are kept by that form, so a
reshare and a copied text cost a look-up: viral content is repeated content.
"""

from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from detectors import lexical, vectors
from detectors.embedding import Encoder, TextCache, embed
from detectors.entries import ClaimEntry, Indicator, Naming, Origin, ScoredPost, Vector
from detectors.hedging import hedges
from detectors.incitement import IncitementHead, IncitementWeights, indicators
from detectors.languages import language_told
from detectors.lexical import LexicalChannel, language_of
from detectors.named_persons import namings
from detectors.posts import answers_a_reply, clean, links_in, normalise
from detectors.records import STANCES, Claim, Post, Stance
from detectors.stance import stance_of
from detectors.stance_head import Readings, StanceHead, StanceWeights

Timed = Callable[[str], AbstractContextManager[object]]
"""Opens a span that lasts as long as the named stage of scoring; the shell knows what time it is."""

STAGES = ("normalise", "embed", "lexical", "heads")
"""Names that a `Timed` is called with."""


class ScoringWeights(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Weights of all heads."""

    incitement: IncitementWeights
    stance: StanceWeights | None = None
    """None where no head was trained for the encoder: then cues tell the stance."""


class TextScores(Struct, frozen=True, kw_only=True):
    """What a text says, whoever posts it. Of an empty text: no vector, no score, a comment."""

    vector: Vector | None = None
    incitement: float = 0.0
    """Calibrated probability that it incites, 0 to 1."""
    classes: tuple[str, ...] = ()
    """Classes of the taxonomy that it is of."""
    judged: bool = True
    """False in a language that the incitement heads do not cover: its score of 0 then says nothing."""
    indicators: tuple[Indicator, ...] = ()
    stance: Stance = Stance(comment=1.0)
    """As a post of its own."""
    stance_as_reply: Stance = Stance(comment=1.0)
    """As an answer to the first post of its thread."""
    stance_as_later_reply: Stance = Stance(comment=1.0)
    """As an answer to a reply."""
    hedged: bool = False
    """It passes on what it says without vouching for it."""
    namings: tuple[Naming, ...] = ()
    """Who is named in an accusation."""

    def stance_at(self, *, is_reply: bool, parent_id: str | None = None, root_id: str | None = None) -> Stance:
        """Stance of the text where it stands in its thread."""
        if not is_reply:
            return self.stance
        return self.stance_as_later_reply if answers_a_reply(parent_id, root_id) else self.stance_as_reply


NOTHING_SAID = TextScores()
"""Scores of a text without words of its own."""


class Scorer:
    """Scores posts and claims with one encoder; remembers the scores of the last `cache_texts` texts (2 to 3 KB each).

    Parameters
    ----------
    timed : receives the name of each stage of `STAGES` as it runs.
    claims_by : gives the scorer of claims, where that is another one (under the fast tier the full one, as claims are
        matched with second looks); asked for when the first claim comes.
    """

    def __init__(
        self,
        encoder: Encoder,
        weights: ScoringWeights,
        *,
        cache_texts: int,
        timed: Timed = nullcontext,
        claims_by: "Callable[[], Scorer] | None" = None,
    ) -> None:
        self.space = space_of(encoder.space)
        """Name of the embedding space of all vectors that this scorer makes."""
        self.has_heads = weights.incitement.space == encoder.space
        """Whether the heads were trained on vectors of this encoder, rather than on the wording alone."""
        self._encoder = encoder
        self._head = IncitementHead(weights.incitement, encoder.space)
        self._stance_head = StanceHead(weights.stance, encoder.space) if weights.stance is not None else None
        self._lexical = LexicalChannel()
        self._timed = timed
        self._claims_by = claims_by
        self.cache: TextCache[TextScores] = TextCache(cache_texts)
        """Its `hits` and `misses` say how much was repeated."""

    def score(self, items: Sequence[tuple[Post, Origin, float]]) -> list[ScoredPost]:
        """Score posts, each with its origin and the speed of its source, in order.

        A post whose arrival nobody stamped (`ingested_at`) counts as ingested when it was created.
        """
        scores = self._scores([(post.text, post.lang or "") for post, _, _ in items])
        return [
            _scored_post(post, origin, speed, scored)
            for (post, origin, speed), scored in zip(items, scores, strict=True)
        ]

    def score_texts(self, texts: Sequence[str], *, lang: str | None = None) -> list[TextScores]:
        """Score bare texts of one language, in order."""
        return self._scores([(text, lang or "") for text in texts])

    def attitude_of(self, stance: Stance) -> str:
        """The one attitude to tell of a text that this scorer gave this stance; questions and denials are rare."""
        if self._stance_head is not None:
            return self._stance_head.told(stance)
        return max(STANCES, key=lambda name: float(getattr(stance, name)))

    def claim_entry(self, claim: Claim | None, claim_id: str, origin: Origin) -> ClaimEntry:
        """A fact-check with the vectors of claim and title; without a claim, its withdrawal."""
        if claim is None:
            return ClaimEntry(origin=origin, claim_id=claim_id)
        if self._claims_by is not None:
            return self._claims_by().claim_entry(claim, claim_id, origin)
        said, title = self.score_texts([claim.claim_reviewed, claim.name or ""])
        return ClaimEntry(origin=origin, claim_id=claim_id, claim=claim, vector=said.vector, title_vector=title.vector)

    def _scores(self, items: Sequence[tuple[str, str]]) -> list[TextScores]:
        """Scores of (text, language tag or nothing), in order; each distinct text not remembered is scored once."""
        with self._timed("normalise"):
            plain = [(normalise(clean(text)), language) for text, language in items]
        known: dict[tuple[str, str], TextScores] = {}
        new: list[tuple[str, str]] = []
        for text, language in dict.fromkeys(plain):
            remembered = self.cache.get(_cache_key(text, language)) if text else NOTHING_SAID
            if remembered is None:
                new.append((text, language))
            else:
                known[text, language] = remembered
        for key, scores in zip(new, self._fresh(new), strict=True):
            self.cache.put(_cache_key(*key), scores)
            known[key] = scores
        return [known[key] for key in plain]

    def _fresh(self, items: Sequence[tuple[str, str]]) -> Iterable[TextScores]:
        if not items:
            return []
        texts = [text for text, _ in items]
        with self._timed("embed"):
            dense = embed(self._encoder, texts)
        with self._timed("lexical"):
            words = self._lexical.vectors(texts, [language_of(tag) for _, tag in items])
        with self._timed("heads"):
            read = self._head.read(texts, dense)
            languages = [language_told(tag, text) for text, tag in items]
            judged = [self._head.covers(language) for language in languages]
            stances = self._stances(texts, languages, dense)
            fixed = vectors.quantise_rows(dense, words, self.space)
            return [
                TextScores(
                    vector=fixed[i],
                    incitement=float(read.incites[i]) if judged[i] else 0.0,
                    classes=read.classes[i] if judged[i] else (),
                    judged=judged[i],
                    indicators=indicators(text),
                    stance=stances[i].own,
                    stance_as_reply=stances[i].reply,
                    stance_as_later_reply=stances[i].later,
                    hedged=hedges(text),
                    namings=namings(text),
                )
                for i, text in enumerate(texts)
            ]

    def _stances(self, texts: Sequence[str], languages: Sequence[str], dense: NDArray[np.float32]) -> list[Readings]:
        """Stances of texts by where they may stand: by the head where it may judge, else by cues."""
        head = self._stance_head
        read = head.read(texts, dense) if head is not None else [_by_cues(text) for text in texts]
        return [
            stances if head is None or head.covers(language) else _by_cues(text)
            for text, language, stances in zip(texts, languages, read, strict=True)
        ]


def _by_cues(text: str) -> Readings:
    reply = stance_of(text, is_reply=True)
    return Readings(stance_of(text, is_reply=False), reply, reply)


def space_of(encoder_space: str) -> str:
    """Name of the embedding space of an encoder together with the lexical channel.

    >>> space_of("all-MiniLM-L6-v2@53aa5117")
    'all-MiniLM-L6-v2@53aa5117+words256'
    """
    return f"{encoder_space}+{lexical.SPACE}"


def _scored_post(post: Post, origin: Origin, speed: float, scores: TextScores) -> ScoredPost:
    created_at_s = post.created_at.timestamp()
    return ScoredPost(
        origin=origin,
        post_id=post.post_id,
        platform=post.platform,
        created_at_s=created_at_s,
        author_id=post.author_id,
        text=post.text,
        kind=post.kind,
        parent_id=post.parent_id,
        root_id=post.root_id,
        lang=post.lang,
        followers=post.followers,
        urls=post.urls or links_in(post.text),
        media=post.media,
        community=post.community,
        place=post.place,
        ingested_at_s=created_at_s if post.ingested_at is None else post.ingested_at.timestamp(),
        speed=speed,
        vector=scores.vector,
        incitement=scores.incitement,
        classes=scores.classes,
        judged=scores.judged,
        indicators=scores.indicators,
        stance=scores.stance_at(is_reply=post.kind == "reply", parent_id=post.parent_id, root_id=post.root_id),
        hedged=scores.hedged,
        namings=scores.namings,
    )


def _cache_key(text: str, language: str) -> str:
    return f"{language} {text}"
