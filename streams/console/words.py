"""How the console says things: names of states, times, texts made safe to look at. No markup here."""

import re
import unicodedata
from datetime import UTC, datetime
from urllib.parse import urlsplit

from detectors.records import Kind, Transition

SEVERITY_MARKS = {"page": "▲", "notice": "◆", "watch": "●"}
"""A shape beside the colour, for those who do not see the colour."""

KIND_WORDS: dict[Kind, str] = {
    "incitement": "incitement indicators",
    "named_person": "names a person",
    "false_narrative": "possible false narrative",
    "information_void": "questions without answers",
    "viral": "spreading",
}

TRANSITION_WORDS: dict[Transition, str] = {
    "opened": "opened",
    "updated": "updated",
    "peaked": "past its peak",
    "cleared": "cleared",
    "resurged": "resurged",
    "merged": "merged",
    "retracted": "retracted",
}

EXEMPLAR_WORDS = {
    "earliest": "earliest post",
    "most_shared": "most shared",
    "most_central": "most typical wording",
    "dissenting": "disagrees",
    "indicator": "carries an indicator",
}

STANCE_WORDS = {
    "support": "repeat it",
    "deny": "deny it",
    "query": "ask about it",
    "report": "report on it",
    "comment": "other",
}

RATED_WORDS = {
    "false": "rated false",
    "mixed": "rated mixed",
    "true": "rated true",
    "unknown": "fact-checked, rating unknown",
}

GROWTH_WORDS = {
    "insufficient_data": "too little data to tell",
    "steady": "steady",
    "bursting": "bursting",
    "falling": "falling",
}

_URL = re.compile(r"https?://\S+", re.IGNORECASE)
_DIRECTION_MARKS = {*range(0x202A, 0x202F), *range(0x2066, 0x206A), 0x200E, 0x200F, 0x061C}
"""Characters that reorder what is read around them."""


def plain(text: str) -> str:
    r"""Replace what would change how the page around a text is read by its code, visibly.

    >>> plain("abc\u202edef\x00")
    'abc[U+202E]def[U+0000]'
    >>> plain("line\nline")
    'line\nline'
    """
    return "".join(f"[U+{ord(c):04X}]" if _is_unsafe(c) else c for c in text)


def _is_unsafe(character: str) -> bool:
    if character in "\n\t":
        return False
    return ord(character) in _DIRECTION_MARKS or unicodedata.category(character) in {"Cc", "Cs"}


def defanged(text: str) -> str:
    """Make links in a text impossible to follow by accident, still readable and copyable.

    >>> defanged("see https://example.org/a.html now")
    'see hxxps://example[.]org/a.html now'
    """
    return _URL.sub(lambda match: _defang(match[0]), text)


def _defang(url: str) -> str:
    scheme, _, rest = url.partition("://")
    host, slash, path = rest.partition("/")
    return f"hxxp{scheme[4:].lower()}://{host.replace('.', '[.]')}{slash}{path}"


def safe_link(url: str | None) -> str | None:
    """Give a link only when it is one that a browser may follow: http or https, with a host.

    >>> safe_link("javascript:alert(1)"), safe_link("https://example.org/x")
    (None, 'https://example.org/x')
    """
    if url is None:
        return None
    try:
        parts = urlsplit(url.strip())
    except ValueError:
        return None
    return url.strip() if parts.scheme.lower() in {"http", "https"} and parts.hostname else None


def duration(seconds: float) -> str:
    """Say how long, in the two largest units that matter.

    >>> duration(0.4), duration(75), duration(3 * 3600 + 240), duration(2 * 86400 + 3600)
    ('0 s', '1 min', '3 h 4 min', '2 d 1 h')
    """
    seconds = max(0.0, seconds)
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes, hours, days = int(seconds // 60), int(seconds // 3600), int(seconds // 86400)
    if hours == 0:
        return f"{minutes} min"
    if days == 0:
        return f"{hours} h {minutes - 60 * hours} min" if minutes > 60 * hours else f"{hours} h"
    return f"{days} d {hours - 24 * days} h" if hours > 24 * days else f"{days} d"


def moment(at: datetime) -> str:
    """Say when, in UTC.

    >>> moment(datetime(2026, 3, 1, 14, 3, tzinfo=UTC))
    '1 Mar 2026, 14:03 UTC'
    """
    at = at.astimezone(UTC)
    return f"{at.day} {at:%b %Y, %H:%M} UTC"


def figure(value: float) -> str:
    """Write a measured value with the digits that mean something.

    >>> figure(3.0), figure(1234.5), figure(0.01234), figure(12.34)
    ('3', '1,234', '0.012', '12.3')
    """
    if value == int(value) and abs(value) < 1e15:
        return f"{int(value):,}"
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2g}"


def percent(ratio: float) -> str:
    """Write a share.

    >>> percent(0.254), percent(0.004)
    ('25 %', '0.4 %')
    """
    return f"{100 * ratio:.0f} %" if ratio == 0 or ratio >= 0.01 else f"{100 * ratio:.1f} %"


def plural(count: int, noun: str) -> str:
    """Count things.

    >>> plural(1, "post"), plural(1200, "post")
    ('1 post', '1,200 posts')
    """
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def verdict(word: str) -> str:
    """Show a verdict as its words, never as a judgement of the console's own.

    >>> verdict("contradicted_by_fact_check")
    'contradicted by fact check'
    """
    return word.replace("_", " ")
