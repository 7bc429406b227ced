"""`emberwatch replay`: files of posts, or an exported journal, through the fold without a broker."""

import hashlib
import platform
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from detectors.codec import encode_record
from detectors.entries import ConfigurationEntry, Entry, LookAnswer
from detectors.looks import Answerer
from detectors.monitor import JournalGapError
from detectors.policy import Configuration, config_hash
from detectors.posts import BadRecord
from detectors.records import SEVERITIES, Claim, DeadLetter
from detectors.replay import (
    SCORED_TOGETHER,
    InEventOrder,
    Replay,
    Row,
    opening_entries,
    score_rows,
    source_end,
    with_configuration,
)
from detectors.scoring import Scorer
from detectors.words import why_now
from streams.claim_files import read_known
from streams.errors import EmberwatchError
from streams.journal_file import is_journal, read_journal
from streams.json_lines import read_lines, write_lines
from streams.models import configuration_of, load_checker, load_scorer, look_model_of, shipped_forecast
from streams.score_command import StageTimes
from streams.settings import Settings, load_configuration, variable_of

FOLDED_TOGETHER = 4096
"""Entries of a journal between two movements of the progress bar."""


class Run:
    """One replay: its shards, what could not be used, and where the time went."""

    def __init__(self) -> None:
        self.answering: Answerer | None = None
        """Takes second looks that no journal answers."""
        self.shards: dict[int, Replay] = {}
        self.dead_letters: list[DeadLetter] = []
        self.times = StageTimes()
        self.posts = 0

    def fold(self, shard: int, entries: Iterable[Entry]) -> None:
        """Fold entries that follow the shard's last."""
        with self.times.timed("fold"):
            self.shards.setdefault(shard, Replay(answering=self.answering)).append(entries)


def run(settings: Settings, *, files: Sequence[Path], claims: Sequence[Path], config: Path | None, out: Path) -> int:
    """Replay `files` and write what came out into the folder `out`; returns the exit status.

    Posts are folded in the order of the files, claims known first. An exported journal keeps its own claims and,
    without `config`, its own configuration.
    """
    console = Console(stderr=True)
    out.mkdir(parents=True, exist_ok=True)
    done = Run()
    journals = [file for file in files if _holds_journal(file)]
    if journals and len(files) > 1:
        raise EmberwatchError(f"{journals[0]} is a journal: it is replayed alone")
    if journals:
        if claims:
            raise EmberwatchError("--claims: a journal has its claims in it")
        _replay_journal(done, settings, journals[0], config, console)
    else:
        _replay_posts(done, settings, files, claims, config, console)
    _write(done, out, [*files, *claims])
    _summarise(done, out)
    return 0


def _holds_journal(file: Path) -> bool:
    for line in read_lines(file):
        try:
            first = msgspec.json.decode(line.value)
        except msgspec.DecodeError:
            return False
        return isinstance(first, dict) and is_journal(first)
    return False


def _replay_journal(done: Run, settings: Settings, file: Path, config: Path | None, console: Console) -> None:
    replacement = load_configuration(config) if config else None
    if replacement is not None:  # another policy may ask what nobody asked then
        done.answering = _lacking_looks(settings, file)
    with _progress(console) as progress:
        bar = progress.add_task(file.name, total=None)
        entries = read_journal(file)
        while batch := list(islice(entries, FOLDED_TOGETHER)):
            for shard in sorted({shard for shard, _, _ in batch}):
                items = [(offset, entry) for at, offset, entry in batch if at == shard]
                _fold_journal(done, shard, items, replacement)
            progress.update(bar, advance=len(batch))
            done.posts = sum(replay.state.core.folded for replay in done.shards.values())


def _lacking_looks(settings: Settings, file: Path) -> Answerer | None:
    """Take the looks that a journal does not answer, where these settings have the model that its monitor asked."""
    known, models = set(), {""}
    for _, _, entry in read_journal(file):
        if isinstance(entry, LookAnswer):
            known.add(entry.look_id)
        elif isinstance(entry, ConfigurationEntry):
            models.add(entry.configuration.look_model)
    if models == {""}:
        return None
    if models != {"", look_model_of(settings)}:
        raise EmberwatchError(
            f"second looks of this journal are by {', '.join(sorted(models - {''}))}: the same"
            f" {variable_of('tier')} and {variable_of('model')} are needed to take those that it lacks"
        )
    checker = load_checker(settings, load_scorer(settings))
    return None if checker is None else Answerer(checker, known)


def _fold_journal(done: Run, shard: int, items: list[tuple[int, Entry]], replacement: Configuration | None) -> None:
    """Fold items with their own offsets: a gap in the file is an error, a start after 0 is not."""
    replay = done.shards.get(shard)
    if replay is None:
        replay = done.shards[shard] = Replay(answering=done.answering)
        replay.state.core.next_offset = items[0][0]
    try:
        with done.times.timed("fold"):
            replay.run(with_configuration(items, replacement) if replacement else items)
    except JournalGapError as gap:
        raise EmberwatchError(f"shard {shard}: {gap}; the file lacks the entries between") from gap


def _replay_posts(
    done: Run,
    settings: Settings,
    files: Sequence[Path],
    claims: Sequence[Path],
    config: Path | None,
    console: Console,
) -> None:
    policy = load_configuration(config) if config else _policy(settings)
    configuration = configuration_of(msgspec.structs.replace(settings, posts_partitions=1, shards=1), policy)
    with done.times.timed("load model"):
        scorer = load_scorer(settings, timed=done.times.timed)
        checker = load_checker(settings, scorer)
    done.answering = None if checker is None else Answerer(checker)
    started_at_s = time.time()
    with _progress(console) as progress:
        known = list(_claims(done, claims))
        bar = progress.add_task("claims", total=len(known)) if known else None
        opening = opening_entries(configuration, known, scorer, shipped_forecast())
        while batch := list(islice(opening, SCORED_TOGETHER)):
            done.fold(0, batch)
            if bar is not None:
                progress.update(bar, advance=len(batch))
        for number, file in enumerate(files):
            _replay_file(done, number, file, scorer, configuration, started_at_s, progress)


