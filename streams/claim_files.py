"""Files of fact-checks: one schema.org `ClaimReview` a line, plain or gzip by name."""

from collections.abc import Iterator
from pathlib import Path

from detectors.posts import BadRecord, decode_claim
from detectors.records import Claim
from streams.json_lines import read_lines


def read_claims(file: Path) -> Iterator[Claim | BadRecord]:
    """Read the claims of a file, one answer for each line that is not blank: the claim, or what is wrong with it.

    Raises `EmberwatchError` where the file itself cannot be read.
    """
    for line in read_lines(file):
        try:
            yield decode_claim(line.value)
        except BadRecord as bad:
            yield BadRecord(bad.field, f"{bad.error} (line {line.number})")
