"""Narratives that name a person as the one who did it: recognised as a kind of their own, and the name withheld.

A false name travels faster than any correction, and the monitor must not carry it further. So a text is searched for
names in an accusation ("the attacker is called X", "X did it"), a narrative counts who was named by how many
accounts, and whatever is published outside the access-controlled topics shows `PLACEHOLDER` instead.

Names are found by their shape and by the words around them, in English and, in fewer forms, in six other languages.
No list of people is complete, so who is public is decided by the policy (names and offices), by the words before the
name, and by how long and how widely the stream has known it. What is unsure is withheld: that costs a reader one
click, and a leaked name cannot be called back. Patterns were chosen by reasoning; nothing is fitted to a corpus.
"""

import hashlib
import re
import unicodedata
from bisect import bisect_left, insort
from collections.abc import Callable, Collection, Hashable, Iterable, Iterator
from functools import lru_cache
from typing import Literal, TypeVar

from msgspec import Struct
from wordfreq import zipf_frequency

from detectors.entries import Naming
from detectors.policy import NamedPersonParameters

PLACEHOLDER = "[name withheld]"

MOST_NAMES = 32
"""Names that a micro-cluster tells apart; beyond them the one told least is forgotten, and counted."""

AUTHORS_KEPT = 64
"""Smallest author keys kept of a name: exact up to so many accounts."""

WITHHELD_FROM = 2
"""Accounts from which on a name is withheld in every narrative; in the one that tells it, the first is enough."""

MOST_HEARD = 10_000
"""Names (hashed) whose history in the stream is remembered; beyond them the one silent longest is forgotten."""

NARRATIVES_HEARD = 16
"""Narratives counted one by one in the history of a name."""

HEARD_FOR_S = 30 * 86400.0
"""A name that was silent for so long has no history any more."""

LONGEST_TEXT = 2000
"""Characters of a text that are searched for names."""

NEAR_LETTERS = 6
"""Parts of a name from this length on are also withheld with one letter wrong."""

COMMON_ZIPF = 4.5
"""A word commoner than this (30 in a million) is withheld only where it is written as a name."""


def _set(words: str) -> frozenset[str]:
    return frozenset(words.split())


# What a name looks like.

_UPPER = "".join(chr(code) for code in range(0x41, 0x530) if chr(code).isupper())
_PARTICLES = _set("al el bin ibn ben van von de da del della di dos du der den la le ter ten abu y e zu")

_PIECES = {
    "{word}": rf"[{_UPPER}][^\W\d_]*(?:['’\-][^\W\d_]+)*",
    "{particle}": rf"(?:{'|'.join(sorted(_PARTICLES))})",
    # A role accuses; what is said of a victim, a witness or a driver does not.
    "{role}": r"(?P<role>{roles})",
    "{roles}": r"attacker|killer|murderer|shooter|gunm[ae]n|bomber|terrorist|suspect|perpetrator|perp|culprit|"
    r"knife\s?man|stabber|assailant|hijacker|hostage[\s-]?taker|kidnapper|abductor|rapist|pa?edophile|pa?edo|"
    r"child\s+molester|groomer|arsonist|poisoner|sniper|assassin|mastermind",
    "{doer}": r"(?P<role>{roles}|"
    r"(?:man|woman|boy|girl|person|guy|one|officer|cop|teen|teenager|kid)\s+(?:who|that)\s+(?:{harmed}|shot|did\s+it))",
    "{hedge}": r"(?:(?:now|just|reportedly|allegedly|apparently|believed|said|thought|understood|to|be|being|been|has|"
    r"have|widely|already|officially|actually|really|an?|man|woman|person|guy|asylum|seeker|migrant|someone|by|police|"
    r"authorities|officials|sources|media)\s+)",
    "{called}": r"(?:called|named|identified\s+as|known\s+as|revealed\s+(?:as|to\s+be)|confirmed\s+(?:as|to\s+be))",
    "{age}": r"(?:,?\s*\(?(?:aged?\s+)?\d{1,2}\)?(?:[\s-]years?[\s-]old)?,?)",
    "{harmed}": r"(?:killed|stabbed|murdered|slaughtered|raped|kidnapped|abducted|bombed|poisoned|massacred)",
    "{whom}": r"(?:the\s+|a\s+)?(?:those|these|three|two|four|five|six|several|little|innocent|our|\d+|kids|"
    r"children|girls?|boys?|baby|babies|people|victims?|woman|women|man|men|them|him|her)",
    "{open}": r"[\"“‘']?",
}
_NAME = r"(?P<name>(?-i:{word}(?:\s+(?:{particle}\s+){0,2}{word}){1,5}|#(?:[{upper}][a-zà-ÿ]+){2,4}\b))"
_SHAPELESS_WORD = r"[^\W\d_]{2,}(?:['’\-][^\W\d_]+)*"
_SHAPELESS_NAME = rf"(?P<name>#?{_SHAPELESS_WORD}(?:\s+{_SHAPELESS_WORD}){{1,3}})"


