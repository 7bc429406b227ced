"""The journal as a file: every entry with its shard and offset, one a line, so that it can be folded offline."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import msgspec
from msgspec import Struct

from detectors.codec import decode_entry, decode_record
from detectors.entries import Entry
from detectors.skipped import announced
from streams import audit
from streams.errors import EmberwatchError
from streams.json_lines import read_lines, write_lines
from streams.kafka_clients import LARGEST_RECORD_BYTES, read_to_end
from streams.settings import Settings
from streams.topics import topic_name

SKIP_TAG = b'"skip"'
"""In the bytes of every entry that says that another one is left out."""


class _Line(Struct, forbid_unknown_fields=True):
    """One line of the file. The entry stays as it was written, byte for byte."""

    shard: int
    offset: int
    entry: msgspec.Raw


def export(settings: Settings, *, out: Path) -> int:
    """Write the journal that the broker holds now to a file, by shard and offset; says how much it was."""
    audit.note_command(settings, "export", about="journal", detail=out.name[:512])
    shards: dict[int, int] = {}
    with write_lines(out) as lines:
        for record in read_to_end(settings, [topic_name(settings, "journal")]):
            line = _Line(record.partition, record.offset, msgspec.Raw(record.value))
            lines.write(msgspec.json.encode(line) + b"\n")
            shards[record.partition] = shards.get(record.partition, 0) + 1
    words = ", ".join(f"shard {shard}: {count:,}" for shard, count in shards.items())
    click.echo(f"{sum(shards.values()):,} entries in {out}" + (f" ({words})" if words else ""), err=True)
    return 0


def read_journal(file: Path) -> Iterator[tuple[int, int, Entry]]:
    """Give shard, offset and entry of each line; raises `EmberwatchError` naming the line that is none.

    Entries that are to be left out are replaced by the `Skip` that says so, which may come much later: the file is
    read twice.
    """
    skips: dict[int, list[tuple[int, Entry]]] = {}
    for shard, offset, entry in _entries(file, containing=SKIP_TAG):
        skips.setdefault(shard, []).append((offset, entry))
    left_out = {shard: announced(items) for shard, items in skips.items()}
    for shard, offset, entry in _entries(file):
        yield shard, offset, left_out.get(shard, {}).get(offset, entry)


def _entries(file: Path, *, containing: bytes = b"") -> Iterator[tuple[int, int, Entry]]:
    for line in read_lines(file, most_bytes=LARGEST_RECORD_BYTES):
        if containing not in line.value:
            continue
        try:
            read = decode_record(_Line, line.value)
            yield read.shard, read.offset, decode_entry(bytes(read.entry))
        except (msgspec.MsgspecError, ValueError) as error:
            raise EmberwatchError(f"{file}:{line.number}: not a line of a journal: {error}") from error


def is_journal(first: dict[str, Any]) -> bool:
    """Tell a journal from a file of posts by its first row.

    >>> is_journal({"shard": 0, "offset": 0, "entry": {"entry": "tick"}}), is_journal({"post_id": "1", "text": "x"})
    (True, False)
    """
    return first.keys() >= {"shard", "offset", "entry"}
