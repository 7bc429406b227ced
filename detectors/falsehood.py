"""Fact-checked claims: which of them a narrative repeats, how sure that is, and why.

Three steps. Retrieval (`detectors.claim_index`) finds the twenty nearest by vector and words. They are ranked by a
linear score that also knows how much of the text's rare wording stands in the claim, and whether its numbers and names
do. And as something is always nearest, a logistic regression then judges whether the text *repeats* it: a near miss
shares a topic but not the point, and a debunk ("the drawing is *not* by Banksy") shares everything but the negation.

A narrative is asked with several wordings, and the surest answer counts for each claim.
"""

import math
import operator
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import msgspec
from msgspec import Struct

from detectors.claim_index import Asked, ClaimShelf, Hit, is_common
from detectors.entries import ClaimEntry, Vector
from detectors.lexical import words_of
from detectors.posts import clean
from detectors.ratings import Verdict, is_satire, rating_words, verdict_of
from detectors.records import MatchedClaim
from detectors.vectors import cosine

CANDIDATES = 20
"""Claims that are looked at closely for each wording."""

SAME_CLAIM = 0.8
"""Cosine from which two claims count as one when it is asked by how much the best leads."""
CLEAR_LEAD = 3.0
"""Lead in rank beyond which more says nothing; also that of a claim without a rival."""

RIVALS = 5
"""Best other claims with whose mean rank a candidate is compared: of a topic on which much was checked and nothing is
the point, several stand as near as the first."""
RIVAL_RANK = 15.0
"""Rank of a rival at the least: what the rivals of a right claim have among 14,000 claims (median). So a claim stands
out no more among a few than among thousands."""
FAR_AHEAD = 6.0
"""Lead over their mean beyond which more says nothing: three of four right claims are there, and a debunk, which shares
all of a claim's words, must not be carried over what it denies."""

MATCHES = 5
"""Claims given for a text."""

EXPLAINED = 5
"""Words named of what a match shares, and of what differs."""


class ClaimMatch(Struct, frozen=True, kw_only=True):
    """One claim as an answer to one text, or to the wordings of a narrative."""

    claim_id: str
    similarity: float
    """Mean cosine of claim and title with the text, plus a bounded lexical bonus; no probability."""
    probability: float
    """Calibrated probability that the text repeats the claim, 0 to 1."""
    verdict: Verdict
    shared: tuple[str, ...] = ()
    """Words of the claim that the text shares: names and numbers first, then the rarest."""
    differing: tuple[str, ...] = ()
    """What speaks against it, in words."""


class ClaimIndex:
    """All claims known now.

    Claims are kept by embedding space, and a text meets those of its own space; a claim without a vector is kept, but
    cannot match.
    """

    def __init__(self) -> None:
        self._entries: dict[str, ClaimEntry] = {}
        self._shelves: dict[str, ClaimShelf] = {}

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
            said = [
                vector.dense
                for vector in (entry.vector, entry.title_vector)
                if vector is not None and vector.space == entry.vector.space
            ]
            shelf = self._shelves.setdefault(entry.vector.space, ClaimShelf())
            shelf.put(entry.claim_id, said, _whole_wording(entry).counts)

    def remove(self, claim_id: str) -> None:
        """Forget a claim; an unknown one is no error."""
        entry = self._entries.pop(claim_id, None)
        if entry is None or entry.vector is None:
            return
        shelf = self._shelves[entry.vector.space]
        shelf.remove(claim_id, _whole_wording(entry).counts)
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
        """The `k` claims that a text most likely means, best first; ties by `claim_id`.

        `text` is the post's own words as written: capitals tell names.
        """
        return self.best_of_each([(text, vector)], k=k)[0]

    def best_of_each(self, wordings: Sequence[tuple[str, Vector]], *, k: int = MATCHES) -> list[list[ClaimMatch]]:
        """`best` of each of some wordings, looked up together."""
        answers: list[list[ClaimMatch]] = [[] for _ in wordings]
        for space in dict.fromkeys(vector.space for _, vector in wordings):
            shelf = self._shelves.get(space)
            if shelf is None or k < 1:
                continue
            places = [place for place, (_, vector) in enumerate(wordings) if vector.space == space]
            queries = [Wording.of(clean(wordings[place][0])) for place in places]
            asked = [
                Asked(wordings[place][1].dense, frozenset(query.counts))
                for place, query in zip(places, queries, strict=True)
            ]
            for place, query, hits in zip(places, queries, shelf.nearest(asked, CANDIDATES), strict=True):
                answers[place] = self._matches(query, wordings[place][1], hits, shelf)[:k]
        return answers

    def of_narrative(self, wordings: Sequence[tuple[str, Vector]], *, k: int) -> list[ClaimMatch]:
        """The `k` claims that the wordings of a narrative most likely repeat, the surest first."""
        surest: dict[str, ClaimMatch] = {}
        for matches in self.best_of_each(wordings, k=k):
            for match in matches:
                known = surest.get(match.claim_id)
                if known is None or match.probability > known.probability:
                    surest[match.claim_id] = match
        return sorted(surest.values(), key=lambda match: (-match.probability, match.claim_id))[:k]

    def nbytes(self) -> int:
        """Memory of the index beside the claims themselves, in bytes."""
        return sum(shelf.nbytes() for shelf in self._shelves.values())

    def _matches(self, query: "Wording", vector: Vector, hits: Sequence[Hit], shelf: ClaimShelf) -> list[ClaimMatch]:
        candidates = [Candidate.of(query, vector, hit, self._entries[hit.claim_id], shelf) for hit in hits]
        candidates.sort(key=lambda one: (-one.rank, one.hit.claim_id))
        return [self._match(query, one, candidates, shelf) for one in candidates[:MATCHES]]

    def _match(
        self, query: "Wording", one: "Candidate", candidates: Sequence["Candidate"], shelf: ClaimShelf
    ) -> ClaimMatch:
        claim = self._entries[one.hit.claim_id].claim
        assert claim is not None, one.hit.claim_id
        return ClaimMatch(
            claim_id=one.hit.claim_id,
            similarity=one.hit.fused,
            probability=_probability(
                match_features(query, one, lead_of(one, candidates, shelf), standing_out(one, candidates))
            ),
            verdict=verdict_of(claim.review_rating),
            shared=shared_words(query, one, shelf),
            differing=differences(query, one),
        )


