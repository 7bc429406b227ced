"""Posts and control records at the edge: decoded once with every limit, and the two forms of a text that are scored.

Whatever bytes arrive, decoding answers with a record or with `BadRecord`, which names the field that is wrong.
"""

import html
import re
import unicodedata
from datetime import UTC, datetime
from functools import lru_cache
from itertools import product
from typing import TypeVar, get_args

import msgspec
from msgspec import Struct
from wordfreq import zipf_frequency

from detectors.policy import TimeParameters
from detectors.records import (
    MAX_RECORD_BYTES,
    MAX_TEXT_BYTES,
    SCHEMA_VERSION,
    Claim,
    Crisis,
    CrisisScope,
    Deletion,
    Feedback,
    Post,
    PostKind,
)

WHOLE_RECORD = "record"
"""Field of a `BadRecord` that is wrong as a whole: too long, not JSON, not UTF-8."""

EARLIEST_S = datetime(1990, 1, 1, tzinfo=UTC).timestamp()
"""Posts are not older than the public web; an earlier date is a broken clock or a default value."""

MOST_FOLLOWERS = 2**53
"""Largest count that every reader of JSON holds exactly."""

MAX_CLAIM_ID_BYTES = 2048
"""Claims are often known by their URL."""

MAX_SCORED_CHARACTERS = 8192
"""Of a normalised text; beyond what the longest common encoders read. NFKC can lengthen a text eighteenfold."""

DEFAULT_TIME = TimeParameters()


class TextRow(Struct, frozen=True, kw_only=True):
    """A bare text to be scored: known by `post_id`, else by `id`."""

    post_id: str | int | None = None
    id: str | int | None = None
    text: str
    kind: PostKind | None = None
    parent_id: str | None = None
    root_id: str | None = None

    @property
    def is_reply(self) -> bool:
        """Whether it says so, or else answers something other than itself."""
        own_id = self.id if self.post_id is None else self.post_id
        return self.kind == "reply" if self.kind else bool(self.parent_id) or self.root_id not in {None, own_id}


def answers_a_reply(parent_id: str | None, root_id: str | None) -> bool:
    """Whether what a post answers is itself an answer; where either id is missing nobody knows.

    >>> answers_a_reply("2", "1"), answers_a_reply("1", "1"), answers_a_reply("2", None)
    (True, False, False)
    """
    return None not in {parent_id, root_id} and parent_id != root_id


_Record = TypeVar("_Record", Post, Claim, Feedback, Crisis, Deletion, TextRow)


class BadRecord(ValueError):  # noqa: N818 - the contract's name; it reads as what it is
    """A record that breaks the contract: `field` names where, `error` says what was expected.

    >>> try: decode_post(b'{"post_id": 1}')
    ... except BadRecord as bad: print(bad.field, "|", bad.error)
    post_id | Expected `str`, got `int`
    """

    def __init__(self, field: str, error: str) -> None:
        super().__init__(f"{field}: {error}")
        self.field = field
        self.error = error


def decode_post(value: bytes, *, received_at_s: float | None = None, time: TimeParameters = DEFAULT_TIME) -> Post:
    """Read a post; raises `BadRecord`.

    Parameters
    ----------
    received_at_s : when it arrived here, epoch seconds. Becomes `ingested_at` of a post without one.
    time : `future_s` says how far a post may be dated after its arrival.
    """
    post = _decode(value, _POST)
    _check_text(post)
    if post.followers is not None and post.followers > MOST_FOLLOWERS:
        raise BadRecord("followers", "more than 2**53")
    if post.ingested_at is None and received_at_s is not None:
        post = msgspec.structs.replace(post, ingested_at=datetime.fromtimestamp(received_at_s, UTC))
    elif post.ingested_at is not None:
        _check_date("ingested_at", post.ingested_at, not_after_s=_latest(received_at_s, time))
    arrived_at_s = None if post.ingested_at is None else post.ingested_at.timestamp()
    _check_date("created_at", post.created_at, not_after_s=_latest(arrived_at_s, time))
    return post


def decode_claim(value: bytes) -> Claim:
    """Read a fact-check (schema.org `ClaimReview`); raises `BadRecord`."""
    claim = _decode(value, _CLAIM)
    if not claim.claim_id:
        raise BadRecord("@id", "neither `@id` nor `url` is given")
    if len(claim.claim_id.encode()) > MAX_CLAIM_ID_BYTES:
        raise BadRecord("@id" if claim.id else "url", f"longer than {MAX_CLAIM_ID_BYTES} bytes")
    if _is_blank(claim.claim_reviewed):
        raise BadRecord("claimReviewed", "blank")
    return claim