def _pattern(template: str) -> re.Pattern[str]:
    """Fill in the pieces; case matters only within a name."""
    previous = ""
    template = template.replace("{name}", _NAME).replace("{shapeless}", _SHAPELESS_NAME)
    while template != previous:
        previous = template
        for piece, pattern in _PIECES.items():
            template = template.replace(piece, pattern)
    return re.compile(template.replace("{upper}", _UPPER), re.IGNORECASE)


_PATTERNS = tuple(
    _pattern(template)
    for template in (
        # the attacker is (called) X; the killer's name is X; gunman: X
        (
            r"\b{doer}(?:['’]?s)?(?:\s+name)?\s*(?:\b(?:is|was|has\s+been|have\s+been|as)\b|:|=|-|–)\s*{hedge}{0,6}"
            r"(?:{called}\s+)?(?:as\s+)?{open}{name}"
        ),
        # suspect named as X; gunman reportedly identified as X; suspect in the bridge stabbing has been named as X
        (
            r"\b{role}\s*,?\s*(?:(?:in|of|behind|from|at)\s+(?:[\w'’-]+\s+){1,6}?)?{hedge}{0,4}{called}\s+"
            r"(?:as\s+)?{open}{name}"
        ),
        # his name is X, where the text accuses somebody
        r"\b(?P<role>his|her)\s+(?:full\s+|real\s+)?name\s+(?:is|was)\s+{hedge}{0,3}{open}{name}",
        # suspect Ali X; the gunman, Ali X,
        r"\b{role},?\s+{open}{name}",
        # from here on after ROLE_FIRST: X (, 17,) is / was / named as / , the attacker
        (
            r"(?<!\w){name}{age}?\s*(?:,|\b(?:is|was|has\s+been|being|must\s+be)\b)\s*(?:not\s+)?{hedge}{0,6}(?:{called}\s+)?(?:as\s+)?"
            r"(?:the|an?|our|their|this)\s+(?:[\w'’-]+\s+){0,3}?{doer}\b"
        ),
        # is X the attacker?
        r"\b(?:is|was)\s+{name}{age}?\s+(?:really\s+)?(?:the|an?)\s+(?:[\w'’-]+\s+){0,3}?{doer}\b",
        # X did it; X is behind this; X stabbed those girls; X, charged with
        r"(?<!\w){name}{age}?\s+(?P<role>did\s+(?:it|this)|(?:is|was)\s+(?:behind|responsible\s+for)\s+(?:it|this|the))\b",
        r"(?<!\w){name}{age}?,?\s+(?:(?:who|has|just)\s+)?(?P<role>{harmed})\s+{whom}\b",
        (
            r"(?<!\w){name}{age}?,?\s+(?:(?:has|have)\s+been|was|is|been)\s+(?P<role>charged|arrested|wanted|detained)\s+"
            r"(?:for|over|with|after|in|on|by)\b"
        ),
        # German, where every noun has a capital: only with a word that introduces a name
        (
            r"\b(?P<role>täter|attentäter|angreifer|mörder|verdächtige[r]?|messerstecher|schütze|amokläufer|bomber)\s+"
            r"(?:heißt|heisst|hieß|namens)\s+{name}"
        ),
        # French; then Spanish, Portuguese and Italian; then Dutch
        (
            r"(?P<role>assaillant|tueur|terroriste|suspect|meurtrier|agresseur|coupable|tireur|assassin)\s*"
            r"(?:s['’]appelle|se\s+nomme|serait|est|,?\s*nommé)\s+{name}"
        ),
        (
            r"\b(?P<role>asesino|atacante|terrorista|sospechoso|agresor|culpable|tirador|assassino|atirador|suspeito|"
            r"agressor|criminoso|attentatore|killer|sospettato|aggressore|colpevole)\s+"
            r"(?:se\s+llama|sería|es|se\s+chama|chama-se|é|si\s+chiama|sarebbe|è)\s+{name}"
        ),
        r"\b(?P<role>dader|schutter|aanslagpleger|verdachte|moordenaar)\s+(?:heet|genaamd)\s+{name}",
    )
)
ROLE_FIRST = 4
"""Patterns in which the role stands before the name."""