class Wording(NamedTuple):
    """What the words of a text say beside its vector."""

    counts: Counter[str]
    """Words that are not common, with how often they stand there."""
    numbers: frozenset[str]
    names: frozenset[str]
    """Words with a capital that do not open a sentence, and hashtags, lower case."""
    debunks: bool
    """It calls something fake, false, a hoax."""
    negated: frozenset[str]
    """Words that are not common, of the few that follow a negation."""

    @classmethod
    def of(cls, own: str) -> "Wording":
        """Read the words of a text (without handles and links: `clean`)."""
        return cls(
            counts=Counter(word for word in words_of(own) if not is_common(word)),
            numbers=frozenset(_NUMBER.findall(own.replace(",", ""))),
            names=frozenset(name.lower() for name in _NAME.findall(own)),
            debunks=_DEBUNK.search(own) is not None,
            negated=frozenset(
                word for match in _NEGATION.finditer(own) for word in words_of(match["then"]) if not is_common(word)
            ),
        )


class Candidate(NamedTuple):
    """A claim that a text may repeat, compared with it."""

    hit: Hit
    rank: float
    values: tuple[float, ...]
    """In the order of `RANK_WEIGHTS`."""
    claim: Wording
    """Of what was claimed."""
    whole: Wording
    """Of that and its title."""
    covered: float
    """Share of the text's rare wording that stands in claim or title."""
    answered: float
    """Share of the rare wording of claim and title that stands in the text."""
    rarest: float
    """Rarity of the rarest word that both have, 0 to about 1."""

    @classmethod
    def of(cls, query: Wording, vector: Vector, hit: Hit, entry: ClaimEntry, shelf: ClaimShelf) -> "Candidate":
        """Compare a text with a claim."""
        assert entry.vector is not None, hit.claim_id
        claim, whole = _claim_wording(entry), _whole_wording(entry)
        titled = entry.title_vector if entry.title_vector is not None else entry.vector
        covered = _share_of(query.counts, whole.counts, shelf)
        shared = [shelf.rarity(word) for word in query.counts if word in whole.counts]
        values = (
            hit.cosine,
            hit.fused - hit.cosine,
            max(cosine(vector.dense, entry.vector.dense), cosine(vector.dense, titled.dense)),
            covered,
            _share_of(claim.counts, query.counts, shelf),
            float(bool(whole.numbers - query.numbers)),
            _part(whole.names, query.names | query.counts.keys()),
            math.log1p(len(whole.counts)),
            min(hit.bm25, 60.0) / 60.0,
        )
        return cls(
            hit=hit,
            rank=math.fsum(map(operator.mul, RANK_WEIGHTS.values(), values)),
            values=values,
            claim=claim,
            whole=whole,
            covered=covered,
            answered=_share_of(whole.counts, query.counts, shelf),
            rarest=max(shared, default=0.0) / 10.0,
        )


