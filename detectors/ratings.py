"""What a fact-checker's rating says, whatever its scale and language: false, mixed, true, or unknown.

Words are read first, a number on its scale where there are none; the original words are kept beside the verdict.
"""

import math
import re
from typing import Literal

from detectors.records import Rating

UNKNOWN_RATING = "rating unknown"
"""Words for a rating that is not given, or cannot be read."""

Verdict = Literal["false", "mixed", "true", "unknown"]

_TRUTH_SCALE = (1.0, 5.0)
"""Worst and best where a rating does not say: the defaults of schema.org."""
_FALSE_BELOW = 0.45
_TRUE_FROM = 0.7
"""On a scale from 0 to 1. Of five steps the lowest two are false, of PolitiFact's six the lowest three; the upper two
are true on both."""


def verdict_of(rating: Rating | None) -> Verdict:
    """Read a fact-checker's rating: its words first, else its place on its scale; "unknown" where neither is clear.

    >>> verdict_of(Rating(alternate_name="Pants on Fire!")), verdict_of(Rating(alternate_name="Half-True"))
    ('false', 'mixed')
    >>> verdict_of(Rating(rating_value=5, worst_rating=1, best_rating=5)), verdict_of(None)
    ('true', 'unknown')
    """
    if rating is None:
        return "unknown"
    return _verdict_of_words(rating.alternate_name or "") or _verdict_of_number(rating) or "unknown"


def rating_words(rating: Rating | None) -> str:
    """A rating as its publisher words it, else as a number; never empty.

    >>> rating_words(Rating(rating_value="2", best_rating=6)), rating_words(None)
    ('2 of 6', 'rating unknown')
    """
    if rating is not None and rating.alternate_name and rating.alternate_name.strip():
        return rating.alternate_name.strip()
    value = None if rating is None else _number(rating.rating_value)
    if rating is None or value is None:
        return UNKNOWN_RATING
    best = _TRUTH_SCALE[1] if rating.best_rating is None else _number(rating.best_rating)
    return f"{value:g}" if best is None else f"{value:g} of {best:g}"


def is_satire(rating: Rating | None) -> bool:
    """Whether a rating says that the claim came from satire.

    >>> is_satire(Rating(alternate_name="Labeled Satire")), is_satire(Rating(alternate_name="False"))
    (True, False)
    """
    return rating is not None and _SATIRE.search(rating.alternate_name or "") is not None


def _verdict_of_words(words: str) -> Verdict | None:
    found = [match.lastgroup for match in _VERDICT_WORDS.finditer(words.casefold())]
    if not found:
        return None
    if "unclear" in found:
        return "unknown"
    if found[0] == "false":
        return "false"
    return "true" if set(found) == {"true"} else "mixed"


def _verdict_of_number(rating: Rating) -> Verdict | None:
    value = _number(rating.rating_value)
    worst = _TRUTH_SCALE[0] if rating.worst_rating is None else _number(rating.worst_rating)
    best = _TRUTH_SCALE[1] if rating.best_rating is None else _number(rating.best_rating)
    if value is None or worst is None or best is None or worst == best:
        return None
    place = (value - worst) / (best - worst)
    if not 0.0 <= place <= 1.0:
        return None  # -1 is used for "cannot be put on the scale"
    if place < _FALSE_BELOW:
        return "false"
    return "true" if place >= _TRUE_FROM else "mixed"


def _number(value: float | str | None) -> float | None:
    try:
        number = float(str(value).replace(",", "."))
    except ValueError:
        return None
    return number if math.isfinite(number) else None


_VERDICT_WORDS = re.compile(
    r"(?P<unclear>\b(?:unproven|unverified|unverifiable|undetermined|research\s+in\s+progress|in\s+progress|"
    r"opinion|legend|"
    r"(?:full\s+|half\s+|no\s+)?fl[oi]p|nicht\s+belegt|unbelegt|invérifiable|no\s+verificable|insustentável)\b)"
    r"|(?P<mixed>\b(?:half[\s-]+true|half\s+truth|mixture|mixed|part(?:ly|ially)\s+(?:true|false|correct|"
    r"incorrect)|misleading|"
    r"(?:missing|lacks?|lacking|out\s+of|needs?|without)\s+context|outdated|exaggerat\w+|cherry[\s-]?pick\w*|"
    r"distorts?\w*|spins?\b.*facts|"
    r"no\s+evidence|unsupported|not\s+the\s+whole\s+story|satire|labeled\s+satire|two\s+pinocchios|"
    r"teilweise\s+\w+|teils\s+\w+|halbwahr|irreführend|fehlender\s+kontext|trompeur|partiellement\s+\w+|"
    r"en\s+partie\s+\w+|hors\s+contexte|"
    r"engañoso|verdad(?:es)?\s+a\s+medias|cuestionable|sacado\s+de\s+contexto|enganoso|distorcido|exagerado|"
    r"fora\s+de\s+contexto|"
    r"fuorviante|parzialmente\s+\w+|misleidend|deels\s+\w+|manipulacja|częściowo\s+\w+|yanıltıcı|kısmen\s+\w+|"
    r"menyesatkan|sebagian\s+\w+|"
    r"полуправда|манипуляция|маніпуляція|مضلل)\b|भ्रामक|誤導|误导)"
    r"|(?P<false>\b(?:pants\s+on\s+fire|mostly\s+false|not\s+(?:true|correct|accurate|real|legit)|(?:false|"
    r"falsely|fake|faked|incorrect|"
    r"inaccurate|wrong|hoax|untrue|debunked|fabricated|altered|manipulated|doctored|digitally\s+\w+|photoshopped|"
    r"scam|fraud|miscaptioned|"
    r"misattributed|incorrect\s+attribution|baseless|unfounded|invented|three\s+pinocchios|four\s+pinocchios|"
    r"falsch|gefälscht|unwahr|stimmt\s+nicht|nicht\s+(?:wahr|richtig|korrekt)|(?:frei\s+)?erfunden|"
    r"größtenteils\s+falsch|"
    r"faux|fausse|infox|intox|falso|falsa|bulo|mentira|montagem|bufala|onwaar|niet\s+waar|fout|fałsz|nieprawda|"
    r"yanlış|asılsız|"
    r"hoaks|salah|фейк|ложь|неправда|неверно|خطأ|زائف|كاذب|مفبرك))\b|फर्जी|गलत|झूठ|錯誤|错误|虚假|不實|不实|谣言)"
    r"|(?P<true>\b(?:mostly\s+true|true|correct(?:\s+attribution)?|accurate|legit|verified|one\s+pinocchio|"
    r"geppetto\s+checkmark|"
    r"wahr|richtig|größtenteils\s+richtig|stimmt|vrai|exact|verdadero|cierto|verdadeiro|verdade|vero|waar|juist|"
    r"prawda|doğru|benar|"
    r"правда|верно|صحيح)\b|सच|正確|正确)"
)

_SATIRE = re.compile(r"\b(?:satir\w*|parod\w*|spoof|сатир\w*|сатиричн\w*)|諷刺|讽刺", re.IGNORECASE)
