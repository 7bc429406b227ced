"""Fact-checked claims: which of them a text repeats, how sure that is, and what their ratings say.

Ranking is the mean cosine of claim and title plus a bounded lexical bonus, `0.3 * tanh(BM25 / 20)`: a recipe without
training. Whether the best one is a match at all is another question, since something is always nearest. For that a
small logistic regression looks at what the ranking does not: which names and numbers are shared, how much of the
claim's rare wording is there, and whether the post denies what the claim says ("the drawing is *not* by Banksy"
debunks).

The index is exact and deterministic: the answer depends on the claims held, not on the order they came in.
"""

import math
import operator
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Literal, NamedTuple

import numpy as np
from msgspec import Struct

from detectors.entries import ClaimEntry, Vector
from detectors.lexical import COMMONEST_ZIPF, DEFAULT_LANGUAGE, weight_hundredths, words_of
from detectors.posts import clean
from detectors.records import MatchedClaim, Rating
from detectors.vectors import COSINE, whole_dense

Verdict = Literal["false", "mixed", "true", "unknown"]

LEXICAL_BONUS = 0.3
LEXICAL_SCALE = 20.0
"""Fused score = cosine + LEXICAL_BONUS * tanh(BM25 / LEXICAL_SCALE)."""

BM25_K1 = 1.5
BM25_B = 0.75
"""Usual values (Robertson and Zaragoza 2009)."""

COMMON_HUNDREDTHS = 100
"""Words said more often than once in a thousand words do not search."""
COMMON_RATIO = 0.05
COMMON_CLAIMS = 50
"""Nor do words that stand in more than this share of the claims (and in at least so many): they cost, and tell "
"little."""

IMAGINED_CLAIMS = 2000
CLAIM_WORDS = 25
"""A claim with its title has about so many words."""

SAME_CLAIM = 0.8
"""Cosine from which two claims count as one when it is asked by how much the best leads."""
CLEAR_LEAD = 0.2
"""Lead beyond which more says nothing; also that of a claim without a rival."""

MATCHES = 5
"""Claims given for a text."""


class ClaimMatch(Struct, frozen=True, kw_only=True):
    """One claim as an answer to one text."""

    claim_id: str
    similarity: float
    """Mean cosine of claim and title with the text, plus the lexical bonus; ranks, but is no probability."""
    probability: float
    """Calibrated probability that the text repeats the claim, 0 to 1."""
    verdict: Verdict


class ClaimIndex:
    """All claims known now.

    Claims are kept by embedding space, and a text meets those of its own space; a claim without a vector is kept, but
    cannot match.
    """

    def __init__(self) -> None:
        self._entries: dict[str, ClaimEntry] = {}
        self._shelves: dict[str, _Shelf] = {}

    def __len__(self) -> int:
        """How many claims there are."""
        return len(self._entries)

    def put(self, entry: ClaimEntry) -> None:
        """Add or replace a claim; an entry without a claim removes it."""
        self.remove(entry.claim_id)
        if entry.claim is None:
            return
        self._entries[entry.claim_id] = entry
        if entry.vector is not None:
            self._shelves.setdefault(entry.vector.space, _Shelf()).put(entry)

    def remove(self, claim_id: str) -> None:
        """Forget a claim; an unknown one is no error."""
        entry = self._entries.pop(claim_id, None)
        if entry is None or entry.vector is None:
            return
        shelf = self._shelves[entry.vector.space]
        shelf.remove(claim_id)
        if not len(shelf):
            del self._shelves[entry.vector.space]

    def entry(self, claim_id: str) -> ClaimEntry | None:
        """The claim as it came; None where it is unknown."""
        return self._entries.get(claim_id)

    def entries(self) -> Iterator[ClaimEntry]:
        """All claims, by `claim_id`."""
        for claim_id in sorted(self._entries):
            yield self._entries[claim_id]

    def best(self, text: str, vector: Vector, *, k: int = MATCHES) -> list[ClaimMatch]:
        """The `k` claims most similar to a text, best first; ties by `claim_id`.

        `text` is the post's own words as written: capitals tell names.
        """
        shelf = self._shelves.get(vector.space)
        if shelf is None or k < 1:
            return []
        query = _Wording.of(text)
        hits = shelf.nearest(query, vector, k)
        return [self._match(query, hit, shelf, hits) for hit in hits[:k]]

    def _match(self, query: "_Wording", hit: "_Hit", shelf: "_Shelf", hits: "list[_Hit]") -> ClaimMatch:
        entry = self._entries[hit.claim_id]
        claim = entry.claim
        assert claim is not None, hit.claim_id
        values = match_features(query, hit, shelf, hits)
        return ClaimMatch(
            claim_id=hit.claim_id,
            similarity=hit.fused,
            probability=_probability(values),
            verdict=verdict_of(claim.review_rating),
        )