RANK_WEIGHTS = {
    "cosine": 14.44,
    "lexical": 3.94,
    "cosine_of_the_nearer": 7.51,
    "text_covered": 13.03,
    "claim_covered": 2.05,
    "numbers_missing": -1.17,
    "names_found": -1.05,
    "claim_words": 0.55,
    "bm25": 4.99,
}
"""Listwise softmax regression over the twenty nearest claims of 997 tweets (see the card `weights/claims.md`)."""

MATCH_WEIGHTS = {
    "rank": 1.84,
    "cosine": 3.18,
    "text_covered": 0.26,
    "claim_covered": -0.21,
    "rarest_shared": 1.02,
    "numbers_shared": 0.76,
    "numbers_differ": -0.41,
    "names_found": 0.4,
    "short": -29.37,
    "lead": 0.76,
    "stands_out": 2.79,
    "debunks_alone": -4.0,
    "negates_alone": -1.5,
}
MATCH_BIAS = -7.85
"""Logistic regression (see the card). The last two were set by reasoning: hardly one of those tweets debunks, and a
text that says everything a claim says and calls it fake must not count as repeating it."""


def match_features(query: Wording, one: Candidate, lead: float, stands_out: float) -> tuple[float, ...]:
    """What a match is judged by, in the order of `MATCH_WEIGHTS`, each about 0 to 1 (the lead up to 3)."""
    numbers = query.numbers & one.whole.numbers
    return (
        one.rank / 10.0,
        one.hit.cosine,
        one.covered,
        one.answered,
        one.rarest,
        _part(one.whole.numbers, query.numbers),
        float(bool(query.numbers and one.whole.numbers and not numbers)),
        _part(query.names, one.whole.names | one.whole.counts.keys()),
        1.0 / (1.0 + len(query.counts)),
        lead,
        stands_out / 10.0,
        float(query.debunks and not one.claim.debunks),
        float(_negates(query, one.claim)),
    )


def standing_out(one: Candidate, candidates: Sequence[Candidate]) -> float:
    """By how much a candidate ranks above the mean of the best others; `candidates` are in the order of their rank."""
    others = [max(RIVAL_RANK, each.rank) for each in candidates if each.hit.claim_id != one.hit.claim_id][:RIVALS]
    mean = math.fsum([*others, *[RIVAL_RANK] * (RIVALS - len(others))]) / RIVALS
    return min(FAR_AHEAD, one.rank - mean)


def lead_of(one: Candidate, candidates: Sequence[Candidate], shelf: ClaimShelf) -> float:
    """By how much a candidate ranks above the best that says something else; negative below it."""
    others = [
        each.rank
        for each in candidates
        if each.hit.claim_id != one.hit.claim_id and shelf.alike(each.hit.claim_id, one.hit.claim_id) < SAME_CLAIM
    ]
    return max(-CLEAR_LEAD, min(CLEAR_LEAD, one.rank - max(others))) if others else CLEAR_LEAD


def shared_words(query: Wording, one: Candidate, shelf: ClaimShelf) -> tuple[str, ...]:
    """Words of the claim that the text shares: names and numbers first, then the rarest."""
    shared = query.counts.keys() & one.whole.counts.keys()
    named = one.whole.names | one.whole.numbers
    ranked = sorted(shared, key=lambda word: (word not in named, -shelf.rarity(word), word))
    return tuple(ranked[:EXPLAINED])


def differences(query: Wording, one: Candidate) -> tuple[str, ...]:
    """What speaks against a match, in words that quote the claim only: a text may name people."""
    said = query.names | query.counts.keys()
    names = sorted(one.claim.names - said)[:EXPLAINED]
    numbers = sorted(one.claim.numbers - query.numbers)[:EXPLAINED]
    found = []
    if names:
        found.append(f"only the claim names {', '.join(names)}")
    if numbers:
        found.append(f"only the claim has {', '.join(numbers)}")
    if query.numbers and one.claim.numbers and not query.numbers & one.claim.numbers:
        found.append("the numbers are others")
    if query.debunks and not one.claim.debunks:
        found.append("the posts call it false")
    elif _negates(query, one.claim):
        found.append("the posts negate it")
    elif _negates(one.claim, query):
        found.append("only the claim negates it")
    return tuple(found)


