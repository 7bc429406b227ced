"""`emberwatch train incitement --data DIR --out FILE`: fit the incitement head for the configured model.

Reads every file of `DIR/incitement/`, and adds the examples written for this project. What is only measured, not
trained on, is named in `MEASURED_ONLY`. Texts that also lie in `DIR/posts/` or `DIR/stance/` are left out of the
training, so that those corpora stay a fair test.
"""

import importlib.resources
import importlib.util
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from detectors import training
from detectors.embedding import Encoder, embed
from detectors.incitement import IncitementWeights
from detectors.posts import clean, normalise
from detectors.training import Example, Figure
from streams.errors import EmberwatchError
from streams.json_lines import read_lines
from streams.models import encoder_of
from streams.settings import Settings

MEASURED_ONLY = {"hatecheck": "a test suite", "ethos": "GPL-3.0"}
"""Corpora that no shipped weight may be fitted on, and why."""

WRITTEN = "written_examples"
TEXTS_AT_ONCE = 256


def run(settings: Settings, *, data: Path, out: Path, wording_only: bool = False) -> int:
    """Fit on `data`, write the weights to `out`, print what they reach; returns the exit status.

    `wording_only` fits a head that reads no vector: it fits every encoder, and reaches less.
    """
    if importlib.util.find_spec("sklearn") is None:
        raise EmberwatchError("training needs scikit-learn: install `emberwatch[train]`")
    console = Console(stderr=True)
    seen = _texts_in(data, ("posts", "stance"))
    examples, held_out = _examples(data, seen, console)
    encoder = encoder_of(settings)
    dense = _embed(encoder, examples, console, wording_only=wording_only)
    try:
        head, rows = training.fit(examples, dense, encoder.space)
    except ValueError as error:
        raise EmberwatchError(f"{data}: {error}") from error
    _write(out, head)
    _print(console, "Cross-fitted, on the corpora it was fitted on", rows)
    if held_out:
        measured = training.measure(
            head, held_out, _embed(encoder, held_out, console, wording_only=wording_only), encoder.space
        )
        _print(console, "On corpora it never saw", measured)
    console.print(f"{out}: head for {head.space or 'any space'}, trained on {head.trained_on}", highlight=False)
    return 0


def _examples(data: Path, seen: frozenset[str], console: Console) -> tuple[list[Example], list[Example]]:
    """Examples to fit on, and those of the corpora that are only measured."""
    files = sorted((data / "incitement").glob("*.jsonl*"))
    if not files:
        raise EmberwatchError(f"{data / 'incitement'}: no file of labelled texts (*.jsonl, *.jsonl.gz)")
    fitted: list[Example] = list(_written())
    held_out: list[Example] = []
    for file in files:
        corpus = file.name.split(".")[0]
        rows = [(row, _plain(row["text"])) for row in _rows(file)]
        leaked = sum(text in seen for _, text in rows)
        measured_only = corpus in MEASURED_ONLY
        into = held_out if measured_only else fitted
        for row, text in rows:
            if measured_only or text not in seen:
                into.extend(_example(file, row, text, corpus))
        why = f"only measured ({MEASURED_ONLY[corpus]})" if measured_only else f"{leaked:,} left out as seen elsewhere"
        console.print(f"{corpus}: {len(rows):,} texts, {why}", highlight=False)
    return fitted, held_out


def _example(file: Path, row: dict[str, Any], text: str, corpus: str) -> Iterator[Example]:
    try:
        example = training.example_of(row, text, corpus)
    except ValueError as error:
        raise EmberwatchError(f"{file}: {error}") from error
    if example is not None:
        yield example


def _written() -> Iterator[Example]:
    lines = importlib.resources.files("detectors").joinpath(f"weights/{WRITTEN}.jsonl").read_bytes().splitlines()
    for line in lines[1:]:  # the first line is the licence
        row = msgspec.json.decode(line)
        example = training.example_of(row, _plain(row["text"]), WRITTEN)
        if example is not None:
            yield example


def _rows(file: Path) -> Iterator[dict[str, Any]]:
    for line in read_lines(file):
        try:
            row = msgspec.json.decode(line.value)
        except msgspec.DecodeError as error:
            raise EmberwatchError(f"{file}:{line.number}: not JSON: {error}") from error
        if not isinstance(row, dict) or not isinstance(row.get("text"), str):
            raise EmberwatchError(f"{file}:{line.number}: text: missing, or no string")
        yield row


def _texts_in(data: Path, folders: Sequence[str]) -> frozenset[str]:
    files = [file for folder in folders for file in sorted((data / folder).glob("*.jsonl*"))]
    return frozenset(_plain(row["text"]) for file in files for row in _rows(file)) - {""}


def _plain(text: str) -> str:
    return normalise(clean(text))


def _embed(
    encoder: Encoder, examples: Sequence[Example], console: Console, *, wording_only: bool
) -> NDArray[np.float32]:
    if wording_only:
        return np.zeros((len(examples), 0), np.float32)
    texts = [example.text for example in examples]
    with Progress(console=console, transient=True) as progress:
        starts = progress.track(range(0, len(texts), TEXTS_AT_ONCE), description="embed")
        return np.concatenate([embed(encoder, texts[start : start + TEXTS_AT_ONCE]) for start in starts])


def _write(out: Path, head: IncitementWeights) -> None:
    try:
        out.write_bytes(msgspec.json.format(msgspec.json.encode(head), indent=1) + b"\n")
    except OSError as error:
        raise EmberwatchError(f"{out}: {error.strerror or error}") from error


def _print(console: Console, title: str, rows: Sequence[Figure]) -> None:
    table = Table("corpus", "metric", "kind", "value", "posts", title=title, title_justify="left")
    for row in rows:
        table.add_row(row.corpus, row.metric, row.kind, f"{row.value:.3f}", f"{row.posts:,}")
    console.print(table)