def _policy(settings: Settings) -> Configuration:
    return load_configuration(settings.configuration) if settings.configuration else Configuration()


def _claims(done: Run, files: Sequence[Path]) -> Iterator[Claim]:
    for file in files:
        for line, claim in enumerate(read_known(file), start=1):
            if isinstance(claim, BadRecord):
                done.dead_letters.append(
                    DeadLetter(
                        topic=file.name, partition=0, offset=line, field=claim.field, error=claim.error, value=""
                    )
                )
            else:
                yield claim


def _replay_file(
    done: Run,
    number: int,
    file: Path,
    scorer: Scorer,
    configuration: Configuration,
    started_at_s: float,
    progress: Progress,
) -> None:
    bar = progress.add_task(file.name, total=file.stat().st_size)
    lines = read_lines(file)
    last = 0
    order = InEventOrder()
    while batch := list(islice(lines, SCORED_TOGETHER)):
        rows = [Row(number, file.name, line.number, line.value) for line in batch]
        with done.times.timed("score"):
            entries, bad = score_rows(rows, scorer, started_at_s=started_at_s, time=configuration.time)
        done.dead_letters.extend(bad)
        done.posts += len(entries)
        done.fold(0, order.pass_on(entries))
        last = batch[-1].number
        progress.update(bar, completed=batch[-1].read_bytes)
    done.fold(0, [*order.rest(), source_end(number, last + 1)])


def _progress(console: Console) -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    return Progress(*columns, console=console, transient=True)


def _write(done: Run, out: Path, inputs: Sequence[Path]) -> None:
    shards = [done.shards[shard] for shard in sorted(done.shards)]
    _write_records(out / "alerts.jsonl", chain.from_iterable(shard.alerts.values() for shard in shards))
    _write_records(out / "alert-history.jsonl", chain.from_iterable(shard.alert_history for shard in shards))
    _write_records(out / "narratives.jsonl", chain.from_iterable(shard.narratives.values() for shard in shards))
    _write_records(out / "narrative-history.jsonl", chain.from_iterable(shard.narrative_history for shard in shards))
    _write_records(out / "assignments.jsonl", chain.from_iterable(shard.assignments() for shard in shards))
    _write_records(out / "dead-letters.jsonl", done.dead_letters)
    manifest = msgspec.json.format(msgspec.json.encode(_manifest(done, inputs)), indent=2)
    (out / "manifest.json").write_bytes(manifest + b"\n")


def _write_records(file: Path, records: Iterable[Struct]) -> None:
    with write_lines(file) as lines:
        lines.writelines(encode_record(record) + b"\n" for record in records)


def _manifest(done: Run, inputs: Sequence[Path]) -> dict[str, Any]:
    """Everything that one has to know to get, or to cite, this result."""
    configuration = next(iter(done.shards.values())).state.configuration
    left_out: Counter[str] = Counter()
    for replay in done.shards.values():
        left_out.update(replay.state.left_out())
    return {
        "inputs": {str(file): _digest(file) for file in inputs},
        "model": configuration.embedding_space,
        "weights_hash": configuration.weights_hash,
        "config_hash": config_hash(configuration),
        "configuration": configuration,
        "versions": {
            "emberwatch": configuration.code_version,
            "python": platform.python_version(),
            "machine": platform.machine(),
        },
        "counts": {
            "posts": done.posts,
            "dead_letters": len(done.dead_letters),
            "alerts": sum(len(replay.alerts) for replay in done.shards.values()),
            "narratives": sum(len(replay.narratives) for replay in done.shards.values()),
            "claims": sum(len(replay.state.claims) for replay in done.shards.values()),
            "looks_computed": 0 if done.answering is None else done.answering.computed,
            "left_out": dict(left_out),
        },
        "seconds": {stage: round(seconds, 3) for stage, seconds in done.times.seconds.items()},
    }


def _digest(file: Path) -> str:
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def _summarise(done: Run, out: Path) -> None:
    console = Console(highlight=False)
    table = Table(title="Alerts", title_justify="left")
    for name in ("severity", "state", "kinds", "posts", "label", "why then", "alert"):
        table.add_column(name, overflow="fold")
    history = chain.from_iterable(done.shards[shard].alert_history for shard in sorted(done.shards))
    last = {alert.alert_id: alert for alert in history}
    for alert in sorted(last.values(), key=lambda one: (-SEVERITIES.index(one.severity), one.detected_at)):
        why = why_now(alert.counts, alert.growth)
        kinds = ", ".join(kind.replace("_", " ") for kind in alert.kinds)
        table.add_row(
            alert.severity, alert.transition, kinds, f"{alert.counts.posts:,}", alert.label, why, alert.alert_id
        )
    console.print(table)
    by_severity = Counter(alert.severity for alert in last.values())
    words = ", ".join(f"{by_severity[severity]} {severity}" for severity in reversed(SEVERITIES))
    console.print(f"{done.posts:,} posts, {len(last)} alerts ({words}), {len(done.dead_letters):,} dead letters")
    for stage in ("score", "fold"):
        if seconds := done.times.seconds.get(stage):
            console.print(f"{stage}: {done.posts / seconds:,.0f} posts/s")
    if done.answering is not None:
        console.print(f"{done.answering.computed:,} second looks were taken for this run")
    console.print(f"in {out}; why an alert fired: emberwatch why ALERT_ID --out {out}")
