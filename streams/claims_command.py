"""`emberwatch claims match FILE --claims FILE --out FILE`: which fact-checked claims the texts of a file repeat."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import TypeVar

import msgspec
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from detectors.entries import Origin
from detectors.falsehood import ClaimIndex, ClaimMatch
from detectors.policy import FalsehoodParameters
from detectors.posts import BadRecord, TextRow, decode_text_row
from detectors.records import Claim
from detectors.scoring import Scorer
from streams.claim_files import read_known
from streams.errors import EmberwatchError
from streams.json_lines import read_lines, write_lines
from streams.models import load_scorer
from streams.settings import Settings, load_configuration

AT_ONCE = 256
"""Texts scored together: enough for batches of like length, few enough that the bar moves."""


def run(settings: Settings, *, file: Path, claims: Sequence[Path], out: Path) -> int:
    """Match the rows of `file` (`id`, `text`) with the claims; returns the exit status.

    Rows and claims that cannot be used are told of on standard error and counted. Exit status 1 where nothing could be
    matched: no claim, or no row.
    """
    console = Console(stderr=True)
    parameters = load_configuration(settings.configuration).falsehood
    scorer = load_scorer(settings)
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.completed:,}"), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        index, bad_claims = index_of(claims, scorer, progress)
        if not len(index):
            raise EmberwatchError(f"{', '.join(map(str, claims))}: no claim that can be used")
        rows, bad_rows = _rows(file, progress.console)
        bar = progress.add_task("match", total=len(rows))
        with write_lines(out) as lines:
            for row, matches in match_rows(rows, index, scorer, progress, bar):
                lines.write(_line(row, matches, parameters))
    console.print(
        f"{len(rows):,} rows matched with {len(index):,} claims; {bad_rows:,} rows and {bad_claims:,} claims unusable",
        highlight=False,
        soft_wrap=True,
    )
    return 1 if bad_rows and not rows else 0


def index_of(files: Iterable[Path], scorer: Scorer, progress: Progress) -> tuple[ClaimIndex, int]:
    """Index the claims of files; a later claim replaces an earlier one of the same id. Also: how many were unusable."""
    known: list[Claim] = []
    bad = 0
    for file in files:
        for claim in read_known(file):
            if isinstance(claim, BadRecord):
                bad += 1
                _tell(progress.console, file, claim)
            else:
                known.append(claim)
    index = ClaimIndex()
    bar = progress.add_task("claims", total=len(known))
    for batch in _batches(known):
        # Scored in one go; each entry then finds its vectors in the scorer's cache.
        scorer.score_texts([text for claim in batch for text in (claim.claim_reviewed, claim.name or "")])
        for claim in batch:
            index.put(scorer.claim_entry(claim, claim.claim_id, Origin("claims", 0, len(index))))
        progress.update(bar, advance=len(batch))
    return index, bad


def match_rows(
    rows: Sequence[TextRow], index: ClaimIndex, scorer: Scorer, progress: Progress, bar: TaskID
) -> Iterator[tuple[TextRow, list[ClaimMatch]]]:
    """The best claims of each row, in order; none for a row without words."""
    for batch in _batches(rows):
        scored = scorer.score_texts([row.text for row in batch])
        for row, scores in zip(batch, scored, strict=True):
            yield row, [] if scores.vector is None else index.best(row.text, scores.vector)
        progress.update(bar, advance=len(batch))


def _rows(file: Path, console: Console) -> tuple[list[TextRow], int]:
    rows: list[TextRow] = []
    bad = 0
    for line in read_lines(file):
        try:
            rows.append(decode_text_row(line.value))
        except BadRecord as wrong:
            bad += 1
            _tell(console, file, BadRecord(wrong.field, f"{wrong.error} (line {line.number})"))
    return rows, bad


def _line(row: TextRow, matches: Sequence[ClaimMatch], parameters: FalsehoodParameters) -> bytes:
    claims = [
        {
            "claim_id": match.claim_id,
            "similarity": round(match.similarity, 6),
            "probability": round(match.probability, 6),
            "shared": match.shared,
            "differing": match.differing,
            "match": match.probability >= parameters.match_probability,
        }
        for match in matches
    ]
    return msgspec.json.encode({"id": row.id if row.id is not None else row.post_id, "claims": claims}) + b"\n"


def _tell(console: Console, file: Path, bad: BadRecord) -> None:
    console.print(f"{file}: {bad.field}: {bad.error}", markup=False, highlight=False, soft_wrap=True)


_Item = TypeVar("_Item")


def _batches(items: Sequence[_Item]) -> Iterator[list[_Item]]:
    waiting = iter(items)
    while batch := list(islice(waiting, AT_ONCE)):
        yield batch