def decode_feedback(
    value: bytes, *, received_at_s: float | None = None, time: TimeParameters = DEFAULT_TIME
) -> Feedback:
    """Read a person's word; raises `BadRecord` where it is about nothing, or a word lacks what it needs."""
    feedback = _decode(value, _FEEDBACK)
    _check_date("at", feedback.at, not_after_s=_latest(received_at_s, time))
    if not (feedback.alert_id or feedback.narrative_id):
        raise BadRecord("alert_id", "neither `alert_id` nor `narrative_id` is given")
    if feedback.word == "link_claim" and not feedback.claim_id:
        raise BadRecord("claim_id", "`link_claim` needs it")
    if feedback.word == "merge" and not feedback.into_alert_id:
        raise BadRecord("into_alert_id", "`merge` needs it")
    return feedback


def decode_crisis(value: bytes, *, received_at_s: float | None = None, time: TimeParameters = DEFAULT_TIME) -> Crisis:
    """Read a declaration or its end; raises `BadRecord`. A declaration that never expires is refused."""
    crisis = _decode(value, _CRISIS)
    _check_date("at", crisis.at, not_after_s=_latest(received_at_s, time))
    if crisis.word == "declare":
        if crisis.expires_at is None:
            raise BadRecord("expires_at", "a declaration needs an expiry")
        if crisis.expires_at <= crisis.at:
            raise BadRecord("expires_at", "not after `at`")
    if unknown := sorted(crisis.scope.keys() - set(get_args(CrisisScope))):
        raise BadRecord("scope", f"{unknown[0]!r} is none of {', '.join(get_args(CrisisScope))}")
    if any(_is_blank(value) for value in crisis.scope.values()):
        raise BadRecord("scope", "blank")
    return crisis


def decode_deletion(
    value: bytes, *, received_at_s: float | None = None, time: TimeParameters = DEFAULT_TIME
) -> Deletion:
    """Read a request to forget; raises `BadRecord` where it names neither a post nor an author."""
    deletion = _decode(value, _DELETION)
    _check_date("at", deletion.at, not_after_s=_latest(received_at_s, time))
    if not (deletion.post_id or deletion.author_id):
        raise BadRecord("post_id", "neither `post_id` nor `author_id` is given")
    return deletion


def decode_text_row(value: bytes) -> TextRow:
    """Read a row of a file of texts; raises `BadRecord`. An empty text is allowed: it says nothing."""
    row = _decode(value, _TEXT_ROW)
    if row.post_id is None and row.id is None:
        raise BadRecord("id", "neither `post_id` nor `id` is given")
    _check_length(row.text)
    return row


def clean(text: str) -> str:
    """Leave a text's own words: without "RT @name:", links and handles, white space as single blanks.

    >>> clean("RT @bbc: Police ask @everyone to stay away https://t.co/x  #town")
    'Police ask to stay away #town'
    """
    own = _RESHARE.sub("", text) if "RT" in text else text
    own = _LINK.sub(" ", own) if "/" in own else own
    own = _HANDLE.sub(" ", own) if "@" in own else own
    return _collapse(own)


def normalise(text: str) -> str:
    """Undo what hides a word from a reader of plain words.

    Compatibility forms (NFKC), invisible and bidirectional control characters, entities of HTML, Cyrillic and Greek
    look-alikes in otherwise Latin words, letters set apart and digits for letters where that makes a known English
    word, and pictures of weapons, which become words. At most `MAX_SCORED_CHARACTERS` long; the same text normalised
    again stays the same.

    >>> normalise("𝗸𝗶𝗹𝗹 them аll, k1ll\u200b all of La7")
    'kill them all, kill all of La7'
    """
    plain = _undisguised(text[:MAX_TEXT_BYTES])
    # What was hidden may itself be an entity, and what an entity stands for may itself be hidden.
    while "&" in plain and (unescaped := html.unescape(plain)) != plain:
        plain = _undisguised(unescaped)
    return plain


def _undisguised(text: str) -> str:
    if text.isascii() and text.isprintable():  # nothing is hidden in it, nor has it another form
        return _collapse(_read_out(text)[:MAX_SCORED_CHARACTERS])
    visible = unicodedata.normalize("NFKC", text.translate(_INVISIBLE))
    worded = _PICTURE.sub(_as_word, visible) if _PICTURE.search(visible) else visible
    latin = _MARKED_WORD.sub(_without_look_alikes, worded) if _OTHER_SCRIPT.search(worded) else worded
    return _collapse(unicodedata.normalize("NFC", _read_out(latin))[:MAX_SCORED_CHARACTERS])


def _read_out(text: str) -> str:
    joined = _SET_APART.sub(_joined, text) if _MAYBE_SET_APART.search(text) else text
    return _LEET_WORD.sub(_without_leet, joined) if _LEET_SIGN.search(joined) else joined


