"""Files of fact-checks, plain or gzip by name: one JSON value a line, or one document (a feed) for the whole file."""

import gzip
import zlib
from collections.abc import Iterator
from pathlib import Path

import msgspec

from detectors.claim_feeds import Item, Withdrawal, decode_one, is_document, read_document, read_value
from detectors.posts import BadRecord
from detectors.records import Claim
from streams.errors import EmberwatchError
from streams.json_lines import read_lines


def read_claims(file: Path) -> Iterator[Item]:
    """Read what a file holds: claims, withdrawals, and for each that cannot be used what is wrong with it.

    A file whose first line is no whole JSON value, or that has one line only, is one document: a feed as its publisher
    serves it. Raises `EmberwatchError` where the file itself cannot be read.
    """
    first = next(read_lines(file), None)
    if first is None:
        return
    document = _document(file, first.value)
    if document is not None:
        yield from document
        return
    for line in read_lines(file):
        try:
            yield decode_one(line.value)
        except BadRecord as bad:
            yield from _several(line.value) or [BadRecord(bad.field, f"{bad.error} (line {line.number})")]


def read_known(file: Path) -> Iterator[Claim | BadRecord]:
    """Read the claims that a file leaves known: the last of each id, without those that it withdraws."""
    known: dict[str, Claim] = {}
    for item in read_claims(file):
        if isinstance(item, BadRecord):
            yield item
        elif isinstance(item, Withdrawal):
            known.pop(item.claim_id, None)
        else:
            known[item.claim_id] = item
    yield from known.values()


def _document(file: Path, first: bytes) -> list[Item] | None:
    """Items of a file that is one document; None where it is lines."""
    try:
        value = msgspec.json.decode(first)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        if not first.startswith((b"{", b"[")):
            return None
    else:
        if not isinstance(value, list) and not is_document(value):
            return None
        lines = read_lines(file)
        next(lines)
        if next(lines, None) is not None:
            return None
    content = _content(file)
    try:
        msgspec.json.decode(content)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return read_document(content)


def _several(value: bytes) -> list[Item]:
    """Items of a line that holds more than one fact-check; none where it is no such form."""
    try:
        document = msgspec.json.decode(value)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return []
    items = read_value(document)
    return items if sum(not isinstance(item, BadRecord) for item in items) > 1 else []


def _content(file: Path) -> bytes:
    try:
        raw = file.read_bytes()
        return gzip.decompress(raw) if file.suffix == ".gz" else raw
    except (OSError, EOFError, zlib.error) as error:
        raise EmberwatchError(f"{file}: {error}") from error
