"""Cascades from files: `NAME.npz` with the times of all posts, and beside it, if there is one, `NAME_meta.csv`.

The archive holds `t` (seconds since the first post of its cascade), `fol` (followers of each post's account, -1 where
unknown) and `off` (where each cascade begins, and the end of the last). The table's column `t0_unix` says when each
cascade began; empty or missing where nobody knows.
"""

import csv
import zipfile
from pathlib import Path

import numpy as np

from detectors.forecast_training import Cascade
from streams.errors import EmberwatchError


def cascade_files(data: Path) -> list[Path]:
    """Every archive of cascades in `DIR/cascades`."""
    return sorted((data / "cascades").glob("*.npz"))


def read_cascades(file: Path) -> list[Cascade]:
    """Read the cascades of an archive. Raises `EmberwatchError` where it is of another form."""
    try:
        with np.load(file, allow_pickle=False) as held:
            times = np.asarray(held["t"], np.float64)
            offsets = np.asarray(held["off"], np.int64)
            followers = np.asarray(held["fol"], np.int64) if "fol" in held else np.full(len(times), -1, np.int64)
    except (OSError, KeyError, ValueError, zipfile.BadZipFile) as error:
        raise EmberwatchError(f"{file}: no archive of cascades: {error}") from error
    if len(followers) != len(times) or len(offsets) < 1 or offsets[-1] > len(times) or (np.diff(offsets) < 0).any():
        raise EmberwatchError(f"{file}: `t`, `fol` and `off` do not fit together")
    begins = _begins(file.with_name(f"{file.stem}_meta.csv"), len(offsets) - 1)
    cascades = []
    for begin_s, first, end in zip(begins, offsets[:-1], offsets[1:], strict=True):
        order = np.argsort(times[first:end], kind="stable")
        cascades.append(Cascade(times[first:end][order], followers[first:end][order], begin_s))
    return cascades


def _begins(file: Path, cascades: int) -> list[float | None]:
    if not file.is_file():
        return [None] * cascades
    with file.open(newline="", encoding="utf-8") as opened:
        rows = list(csv.DictReader(opened))
    if len(rows) != cascades:
        raise EmberwatchError(f"{file}: {len(rows)} rows for {cascades} cascades")
    try:
        return [float(row["t0_unix"]) if row.get("t0_unix") else None for row in rows]
    except ValueError as error:
        raise EmberwatchError(f"{file}: t0_unix: {error}") from error
