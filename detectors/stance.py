"""Attitude of a post to the claim it is about: support, deny, query, report or comment, from surface patterns.

Crowds ask and deny early ("is this true?", "unconfirmed"), so a few such posts say "contested, look first"; they do
not say "false". Enquiry patterns start from Zhao, Resnick and Mei, "Enquiring Minds" (WWW 2015), table 1, and are
extended for short replies, where the original five find next to nothing. Patterns and their strengths were chosen by
reasoning; nothing here is fitted to a corpus. English, with a few words of other languages.

These cues are inputs of the trained head (`stance_head.py`), and serve alone where there is none: for an encoder that
none was trained for, and for languages that it does not cover.
"""

import math
import re
from functools import lru_cache
from typing import NamedTuple

from detectors.records import Stance
from detectors.surface_forms import read


class _Cue(NamedTuple):
    """One sign of an attitude: one of `words`, from which on `pattern` matches (where there is one)."""

    stance: str
    strength: float
    """Added to the attitude's logit: 1 a hint, 2 a usual sign, 3 said outright; less than 0 speaks against."""
    words: frozenset[str]
    pattern: re.Pattern[str] | None = None
    opens: bool = False
    """Only as the first word."""


def _cue(stance: str, strength: float, words: str, *patterns: str, opens: bool = False) -> _Cue:
    pattern = re.compile("|".join(patterns), re.IGNORECASE) if patterns else None
    return _Cue(stance, strength, frozenset(words.split()), pattern, opens)


_THIS = r"(?:this|that|these|those|it|they|there|he|she|(?:the|your|these|those)\s+\w+)"
_FALSE = (
    r"(?:not\s+true|untrue|false|fake|an?\s+(?:\w+\s+)?(?:hoax|lie|fake|joke|rumou?r)|lies|bogus|nonsense|"
    r"debunked|photoshopped|wrong|"
    r"misinformation|disinformation|made\s+up|fabricated|inaccurate|bullshit|bs|old)\b"
)
_HEDGES = r"(?:(?:just|all|complete(?:ly)?|totally|simply|probably|clearly|been|absolutely|so|obviously|already)\s+)*"

_SOURCES = (
    "police officials official authorities witness witnesses sources source minister mayor fbi reuters bbc cnn afp ap "
    "media reports hospital army government council chief sheriff pm president lawyer family spokesman spokeswoman "
    "spokesperson news tv"
)
_AFTER_A_SOURCE = "|".join(rf"(?<={source} )\w+" for source in _SOURCES.split())

