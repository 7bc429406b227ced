"""Second looks: what a heavier model says of the few posts of narratives that are about to alert.

The monitor asks (`records.Look`, on the topic `looks`); a score worker answers with a `Checker`, as an entry of the
journal (`entries.LookAnswer`). So a replay needs no model: the answers are in the journal. A checker that is asked
for a text gives the same finding wherever it runs, up to the last bits of its model.
"""

import hashlib
from collections.abc import Collection, Sequence
from typing import Protocol

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from detectors.entries import Indicator, LookAnswer, Origin, Vector
from detectors.records import Look, Stance
from detectors.scoring import Scorer


class Finding(Struct, frozen=True, kw_only=True):
    """What a checker says of one text."""

    incitement: float
    """Calibrated probability, 0 to 1."""
    stance: Stance | None
    """None where that of the first look stands: it was of the same model, and knew where in its thread the post is."""
    indicators: tuple[Indicator, ...] = ()
    vector: Vector | None = None
    """Of the full model; None where there is nothing to embed, or where that model took the first look."""


class Checker(Protocol):
    """Looks again at posts. A heavier model than scores every post, since few are asked for."""

    @property
    def model(self) -> str:
        """Names model and weights: another name asks for other answers (`look_id_of`)."""

    def check(self, looks: Sequence[Look]) -> list[Finding]:
        """Findings in the order of the looks. `Look.text` is the text as posted: clean and normalise it."""


class FullLook:
    """The checker of the fast tier: the scorer with the full model, its incitement head and its stance."""

    def __init__(self, scorer: Scorer) -> None:
        self._scorer = scorer

    @property
    def model(self) -> str:
        """Embedding space of the full scorer."""
        return self._scorer.space

    def incitement(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """Probabilities that English texts incite, shape (n,)."""
        return np.array([scored.incitement for scored in self._scorer.score_texts(texts, lang="en")])

    def check(self, looks: Sequence[Look]) -> list[Finding]:
        """Findings in the order of the looks; texts of one language are scored together."""
        found: dict[str, Finding] = {}
        for lang in dict.fromkeys(look.lang for look in looks):
            mine = [look for look in looks if look.lang == lang]
            scores = self._scorer.score_texts([look.text for look in mine], lang=lang)
            for look, scored in zip(mine, scores, strict=True):
                found[look.look_id] = Finding(
                    incitement=scored.incitement,
                    stance=scored.stance_at(is_reply=look.is_reply),
                    indicators=scored.indicators,
                    vector=scored.vector,
                )
        return [found[look.look_id] for look in looks]


def look_id_of(post_id: str, model: str) -> str:
    """Id of the look at a post with a model.

    >>> look_id_of("post-1", "full") == look_id_of("post-1", "full") != look_id_of("post-1", "other")
    True
    """
    return f"l-{hashlib.blake2b(f'{model}/{post_id}'.encode(errors='surrogatepass'), digest_size=8).hexdigest()}"


class Answerer:
    """Answers looks without a broker: in a replay of posts, or in a backtest what its journal lacks.

    Parameters
    ----------
    known : ids of the looks that the journal answers itself.
    """

    def __init__(self, checker: Checker, known: Collection[str] = ()) -> None:
        self._checker = checker
        self._known = known
        self.computed = 0
        """Looks that were taken here."""

    def __call__(self, looks: Sequence[Look]) -> list[LookAnswer]:
        """Entries that answer, for those that nobody else answers."""
        missing = [look for look in looks if look.look_id not in self._known]
        first, self.computed = self.computed, self.computed + len(missing)
        origins = [Origin("looks", 0, first + place) for place in range(len(missing))]
        return answers(self._checker, list(zip(missing, origins, strict=True))) if missing else []


def answers(checker: Checker, looks: Sequence[tuple[Look, Origin]]) -> list[LookAnswer]:
    """Entries that answer requests, each with where it came from, in order."""
    findings = checker.check([look for look, _ in looks])
    return [
        LookAnswer(
            origin=origin,
            look_id=look.look_id,
            post_id=look.post_id,
            model=checker.model,
            vector=finding.vector,
            incitement=finding.incitement,
            indicators=finding.indicators,
            stance=finding.stance,
        )
        for (look, origin), finding in zip(looks, findings, strict=True)
    ]