def links_in(text: str, *, most: int = 8) -> tuple[str, ...]:
    """Links in a text, the first `most` distinct ones, without trailing punctuation.

    >>> links_in("see https://t.co/abc, (https://example.org/a) and https://t.co/abc")
    ('https://t.co/abc', 'https://example.org/a')
    """
    if "://" not in text:
        return ()
    found: dict[str, None] = {}
    for match in _WEB_LINK.finditer(text):
        found.setdefault(match[0].rstrip(".,;:!?)]}>\"'…"))
        if len(found) == most:
            break
    return tuple(found)


_RESHARE = re.compile(r"^\s*(?:RT\s+@\w+:?\s*)+")
_WEB_LINK = re.compile(r"https?://[^\s/?#]+\S*", re.IGNORECASE)
_LINK = re.compile(r"https?://\S+|\bpic\.twitter\.com/\S+", re.IGNORECASE)
_HANDLE = re.compile(r"(?<!\w)(?:@\w+(?:@\w+(?:[.-]\w+)*|(?:[.-]\w+)*\.(?:social|net|org|com)\b)?)+")
"""@name, @name@host (Mastodon) and @name.bsky.social (Bluesky); an e-mail address is no handle."""

_SET_APART = re.compile(r"(?<![\w'’&])[^\W\d_](?:([ .*-])[^\W\d_])(?:\1[^\W\d_]){2,14}(?![\w'’])")
"""Four letters or more, one by one with the same sign between them: k.i.l.l."""
_MAYBE_SET_APART = re.compile(r"\b[^\W\d_]([ .*-])[^\W\d_]\1[^\W\d_]\1")
"""A quick look that hardly any text passes: the other pattern costs ten times as much."""
_PICTURES = {"🔫": "gun", "🔪": "knife", "🗡": "dagger", "💣": "bomb", "🪓": "axe", "⚔": "swords", "🏹": "arrow"}
_PICTURE = re.compile("|".join(_PICTURES))
_MARKED_WORD = re.compile(r"[\w\u0300-\u036f]+")
"""Words with their combining marks, so that composing them later cannot join two words into one."""
_LEET_WORD = re.compile(r"[\w\u0300-\u036f@$]+")
_OTHER_SCRIPT = re.compile(r"[\u0370-\u052f]")
"""Greek and Cyrillic."""
_LEET_SIGN = re.compile(r"[013457@$]")
_FIELD = re.compile(r" - at `(?:key in )?\$\.?(.*)`$", re.DOTALL)
_MISSING = re.compile(r"^Object missing required field `(.+)`$")

_INVISIBLE = dict.fromkeys(
    (
        0x00AD,  # soft hyphen
        0x034F,  # combining grapheme joiner
        0x061C,  # Arabic letter mark
        *(0x115F, 0x1160, 0x3164, 0xFFA0),  # Hangul fillers
        *(0x17B4, 0x17B5),  # Khmer inherent vowels
        *range(0x180B, 0x1810),  # Mongolian selectors
        *range(0x200B, 0x2010),  # zero-width space, joiners, direction marks
        *range(0x202A, 0x202F),  # bidirectional embeddings and overrides
        *range(0x2060, 0x2070),  # word joiner, invisible operators, bidirectional isolates
        *range(0xFE00, 0xFE10),  # variation selectors
        0xFEFF,  # byte order mark
        *range(0xFFF9, 0xFFFC),  # interlinear annotation
        *range(0xE0000, 0xE0200),  # tags and further variation selectors
        *(code for code in range(0x20) if chr(code) not in "\t\n\r\x0b\x0c\x1c\x1d\x1e\x1f"),
        *(code for code in range(0x7F, 0xA0) if code != 0x85),  # control characters that are no white space
    )
)
"""Characters that a reader does not see. Joiners go too: a joined emoji and its parts read alike here."""

_LOOK_ALIKES = str.maketrans(
    "аеорсухіјѕԁһԛԝӏАВЕКМНОРСТУХІЈЅԌԚԜӀ" + "αοικνρυχγΑΒΕΖΗΙΚΜΝΟΡΤΥΧ",
    "aeopcyxijsdhqwlABEKMHOPCTYXIJSGQWl" + "aoikvpuxyABEZHIKMNOPTYX",
)
"""Cyrillic, then Greek letters that most typefaces draw like a Latin one."""

_LEET = {"0": "o", "1": "il", "3": "e", "4": "a", "5": "s", "7": "t", "@": "a", "$": "s"}
_LEET_SIGNS = frozenset(_LEET)
_LEET_SHAPE = re.compile(r"[^\W\d_]+(?:[013457@$]+[^\W\d_]+)+|[4$@][^\W\d_]{3,}(?:[013457@$]+[^\W\d_]+)*")
"""Signs between letters, or one before three letters. What ends in a sign or opens with a number is more often a name
or a time: La7, be4, 11am, 1ra."""
_MOST_LEET_SIGNS = 5
_KNOWN_WORD_ZIPF = 3.0
"""Once in a million words: a decoded word must be at least that common to be believed."""


