"""Calls to violence: the surface forms people look for, and small calibrated heads.

One head says whether a text incites, and one for each class of the taxonomy what it does. Each is a logistic
regression on the sentence vector and on some fifty features of the wording. They give an indicator for people to
judge: a text alone cannot say whether it incites (speaker, audience and moment decide too). `emberwatch train
incitement` fits them; `weights/incitement.md` is the model card.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from detectors import surface_forms
from detectors.entries import Indicator
from detectors.taxonomy import CLASSES

HELD_FROM = 0.5
"""Calibrated probability from which a class is told."""


MIX = 0.25
"""Share of inciting texts in the mix that probabilities are calibrated for."""

EVIDENT_SHARE = 0.2
"""Share of a narrative's posts that `evidence` asks about. What tells narratives with a tenth or a fifth of inciting
posts from those with none changes little from .1 to .3."""

MOST_RATIO = 30.0
"""One post makes nothing more than so many times likelier: labels are wrong more often than that."""


class HeadWeights(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One logistic regression and its calibration."""

    dense: tuple[float, ...]
    """Weight of each dimension of the sentence vector, shape (d,); empty where the head reads the wording alone."""
    lexical: dict[str, float]
    """Weight of features of the wording, by their names in `FEATURES`; one that is missing weighs nothing."""
    bias: float
    calibration: tuple[float, float]
    """(a, b): probability = sigmoid(a * score + b), fitted on cross-fitted scores (Platt 1999)."""