_PATTERNS_WITHOUT_SHAPE = tuple(
    _pattern(template)
    for template in (
        r"\b{role}(?:['’]?s)?(?:\s+name)?\s+(?:is|was|has\s+been)\s+{hedge}{0,6}(?:{called}\s+)?(?:as\s+)?{shapeless}",
        r"\b{role}\s+{hedge}{0,4}{called}\s+(?:as\s+)?{shapeless}",
    )
)
"""For texts all in small letters or all in capitals: names are told by being no words (`_is_rare`)."""

_TRIGGERS = _set(
    "attacker killer murderer shooter gunman gunmen bomber terrorist suspect perpetrator perp culprit knifeman knife "
    "stabber assailant hijacker taker hostagetaker kidnapper abductor rapist paedophile pedophile paedo pedo molester "
    "groomer arsonist poisoner sniper assassin mastermind did behind responsible killed stabbed murdered slaughtered "
    "shot raped kidnapped abducted bombed poisoned massacred charged arrested wanted detained täter attentäter "
    "angreifer mörder verdächtige verdächtiger messerstecher schütze amokläufer assaillant tueur terroriste meurtrier "
    "agresseur coupable tireur asesino atacante terrorista sospechoso agresor culpable tirador assassino atirador "
    "suspeito agressor criminoso attentatore sospettato aggressore colpevole dader schutter aanslagpleger verdachte "
    "moordenaar"
)
"""Words of which a text must have one: most texts have none, and cost nothing more."""

_TRIGGERS_OF_SENTENCE = _TRIGGERS | {"name"}

_LETTERS = re.compile(r"[^\W\d_]+")

_SENTENCE = re.compile(r"[^.!?;\n]*(?:(?<=\b[A-Z])\.[^.!?;\n]*)*[.!?;\n]*")

_DOUBTS = re.compile(
    r"\b(?:not|isn['’]?t|wasn['’]?t|never|innocent|false(?:ly)?|fake|hoax|untrue|wrong(?:ly)?|misidentified|rumou?rs?|"
    r"no\s+evidence|debunked|made[\s-]up|invented|fabricated|misinformation|disinformation|stop|nicht|pas|faux|falso|"
    r"falsa)\b|n['’]t\b|\?",
    re.IGNORECASE,
)

_OFFICIALS = re.compile(
    r"\b(?:police|officers?|officials?|authorities|fbi|rcmp|sheriff|prosecutors?|court|magistrates?|ministry|coroner|"
    r"detectives?|polizei|policía|polizia|politie|prefect)\b[^.!?]{0,60}?\b(?:say|says|said|name|names|named|identif\w+|"
    r"confirm\w*|releas\w+|announc\w+|charged|arrest\w*|according)|"
    r"\b(?:according\s+to|by|via)\s+(?:the\s+)?(?:\w+\s+)?(?:police|officials?|authorities|fbi|rcmp|prosecutors?|court)\b|"
    r"\b(?:charged|pleaded|convicted|sentenced|indicted|arraigned|appeared\s+(?:in|before))\b",
    re.IGNORECASE,
)

_MINOR = re.compile(
    r"\b(?:[5-9]|1[0-7])[\s-]?(?:years?|yrs?|yo|y/o)\b(?:[\s-]olds?)?|\baged?\s+(?:[5-9]|1[0-7])\b|"
    r",\s*\(?(?:[5-9]|1[0-7])\)?,|\((?:[5-9]|1[0-7])\)|"
    r"\b(?:boy|girl|schoolboy|schoolgirl|schoolkid|teen|teenager|teenaged?|pupil|minor|juvenile|underage|"
    r"year\s+\d{1,2}\s+student)\b",
    re.IGNORECASE,
)

_NOT_IN_A_NAME = _set(
    "the a an this that these those i we he she it they you his her their our my your who what when where why how and "
    "but or if so as at in on of for from to by with not no yes is was are were has have be been will would breaking "
    "update news live latest watch video photo exclusive just now today tonight yesterday tomorrow monday tuesday "
    "wednesday thursday friday saturday sunday january february march april june july august september october "
    "november december muslim muslims islam islamic islamist christian jewish jew arab asian african european "
    "american british english scottish welsh irish french german spanish italian dutch polish russian ukrainian "
    "syrian iraqi iranian afghan turkish israeli palestinian indian pakistani chinese japanese korean canadian "
    "australian mexican nigerian somali moroccan algerian tunisian egyptian saudi police army navy state states "
    "government parliament congress senate court hospital school university college church mosque synagogue temple "
    "airport station street road avenue square park city town county village place centre center cafe café bar hotel "
    "mall market bridge river island islands north south east west northern southern eastern western central united "
    "kingdom republic union nations council department agency bureau ministry office football soccer cricket fc "
    "united rovers party group company club team league bank press times post mail guardian telegraph mirror reuters "
    "cnn bbc nbc abc cbs fox sky itv afp ap channel radio tv media facebook twitter instagram telegram youtube tiktok "
    "siege attack attacks shooting bombing riot riots protest crash war day night morning god allah jesus lord "
    "suspect suspects attacker killer murderer shooter gunman bomber terrorist terrorists victim victims witness man "
    "woman men women boy girl people anti pro ex un eu uk us usa isis isil is al-qaeda hamas hezbollah taliban nato "
    "typhoon hurricane cyclone tornado storm flight train bus flood earthquake virus fbi cia mi5 mi6 nsa rcmp lapd "
    "nypd swat rip omg wtf lol rt mt via dear mr mrs ms sir miss muhammed's"
)
"""Written with a capital and no part of a person's name: a candidate is cut at these."""