class _Wording(NamedTuple):
    """What the words of a text say beside its vector."""

    counts: Counter[str]
    """Words that are not common, with how often they stand there."""
    numbers: frozenset[str]
    names: frozenset[str]
    """Words with a capital that do not open a sentence, and hashtags, lower case."""
    denies: bool

    @classmethod
    def of(cls, text: str) -> "_Wording":
        own = clean(text)
        counts = Counter(word for word in words_of(own) if not _is_common(word))
        return cls(
            counts=counts,
            numbers=frozenset(_NUMBER.findall(own.replace(",", ""))),
            names=frozenset(name.lower() for name in _NAME.findall(own)),
            denies=_DENIAL.search(own) is not None,
        )


class _Hit(NamedTuple):
    """One claim near a text."""

    claim_id: str
    fused: float
    cosine: float
    bm25: float


class _Shelf:
    """The claims of one embedding space: a matrix of whole numbers and an inverted index, by slot."""

    def __init__(self) -> None:
        self._slots: dict[str, int] = {}
        self._ids: list[str] = []
        self._free: list[int] = []
        self._wordings: list[_Wording] = []
        self._matrix = np.zeros((0, 0), np.float32)
        self._absent = np.zeros(0)
        """Minus infinity for slots without a claim."""
        self._postings: dict[str, dict[int, int]] = {}
        self._lengths: list[int] = []
        self._total_length = 0

    def __len__(self) -> int:
        return len(self._slots)

    def put(self, entry: ClaimEntry) -> None:
        """Add a claim that is not there."""
        assert entry.claim is not None, entry.claim_id
        assert entry.vector is not None, entry.claim_id
        wording = _Wording.of(f"{entry.claim.claim_reviewed}. {entry.claim.name or ''}")
        said = [
            vector for vector in (entry.vector, entry.title_vector) if vector and vector.space == entry.vector.space
        ]
        # The mean of two products is the product with the mean; truncated, it is whole again.
        row = np.trunc(whole_dense(said).mean(axis=0))
        slot = self._slot(len(row))
        self._slots[entry.claim_id] = slot
        self._ids[slot] = entry.claim_id
        self._wordings[slot] = wording
        self._matrix[slot] = row
        self._absent[slot] = 0.0
        self._lengths[slot] = wording.counts.total()
        self._total_length += self._lengths[slot]
        for word, count in wording.counts.items():
            self._postings.setdefault(word, {})[slot] = count

    def remove(self, claim_id: str) -> None:
        """Take a claim out, leaving no trace of it."""
        slot = self._slots.pop(claim_id)
        for word in self._wordings[slot].counts:
            postings = self._postings[word]
            del postings[slot]
            if not postings:
                del self._postings[word]
        self._total_length -= self._lengths[slot]
        self._absent[slot] = -math.inf
        self._ids[slot] = ""
        self._free.append(slot)

    def wording(self, claim_id: str) -> _Wording:
        """Words of a claim and its title."""
        return self._wordings[self._slots[claim_id]]

    def nearest(self, query: _Wording, vector: Vector, k: int) -> list[_Hit]:
        """The nearest claims, best first: `k` and their ties, and at least `MATCHES`, which the best must lead."""
        used = len(self._ids)
        cosines = (self._matrix[:used] @ whole_dense([vector])[0]).astype(np.float64) * COSINE
        fused = cosines + self._absent[:used]
        scores = self.bm25(query.counts)
        for slot, score in scores.items():
            fused[slot] += LEXICAL_BONUS * math.tanh(score / LEXICAL_SCALE)
        wanted = min(max(k, MATCHES), len(self._slots))
        least = np.partition(fused, used - wanted)[used - wanted]
        chosen = np.flatnonzero(fused >= least).tolist()
        hits = [
            _Hit(self._ids[slot], float(fused[slot]), float(cosines[slot]), scores.get(slot, 0.0)) for slot in chosen
        ]
        return sorted(hits, key=lambda hit: (-hit.fused, hit.claim_id))

    def alike(self, one_id: str, other_id: str) -> bool:
        """Whether two claims say the same, as those of two publishers may."""
        one, other = (self._matrix[self._slots[claim_id]].astype(np.float64) for claim_id in (one_id, other_id))
        return float(one @ other) >= SAME_CLAIM * math.sqrt(float(one @ one) * float(other @ other))

    def bm25(self, words: Iterable[str]) -> dict[int, float]:
        """BM25 of every claim that shares a word, by slot; words in their sorted order, so that sums are repeatable."""
        most = max(COMMON_CLAIMS, int(COMMON_RATIO * len(self)))
        mean_length = self._total_length / max(1, len(self))
        scores: dict[int, float] = {}
        for word in sorted(words):
            postings = self._postings.get(word)
            if postings is None or len(postings) > most:
                continue
            weight = self.rarity(word) * (BM25_K1 + 1.0)
            for slot, count in postings.items():
                norm = BM25_K1 * (1.0 - BM25_B + BM25_B * self._lengths[slot] / mean_length)
                scores[slot] = scores.get(slot, 0.0) + weight * count / (count + norm)
        return scores

    def rarity(self, word: str) -> float:
        """Inverse document frequency among the claims and `IMAGINED_CLAIMS` more of everyday wording.

        So a word is rare or common from the first claim on, and an index of one answers like an index of thousands.
        """
        everyday = IMAGINED_CLAIMS * _claims_holding(word)
        holding = len(self._postings.get(word, ())) + everyday
        return math.log(1.0 + (len(self) + IMAGINED_CLAIMS - holding + 0.5) / (holding + 0.5))

    def _slot(self, dimensions: int) -> int:
        """A free slot; the matrix grows by half when there is none."""
        if self._free:
            return self._free.pop()
        slot = len(self._ids)
        if slot == len(self._matrix):
            size = max(64, slot + slot // 2)
            matrix = np.zeros((size, dimensions), np.float32)
            absent = np.full(size, -math.inf)
            if slot:
                matrix[:slot], absent[:slot] = self._matrix, self._absent
            self._matrix, self._absent = matrix, absent
        self._ids.append("")
        self._wordings.append(_NOTHING)
        self._lengths.append(0)
        return slot


MATCH_WEIGHTS = {
    "fused": 7.2,
    "cosine": 4.3,
    "lead": 8.6,
    "text_covered": 3.6,
    "claim_covered": -0.5,
    "rarest_shared": 1.0,
    "numbers_shared": 1.1,
    "numbers_differ": -0.7,
    "names_shared": 0.3,
    "names_differ": 0.2,
    "short": -29.0,
    "denies_alone": -2.0,
}
MATCH_BIAS = -8.5
"""Logistic regression on the five best claims of 997 tweets that repeat a claim (CheckThat! 2022 2A-EN, train) and of
3,000 posts that repeat none (CrisisLex T26, RumourEval), candidates below the best weighing a fifth; .5 is about one
false match in a hundred such posts. `denies_alone` was set by reasoning: those tweets hardly debunk. All-MiniLM-L6-v2;
another model needs another fit."""


def match_features(query: _Wording, hit: _Hit, shelf: _Shelf, hits: list[_Hit]) -> tuple[float, ...]:
    """What a match is judged by, in the order of `MATCH_WEIGHTS`, each about 0 to 1."""
    claim = shelf.wording(hit.claim_id)
    shared = query.counts.keys() & claim.counts.keys()
    text_weight = math.fsum(shelf.rarity(word) for word in query.counts)
    claim_weight = math.fsum(shelf.rarity(word) for word in claim.counts)
    shared_weight = math.fsum(shelf.rarity(word) for word in shared)
    others = [each.fused for each in hits if not shelf.alike(each.claim_id, hit.claim_id)]
    lead = hit.fused - max(others) if others else CLEAR_LEAD
    names = query.names & (claim.names | claim.counts.keys())
    return (
        hit.fused,
        hit.cosine,
        max(-CLEAR_LEAD, min(CLEAR_LEAD, lead)),
        shared_weight / text_weight if text_weight else 0.0,
        shared_weight / claim_weight if claim_weight else 0.0,
        max((shelf.rarity(word) for word in shared), default=0.0) / 10.0,
        float(bool(query.numbers & claim.numbers)),
        float(bool(query.numbers and claim.numbers and not query.numbers & claim.numbers)),
        float(len(names) / len(query.names)) if query.names else 0.0,
        float(bool(claim.names and query.names and not names)),
        1.0 / (1.0 + len(query.counts)),
        float(query.denies and not claim.denies),
    )


@lru_cache(maxsize=65_536)
def _is_common(word: str) -> bool:
    return weight_hundredths(word, DEFAULT_LANGUAGE) < COMMON_HUNDREDTHS


@lru_cache(maxsize=65_536)
def _claims_holding(word: str) -> float:
    """Share of claims of everyday wording that hold a word, from its Zipf frequency (per 10**9 words)."""
    zipf = COMMONEST_ZIPF - weight_hundredths(word, DEFAULT_LANGUAGE) / 100.0
    return min(1.0, CLAIM_WORDS * math.pow(10.0, zipf - 9.0))


def _probability(values: tuple[float, ...]) -> float:
    score = MATCH_BIAS + math.fsum(map(operator.mul, MATCH_WEIGHTS.values(), values))
    return 1.0 / (1.0 + math.exp(-score))


_NUMBER = re.compile(r"\d+(?:\.\d+)?")
_NAME = re.compile(r"(?<=[^\W.!?\n] )[A-Z][\w'’-]+|(?<=, )[A-Z][\w'’-]+|(?<=#)\w+")
_DENIAL = re.compile(
    r"\b(?:(?:is|was|are|were|did|does|do|has|have|will)(?:\s+not|n['’]t)|not\s+(?:true|real|by|the)|fake|"
    r"false(?:ly)?|hoax|"
    r"debunk(?:s|ed|ing)?|untrue|fact[- ]?check(?:ed|s)?|myth|misinformation|rumou?rs?|photoshopped|doctored|"
    r"denie[sd]|satire|bogus)\b",
    re.IGNORECASE,
)
_NOTHING = _Wording(Counter(), frozenset(), frozenset(), denies=False)


def matched_claim(entry: ClaimEntry, match: ClaimMatch) -> MatchedClaim:
    """What an alert says of a match; raises ValueError for a withdrawn claim."""
    claim = entry.claim
    if claim is None:
        raise ValueError(f"claim {entry.claim_id} has been withdrawn")
    rating = claim.review_rating
    return MatchedClaim(
        claim_id=entry.claim_id,
        claim=claim.claim_reviewed,
        url=claim.url,
        publisher=claim.author.name if claim.author else None,
        rating=rating_words(rating),
        verdict=match.verdict,
        similarity=match.similarity,
        probability=match.probability,
    )


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
        return "rating unknown"
    best = _TRUTH_SCALE[1] if rating.best_rating is None else _number(rating.best_rating)
    return f"{value:g}" if best is None else f"{value:g} of {best:g}"


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