_CUES = (
    # Enquiry about the truth (Zhao: "is that true", "real?", "unconfirmed").
    _cue(
        "query",
        3.0,
        "is was are were isn't can could",
        rf"\w+(?:'t)?\s+{_THIS}\s+(?:\w+\s+)?(?:true|real|legit|confirmed|accurate|verified|fake|an?\s+(?:hoax|"
        rf"joke|rumou?r))\b[^.!]*\?",
    ),
    _cue(
        "query",
        3.0,
        "any got have where's what's",
        r"\S+\s+(?:a\s+|an\s+|the\s+|your\s+|you\s+(?:got\s+)?(?:a\s+|any\s+)?)?(?:proof|evidence|sources?|"
        r"confirmation|link)\b",
    ),
    _cue(
        "query",
        3.0,
        "source sources proof evidence link confirmed true real really confirmation unconfirmed verified",
        r"\w+\s*\?",
    ),
    _cue(
        "query",
        3.0,
        "can could",
        r"\w+\s+(?:any(?:one|body)|some(?:one|body)|you|"
        r"we)\s+(?:please\s+)?(?:confirm|verify|prove)",
    ),
    _cue("query", 3.0, "how where", r"\w+\s+do\s+(?:you|we|they)\s+know\b"),
    _cue("query", 2.0, "who where", r"\w+\s+(?:says|said|is\s+saying|confirmed)\b[^.!]*\?"),
    _cue(
        "query",
        3.0,
        "according has",
        r"according\s+to\s+wh\w+|has\s+(?:this|that|it|anyone)\s+(?:been\s+)?(?:confirmed|verified)",
    ),
    _cue("query", 3.0, "est-ce vrai verdad cierto stimmt wahr vero verdade", r"\w+\s*\?|stimmt\s+das\b|est-ce\s+vrai"),
    _cue("query", 2.0, "wonder wondering sure possible", r"\w+\s+(?:if|whether|that)\b"),
    _cue("query", 1.5, "what wat huh seriously wait so", r"\w+\s*\?"),
    # Denial.
    _cue(
        "deny",
        3.0,
        "this that it story report photo picture video claim rumor rumour news that's it's which these they",
        rf"\S+(?:\s+(?:is|was|are|were|has|have))?\s+{_HEDGES}{_FALSE}(?!\s*\?)",
    ),
    _cue(
        "deny",
        3.0,
        "not isn't wasn't aren't",
        r"\S+\s+(?:even\s+|actually\s+|yet\s+)?(?:true|real|accurate|correct|confirmed|factual|how\s+it|"
        r"what\s+happened)\b(?!\s*\?)",
    ),
    _cue(
        "deny",
        3.0,
        "fake fakenews debunked debunk debunks hoax fact-check factcheck",
        r"fake\s+news|fakenews|debunk\w*|hoax(?!\s*\?)|fact",
    ),
    _cue("deny", 3.0, "no", r"no\s+(?:\w+\s+)?(?:evidence|proof|truth\s+to|such\s+thing|basis)\b"),
    _cue(
        "deny", 3.0, "stop quit don't", r"\S+\s+(?:spreading|sharing|lying|believ(?:e|ing)|posting|reporting|making)\b"
    ),
    _cue("deny", 2.0, "didn't doesn't never", r"\S+\s+(?:happen\w*|exist\w*|sa(?:y|id))\b"),
    _cue(
        "deny",
        2.5,
        "you're you they're he's your they",
        r"\S+\s+(?:are\s+)?(?:just\s+)?(?:lying|liars?|wrong|misinformed|making\s+(?:this|it|that|shit)\s+up)\b",
    ),
    _cue("deny", 2.0, "falso falsch faux mentira bulo", r"\w+"),
    _cue(
        "deny",
        2.0,
        "bullshit bogus untrue nonsense photoshop photoshopped misleading propaganda satire clickbait rubbish "
        "lies lie fabricated "
        "misinformation disinformation inaccurate false retract retracted retraction incorrect misreported",
    ),
    _cue(
        "deny",
        1.5,
        "no nope nah wrong false fake actually incorrect",
        r"(?!no\s+(?:one|idea|words|doubt|problem|wonder|surprise|matter))",
        opens=True,
    ),
    _cue("deny", 2.0, "deny denies denied alive contrary rumor rumors rumour rumours", r"(?!\w+\s*\?)"),
    _cue("deny", -2.0, "if whether can't", r"(?:if|whether)\s+(?:this|that|it)\s+is|can't\s+believe"),
    # Reporting: the words are somebody else's, who is named.
    _cue(
        "report",
        3.0,
        "say says said saying confirm confirms confirmed confirming report reports reported reporting announce "
        "announces announced "
        "tell tells told identified identifies warns warned states stated",
        _AFTER_A_SOURCE,
    ),
    _cue("report", 3.0, "according via confirmed", r"according\s+to\s+(?!wh)|via\s+@?[A-Z]|confirmed\s+by\b"),
    _cue("report", 2.0, "reportedly allegedly alleged unconfirmed statement"),
    _cue("report", 2.0, "reports report", r"reports?\s+(?:of|that|say|claim)\b"),
    # "Breaking:" alone names nobody, and opens rumours as often as news.
    _cue(
        "report",
        1.0,
        "breaking update developing live latest watch just urgent video photo photos details eilmeldung",
        r"(?:just\s+in|\w+)\s*(?:news\b)?\s*[:|!–-]",
        opens=True,
    ),
    _cue("report", 2.0, "bbc cnn reuters afp ap guardian nbc abc cbs", r"\w+\s*:"),
    # Support: said outright, with knowledge of one's own, or passed on.
    _cue(
        "support",
        2.0,
        "it's that's this is",
        r"(?:it's|that's|this\s+is|is\s+indeed)\s+(?:\w+\s+)?(?:true|confirmed|real|correct|right|a\s+fact)\b(?!\s*\?)",
    ),
    _cue("support", 1.5, "yes yep yeah exactly indeed agreed true correct", r"\w+(?!\s*\?)\b", opens=True),
    _cue(
        "support",
        2.0,
        "i we",
        r"\w+\s+(?:saw|was\s+there|were\s+there|heard\s+(?:it|the)|live\s+(?:here|there|next)|can\s+confirm)\b",
    ),
    _cue(
        "support",
        1.0,
        "share spread wake truth hiding",
        r"share\s+(?:this|before|now|it)|spread\s+the|wake\s+up|the\s+truth|truth|hiding",
    ),
    _cue("support", 1.0, "rt mt pic pict", r"\w+"),
    # Comment: feelings and talk.
    _cue(
        "comment",
        1.0,
        "lol lmao haha omg wow smh rip pray prayers praying thoughts sad terrible awful horrible disgusting "
        "thank thanks please hope love "
        "hate scary shame god safe",
    ),
)

