"""Files of one JSON value a line, plain or gzip by name (`.gz`): line numbers on reading, all or nothing on writing."""

import gzip
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedIOBase
from pathlib import Path
from typing import BinaryIO, NamedTuple, cast

from detectors.records import MAX_RECORD_BYTES
from streams.errors import EmberwatchError


class Line(NamedTuple):
    """One line that is not blank."""

    number: int
    """From 1, blank lines counted."""
    value: bytes
    """Without the line's end; of a line that is too long, just enough to show that it is."""
    read_bytes: int
    """How much of the file, as it lies on the disk, has been read."""


def read_lines(file: Path, *, most_bytes: int = MAX_RECORD_BYTES) -> Iterator[Line]:
    """Read the lines of a file that are not blank, in bounded memory.

    Parameters
    ----------
    most_bytes : longest line; of a longer one its first `most_bytes + 1` bytes are given, and the rest is left out.

    Raises `EmberwatchError` where the file cannot be read or its gzip is broken, naming the line reached.
    """
    number = 0
    try:
        with file.open("rb") as raw, _unpacked(raw, file) as lines:
            while start := lines.readline(most_bytes + 2):
                number += 1
                if not start.endswith(b"\n"):
                    _skip_rest(lines)
                if value := start.strip():
                    yield Line(number, value, raw.tell())
    except (OSError, EOFError, zlib.error) as error:
        raise EmberwatchError(f"{file}: after line {number}: {error}") from error


@contextmanager
def write_lines(file: Path) -> Iterator[BufferedIOBase]:
    """Open a file for lines; it takes its name when all are written, so that no half of one is left behind."""
    partial = file.with_name(file.name + ".partial")
    try:
        with partial.open("wb") as raw:
            if file.suffix == ".gz":
                with gzip.GzipFile(fileobj=raw, mode="wb", filename="", mtime=0) as packed:
                    yield packed
            else:
                yield raw
        partial.replace(file)
    except OSError as error:
        raise EmberwatchError(f"{file}: {error.strerror or error}") from error
    finally:
        partial.unlink(missing_ok=True)


def _unpacked(raw: BinaryIO, file: Path) -> BufferedIOBase:
    return gzip.GzipFile(fileobj=raw) if file.suffix == ".gz" else cast("BufferedIOBase", raw)


def _skip_rest(lines: BufferedIOBase) -> None:
    while rest := lines.readline(1 << 20):
        if rest.endswith(b"\n"):
            return
