"""Calls to violence: the surface forms people look for, and a small calibrated head.

The head is a logistic regression on the sentence vector and on some forty features of the wording, so that the
reason of a score can be told. It gives an indicator for people to judge: a text alone cannot say whether it incites
(speaker, audience and moment decide too). `emberwatch train incitement` fits it; `weights/incitement.md` is the
model card.
"""

import math
from collections.abc import Sequence

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from detectors import surface_forms
from detectors.entries import Indicator
from detectors.surface_forms import Reading


class IncitementWeights(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A trained head; `detectors/weights/incitement.json` holds one."""

    schema_version: int = 1
    space: str
    """Embedding space of `dense`; empty where the head reads the wording alone, and so fits any encoder."""
    dense: tuple[float, ...]
    """Weight of each dimension of the sentence vector, shape (d,); empty where `space` is."""
    lexical: dict[str, float]
    """Weight of features of the wording, by their names in `FEATURES`; one that is missing weighs nothing."""
    bias: float
    calibration: tuple[float, float]
    """(a, b): probability = sigmoid(a * score + b), fitted on cross-fitted scores (Platt 1999)."""
    trained_on: str
    """The data, in words."""


class WrongSpaceError(ValueError):
    """A head was given vectors of a space it was not trained on."""


def _set(words: str) -> frozenset[str]:
    return frozenset(words.split())


_WORDS: dict[str, frozenset[str]] = {
    "says_i": _set("i i'm i'd i'll i've me my mine im"),
    "says_we": _set("we we're we'll we've us our ours let's lets"),
    "says_you": _set("you your yours you're you'll u ur yourself y'all"),
    "says_them": _set("they them their theirs they're 'em him her his she he those these"),
    "negation": _set("not no never nobody don't dont cannot can't won't shouldn't stop without isn't doesn't didn't"),
    "reporting": _set(
        "said says say told tells reported reports report according police officials court judge witness "
        "witnesses sources suspect suspects arrested charged sentenced jailed accused alleged allegedly breaking "
        "news update updates video confirmed confirms investigation prosecutors spokesman minister condemned "
        "condemns victims victim injured wounded dead"
    ),
    "violent_event": _set(
        "killed killing kills shot shooting shootings stabbed stabbing attacked attacks bombing bombed explosion "
        "exploded gunman gunmen hostage hostages fired burned beaten murdered murder riot riots massacre died "
        "dies raped assaulted"
    ),
    "violent_word": _set(
        "kill shoot burn hang bomb attack stab beat murder slaughter lynch torch gas rape punch smash destroy "
        "exterminate nuke die death bullet blood rope execute drown strangle choke slap hurt"
    ),
    "peaceful": _set(
        "peaceful peacefully peace vigil candle candles candlelight banner banners signs placards stewards "
        "petition vote silence silent solidarity welcome families prayers pray rally march demonstration protest "
        "strike volunteers lawful non-violent"
    ),
    "condemns": _set(
        "violence violent crime criminal wrong illegal racist racism hate hateful condemn report reported "
        "incitement awful horrible terrible disgusting shame unacceptable neighbours neighbors safe calm"
    ),
    "plays": _set(
        "game games boss level server map xbox playstation ps5 pc fortnite minecraft quest npc zombie zombies "
        "dragon team match goal goals coach season league cup score players player film movie episode song album "
        "tour concert gig band stage lol lmao haha hahaha quiz exam gym workout pizza coffee beer dinner cake bbq "
        "barbecue"
    ),
    "insults": _set(
        "scum filth bitch bitches whore whores slut sluts cunt cunts pigs rats vermin traitor traitors idiot "
        "idiots stupid retard fuck fucking shit trash evil disgusting bastard bastards"
    ),
}
"""Features that say: at least one of these words."""

_FOUND = ("place", "time", "target", "weapon", "glorification", "dehumanisation")
_REMARKS = ("violent_call", "quoted_call", "negated_call", "gathering_call", "threat", "idiom")

FEATURES: tuple[str, ...] = (
    *_FOUND,
    *_REMARKS,
    *_WORDS,
    "violent_call_with_target",
    "violent_call_with_place_and_time",
    "gathering_with_weapon_or_violence",
    "gathering_without_violence",
    "violent_call_while_reporting",
    "violent_call_at_play",
    "quotation",
    "question",
    "exclamation",
    "shouting",
    "length",
)
"""Names of the features of the wording, each 0 to 1, in the order of their values."""


def features(text: str, reading: Reading) -> list[float]:
    """Features of the wording of one text, in the order of `FEATURES`."""
    kinds = {indicator.kind for indicator in reading.indicators}
    words = {word.text for word in reading.words}
    remarks = reading.remarks
    values: list[float] = [kind in kinds for kind in _FOUND]
    values += [remark in remarks for remark in _REMARKS]
    values += [not words.isdisjoint(listed) for listed in _WORDS.values()]
    violent = "violent_call" in remarks
    gathering = "gathering_call" in remarks
    harm = "weapon" in kinds or not words.isdisjoint(_WORDS["violent_word"])
    letters = max(1, len(text))
    values += [
        violent and "target" in kinds,
        violent and "place" in kinds and "time" in kinds,
        gathering and harm,
        gathering and not harm and not violent,
        violent and not words.isdisjoint(_WORDS["reporting"]),
        violent and not words.isdisjoint(_WORDS["plays"]),
        '"' in text or "“" in text or "«" in text,
        "?" in text,
        "!" in text,
        letters > 20 and sum(map(str.isupper, text)) / letters > 0.5,
        min(1.0, math.log1p(len(reading.words)) / 4.0),
    ]
    return [float(value) for value in values]


class IncitementHead:
    """Calibrated probability that a text calls for, threatens or cheers on violence.

    `space` is that of the encoder whose vectors the head will see; raises WrongSpaceError where the weights are of
    another, since their products would be meaningless.
    """

    def __init__(self, weights: IncitementWeights, space: str) -> None:
        if weights.space and weights.space != space:
            raise WrongSpaceError(
                f"the incitement head was trained on vectors of {weights.space!r}, but the encoder gives {space!r}: "
                "train it for this encoder with `emberwatch train incitement`"
            )
        if unknown := set(weights.lexical).difference(FEATURES):
            raise ValueError(f"the incitement head has features that this version lacks: {', '.join(sorted(unknown))}")
        self._dense = np.asarray(weights.dense, dtype=np.float64)
        self._wording = np.array([weights.lexical.get(name, 0.0) for name in FEATURES])
        self._bias = weights.bias
        self._calibration = weights.calibration

    def probabilities(self, texts: Sequence[str], dense: NDArray[np.float32]) -> NDArray[np.float64]:
        """Probabilities, shape (n,), of n texts with their unit vectors, shape (n, d)."""
        if not texts:
            return np.zeros(0)
        wording = np.array([features(text, surface_forms.read(text)) for text in texts])
        scores = wording @ self._wording + self._bias
        if self._dense.size:
            if dense.shape != (len(texts), self._dense.size):
                raise ValueError(f"vectors of shape {dense.shape}, expected {(len(texts), self._dense.size)}")
            scores = scores + dense.astype(np.float64) @ self._dense
        a, b = self._calibration
        probabilities: NDArray[np.float64] = 1.0 / (1.0 + np.exp(-(a * scores + b)))
        return probabilities


def indicators(text: str) -> tuple[Indicator, ...]:
    """Surface forms found in a text, in its order: call to act, place, time, target, weapon and so on.

    >>> [i.kind for i in indicators("Meet outside the Harwick hotel at 8pm")]
    ['call_to_act', 'place', 'target', 'time']
    """
    return surface_forms.read(text).indicators


def names_place_and_time(found: Sequence[Indicator]) -> bool:
    """Whether there is a call to act, a place and a time; so has a lawful protest, which is why a head decides first.

    >>> names_place_and_time(indicators("Meet outside the Harwick hotel at 8pm"))
    True
    """
    return {"call_to_act", "place", "time"} <= {indicator.kind for indicator in found}


def calls_to_violence(found: Sequence[Indicator]) -> bool:
    """Whether a call to act is one to violence, rather than one to come together.

    >>> calls_to_violence(indicators("March from the bridge to the town hall tomorrow"))
    False
    >>> calls_to_violence(indicators("Burn the town hall tomorrow"))
    True
    """
    return any(
        indicator.kind == "call_to_act" and not surface_forms.is_gathering(indicator.words) for indicator in found
    )