_PLACES = _set(
    "newyork losangeles sanfrancisco sandiego sanantonio sanjose santamonica lasvegas saltlakecity hongkong "
    "buenosaires riodejaneiro saopaulo mexicocity capetown telaviv newdelhi kualalumpur addisababa abudhabi srilanka "
    "costarica puertorico elsalvador saudiarabia sierraleone burkinafaso newzealand newjersey newmexico newhampshire "
    "neworleans northcarolina rhodeisland stlouis saintlouis santafe santabarbara panamacity guatemalacity quebeccity "
    "notredame downingstreet capitolhill whitehouse wallstreet timessquare martinplace bondijunction lindtcafe "
    "charliehebdo germanwings silentnight blacklivesmatter middleeast westbank gazastrip greatbritain milkeyway "
    "batonrouge longbeach fortworth elpaso coloradosprings grandrapids portland"
)
"""Names of places in two words or more whose parts do not give them away."""


def namings(text: str) -> tuple[Naming, ...]:
    """Find who is named in an accusation, each person once, in the order of the text.

    >>> [(found.name, found.role) for found in namings("BREAKING: the Ashford attacker is Tarek Omrani, police silent")]
    [('Tarek Omrani', 'attacker')]
    >>> namings("The attacker is still at large near Martin Place")
    ()
    """
    text = text[:LONGEST_TEXT]
    if _TRIGGERS.isdisjoint(_LETTERS.findall(text.lower())):
        return ()
    found: dict[str, Naming] = {}
    for sentence in _SENTENCE.findall(text):
        if not _TRIGGERS_OF_SENTENCE.isdisjoint(_LETTERS.findall(sentence.lower())):
            for naming in _in_sentence(sentence):
                found.setdefault(person_key(naming.name), naming)
    return tuple(found.values())


def person_key(name: str) -> str:
    """Letters of a name, without case, accents, signs and blanks: one key for its usual spellings.

    >>> person_key("Ali Al-Shakati") == person_key("ali al shakati") == person_key("#AliAlShakati")
    True
    """
    letters = (name if name.isascii() else unicodedata.normalize("NFKD", name)).casefold()
    return letters if letters.isalnum() else "".join(filter(str.isalnum, letters))


def _in_sentence(sentence: str) -> Iterator[Naming]:
    doubted = bool(_DOUBTS.search(sentence))
    by_officials = bool(_OFFICIALS.search(sentence))
    minor = bool(_MINOR.search(sentence))
    for match, name, office in _found(sentence):
        yield Naming(
            name=name,
            role=" ".join(match["role"].lower().split()),
            before=office or _word_before(sentence, match.start("name")),
            by_officials=by_officials,
            doubted=doubted,
            minor=minor,
        )


def _found(sentence: str) -> Iterator[tuple[re.Match[str], str, str]]:
    """Matches with the name and the office in them. In a headline only what says a name outright counts."""
    shape = _shape(sentence)
    if shape == "none":
        for pattern in _PATTERNS_WITHOUT_SHAPE:
            for match in pattern.finditer(sentence):
                if name := _person_without_shape(match["name"]):
                    yield match, name, ""
        return
    for pattern in _PATTERNS if shape == "sentence" else _PATTERNS[:ROLE_FIRST]:
        for match in pattern.finditer(sentence):
            person = _person(match["name"])
            if person is not None and (shape == "sentence" or _is_unusual(person[0])):
                yield match, *person


def _shape(sentence: str) -> Literal["sentence", "headline", "none"]:
    """What capitals mean in it: names, the words of a headline, or nothing."""
    words = [word for word in _LETTERS.findall(sentence) if len(word) > 3]
    capitals = sum(word[0].isupper() for word in words)
    if not capitals or 2 * sum(word.isupper() for word in words) > len(words):
        return "none"
    return "headline" if len(words) > 5 and 10 * capitals > 7 * len(words) else "sentence"


