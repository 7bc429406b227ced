"""The trained head of stance: what a post does with the claim it is about, from its sentence vector and its wording.

One multinomial logistic regression over four attitudes; a report is told from support by the cues of `stance.py`,
since no corpus labels it. `emberwatch train stance` fits it (`stance_training.py`); `weights/stance.md` is the model
card. Where no head was trained for an encoder, the cues alone say what they can.
"""

import math
import re
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from detectors import surface_forms
from detectors.hedging import hedges
from detectors.incitement import WrongSpaceError
from detectors.records import STANCES, Stance
from detectors.stance import signs_of, stance_of

ATTITUDES = ("support", "deny", "query", "comment")
"""What the head tells apart, in the order of its columns (RumourEval's SDQC)."""


class StanceWeights(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A trained head; `detectors/weights/stance.json` holds one."""

    schema_version: int = 1
    space: str
    """Embedding space of the vectors; empty where the head reads the wording alone."""
    languages: tuple[str, ...] = ("en",)
    """Languages (ISO 639-1) whose posts the head may judge; posts in others are read by cues."""
    dense: tuple[tuple[float, float, float, float], ...]
    """Weights of each dimension of the sentence vector for the four attitudes, shape (d, 4)."""
    dense_later: tuple[tuple[float, float, float, float], ...] = ()
    """What is added to them where a post answers a reply, shape (d, 4); empty: nothing."""
    wording: dict[str, tuple[float, float, float, float]]
    """Weights of features of the wording, by their names in `FEATURES`, `OWN` and `LATER`; what is missing is 0."""
    bias: tuple[float, float, float, float]
    evening: tuple[float, float, float, float]
    """Added to the logits where one attitude has to be told (`told`), as questions and denials are rare."""
    trained_on: str
    """The data, in words."""


def _set(words: str) -> frozenset[str]:
    return frozenset(words.split())


_WH = _set("who what when where how which why whose")
_AUXILIARY = _set("is are was were do does did has have can could will would should isn't aren't didn't don't any")
_NEGATION = _set(
    "not no never nothing nobody none isn't wasn't aren't don't doesn't didn't won't can't cannot couldn't wouldn't "
    "ain't haven't hasn't without nor neither dont didnt doesnt isnt wasnt cant wont aint"
)
_SWEARING = _set(
    "fuck fucking shit idiot idiots stupid moron morons dumb ass pig pigs cowards coward hell damn crap wtf scum "
    "bastards disgusting pathetic"
)
_AGREEMENT = _set("yes true exactly indeed agree agreed right correct confirmed yep yeah absolutely definitely")
_WONDER = _set("wait really seriously huh wonder wondering curious know heard anyone anybody somebody any proof link")
_SECOND = _set("you your you're yours u ur")
_FIRST = _set("i i'm i've me my mine we we're our us")
_OPENS_NEWS = _set("breaking update updates developing live urgent latest just video photo photos alert watch now")

_WORDS: dict[str, frozenset[str]] = {
    "asking_word": _WH,
    "auxiliary": _AUXILIARY,
    "negation": _NEGATION,
    "falsity": _set(
        "false fake lie lies lying liar liars hoax rumor rumors rumour rumours bullshit bs nonsense wrong untrue "
        "incorrect inaccurate misinformation propaganda debunked unconfirmed disproved photoshopped satire stop "
        "actually"
    ),
    "swearing": _SWEARING,
    "feeling": _set(
        "pray prayers praying sad thoughts rip love hope god bless heart tragic horrible terrible awful omg wow lol "
        "lmao haha smh sorry thanks thank please safe"
    ),
    "source": _set(
        "police officials sources source witness witnesses reports report media says said confirmed officer officers "
        "spokesman minister authorities"
    ),
    "news": _OPENS_NEWS,
    "second_person": _SECOND,
    "first_person": _FIRST,
    "third_person": _set("they them their he she his her him"),
    "agreement": _AGREEMENT,
    "wonder": _WONDER,
}
"""Features that say: at least one of these words."""

_OPENING: dict[str, frozenset[str]] = {
    "opens_asking": _WH,
    "opens_auxiliary": _AUXILIARY,
    "opens_negation": _NEGATION,
    "opens_agreement": _AGREEMENT,
    "opens_wonder": _WONDER,
    "opens_second_person": _SECOND,
    "opens_first_person": _FIRST,
    "opens_news": _OPENS_NEWS,
    "opens_swearing": _SWEARING,
}
"""Features that say: one of these is the first word."""

FEATURES: tuple[str, ...] = (
    *(f"cue_{name}" for name in STANCES),
    *_WORDS,
    *_OPENING,
    "hedged",
    "question",
    "questions",
    "ends_in_question",
    "asks_who_or_what",
    "asks_yes_or_no",
    "asks_why",
    "asks_shortly",
    "asks_you",
    "asks_in_anger",
    "exclamation",
    "exclamations",
    "trails_off",
    "quotation",
    "colon",
    "number",
    "hashtag",
    "length",
    "three_words_or_fewer",
    "capital_letters",
    "capitalised_words",
)
"""Names of the features of the wording, most of them 0 or 1, in the order of their values."""

_REPEATED = ("cue_deny", "cue_query", "cue_comment", "falsity", "wonder", "feeling", "question", "ends_in_question")
OWN: tuple[str, ...] = ("own", *(f"own_{name}" for name in _REPEATED))
"""What counts besides where a post is no reply: it mostly asserts, so what says otherwise weighs otherwise."""
LATER: tuple[str, ...] = ("later", *(f"later_{name}" for name in _REPEATED))
"""What counts besides where a post answers a reply: it speaks of the claim less often, and of the other more."""

_PLACES = [FEATURES.index(name) for name in _REPEATED]

CUE_SCALE = 1.0 / 3.0
"""A sign that is said outright (strength 3 in `stance.py`) counts 1."""

_CLAUSE = re.compile(r"[.!?;:,]")
_NUMBER = re.compile(r"\d")


def features(text: str) -> list[float]:
    """Features of the wording of a text in plain form, in the order of `FEATURES`."""
    words = [word.text for word in surface_forms.read(text).words]
    distinct = set(words)
    first = words[0] if words else ""
    cues = dict.fromkeys(STANCES, 0.0)
    for stance, strength in signs_of(text):
        cues[stance] += strength * CUE_SCALE
    values: list[float] = list(cues.values())
    values += [not distinct.isdisjoint(listed) for listed in _WORDS.values()]
    values += [first in listed for listed in _OPENING.values()]
    values += [hedges(text), *_asking(text)]
    letters, tokens = max(1, len(text)), text.split()
    values += [
        "!" in text,
        text.count("!") > 1,
        "..." in text or "…" in text,
        '"' in text or "“" in text,
        ":" in text,
        _NUMBER.search(text) is not None,
        "#" in text,
        min(1.0, math.log1p(len(words)) / 4.0),
        len(words) <= 3,
        sum(map(str.isupper, text)) / letters,
        sum(token[0].isupper() for token in tokens) / max(1, len(tokens)),
    ]
    return [float(value) for value in values]


def standing(wording: NDArray[np.float64]) -> NDArray[np.float64]:
    """Values of `OWN` of posts of their own, and of `LATER` of later replies, from their features of the wording.

    Shape (n, len(OWN)).
    """
    return np.hstack([np.ones((len(wording), 1)), wording[:, _PLACES]])


def _asking(text: str) -> list[bool]:
    """What the last question of a text is like: the clause before its question mark."""
    place = text.rfind("?")
    if place < 0:
        return [False] * 9
    clause = [word.lower() for word in _CLAUSE.split(text[:place])[-1].split()]
    first, words = clause[0] if clause else "", set(clause)
    return [
        True,
        text.count("?") > 1,
        text.rstrip().endswith("?"),
        first in _WH,
        first in _AUXILIARY,
        first == "why",
        len(clause) <= 3,
        not words.isdisjoint(_SECOND),
        not words.isdisjoint(_NEGATION | _SWEARING),
    ]


class Readings(NamedTuple):
    """Attitudes of one text, by where it stands in its thread."""

    own: Stance
    """As a post of its own."""
    reply: Stance
    """As an answer to the first post of its thread."""
    later: Stance
    """As an answer to a reply."""


class StanceHead:
    """Calibrated probabilities of the attitudes of texts, by where they may stand in a thread.

    `space` is that of the encoder whose vectors the head will see; raises WrongSpaceError where the weights are of
    another.
    """

    def __init__(self, weights: StanceWeights, space: str) -> None:
        if weights.space and weights.space != space:
            raise WrongSpaceError(
                f"the stance head was trained on vectors of {weights.space!r}, but the encoder gives {space!r}: "
                "train it for this encoder with `emberwatch train stance`"
            )
        if unknown := set(weights.wording).difference(FEATURES + OWN + LATER):
            raise ValueError(f"the stance head has features that this version lacks: {', '.join(sorted(unknown))}")
        nothing = (0.0,) * len(ATTITUDES)
        self.languages = frozenset(weights.languages)
        """Languages that it may judge."""
        self._dense = np.array(weights.dense, dtype=np.float64).reshape(-1, len(ATTITUDES))
        self._wording = np.array([weights.wording.get(name, nothing) for name in FEATURES])
        self._own = np.array([weights.wording.get(name, nothing) for name in OWN])
        self._later = np.array([weights.wording.get(name, nothing) for name in LATER])
        self._dense_later = np.array(weights.dense_later, dtype=np.float64).reshape(-1, len(ATTITUDES))
        if self._dense_later.size and self._dense_later.shape != self._dense.shape:
            raise ValueError(f"dense_later has {len(self._dense_later)} rows, dense {len(self._dense)}")
        self._bias = np.array(weights.bias)
        self._evening = np.array(weights.evening)

    def covers(self, language: str) -> bool:
        """Whether the head may judge a text of this language (ISO 639-1); a text that shows none may be judged."""
        return not language or language in self.languages

    def told(self, stance: Stance) -> str:
        """The one attitude to tell of a text, which need not be the likeliest: most posts are comments.

        >>> nothing = (0.0, 0.0, 0.0, 0.0)
        >>> weights = StanceWeights(
        ...     space="", dense=(), wording={}, bias=nothing, evening=(0.0, 1.5, 0.0, 0.0), trained_on="nothing"
        ... )
        >>> StanceHead(weights, "any").told(Stance(support=0.1, deny=0.3, query=0.1, comment=0.5))
        'deny'
        """
        asserting = "report" if stance.report > stance.support else "support"
        shares = (stance.support + stance.report, stance.deny, stance.query, stance.comment)
        place = int(evened(np.array([shares]), self._evening)[0])
        return (asserting, *ATTITUDES[1:])[place]

    def read(self, texts: Sequence[str], dense: NDArray[np.float32]) -> list[Readings]:
        """Attitudes of n texts in plain form with their unit vectors, shape (n, d)."""
        if not texts:
            return []
        wording = np.array([features(text) for text in texts])
        logits = wording @ self._wording + self._bias
        if self._dense.size:
            if dense.shape != (len(texts), len(self._dense)):
                raise ValueError(f"vectors of shape {dense.shape}, expected {(len(texts), len(self._dense))}")
            logits = logits + dense.astype(np.float64) @ self._dense
        besides = standing(wording)
        later_logits = logits + besides @ self._later
        if self._dense_later.size:
            later_logits = later_logits + dense.astype(np.float64) @ self._dense_later
        own, reply, later = softmax(logits + besides @ self._own), softmax(logits), softmax(later_logits)
        return [
            _with_reports(text, own[row].tolist(), reply[row].tolist(), later[row].tolist())
            for row, text in enumerate(texts)
        ]


def evened(shares: NDArray[np.float64], evening: NDArray[np.float64]) -> NDArray[np.int64]:
    """Places in `ATTITUDES` of the attitudes to tell, shape (n,), of probabilities of shape (n, 4)."""
    return np.asarray((np.log(shares + 1e-12) + evening).argmax(axis=1), dtype=np.int64)


def softmax(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    """Rows that sum to 1, shape as given."""
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True), dtype=np.float64)


def _with_reports(text: str, own: list[float], reply: list[float], later: list[float]) -> Readings:
    """Part what asserts into the poster's own word and somebody else's, as the cues part it."""
    if not text.strip():
        return Readings(Stance(comment=1.0), Stance(comment=1.0), Stance(comment=1.0))
    cues = stance_of(text, is_reply=True)
    return Readings(
        _with_report(own, stance_of(text, is_reply=False)), _with_report(reply, cues), _with_report(later, cues)
    )


def _with_report(shares: list[float], cues: Stance) -> Stance:
    support, deny, query, comment = shares
    report = support * cues.report / (cues.report + cues.support)
    return Stance(support=support - report, deny=deny, query=query, report=report, comment=comment)
