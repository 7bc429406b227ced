"""`emberwatch train incitement --data DIR --out FILE`: fit the incitement head for the configured model.

Reads every file of `DIR/incitement/`, and adds the examples written for this project. What is only measured, not
trained on, is named in `MEASURED_ONLY`. Texts that also lie in `DIR/posts/` or `DIR/stance/` are left out of the
training, so that those corpora stay a fair test, and so is a quarter of every corpus (`training.is_held_out`).
"""

import importlib.resources
import importlib.util
import random
from collections.abc import Iterator, Mapping, Sequence
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
from detectors.records import MAX_RECORD_BYTES
from detectors.training import Example, Figure
from streams.errors import EmberwatchError
from streams.heads import own_head_file
from streams.json_lines import read_lines
from streams.models import encoder_of
from streams.second_look import load_teacher
from streams.settings import Settings, variable_of

MEASURED_ONLY = {"hatecheck": "a test suite", "ethos": "GPL-3.0"}
"""Corpora that no shipped weight may be fitted on, and why."""

WRITTEN = "written_examples"
PATTERNS = "written_patterns"
TEXTS_AT_ONCE = 256

FILLED_EACH = 12
"""Sentences made of each written pattern."""

LEAST_AUROC = 0.75
"""Of a language: below, a head is little use in it, and its posts had better stay not judged."""


def run(
    settings: Settings,
    *,
    data: Path,
    out: Path | None = None,
    wording_only: bool = False,
    model: str = "",
    languages: Sequence[str] = ("en",),
) -> int:
    """Fit on `data`, write the weights, print what they reach; returns the exit status.

    Parameters
    ----------
    out : file of weights; without it, a file in the folder of one's own heads (`Settings.heads`).
    wording_only : fit heads that read no vector: they fit every encoder, and reach less.
    model : the encoder to fit for, as in the settings; empty for the configured one.
    languages : those that the heads may judge. Written examples of other languages are only measured.
    """
    if importlib.util.find_spec("sklearn") is None:
        raise EmberwatchError("training needs scikit-learn: install `emberwatch[train]`")
    check_target(settings, out)
    console = Console(stderr=True)
    seen = texts_in(data, ("posts", "stance"))
    fitted, held_out = examples(data, seen, languages, console)
    held_out += [example for example in written() if example.lang not in languages]
    settings = msgspec.structs.replace(settings, model=model) if model else settings
    fitted = taught(settings, fitted, console)
    encoder = encoder_of(settings)
    dense = embedded(encoder, fitted, console, wording_only=wording_only)
    try:
        head, rows = training.fit(fitted, dense, encoder.space, languages=languages)
    except ValueError as error:
        raise EmberwatchError(f"{data}: {error}") from error
    out = out or target(settings, "incitement", head.space)
    _write(out, head)
    print_figures(console, "Cross-fitted, on the corpora it was fitted on", rows)
    if held_out:
        measured = training.measure(
            head, held_out, embedded(encoder, held_out, console, wording_only=wording_only), encoder.space
        )
        print_figures(console, "On corpora it never saw", measured)
    console.print(
        f"{out}: head for {head.space or 'any space'}, trained on {head.trained_on}", highlight=False, soft_wrap=True
    )
    for line in warnings(languages, rows):
        console.print(line, style="bold red", highlight=False, soft_wrap=True)
    console.print(how_used(out, "incitement", settings.model), highlight=False, soft_wrap=True)
    return 0


def taught(settings: Settings, fitted: Sequence[Example], console: Console) -> list[Example]:
    """The examples, those that nobody judged with what the second look says of them.

    Its model reads the order of words, which heads on a vector cannot, and has seen few of these texts.
    """
    unjudged = [place for place, example in enumerate(fitted) if example.incites is None]
    if not unjudged:
        return list(fitted)
    teacher = load_teacher(settings)
    if teacher is None:
        console.print("no second look for this model: texts that nobody judged count as not inciting")
        return list(fitted)
    encoder, head = teacher
    unjudged = [place for place in unjudged if head.covers(fitted[place].lang)]
    texts = [fitted[place].text for place in unjudged]
    console.print(f"the second look tells of {len(texts):,} texts that nobody judged")
    told = head.probabilities(texts, vectors_of(encoder, texts, console))
    examples = list(fitted)
    for place, probability in zip(unjudged, told, strict=True):
        examples[place] = training.told_by(fitted[place], float(probability))
    return examples