def _without_look_alikes(match: re.Match[str]) -> str:
    word = match[0]
    if word.isascii():
        return word
    mapped = word.translate(_LOOK_ALIKES)
    mixed = mapped != word and any("a" <= letter <= "z" for letter in word.lower())
    return mapped if mixed and not _OTHER_SCRIPT.search(mapped) else word


def _as_word(match: re.Match[str]) -> str:
    return f" {_PICTURES[match[0]]} "


def _joined(match: re.Match[str]) -> str:
    """Join letters that were set apart where they make a known word."""
    word = match[0].replace(match[1], "")
    return word if zipf_frequency(word, "en") >= _KNOWN_WORD_ZIPF else match[0]


def _without_leet(match: re.Match[str]) -> str:
    word = match[0]
    if word.isalpha() or not _LEET_SIGNS.intersection(word):
        return word
    return _decoded_leet(word)


@lru_cache(maxsize=4096)
def _decoded_leet(word: str) -> str:
    """Give the most common word that the signs may stand for, if it is known and the word as written is not."""
    if not _LEET_SHAPE.fullmatch(word) or sum(letter in _LEET_SIGNS for letter in word) > _MOST_LEET_SIGNS:
        return word
    readings = ["".join(letters) for letters in product(*(_LEET.get(letter, letter) for letter in word))]
    best = max(readings, key=lambda reading: (zipf_frequency(reading, "en"), reading))
    known = zipf_frequency(best, "en") >= _KNOWN_WORD_ZIPF > zipf_frequency(word, "en")
    return best if known else word


def _collapse(text: str) -> str:
    return " ".join(text.split())


def _is_blank(text: str) -> bool:
    if text[:1].isascii() and text[:1].isalnum():  # nearly all
        return False
    return not text.translate(_INVISIBLE).strip()


_POST = msgspec.json.Decoder(Post)
_CLAIM = msgspec.json.Decoder(Claim)
_FEEDBACK = msgspec.json.Decoder(Feedback)
_CRISIS = msgspec.json.Decoder(Crisis)
_DELETION = msgspec.json.Decoder(Deletion)
_TEXT_ROW = msgspec.json.Decoder(TextRow)


def _decode(value: bytes, decoder: msgspec.json.Decoder[_Record]) -> _Record:
    if len(value) > MAX_RECORD_BYTES:
        raise BadRecord(WHOLE_RECORD, f"longer than {MAX_RECORD_BYTES} bytes")
    try:
        value.decode()  # msgspec leaves unknown fields unread, and what is stored as a dead letter must be text
        record = decoder.decode(value)
    except UnicodeDecodeError as error:
        raise BadRecord(WHOLE_RECORD, f"not UTF-8 at byte {error.start}") from None
    except msgspec.ValidationError as error:
        raise _bad_field(str(error)) from None
    except msgspec.DecodeError as error:
        raise BadRecord(WHOLE_RECORD, f"not JSON: {error}") from None
    except RecursionError:
        raise BadRecord(WHOLE_RECORD, "nested too deeply") from None
    version = getattr(record, "schema_version", SCHEMA_VERSION)
    if not 1 <= version <= SCHEMA_VERSION:
        raise BadRecord("schema_version", f"this version reads 1 to {SCHEMA_VERSION}")
    return record


def _bad_field(error: str) -> BadRecord:
    """Turn msgspec's "Expected `str`, got `int` - at `$.urls[1]`" into field and error."""
    at = _FIELD.search(error)
    path = at[1] if at else ""
    error = error[: at.start()] if at else error
    if missing := _MISSING.match(error):
        return BadRecord(f"{path}.{missing[1]}" if path else missing[1], "missing")
    return BadRecord(path or WHOLE_RECORD, error)


def _check_text(post: Post) -> None:
    _check_length(post.text)
    # A reshare speaks by what it shares, a picture or a link by itself.
    if _is_blank(post.text) and post.kind != "reshare" and not post.media and not post.urls:
        raise BadRecord("text", "blank")


def _check_length(text: str) -> None:
    if 4 * len(text) > MAX_TEXT_BYTES and len(text.encode()) > MAX_TEXT_BYTES:
        raise BadRecord("text", f"longer than {MAX_TEXT_BYTES} bytes")


def _latest(arrived_at_s: float | None, time: TimeParameters) -> float | None:
    return None if arrived_at_s is None else arrived_at_s + time.future_s


def _check_date(field: str, at: datetime, *, not_after_s: float | None) -> None:
    at_s = at.timestamp()
    if at_s < EARLIEST_S:
        raise BadRecord(field, "before 1990")
    if not_after_s is not None and at_s > not_after_s:
        raise BadRecord(field, f"{at_s - not_after_s:.0f} s further ahead of its arrival than allowed")