def _person(candidate: str) -> tuple[str, str] | None:
    """Name within a run of capitalised words, and the office before it; None where there is no person in it."""
    if candidate.startswith("#"):
        parts = re.findall(rf"[{_UPPER}][a-zà-ÿ]+", candidate)
        return (" ".join(parts), "") if _is_person(parts) else None
    parts, office = candidate.split(), ""
    while parts and parts[0].lower().strip(".") in _OFFICE_WORDS:
        office = f"{office} {parts.pop(0).lower().strip('.')}".strip()
    kept: list[str] = []
    for part in parts:
        if part.lower().strip(".'’") in _NOT_IN_A_NAME or person_key(part).removesuffix("s") in _NOT_IN_A_NAME:
            if kept:
                break
            continue
        kept.append(part.removesuffix("'s").removesuffix("’s"))
    while kept and (kept[-1].lower() in _PARTICLES or kept[-1].lower().strip(".") in _OFFICE_WORDS):
        kept.pop()
    return (" ".join(kept).strip("."), office) if _is_person(kept) else None


def _person_without_shape(candidate: str) -> str | None:
    """Name at the beginning of some words without capitals: all rare, one of them no word at all."""
    kept: list[str] = []
    for part in candidate.lstrip("#").lower().split():
        if part in _NOT_IN_A_NAME or not (part in _PARTICLES or _is_rare(part)):
            break
        if part.endswith(("ing", "ed", "ly", "ers", "ages")) and _zipf(part) > 0:
            break
        kept.append(part)
    if not _is_person(kept) or min(_zipf(part) for part in kept) >= 1.5:
        return None
    return " ".join(part if part in _PARTICLES else part.title() for part in kept)


def _is_unusual(name: str) -> bool:
    """Whether a word of the name is hardly a word of the language."""
    return min(_zipf(part) for part in name.split()) < 2.5


def _zipf(word: str) -> float:
    return float(zipf_frequency(word.lower(), "en"))


def _is_rare(word: str) -> bool:
    """Whether a word is rather a name than a word of the language."""
    return _zipf(word) < COMMON_ZIPF


def _is_person(parts: list[str]) -> bool:
    whole = [part for part in parts if len(person_key(part)) > 1 and part.lower() not in _PARTICLES]
    if not (len(whole) >= 2 and len(parts) <= 7) or person_key("".join(parts)) in _PLACES:
        return False
    # Two words that everybody uses are a headline more often than a name.
    return min(_zipf(part) for part in whole) < 5.2


def _word_before(sentence: str, start: int) -> str:
    words = re.findall(r"[^\W\d_]+", sentence[:start].lower())
    return words[-1] if words else ""


_OFFICE_WORDS = frozenset(NamedPersonParameters().offices)


# Who was named in a micro-cluster, by how many.


class Told(Struct, array_like=True):
    """One name in a micro-cluster or narrative."""

    name: str
    posts: int = 0
    """Posts that accuse; those that doubt or deny it are counted apart."""
    doubting: int = 0
    by_officials: int = 0
    minor: int = 0
    with_office: dict[str, int] = {}
    """The word before the name, where it is an office by our default list or the policy's; at most `MOST_OFFICES`."""
    authors: list[int] = []
    """Smallest keys of the accounts that accuse, ascending."""


MOST_OFFICES = 8


class Names(Struct, array_like=True):
    """Names told in a micro-cluster, by key; mergeable, bounded."""

    told: dict[str, Told] = {}

    def add(self, naming: Naming, author_key: int) -> bool:
        """Count a telling; True where another name was forgotten for it."""
        key = person_key(naming.name)
        evicted = False
        if key not in self.told and len(self.told) >= MOST_NAMES:
            del self.told[min(self.told, key=lambda one: (self.told[one].posts + self.told[one].doubting, one))]
            evicted = True
        told = self.told.setdefault(key, Told(naming.name))
        _count(told, naming, 1)
        if not naming.doubted:
            _keep(told.authors, author_key)
        return evicted

    def remove(self, naming: Naming, author_key: int) -> None:
        """Take a deleted post's telling out; a name that nobody tells any more is forgotten."""
        key = person_key(naming.name)
        told = self.told.get(key)
        if told is None:
            return
        _count(told, naming, -1)
        if told.posts + told.doubting <= 0:
            del self.told[key]
        elif told.posts < len(told.authors):  # else another post of the same account may still tell it
            self._drop(told, author_key)

    def forget(self, author_key: int) -> None:
        """Take an erased author's key out."""
        for told in self.told.values():
            self._drop(told, author_key)

    @staticmethod
    def _drop(told: Told, author_key: int) -> None:
        place = bisect_left(told.authors, author_key)
        if place < len(told.authors) and told.authors[place] == author_key:
            del told.authors[place]


