"""Which records of a source were folded already: exactly, in bounded memory."""

from msgspec import Struct

from detectors.entries import Origin

REMEMBERED = 100_000
"""Offsets behind the highest one of a partition that are remembered one by one; older ones count as seen."""


class SeenOffsets(Struct):
    """Offsets of one source partition: the highest, and a ring of bits for those behind it."""

    highest: int = -1
    bits: bytearray = bytearray()

    def is_new(self, offset: int) -> bool:
        """Note an offset; False where it was noted before (or is too old to tell).

        >>> seen = SeenOffsets()
        >>> [seen.is_new(offset) for offset in (0, 2, 0, 1, 2)]
        [True, True, False, True, False]
        """
        if not self.bits:
            self.bits = bytearray(REMEMBERED // 8)
        if offset <= self.highest - REMEMBERED:
            return False
        if offset > self.highest:
            for skipped in range(max(self.highest + 1, offset - REMEMBERED + 1), offset):
                self._set(skipped, value=False)
            self.highest = offset
            self._set(offset, value=True)
            return True
        place = offset % REMEMBERED
        if self.bits[place >> 3] & (1 << (place & 7)):
            return False
        self._set(offset, value=True)
        return True

    def _set(self, offset: int, *, value: bool) -> None:
        place = offset % REMEMBERED
        if value:
            self.bits[place >> 3] |= 1 << (place & 7)
        else:
            self.bits[place >> 3] &= ~(1 << (place & 7)) & 0xFF


def partition_name(origin: Origin) -> str:
    """Name of a source partition.

    >>> partition_name(Origin("posts", 3, 17))
    'posts/3'
    """
    return f"{origin.topic}/{origin.partition}"
