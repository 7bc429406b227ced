"""The journal as a file: every entry with its shard and offset, one a line, so that it can be folded offline."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import click
import msgspec
from msgspec import Struct

from detectors.codec import decode_entry, decode_record
from detectors.entries import Entry
from detectors.seeded import begun
from detectors.skipped import announced
from streams import audit
from streams.errors import EmberwatchError
from streams.json_lines import read_lines, write_lines
from streams.kafka_clients import LARGEST_RECORD_BYTES, read_to_end
from streams.settings import Settings
from streams.topics import topic_name

AHEAD_TAGS = (b'"skip"', b'"seed"')
"""One of them is in the bytes of every entry that speaks of earlier ones: what is left out, what was begun with."""


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

    Entries that are to be left out are replaced by the `Skip` that says so, and what a shard began with comes first.
    Either may be told much later: the file is read twice.
    """
    ahead: dict[int, list[tuple[int, Entry]]] = {}
    for shard, offset, entry in _entries(file, containing=AHEAD_TAGS):
        ahead.setdefault(shard, []).append((offset, entry))
    left_out = {shard: announced(items) for shard, items in ahead.items()}
    started: set[int] = set()
    for shard, offset, entry in _entries(file):
        if shard not in started:
            started.add(shard)
            for place, first in begun(ahead.get(shard, ()), offset):
                yield shard, place, first
        yield shard, offset, left_out.get(shard, {}).get(offset, entry)


def _entries(file: Path, *, containing: Sequence[bytes] = ()) -> Iterator[tuple[int, int, Entry]]:
    for line in read_lines(file, most_bytes=LARGEST_RECORD_BYTES):
        if containing and not any(tag in line.value for tag in containing):
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