def merged(several: Iterable[Names]) -> Names:
    """All names of several micro-clusters, counts added up."""
    whole = Names()
    for names in several:
        for key, told in names.told.items():
            into = whole.told.setdefault(key, Told(told.name))
            into.posts += told.posts
            into.doubting += told.doubting
            into.by_officials += told.by_officials
            into.minor += told.minor
            for word, posts in told.with_office.items():
                into.with_office[word] = into.with_office.get(word, 0) + posts
            for author_key in told.authors:
                _keep(into.authors, author_key)
    return whole


def _count(told: Told, naming: Naming, sign: int) -> None:
    if naming.doubted:
        told.doubting += sign
    else:
        told.posts += sign
        told.by_officials += sign * naming.by_officials
    told.minor += sign * naming.minor
    word = naming.before
    if word and (word in told.with_office or len(told.with_office) < MOST_OFFICES):
        told.with_office[word] = max(0, told.with_office.get(word, 0) + sign)


def _keep(authors: list[int], key: int) -> None:
    place = bisect_left(authors, key)
    if place < len(authors) and authors[place] == key:
        return
    insort(authors, key)
    del authors[AUTHORS_KEPT:]


# How long the stream has known a name, without keeping the name.


class Heard(Struct, array_like=True):
    """History of one name in accusations: when, and in how many narratives."""

    first_at_s: float
    last_at_s: float
    narratives: list[int]


class NameHistory(Struct):
    """By 64 bits that stand for a name; the longest silent first."""

    heard: dict[int, Heard] = {}
    evicted: int = 0

    def hear(self, name: str, narrative_id: str, at_s: float) -> None:
        """Note that a name was told in a narrative."""
        key = _hash(person_key(name))
        heard = self.heard.pop(key, None) or Heard(at_s, at_s, [])
        heard.last_at_s = max(heard.last_at_s, at_s)
        narrative = _hash(narrative_id)
        if narrative not in heard.narratives and len(heard.narratives) < NARRATIVES_HEARD:
            heard.narratives.append(narrative)
        self.heard[key] = heard
        if len(self.heard) > MOST_HEARD:
            del self.heard[next(iter(self.heard))]
            self.evicted += 1

    def is_established(self, name: str, parameters: NamedPersonParameters) -> bool:
        """Whether the stream has known the name so long and in so many narratives that it is hardly private."""
        heard = self.heard.get(_hash(person_key(name)))
        return (
            heard is not None
            and heard.last_at_s - heard.first_at_s >= parameters.established_s
            and len(heard.narratives) >= parameters.established_narratives
        )

    def expire(self, now_s: float) -> None:
        """Forget names that have been silent for long."""
        self.heard = {key: heard for key, heard in self.heard.items() if heard.last_at_s >= now_s - HEARD_FOR_S}


def _hash(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode(errors="surrogatepass"), digest_size=8).digest(), "big")


# What holds of a narrative.


class NamedPersons(Struct, frozen=True, kw_only=True):
    """Private persons that a narrative names."""

    names: tuple[str, ...] = ()
    """Whoever is named and not known to be public, in an accusation, a question or a denial: all are withheld."""
    is_named: bool = False
    """Named as the one who did it, by enough accounts and in a notable share of the posts."""
    by_officials: bool = False
    """Most of the posts that accuse give police or another authority as the source."""
    minors: tuple[str, ...] = ()
    """Of these, persons who may be minors."""
    posts: int = 0
    """That accuse the one named most."""
    accounts: int = 0
    share: float = 0.0
    """Of the narrative's posts."""


def named_persons(
    names: Names, posts: int, parameters: NamedPersonParameters, history: NameHistory | None = None
) -> NamedPersons:
    """Say which private persons a narrative of so many posts names."""
    private = [told for told in names.told.values() if not is_public(told, parameters)]
    private.sort(key=lambda told: (-len(told.authors), -told.posts, told.name))
    if not private:
        return NamedPersons()
    group = _same_person(private)
    accounts = len({key for told in group for key in told.authors})
    accusing = sum(told.posts for told in group)
    officially = sum(told.by_officials for told in group)
    minor_group = _is_minor(sum(told.minor for told in group), accusing + sum(told.doubting for told in group))
    established = history is not None and history.is_established(group[0].name, parameters)
    share = accusing / max(1, posts)
    return NamedPersons(
        names=tuple(told.name for told in private),
        is_named=accounts >= parameters.least_authors and share >= parameters.least_share and not established,
        by_officials=2 * officially >= max(1, accusing),
        minors=tuple(told.name for told in private if _is_possibly_minor(told) or (told in group and minor_group)),
        posts=accusing,
        accounts=accounts,
        share=round(share, 4),
    )