class IncitementWeights(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Trained heads; `detectors/weights/incitement.json` holds some."""

    schema_version: int = 2
    space: str
    """Embedding space of the vectors; empty where the heads read the wording alone, and so fit any encoder."""
    languages: tuple[str, ...] = ("en",)
    """Languages (ISO 639-1) whose posts the heads may judge; posts in others are counted as not judged."""
    incites: HeadWeights
    """Whether a text calls for, threatens or cheers on violence."""
    classes: dict[str, HeadWeights] = {}
    """A head for each class of `taxonomy.CLASSES` that there was data for."""
    trained_on: str
    """The data, in words."""


class Reading(NamedTuple):
    """What the heads say of n texts."""

    incites: NDArray[np.float64]
    """Calibrated probabilities, shape (n,)."""
    classes: tuple[tuple[str, ...], ...]
    """For each text the classes that are as likely as not, or likelier, in the order of the taxonomy."""


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
    "attributes": _set(
        "said says wrote writes shouted shouts yelled yells screamed screams posted posts tweeted tweets claimed "
        "claims muttered told tells called calls saying telling calling chanted chants sprayed painted whispered "
        "typed texted commented joked insisted read reads quote quotes transcript letter leaflet banner graffiti"
    ),
    "disapproves": _set(
        "revolting vile unacceptable shameful ashamed excuse speechless appalled sickening cowardly cowards disgrace "
        "disgraceful bigot bigots bigotry sexist homophobic hatred bullying intolerable outrageous chilling "
        "despicable appalling suspended resign moderators mods tolerance enough"
    ),
    "wishes": _set("hope hopes wish wishes pray deserve deserves should ought must needs hopefully please"),
    "speaks_of_speakers": _set("anyone anybody whoever those everyone imagine joking wanting believe think claim"),
}
"""Features that say: at least one of these words."""

_HARMFUL = _set(
    "kill murder slaughter massacre exterminate annihilate execute behead lynch hang shoot stab burn bomb torch "
    "attack beat smash crush bash hurt harm punch kick slap strangle choke drown poison gas nuke rape destroy "
    "crucify whip flog butcher bury torture skin roast hammer wreck hit fight blow snipe raid storm ambush slay"
)
_HARMING = frozenset(
    form
    for verb in _HARMFUL
    for form in (verb, f"{verb}s", f"{verb}es", f"{verb}ed", f"{verb}d", f"{verb}ing", f"{verb[:-1]}ing")
) | _set("shot hung burnt beaten fought blown slain stabbed stabbing hitting buried slapped slapping whipped flogged")
"""Forms of verbs of violence, as far as they follow rules, and some that do not."""

_PERSONS = _set(
    "them him her 'em em you u everyone everybody someone somebody anyone people these those all every any each man "
    "woman men women girl girls boy boys kid kids child children one his their your yourself ppl guy guys"
)
_THINGS = _set(
    "it this that an my time lights game level boss base song track stage show set exam exams test interview "
    "presentation day week deadline backlog list laundry dishes workout gym hill calories vibe mood beat drums bass "
    "phone computer printer laptop car app alarm clock zombies orcs dragon mobs spiders weeds wasps slugs moths "
    "bugs mosquitoes eggs garlic cream wood fat toast engine process server script button record books ball for"
)
_AUXILIARY = _set("be get got gets getting being been was were is are")
_AWAY = _set("not never no nobody cannot don't dont can't won't shouldn't mustn't didn't doesn't without nor stop n't")
_NEAR = 5
"""Words before a verb in which what denies it stands."""
_QUOTES = str.maketrans("“”„«»", '"' * 5)

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
    "harm_told",
    "harm_of_persons",
    "harm_of_things",
    "harm_of_me",
    "harm_suffered",
    "harm_denied",
    "harm_quoted",
    "harm_unquoted_beside_quotation",
    "quotation_with_speaker",
    "quotation_disapproved",
    "quotation",
    "question",
    "exclamation",
    "shouting",
    "length",
)
"""Names of the features of the wording, each 0 to 1, in the order of their values."""


def features(text: str, reading: surface_forms.Reading) -> list[float]:
    """Features of the wording of one text, in the order of `FEATURES`."""
    kinds = reading.signs
    words = {word.text for word in reading.words}
    remarks = reading.remarks
    values: list[float] = [kind in kinds for kind in _FOUND]
    values += [remark in remarks for remark in _REMARKS]
    values += [not words.isdisjoint(listed) for listed in _WORDS.values()]
    violent = "violent_call" in remarks
    gathering = "gathering_call" in remarks
    harm = "weapon" in kinds or not words.isdisjoint(_WORDS["violent_word"])
    letters = max(1, len(text))
    plain = text.translate(_QUOTES)
    quoted = '"' in plain
    values += [
        violent and "target" in kinds,
        violent and "place" in kinds and "time" in kinds,
        gathering and harm,
        gathering and not harm and not violent,
        violent and not words.isdisjoint(_WORDS["reporting"]),
        violent and not words.isdisjoint(_WORDS["plays"]),
        *_harm(plain, reading.words, quoted=quoted),
        quoted and not words.isdisjoint(_WORDS["attributes"]),
        quoted and not (words.isdisjoint(_WORDS["disapproves"]) and words.isdisjoint(_WORDS["condemns"])),
        quoted,
        "?" in text,
        "!" in text,
        letters > 20 and sum(map(str.isupper, text)) / letters > 0.5,
        min(1.0, math.log1p(len(reading.words)) / 4.0),
    ]
    return [float(value) for value in values]


def _harm(text: str, words: Sequence[surface_forms.Word], *, quoted: bool) -> tuple[bool, ...]:
    """What verbs of violence do in a text: whom or what they hit, and whether they are denied or somebody's words.

    Eight features in the order of `FEATURES`; a text without such a verb, which most are, costs one look-up a word.
    """
    at = [place for place, word in enumerate(words) if word.text in _HARMING]
    if not at:
        return (False,) * 8
    after = [{word.text for word in words[place + 1 : place + 3]} for place in at]
    before = [{word.text for word in words[max(0, place - _NEAR) : place]} for place in at]
    inside = [quoted and text.count('"', 0, words[place].start) % 2 == 1 for place in at]
    return (
        True,
        any(not one.isdisjoint(_PERSONS) for one in after),
        any(not one.isdisjoint(_THINGS) for one in after),
        any("me" in one or "us" in one for one in after),
        any(words[place - 1].text in _AUXILIARY for place in at if place),
        any(not one.isdisjoint(_AWAY) for one in before),
        any(inside),
        quoted and not all(inside),
    )


class IncitementHead:
    """Calibrated probability that a text calls for, threatens or cheers on violence, and the classes it is of.

    `space` is that of the encoder whose vectors the heads will see; raises WrongSpaceError where the weights are of
    another, since their products would be meaningless.
    """

    def __init__(self, weights: IncitementWeights, space: str) -> None:
        if weights.space and weights.space != space:
            raise WrongSpaceError(
                f"the incitement head was trained on vectors of {weights.space!r}, but the encoder gives {space!r}: "
                "train it for this encoder with `emberwatch train incitement`"
            )
        self.languages = frozenset(weights.languages)
        """Languages that it may judge."""
        self._names = tuple(name for name in CLASSES if name in weights.classes)
        heads = [weights.incites, *(weights.classes[name] for name in self._names)]
        if unknown := {name for head in heads for name in head.lexical}.difference(FEATURES):
            raise ValueError(f"the incitement head has features that this version lacks: {', '.join(sorted(unknown))}")
        if unknown := set(weights.classes).difference(CLASSES):
            raise ValueError(f"the taxonomy of this version lacks {', '.join(sorted(unknown))}")
        # One column for each head: all of them cost one product.
        self._dense = np.array([head.dense for head in heads], dtype=np.float64).T
        self._wording = np.array([[head.lexical.get(name, 0.0) for name in FEATURES] for head in heads]).T
        self._bias = np.array([head.bias for head in heads])
        self._calibration = np.array([head.calibration for head in heads]).T

    def covers(self, language: str) -> bool:
        """Whether the heads may judge a text of this language (ISO 639-1); a text that shows none may be judged."""
        return not language or language in self.languages

    def probabilities(self, texts: Sequence[str], dense: NDArray[np.float32]) -> NDArray[np.float64]:
        """Probabilities that n texts incite, shape (n,); `dense` holds their unit vectors, shape (n, d)."""
        return self.read(texts, dense).incites

    def read(self, texts: Sequence[str], dense: NDArray[np.float32]) -> Reading:
        """Read n texts with their unit vectors, shape (n, d)."""
        if not texts:
            return Reading(np.zeros(0), ())
        wording = np.array([features(text, surface_forms.read(text)) for text in texts])
        scores = wording @ self._wording + self._bias
        if self._dense.size:
            if dense.shape != (len(texts), len(self._dense)):
                raise ValueError(f"vectors of shape {dense.shape}, expected {(len(texts), len(self._dense))}")
            scores = scores + dense.astype(np.float64) @ self._dense
        a, b = self._calibration
        probabilities = 1.0 / (1.0 + np.exp(-(a * scores + b)))
        held = probabilities[:, 1:] >= HELD_FROM
        some = held.any(axis=1)
        return Reading(
            probabilities[:, 0],
            tuple(
                tuple(name for name, holds in zip(self._names, row, strict=True) if holds) if any_held else ()
                for row, any_held in zip(held, some, strict=True)
            ),
        )


def wilson(hits: int, of: int) -> tuple[float, float]:
    """95 % interval of a share that was counted (Wilson 1927): it knows 3 of 4 from 300 of 400.

    >>> [round(end, 2) for end in (*wilson(3, 4), *wilson(300, 400), *wilson(12, 40))]
    [0.3, 0.95, 0.71, 0.79, 0.18, 0.45]
    """
    if of <= 0:
        return 0.0, 1.0
    z = 1.959964
    share = hits / of
    middle = share + z * z / (2 * of)
    spread = z * math.sqrt(share * (1 - share) / of + z * z / (4 * of * of))
    whole = 1 + z * z / of
    return max(0.0, (middle - spread) / whole), min(1.0, (middle + spread) / whole)


def evidence(probability: float) -> int:
    """How much likelier a post makes it that a fifth of its narrative incites than that none does; log, in thousandths.

    The sum over posts is the log likelihood ratio of the two (Neyman, Pearson 1933): many doubtful posts count, and a
    single one proves nothing. A whole number, so that a sum does not depend on the order.

    >>> [evidence(probability) for probability in (0.0, 0.1, 0.25, 0.5, 0.9, 1.0)]
    [-223, -143, 0, 336, 1825, 1917]
    """
    ratio = probability / max(1.0 - probability, 1e-9) * (1.0 - MIX) / MIX
    return round(1000.0 * math.log(1.0 - EVIDENT_SHARE + EVIDENT_SHARE * min(ratio, MOST_RATIO)))


def surely_inciting(low: float, false_alarms: float) -> float:
    """Take from the lower end of a share what the head would call inciting among harmless posts (Rogan, Gladen 1978).

    >>> round(surely_inciting(0.18, 0.05), 3), surely_inciting(0.04, 0.05)
    (0.137, 0.0)
    """
    return max(0.0, (low - false_alarms) / (1.0 - false_alarms)) if false_alarms < 1.0 else 0.0


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