def matched_claim(entry: ClaimEntry, match: ClaimMatch) -> MatchedClaim:
    """What an alert says of a match; raises ValueError for a withdrawn claim."""
    return MatchedClaim(
        claim_id=entry.claim_id,
        similarity=match.similarity,
        probability=match.probability,
        shared=match.shared,
        differing=match.differing,
        **_as_rated(entry),
    )


def linked_claim(entry: ClaimEntry) -> MatchedClaim:
    """What an alert says of a claim that a person linked it with; raises ValueError for a withdrawn claim."""
    return MatchedClaim(claim_id=entry.claim_id, similarity=1.0, probability=1.0, linked=True, **_as_rated(entry))


def rated_anew(entry: ClaimEntry, match: MatchedClaim) -> MatchedClaim:
    """Return a match with what its claim says now; how sure it is stays until it is matched again."""
    return msgspec.structs.replace(match, **_as_rated(entry))


def _as_rated(entry: ClaimEntry) -> dict[str, Any]:
    """What a fact-check says, by the fields of `MatchedClaim`."""
    claim = entry.claim
    if claim is None:
        raise ValueError(f"claim {entry.claim_id} has been withdrawn")
    return {
        "claim": claim.claim_reviewed,
        "url": claim.url,
        "publisher": claim.author.name if claim.author else None,
        "rating": rating_words(claim.review_rating),
        "verdict": verdict_of(claim.review_rating),
        "satire": is_satire(claim.review_rating),
    }


def _claim_wording(entry: ClaimEntry) -> Wording:
    assert entry.claim is not None, entry.claim_id
    return _wording(entry.claim.claim_reviewed)


def _whole_wording(entry: ClaimEntry) -> Wording:
    assert entry.claim is not None, entry.claim_id
    return _wording(f"{entry.claim.claim_reviewed}. {entry.claim.name or ''}")


@lru_cache(maxsize=8192)
def _wording(text: str) -> Wording:
    return Wording.of(clean(text))


def _share_of(words: Mapping[str, int], among: Mapping[str, int], shelf: ClaimShelf) -> float:
    """Share of the rarity of some words that stands among others; endings of inflection count as the same word."""
    stems = {_stem(word) for word in among}
    weights = [(shelf.rarity(word), word in among or _stem(word) in stems) for word in sorted(words)]
    total = math.fsum(weight for weight, _ in weights)
    return math.fsum(weight for weight, found in weights if found) / total if total else 0.0


@lru_cache(maxsize=65_536)
def _stem(word: str) -> str:
    for ending in ("ing", "ed", "es", "s", "ly"):
        if word.endswith(ending) and len(word) - len(ending) >= LEAST_STEM:
            return word[: -len(ending)]
    return word


LEAST_STEM = 4


def _negates(one: Wording, other: Wording) -> bool:
    """Whether one negates something that the other says and does not negate."""
    return any(word in other.counts and word not in other.negated for word in one.negated)


def _part(names: frozenset[str], among: "frozenset[str] | set[str]") -> float:
    return len(names & among) / len(names) if names else 0.0


def _probability(values: tuple[float, ...]) -> float:
    score = MATCH_BIAS + math.fsum(map(operator.mul, MATCH_WEIGHTS.values(), values))
    return 1.0 / (1.0 + math.exp(-max(-500.0, min(500.0, score))))


_NUMBER = re.compile(r"\d+(?:\.\d+)?")
_NAME = re.compile(r"(?<=[^\W.!?\n] )[A-Z][\w'’-]+|(?<=, )[A-Z][\w'’-]+|(?<=#)\w+")
_DEBUNK = re.compile(
    r"\b(?:fake[ds]?|false(?:ly)?|hoax(?:es)?|debunk(?:s|ed|ing)?|untrue|fact[- ]?check(?:s|ed|ing)?|myths?|"
    r"misinformation|disinformation|photoshopped|doctored|bogus|fabricated|(?:not|n['’]t|isnt)\s+(?:at\s+all\s+)?"
    r"(?:true|real|correct|accurate)|no\s+(?:evidence|proof|truth)|falsch|gefälscht|faux|fausse|falso|bulo|mentira|"
    r"фейк|неправда)\b",
    re.IGNORECASE,
)
_NEGATION = re.compile(
    r"\b(?:(?:is|was|are|were|did|does|do|has|have|had|will|would|could|can)(?:\s+not|n['’]?t)|cannot|never|not|"
    r"no\s+longer|denie[sd]|nicht|kein\w*|n['’]est\s+pas|não|не)\b(?P<then>(?:\W+\w+){1,4})",
    re.IGNORECASE,
)
