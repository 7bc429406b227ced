"""`emberwatch score FILE --out FILE`: the scores of single texts, each with its evidence."""

import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

import msgspec
from msgspec import Struct
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

from detectors.posts import BadRecord, TextRow, decode_text_row
from detectors.scoring import STAGES, Scorer, TextScores
from streams.errors import EmberwatchError
from streams.json_lines import Line, read_lines, write_lines
from streams.models import load_scorer
from streams.settings import Settings

ROWS_AT_ONCE = 512
"""Enough for micro-batches of like length; few enough that the bar moves."""


class StageTimes:
    """Seconds spent in each stage; its `timed` is what a `Scorer` takes."""

    def __init__(self) -> None:
        self.seconds: defaultdict[str, float] = defaultdict(float)

    @contextmanager
    def timed(self, stage: str) -> Iterator[None]:
        """Add what this span takes to a stage."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[stage] += time.perf_counter() - start


class Counts(Struct):
    """What became of the rows."""

    scored: int = 0
    bad: int = 0


def run(settings: Settings, *, file: Path, out: Path) -> int:
    """Score the rows of `file` into `out`; returns the exit status, 1 only where no row could be scored.

    A row that cannot be used is told of on standard error, with its line and field, and is not in `out`.
    """
    console = Console(stderr=True)
    times = StageTimes()
    with times.timed("load model"):
        scorer = load_scorer(settings, timed=times.timed)
    counts = _score_file(scorer, file, out, console)
    _report(console, counts, times, scorer)
    return 1 if counts.bad and not counts.scored else 0


def _score_file(scorer: Scorer, file: Path, out: Path, console: Console) -> Counts:
    counts = Counts()
    columns = (TextColumn("score"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as progress, write_lines(out) as lines:
        bar = progress.add_task("score", total=_size(file))
        rows = read_lines(file)
        while batch := list(islice(rows, ROWS_AT_ONCE)):
            good = list(_good_rows(batch, file, progress.console))
            scores = scorer.score_texts([row.text for row in good])
            lines.writelines(_line(row, scored, scorer) for row, scored in zip(good, scores, strict=True))
            counts.scored += len(good)
            counts.bad += len(batch) - len(good)
            progress.update(bar, completed=batch[-1].read_bytes)
    return counts


def _good_rows(batch: list[Line], file: Path, console: Console) -> Iterator[TextRow]:
    for line in batch:
        try:
            yield decode_text_row(line.value)
        except BadRecord as bad:
            console.print(
                f"{file}:{line.number}: {bad.field}: {bad.error}", markup=False, highlight=False, soft_wrap=True
            )


def _line(row: TextRow, scores: TextScores, scorer: Scorer) -> bytes:
    stance = scores.stance_at(is_reply=row.is_reply, parent_id=row.parent_id, root_id=row.root_id)
    key, value = ("post_id", row.post_id) if row.post_id is not None else ("id", row.id)
    return (
        msgspec.json.encode(
            {
                key: value,
                "incitement": round(scores.incitement, 6),
                "classes": scores.classes,
                "judged": scores.judged,
                "indicators": scores.indicators,
                "stance": stance,
                "attitude": scorer.attitude_of(stance),
            }
        )
        + b"\n"
    )


def _report(console: Console, counts: Counts, times: StageTimes, scorer: Scorer) -> None:
    seconds = sum(times.seconds[stage] for stage in STAGES)
    console.print(
        f"{counts.scored:,} rows scored, {counts.bad:,} bad; {scorer.cache.misses:,} distinct texts"
        f" in {seconds:.1f} s ({counts.scored / max(seconds, 1e-9):,.0f} rows/s)",
        highlight=False,
    )
    console.print(", ".join(f"{stage} {spent:.2f} s" for stage, spent in times.seconds.items()), highlight=False)


def _size(file: Path) -> int:
    try:
        return file.stat().st_size
    except OSError as error:
        raise EmberwatchError(f"{file}: {error.strerror or error}") from error
