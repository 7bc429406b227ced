"""`emberwatch train stance --data DIR --out FILE`: fit the stance head for the configured model.

Reads every file of `DIR/stance/`, and adds the examples written for this project. Texts that also lie in `DIR/posts/`
are left out of the training, so that those corpora stay a fair test; a folder without `posts/` is used whole.
"""

import importlib.util
from collections.abc import Sequence
from pathlib import Path

import msgspec
import numpy as np
from msgspec import Struct
from rich.console import Console
from rich.table import Table

from detectors import stance_training as training
from detectors.stance_head import ATTITUDES, StanceHead
from detectors.stance_training import Example, Told
from detectors.training import auroc
from streams import train_command
from streams.errors import EmberwatchError
from streams.models import encoder_of
from streams.settings import Settings
from streams.train_command import labelled_rows, plain_of, shipped_rows, texts_in, vectors_of

WRITTEN = "written_stances"


class Figures(Struct, frozen=True, kw_only=True):
    """What a head reaches; NaN where a corpus lacks an attitude."""

    macro_f1: float
    auroc_query: float
    auroc_deny: float


def run(
    settings: Settings, *, data: Path, out: Path | None = None, model: str = "", languages: Sequence[str] = ("en",)
) -> int:
    """Fit on `data`, write the weights, print what they reach; returns the exit status.

    Parameters
    ----------
    out : file of weights; without it, a file in the folder of one's own heads (`Settings.heads`).
    model : the encoder to fit for, as in the settings; empty for the configured one.
    languages : those that the head may judge.
    """
    if importlib.util.find_spec("sklearn") is None:
        raise EmberwatchError("training needs scikit-learn: install `emberwatch[train]`")
    train_command.check_target(settings, out)
    console = Console(stderr=True)
    seen = texts_in(data, ("posts",))
    labelled = [example for example in examples(data) if example.text]
    held_out = [example for example in labelled if example.text in seen]
    fitted = [example for example in labelled if example.text not in seen] + written()
    console.print(
        f"{len(labelled):,} labelled texts, {len(held_out):,} left out as they lie in posts/", highlight=False
    )
    encoder = encoder_of(msgspec.structs.replace(settings, model=model) if model else settings)
    dense = vectors_of(encoder, [example.text for example in fitted], console)
    try:
        weights = training.fit(fitted, dense, encoder.space, languages=languages)
        told = training.cross_fitted(fitted, dense)
    except ValueError as error:
        raise EmberwatchError(f"{data}: {error}") from error
    StanceHead(weights, encoder.space)  # what cannot be read back is not written
    out = out or train_command.target(settings, "stance", weights.space)
    try:
        out.write_bytes(msgspec.json.format(msgspec.json.encode(weights), indent=0) + b"\n")
    except OSError as error:
        raise EmberwatchError(f"{out}: {error.strerror or error}") from error
    table = Table("measured on", "texts", "macro-F1", "AUROC query", "AUROC deny")
    public = np.array([example.corpus != WRITTEN for example in fitted])
    for what, chosen in (("cross-fitted by thread", public), ("cross-fitted, written examples", ~public)):
        _add(table, what, [fitted[place] for place in np.flatnonzero(chosen)], _part(told, chosen))
    if held_out:
        vectors = vectors_of(encoder, [example.text for example in held_out], console)
        _add(table, "left out of the training", held_out, training.tell(weights, held_out, vectors))
    console.print(table)
    console.print(f"{out}: {out.stat().st_size:,} bytes, trained on {weights.trained_on}", highlight=False)
    console.print(train_command.how_used(out, "stance", model or settings.model), highlight=False)
    return 0


def examples(data: Path) -> list[Example]:
    """Labelled texts of `DIR/stance/`; raises `EmberwatchError` where there is none, or a label is unknown."""
    files = sorted((data / "stance").glob("*.jsonl*"))
    if not files:
        raise EmberwatchError(f"{data / 'stance'}: no file of labelled texts (*.jsonl, *.jsonl.gz)")
    return [example for file in files for example in examples_of(file)]


def examples_of(file: Path) -> list[Example]:
    """Labelled texts of one file; raises `EmberwatchError` where a label is unknown."""
    corpus = file.name.split(".")[0]
    found = []
    for place, row in enumerate(labelled_rows(file)):
        try:
            found.append(training.example_of(row, plain_of(row["text"]), corpus, place))
        except ValueError as error:
            raise EmberwatchError(f"{file}: {error}") from error
    return [example for example in found if example is not None]


def written() -> list[Example]:
    """Examples that come with the project."""
    rows = shipped_rows(WRITTEN)[1:]
    found = [training.example_of(row, plain_of(row["text"]), WRITTEN, place) for place, row in enumerate(rows)]
    return [example for example in found if example is not None]


def figures(labels: np.ndarray, told: Told) -> Figures:
    """Measure what was told of texts with these labels (places in `ATTITUDES`)."""
    areas = {}
    for name in ("query", "deny"):
        held = labels == ATTITUDES.index(name)
        share = told.shares[:, ATTITUDES.index(name)]
        areas[name] = auroc(share[held], share[~held]) if held.any() and not held.all() else float("nan")
    return Figures(
        macro_f1=training.macro_f1(labels, told.chosen), auroc_query=areas["query"], auroc_deny=areas["deny"]
    )


def _part(told: Told, chosen: np.ndarray) -> Told:
    return Told(told.shares[chosen], told.chosen[chosen])


def _add(table: Table, what: str, some: Sequence[Example], told: Told) -> None:
    measured = figures(training.labels_of(some), told)
    values = (measured.macro_f1, measured.auroc_query, measured.auroc_deny)
    table.add_row(what, f"{len(some):,}", *(f"{value:.3f}" for value in values))