def withheld_in(names: Names, parameters: NamedPersonParameters) -> "Withheld":
    """Names that at least `WITHHELD_FROM` accounts told in an accusation, of whom the policy does not say: public."""
    private = [
        told for told in names.told.values() if len(told.authors) >= WITHHELD_FROM and not is_public(told, parameters)
    ]
    return Withheld([told.name for told in private], minors=[told.name for told in private if _is_possibly_minor(told)])


def is_public(told: Told, parameters: NamedPersonParameters) -> bool:
    """Whether the policy says that the bearer of a name is public, or most tellings give an office."""
    key, last = person_key(told.name), person_key(told.name.split()[-1])
    public, surnames, offices = _policy_keys(parameters)
    if key in public or last in surnames:
        return True
    in_office = sum(posts for word, posts in told.with_office.items() if offices & set(word.split()))
    return 2 * in_office > told.posts + told.doubting


def _same_person(private: list[Told]) -> list[Told]:
    """Group spellings of the name told most: those that share a longer part with it."""
    parts = {part for part in _parts(private[0].name) if len(part) >= 4}
    return [told for told in private if told is private[0] or parts & set(_parts(told.name))]


def _is_possibly_minor(told: Told) -> bool:
    return _is_minor(told.minor, told.posts + told.doubting)


def _is_minor(minor: int, posts: int) -> bool:
    """Several posts say so, or a tenth of them; one stray word in a large narrative does not."""
    return minor > 0 and 10 * minor >= posts


@lru_cache(maxsize=8)
def _policy_keys(parameters: NamedPersonParameters) -> tuple[frozenset[str], frozenset[str], frozenset[str]]:
    names = [name for name in parameters.public_names if name.strip()]
    return (
        frozenset(person_key(name) for name in names),
        frozenset(person_key(name) for name in names if len(name.split()) == 1),
        frozenset(office.lower() for office in parameters.offices),
    )


# Taking names out of a text.


_TEXT_WORD = re.compile(r"#?[^\W_]+(?:['’\-][^\W_]+)*")
_MOST_WORDS = 6

REMEMBERED_TEXTS = 512
"""Texts whose names were looked for, that are remembered with what was found."""

REMEMBERED_FURTHER = 64
"""Narratives with names of their own, whose names to be withheld are kept ready."""

Key = TypeVar("Key", bound=Hashable)
Found = TypeVar("Found")