def check_target(settings: Settings, out: Path | None) -> None:
    """Raise `EmberwatchError`, before minutes of work, where nothing says where the head is to be kept."""
    if out is None:
        own_heads(settings)


def own_heads(settings: Settings) -> Path:
    """Folder of one's own heads; raises `EmberwatchError` where none is set."""
    if settings.heads is None:
        raise EmberwatchError(f"name a file with --out, or set {variable_of('heads')} to the folder of your own heads")
    return settings.heads


def target(settings: Settings, head: str, space: str) -> Path:
    """File of a head of this name and space in the folder of one's own heads, which is made where it is missing."""
    folder = own_heads(settings)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise EmberwatchError(f"{folder}: {error.strerror or error}") from error
    return own_head_file(folder, head, space)


def how_used(out: Path, head: str, model: str) -> str:
    """What makes workers use a head.

    >>> how_used(Path("heads/incitement-e5.json"), "incitement", "models/e5")
    'EMBERWATCH_HEADS=heads EMBERWATCH_MODEL=models/e5 makes workers use it, from their next start on'
    """
    if not (out.name.startswith(head) and out.name.endswith(".json")):
        return f"workers use it from a folder named by {variable_of('heads')}, as {head}-SOMETHING.json"
    with_model = f" {variable_of('model')}={model}" if model else ""
    return f"{variable_of('heads')}={out.parent}{with_model} makes workers use it, from their next start on"


def warnings(languages: Sequence[str], rows: Sequence[Figure]) -> list[str]:
    """What is not known, or not good, of the languages that a head may judge."""
    told = {row.kind: row for row in rows if row.corpus == "all" and row.metric == "auroc"}
    found: list[str] = []
    for lang in languages:
        row = told.get(lang)
        if row is None and len(languages) > 1:
            found.append(f"{lang}: no examples of both labels: nobody knows how well it judges there")
        elif row is not None and row.value < LEAST_AUROC:
            found.append(
                f"{lang}: AUROC {row.value:.2f} on {row.posts:,} texts: of little use; train without it, so that its"
                " posts are told as not judged"
            )
    return found


def examples(
    data: Path, seen: frozenset[str], languages: Sequence[str], console: Console, *, contrasts: bool = False
) -> tuple[list[Example], list[Example]]:
    """Examples to fit on, and those of the corpora that are only measured.

    With `contrasts` also the patterns that only a model which reads the order of words can tell apart. A linear head on
    a sentence vector cannot: with them its AUROC fell, on HateCheck by .005 and on ETHOS by .011.
    """
    files = sorted((data / "incitement").glob("*.jsonl*"))
    if not files:
        raise EmberwatchError(f"{data / 'incitement'}: no file of labelled texts (*.jsonl, *.jsonl.gz)")
    fitted: list[Example] = [one for one in written(contrasts=contrasts) if one.lang in languages]
    held_out: list[Example] = []
    for file in files:
        corpus = file.name.split(".")[0]
        rows = [(row, plain_of(row["text"])) for row in labelled_rows(file)]
        leaked = sum(text in seen for _, text in rows)
        measured_only = corpus in MEASURED_ONLY
        for row, text in rows:
            if measured_only or text not in seen:
                into = held_out if measured_only or training.is_held_out(text) else fitted
                into.extend(_example(file, row, text, corpus))
        why = f"only measured ({MEASURED_ONLY[corpus]})" if measured_only else f"{leaked:,} left out as seen elsewhere"
        console.print(f"{corpus}: {len(rows):,} texts, {why}", highlight=False, soft_wrap=True)
    return fitted, held_out


def _example(file: Path, row: dict[str, Any], text: str, corpus: str) -> Iterator[Example]:
    try:
        example = training.example_of(row, text, corpus)
    except ValueError as error:
        raise EmberwatchError(f"{file}: {error}") from error
    if example is not None:
        yield example


def written(*, contrasts: bool = False) -> Iterator[Example]:
    """Examples that come with the project: single ones, and patterns filled in; contrasts where they are wanted."""
    for row in shipped_rows(WRITTEN)[1:]:  # the first line is the licence
        yield from _example(Path(WRITTEN), row, plain_of(row["text"]), WRITTEN)
    licence, *patterns = shipped_rows(PATTERNS)
    for pattern in patterns:
        if pattern.get("contrast") and not contrasts:
            continue
        for row in filled(pattern, licence["slots"]):
            yield from _example(Path(PATTERNS), row, plain_of(row["text"]), PATTERNS)


