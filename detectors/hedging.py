"""Whether a text passes something on without vouching for it: "reportedly", "unconfirmed", "may be part of a plot".

In the first minutes of a rumour nobody asks yet, and few deny; but those who pass it on often say themselves that it
is not settled, or name as its source only "reports", "sources" or "local media". A narrative that is told so is
unconfirmed by its own words, which is not false: much of it turns out true. Somebody named who answers for it
("police confirm") is no hedge, nor is "breaking", which opens settled news as often. Classes of hedges follow Hyland,
"Hedging in Scientific Research Articles" (1998): modal verbs, epistemic verbs and adverbs, and approximators where
the number is the news ("up to 20 held"); hearsay is added. Likewise unsettled is what says that the truth is hidden ("a
cover-up", "no media allowed", "they lied about it"): there an account stands against another, and conspiracy theories
speak so (Samory and Mitra 2018). Words were chosen by reasoning; nothing is fitted.
"""

import re
from functools import lru_cache

_HEARSAY = (
    (
        r"un(?:confirmed|verified|substantiated)|(?:not|n['’]t|yet)\s+(?:yet\s+)?(?:been\s+)?(?:to\s+be\s+)?"
        r"(?:independently\s+)?(?:confirmed|verified)"
    ),
    r"reported(?:ly)?\s+to|reportedly|alleg(?:edly|ed|ing|es?)|supposed(?:ly)?|purported(?:ly)?|rumou?r(?:s|ed)?",
    r"(?:conflicting|preliminary|initial|early|some|multiple|several|media|local|new|more)\s+(?:\w+\s+)?reports?",
    r"reports?\s+(?:of|that|on|say(?:ing)?|claim(?:ing|s)?|indicate|suggest|are|from|coming)",
    r"[:–—-]\s*(?:\w+\s+)?reports?\s*(?:$|[.:|(#@])|^\W*reports?\s*:",
    (
        r"(?:local|some|state|social|foreign|\w+ian|\w+ish)\s+media\s+(?:say|claim|report)\w*|"
        r"(?:sources?|people|they|some)\s+(?:say|claim)\w*|according\s+to\s+(?:\w+\s+)?(?:reports|sources|media|rumou?rs)"
    ),
    r"(?:we|i|['’]?m|['’]re|are|am|now|just)\s+hear(?:ing|d)|^\W*hearing\s+(?:that|of|about|reports)|we\s+understand|word\s+(?:is|on\s+the\s+street)|claims?\s+that",
)
_DOUBT = (
    r"(?:may|might|could)\s+(?:also\s+|still\s+|well\s+)?(?:be|have|lie)",
    (
        r"apparent(?:ly)?|(?:it\s+)?(?:appears?|seems?)\s+(?:to|that|as|like)|possib(?:ly|le)|perhaps|probably|presumabl[ey]|"
        r"potentially|likely"
    ),
    r"(?:is|are|was|were|been)\s+(?:now\s+)?(?:believed|thought|feared|suspected|said|understood|expected)\b",
)
_NUMBER = (
    r"(?:\d[\d.,]*\s?k?\b(?!\s?(?:%|[ap]\.?m\b|o['’]?clock|uhr|years?|months?|weeks?|days?|hours?|minutes?))|"
    r"dozens|hundreds|thousands|two|three|four|five|six|seven|eight|nine|ten|twelve|twenty|thirty|forty|fifty)"
)
_ABOUT_SO_MANY = (
    (
        r"(?:up\s+to|as\s+many\s+as|approximately|approx\.?|roughly|(?:an\s+)?estimated|nearly|almost|close\s+to|"
        rf"(?<!at\s)(?:about|around)|some)\s+{_NUMBER}"
    ),
    r"\d+\s?(?:-|–|to|or)\s?\d+\s+(?:people|persons|hostages|dead|injured|wounded|killed|victims|gunmen|suspects|children)",
    r"feared\s+(?:dead|killed|missing|drowned|trapped)|(?:eye[\s-]?)?witness(?:es)?\s*(?::|say|said|claim|tell|told|report)",
    r"(?:bis\s+zu|etwa|rund|circa|jusqu['’]à|environ|hasta|alrededor\s+de|até|cerca\s+de)\s+\d",
)
_HIDDEN = (
    r"lied|liars?|(?:a|the|this|another|big|bloody|dirty)\s+lies?\b(?!\s+(?:in|on|down))|lying\s+(?:about|to)\b",
    r"cover(?:ed|ing|s)?[\s-]?up|conceal\w*|smear(?:s|ed|ing)?\b|hoax\w*|false\s+flag|character\s+assassination",
    r"media\s+(?:blackout|silence)|no\s+media\s+(?:allowed|coverage)|(?:zero|no)\s+(?:media\s+|news\s+)?coverage",
    r"(?:not|n['’]t|nobody\s+is|no\s+one\s+is)\s+(?:covering|reporting|showing|telling)\b",
    r"they\s+(?:do\s?n['’]t|wo\s?n['’]t|do\s+not|will\s+not|never)\s+(?:want\s+(?:you|us)|tell|show)",
    r"hid(?:e|es|ing|den)\s+(?:the\s+)?(?:truth|evidence|facts|from\s+(?:us|the\s+public))|propaganda|conspir\w+|censor\w+",
    r"vertuscht\w*|lügenpresse|mensonges?\b|encubr\w+|mentir(?:am|on)\b",
)
_ELSEWHERE = (
    (
        r"angeblich|mutmaßlich|vermutlich|offenbar|unbestätigt\w*|gerücht\w*|laut\s+(?:medien\w*|berichten)|soll(?:en)?\s+"
        r"(?:\w+\s+){0,6}(?:sein|haben|werden)|könnte\w*"
    ),
    (
        r"présumé\w*|prétendu\w*|non\s+confirmé\w*|rumeurs?|selon\s+(?:des|certains|les)\s+(?:médias|sources)|serai(?:t|ent)|"
        r"aurai(?:t|ent)"
    ),
    (
        r"supuest[oa]\w*|presunt[oa]\w*|al\s+parecer|sin\s+confirmar|no\s+confirmad[oa]s?|rumor(?:es)?|según\s+(?:medios|fuentes)|"
        r"habría\w*"
    ),
    r"supost[oa]\w*|alegad[oa]\w*|não\s+confirmad[oa]s?|boatos?|segundo\s+(?:fontes|a\s+imprensa)",
    r"presunt[aei]|sembra|pare\s+che|non\s+confermat[oaie]|secondo\s+(?:alcuni\s+)?(?:media|fonti)|sarebb\w+|avrebb\w+",
    r"naar\s+verluidt|vermoedelijk|onbevestigd\w*|zou(?:den)?\s+(?:\w+\s+){0,6}(?:zijn|hebben)|geruchten?",
    r"podobno|rzekom\w+|niepotwierdzon\w+|iddia(?:\s+edil\w+|ya\s+göre)|söylenti\w*|doğrulanma\w+",
    r"предположительно|якобы|по\s+слухам|по\s+неподтвержд\w+|нібито|за\s+непідтвердж\w+|غير\s+مؤكد\w*|مزاعم|شائعات",
)
_HEDGE = re.compile(
    rf"(?<!\w)(?:{'|'.join((*_HEARSAY, *_DOUBT, *_ABOUT_SO_MANY, *_HIDDEN, *_ELSEWHERE))})", re.IGNORECASE
)
_VOUCHED = re.compile(
    r"\b(?:police|officials?|authorit(?:y|ies)|minist(?:er|ry)|mayor|hospital|court|chief|government|spokes\w+|army)\s+"
    r"(?:\w+\s+)?(?:has\s+|have\s+)?confirm(?:s|ed|ing)?\b|\bconfirmed\s+by\b|\bofficially\b",
    re.IGNORECASE,
)


@lru_cache(maxsize=4096)
def hedges(text: str) -> bool:
    """Whether a text leaves open whether, or how far, it is so, or says that the truth is hidden.

    Where an authority that is named confirms it, it does neither.

    >>> hedges("Unconfirmed reports of a second gunman"), hedges("The siege may be part of a larger plot")
    (True, True)
    >>> hedges("Police confirm reports of an injured person"), hedges("BREAKING: Police enter the cafe")
    (False, False)
    >>> hedges("Up to 20 held in the cafe"), hedges("They lied about it. A cover-up"), hedges("13 held, at about 1 am")
    (True, True, False)
    """
    return _HEDGE.search(text) is not None and _VOUCHED.search(text) is None