class Withheld:
    """Names to be withheld, ready to be taken out of many texts."""

    def __init__(self, names: Collection[str], *, minors: Collection[str] = ()) -> None:
        self.names = tuple(names)
        self.minors = tuple(minors)
        """Of these, names of persons who may be minors."""
        self._wholes = {person_key(name) for name in names}
        parts = {part for name in names for part in _parts(name)}
        self._parts = {part for part in parts if len(part) > 2}
        self._rare_parts = {part for part in self._parts if float(zipf_frequency(part, "en")) < COMMON_ZIPF}
        self._long = _ByLength({*self._rare_parts, *self._wholes})
        self._long_wholes = _ByLength(self._wholes)
        self._longest = max((len(whole) for whole in self._wholes), default=0)
        self._replaced: dict[tuple[str, bool], str] = {}
        """Of texts that were asked for: the same few are published again and again. Forgotten with this object."""
        self._found: dict[str, frozenset[str]] = {}
        self._further: dict[tuple[tuple[str, ...], tuple[str, ...]], Withheld] = {}

    def with_names(self, names: Collection[str], *, minors: Collection[str]) -> "Withheld":
        """The same with further names; itself where there is none."""
        if set(names) <= set(self.names) and set(minors) <= set(self.minors):
            return self
        wanted = (tuple(dict.fromkeys((*self.names, *names))), (*self.minors, *minors))
        return _remembered(self._further, wanted, lambda: Withheld(wanted[0], minors=wanted[1]), REMEMBERED_FURTHER)

    def found_in(self, texts: Collection[str]) -> tuple[str, ...]:
        """The names that some text holds, whole or in part."""
        found = [names for text in texts if (names := self._names_in(text))]
        return tuple(name for name in self.names if any(name in names for names in found)) if found else ()

    def _names_in(self, text: str) -> frozenset[str]:
        if not self.is_in(text):
            return frozenset()
        return _remembered(
            self._found,
            text,
            lambda: frozenset(name for name in self.names if Withheld([name]).is_in(text)),
            REMEMBERED_TEXTS,
        )

    def is_in(self, text: str) -> bool:
        """Whether a text holds any of the names."""
        return bool(self._wholes) and self.from_text(text) != text

    def from_text(self, text: str, *, strictly: bool = False) -> str:
        """Replace every name, and every part of one, by the placeholder.

        Parts that are everyday words ("Brown") are left where they are written small, unless `strictly`.

        >>> Withheld(["Ali Al-Shakati"]).from_text("RT: #AliAlShakati did it, says everyone. Al Shakati! Shakatti?")
        'RT: [name withheld] did it, says everyone. Al [name withheld]! [name withheld]?'
        """
        if not self._wholes:
            return text
        wanted = (text, strictly)
        return _remembered(
            self._replaced, wanted, lambda: self._without_names(text, strictly=strictly), REMEMBERED_TEXTS
        )

    def _without_names(self, text: str, *, strictly: bool) -> str:
        words = list(_TEXT_WORD.finditer(text))
        keys = [person_key(word[0]) for word in words]
        pieces: list[str] = []
        end = place = 0
        while place < len(words):
            length = self._whole_at(keys, place) or int(self._is_part(words[place][0], keys[place], strictly=strictly))
            if length:
                pieces += [text[end : words[place].start()], PLACEHOLDER]
                end = words[place + length - 1].end()
            place += max(1, length)
        if not pieces and PLACEHOLDER[0] not in text:
            return text
        pieces.append(text[end:])
        return _REPEATED.sub(PLACEHOLDER, "".join(pieces))

    def _whole_at(self, keys: list[str], place: int) -> int:
        """Words from this place on that are a whole name, the longest such; 0 for none."""
        joined, found = "", 0
        for length, key in enumerate(keys[place : place + _MOST_WORDS], start=1):
            joined += key
            if len(joined) > self._longest + 1:
                break
            if joined in self._wholes or (length > 1 and self._long_wholes.has_near(joined)):
                found = length
        return found

    def _is_part(self, word: str, key: str, *, strictly: bool) -> bool:
        """Whether a word is a part of a name, or nearly one, or holds one."""
        known = self._parts if strictly or word.lstrip("#")[:1].isupper() else self._rare_parts
        parts = () if word.isalnum() else _parts(word)
        return key in known or not known.isdisjoint(parts) or self._long.has_near(key) or self._long.has_within(key)


class _ByLength:
    """Words of at least `NEAR_LETTERS`, by their length: only those of nearly the same can be near."""

    def __init__(self, words: Collection[str]) -> None:
        self._words: dict[int, list[str]] = {}
        for word in sorted(words):
            if len(word) >= NEAR_LETTERS:
                self._words.setdefault(len(word), []).append(word)

    def has_near(self, key: str) -> bool:
        """Whether one of them is a letter apart from the key at most, if that is long enough itself."""
        count = len(key)
        if count < NEAR_LETTERS:
            return False
        return any(
            _one_apart(key, word) for length in (count - 1, count, count + 1) for word in self._words.get(length, ())
        )

    def has_within(self, key: str) -> bool:
        """Whether one of them lies within the key."""
        return any(word in key for length, words in self._words.items() if length <= len(key) for word in words)


def _remembered(known: dict[Key, Found], key: Key, find: Callable[[], Found], most: int) -> Found:
    """What was found for a key before, or is found now; what is full begins anew."""
    if key not in known:
        if len(known) >= most:
            known.clear()
        known[key] = find()
    return known[key]


_REPEATED = re.compile(
    rf"{re.escape(PLACEHOLDER)}(?:[\s,'’-]*(?:(?:{'|'.join(sorted(_PARTICLES))})\s+)?"
    rf"{re.escape(PLACEHOLDER)})+",
    re.IGNORECASE,
)


def _parts(name: str) -> list[str]:
    return [key for part in re.split(r"[\s\-'’]+", name) if (key := person_key(part)) not in {"", *_PARTICLES}]


def _one_apart(one: str, other: str) -> bool:
    """Whether one letter put in, left out or changed makes one of the other.

    >>> _one_apart("shakati", "shakatti"), _one_apart("shakati", "shukati"), _one_apart("shakati", "shukatti")
    (True, True, False)
    """
    if abs(len(one) - len(other)) > 1:
        return False
    short, long = sorted((one, other), key=len)
    same = next((i for i, letter in enumerate(short) if letter != long[i]), len(short))
    return short[same + (len(short) == len(long)) :] == long[same + 1 :]