def filled(
    row: dict[str, Any], slots: Mapping[str, Sequence[str]], *, times: int = FILLED_EACH
) -> list[dict[str, Any]]:
    """Sentences of a pattern: each `{slot}` takes one of its words, drawn by the pattern's own seed.

    A slot with a capital takes its word with one. Raises `ValueError` where a slot is unknown.

    >>> [row["text"] for row in filled({"text": "{Who} waits"}, {"who": ["somebody"]}, times=3)]
    ['Somebody waits']
    """
    draw = random.Random(f"{training.SEED} {row['text']}")  # noqa: S311 - no secret
    texts: dict[str, None] = {}
    for _ in range(times):
        text = row["text"]
        while "{" in text:
            before, _, rest = text.partition("{")
            slot, closed, after = rest.partition("}")
            if not closed or slot.lower() not in slots:
                raise ValueError(f"{row['text']!r}: no slot {slot!r}")
            word = draw.choice(slots[slot.lower()])
            text = before + (word[0].upper() + word[1:] if slot[0].isupper() else word) + after
        texts[text] = None
    return [{**row, "text": text, "pattern": row["text"]} for text in texts]


def shipped_rows(name: str) -> list[dict[str, Any]]:
    """Rows of a file of written examples; the first is its licence."""
    content = importlib.resources.files("detectors").joinpath(f"weights/{name}.jsonl").read_bytes()
    return [msgspec.json.decode(line) for line in content.splitlines()]


def labelled_rows(file: Path) -> Iterator[dict[str, Any]]:
    """Rows of a file, each with a text; raises `EmberwatchError` naming the line that has none."""
    for line in read_lines(file):
        if len(line.value) > MAX_RECORD_BYTES:
            raise EmberwatchError(f"{file}:{line.number}: longer than {MAX_RECORD_BYTES} bytes")
        try:
            row = msgspec.json.decode(line.value)
        except msgspec.DecodeError as error:
            raise EmberwatchError(f"{file}:{line.number}: not JSON: {error}") from error
        if not isinstance(row, dict) or not isinstance(row.get("text"), str):
            raise EmberwatchError(f"{file}:{line.number}: text: missing, or no string")
        yield row


def texts_in(data: Path, folders: Sequence[str]) -> frozenset[str]:
    """Distinct texts of folders, in plain form."""
    files = [file for folder in folders for file in sorted((data / folder).glob("*.jsonl*"))]
    return frozenset(plain_of(row["text"]) for file in files for row in labelled_rows(file)) - {""}


def plain_of(text: str) -> str:
    """The form of a text that is scored."""
    return normalise(clean(text))


def embedded(
    encoder: Encoder, examples: Sequence[Example], console: Console, *, wording_only: bool
) -> NDArray[np.float32]:
    """Unit vectors of the examples, shape (n, d); (n, 0) where only the wording is read."""
    if wording_only:
        return np.zeros((len(examples), 0), np.float32)
    return vectors_of(encoder, [example.text for example in examples], console)


def vectors_of(encoder: Encoder, texts: Sequence[str], console: Console) -> NDArray[np.float32]:
    """Unit vectors of texts in plain form, shape (n, d), with progress."""
    with Progress(console=console, transient=True) as progress:
        starts = progress.track(range(0, len(texts), TEXTS_AT_ONCE), description="embed")
        return np.concatenate([embed(encoder, texts[start : start + TEXTS_AT_ONCE]) for start in starts])


def _write(out: Path, head: IncitementWeights) -> None:
    try:
        out.write_bytes(msgspec.json.format(msgspec.json.encode(head), indent=1) + b"\n")
    except OSError as error:
        raise EmberwatchError(f"{out}: {error.strerror or error}") from error


def print_figures(console: Console, title: str, rows: Sequence[Figure]) -> None:
    """Show figures as a table."""
    table = Table("corpus", "metric", "kind", "value", "posts", title=title, title_justify="left")
    for row in rows:
        table.add_row(row.corpus, row.metric, row.kind, f"{row.value:.3f}", f"{row.posts:,}")
    console.print(table)
