"""Fact-checked claims, and which of them a text repeats."""

from collections.abc import Iterator
from typing import Literal

from msgspec import Struct

from detectors.entries import ClaimEntry, Vector
from detectors.records import MatchedClaim, Rating

Verdict = Literal["false", "mixed", "true", "unknown"]


class ClaimMatch(Struct, frozen=True, kw_only=True):
    """One claim as an answer to one text."""

    claim_id: str
    similarity: float
    """Mean cosine of claim and title with the text, plus the lexical bonus; ranks, but is no probability."""
    probability: float
    """Calibrated probability that the text repeats the claim, 0 to 1."""
    verdict: Verdict


class ClaimIndex:
    """All claims known now. Deterministic: the answer depends on the claims held, not on how they came."""

    def __len__(self) -> int:
        """How many claims can match."""
        raise NotImplementedError

    def put(self, entry: ClaimEntry) -> None:
        """Add or replace a claim; an entry without a claim removes it."""
        raise NotImplementedError

    def remove(self, claim_id: str) -> None:
        """Forget a claim; an unknown one is no error."""
        raise NotImplementedError

    def entry(self, claim_id: str) -> ClaimEntry | None:
        """The claim as it came."""
        raise NotImplementedError

    def entries(self) -> Iterator[ClaimEntry]:
        """All claims, by `claim_id`."""
        raise NotImplementedError

    def best(self, text: str, vector: Vector, *, k: int = 5) -> list[ClaimMatch]:
        """The `k` most similar claims, best first; ties by `claim_id`. Claims of another space are left out."""
        raise NotImplementedError


def matched_claim(entry: ClaimEntry, match: ClaimMatch) -> MatchedClaim:
    """What an alert says of a match."""
    raise NotImplementedError


def verdict_of(rating: Rating | None) -> Verdict:
    """Read a fact-checker's rating; "unknown" where it says nothing we can read."""
    raise NotImplementedError
