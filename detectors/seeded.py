"""What a state began with that had lost the journal before it, for every reader that begins at the same place.

A monitor that finds neither a snapshot that it can read nor the journal's beginning reads what people said, and what
is open, from other topics. It writes that to the journal before it folds it, so that a replay begins alike. The
entries that say so come later than those before which they are folded, so a reader looks ahead for them.
"""

from collections.abc import Iterable, Sequence

from detectors.entries import Entry, Seed, Seeded


def seeded(entries: Sequence[Seeded], before: int) -> list[Seed]:
    """Say that a state begins with these entries, before the offset at which the journal begins."""
    return [Seed(before=before, number=number, of=len(entries), told=entry) for number, entry in enumerate(entries)]


def begun(items: Iterable[tuple[int, Entry]], before: int) -> list[tuple[int, Entry]]:
    """Give what a state that begins at `before` began with, under offsets that end there; the first whole set counts.

    A set that was not written to its end is followed by another one.
    """
    found: dict[int, Seed] = {}
    for _, entry in items:
        if not isinstance(entry, Seed) or entry.before != before:
            continue
        if entry.number == 0:
            found = {}
        found[entry.number] = entry
        if len(found) == entry.of:
            return [(before - entry.of + number, found[number].told) for number in range(entry.of)]
    return []