_QUESTION_OF_ITS_OWN = re.compile(
    r"(?:^|[.!,;:]\s*|\bso\s+|\band\s+|\bbut\s+)\W*(?:who|what|when|where|how|which|is|are|was|were|do|does|did|"
    r"has|have|any|isn't|didn't)\b[^.!?]*\?",
    re.IGNORECASE,
)
_RHETORIC = re.compile(
    r"\bwhy\b|\bhow\s+(?:dare|can|could|many\s+more)\b|\bwho\s+cares\b|\blol\b|\blmao\b|\bhaha|\bkidding\b|"
    r"\bstupid\b|\bwtf\b|\bthe\s+(?:hell|fuck)\b|"
    r"\bdo\s+you\s+(?:think|want|really)\b|\bare\s+you\b",
    re.IGNORECASE,
)

_OF_ITS_OWN = {"support": 1.6, "deny": 0.0, "query": 0.0, "report": 0.4, "comment": 1.0}
_AS_REPLY = {"support": 0.4, "deny": 0.0, "query": 0.0, "report": -0.4, "comment": 2.2}
"""Logits where no pattern speaks: a post of its own mostly asserts, a reply mostly talks."""


def stance_of(text: str, *, is_reply: bool) -> Stance:
    """Weights of the five attitudes, summing to 1; of a text without words all is `comment`.

    >>> def leading(text):
    ...     stance = stance_of(text, is_reply=True)
    ...     return max(stance.__struct_fields__, key=lambda name: getattr(stance, name))
    >>> leading("Is this true? Any source?"), leading("This is fake, stop spreading it"), leading("so sad, praying")
    ('query', 'deny', 'comment')
    """
    if not text.strip():
        return Stance(comment=1.0)
    return _weighed(signs_of(text), is_reply=is_reply)


@lru_cache(maxsize=4096)
def _weighed(signs: tuple[tuple[str, float], ...], *, is_reply: bool) -> Stance:
    """Weights by the signs of a text, of which there are few kinds."""
    logits = dict(_AS_REPLY if is_reply else _OF_ITS_OWN)
    for stance, strength in signs:
        logits[stance] += strength
    weights = {stance: math.exp(logit) for stance, logit in logits.items()}
    total = math.fsum(weights.values())
    return Stance(**{stance: weight / total for stance, weight in weights.items()})


@lru_cache(maxsize=4096)
def signs_of(text: str) -> tuple[tuple[str, float], ...]:
    """Attitudes and strengths of the cues of a text, those of a question last; remembers the last texts."""
    plain = text.replace("’", "'")
    found: dict[int, tuple[str, float]] = {}
    for place, word in enumerate(read(text).words):
        for index in _CUES_OF.get(word.text, ()):
            cue = _CUES[index]
            fits = not (cue.opens and place) and index not in found
            if fits and (cue.pattern is None or cue.pattern.match(plain, word.start)):
                found[index] = cue.stance, cue.strength
    signs = list(found.values())
    if "?" in plain:
        signs.append(("query", 2.0))
        if _QUESTION_OF_ITS_OWN.search(plain):
            signs.append(("query", 1.0))
        if _RHETORIC.search(plain):
            signs.append(("query", -0.75))
    return tuple(signs)


def _cues_of() -> dict[str, tuple[int, ...]]:
    table: dict[str, list[int]] = {}
    for index, cue in enumerate(_CUES):
        for word in cue.words:
            table.setdefault(word, []).append(index)
    return {word: tuple(indices) for word, indices in table.items()}


_CUES_OF = _cues_of()
