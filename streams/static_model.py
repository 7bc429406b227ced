"""The fast tier's table on disk: a folder with the table and the tokenizer that it belongs to."""

import importlib.resources
import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from detectors.static import StaticEncoder, StaticTable
from streams.errors import SettingsError
from streams.settings import variable_of

if TYPE_CHECKING:
    from tokenizers import Tokenizer

TABLE = "table.npz"
TOKENIZER = "tokenizer.json"


def write(folder: Path, table: StaticTable, tokenizer: "Tokenizer") -> None:
    """Write table and tokenizer; raises `SettingsError` where the folder cannot be written."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / TABLE).open("wb") as out:
            np.savez_compressed(out, model=np.array(table.model), pieces=table.pieces, scales=table.scales)
        (folder / TOKENIZER).write_text(tokenizer.to_str())
    except OSError as error:
        raise SettingsError(f"{folder}: {error}") from error


def load(folder: Path | None, default_tokenizer: Path | None) -> StaticEncoder:
    """Load the fast tier from a folder, or (None) the one that is shipped, with the tokenizer of its full model."""
    from tokenizers import Tokenizer

    table = load_table(folder)
    file = default_tokenizer if folder is None and default_tokenizer is not None else (folder or Path()) / TOKENIZER
    try:
        tokenizer = Tokenizer.from_file(str(file))
    except Exception as error:  # the library raises nothing narrower
        raise SettingsError(f"{variable_of('fast_model')}: {file}: {error}") from error
    tokenizer.no_padding()
    tokenizer.no_truncation()

    def pieces_of(word: str) -> Sequence[int]:
        ids: list[int] = tokenizer.encode(word, add_special_tokens=False).ids
        return ids

    return StaticEncoder(table, pieces_of)


def load_table(folder: Path | None) -> StaticTable:
    """Read a table without its tokenizer: its space says which vectors it makes."""
    try:
        with (_shipped() if folder is None else folder / TABLE).open("rb") as opened, np.load(opened) as stored:
            return StaticTable(model=str(stored["model"]), pieces=stored["pieces"], scales=stored["scales"])
    except (OSError, ValueError, KeyError) as error:
        raise SettingsError(
            f"{variable_of('fast_model')}: no table in {folder or 'the project'} ({error}); make one with"
            " `emberwatch distill --out FOLDER`"
        ) from error


def _shipped() -> Path:
    return Path(str(importlib.resources.files("detectors").joinpath("weights/static.npz")))
