"""Entries that no reader of the journal folds, because they brought the monitor down.

The entry that says so comes later than the one it speaks of, so a reader looks ahead for it. The place of the one
left out is kept, by a `Skip` of its own offset: offsets have no gap.
"""

from collections.abc import Iterable, Iterator, Mapping

from detectors.entries import Entry, Skip


def announced(items: Iterable[tuple[int, Entry]]) -> dict[int, Skip]:
    """Give what is to be left out, by its offset, and why.

    >>> sorted(announced([(0, Skip(offset=0, why="not an entry")), (9, Skip(offset=4, why="it crashed"))]))
    [4]
    """
    return {entry.offset: entry for offset, entry in items if isinstance(entry, Skip) and entry.offset != offset}


def leave_out(items: Iterable[tuple[int, Entry]], skips: Mapping[int, Skip]) -> Iterator[tuple[int, Entry]]:
    """Yield entries with their offsets, each that is to be left out replaced by its `Skip`."""
    for offset, entry in items:
        yield offset, skips.get(offset, entry)
