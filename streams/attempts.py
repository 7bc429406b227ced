"""Records that bring a worker down, found across restarts.

Before a batch is scored, or folded, its origins are noted in a small file of this process; afterwards they are struck
out. A process that finds such a file of a dead one knows what was in hand when it died. Those records are then taken
one by one, and one that has been there at three deaths is not tried again.

The notes survive the death of a process, not of a machine: they are written, not synced. A worker that is started on
another machine counts anew, so a record may bring down three processes on each; a data folder on a volume that goes
with the worker keeps the count.
"""

import contextlib
import os
from collections.abc import Sequence
from pathlib import Path

import msgspec
from msgspec import Struct

from detectors.entries import Origin

MOST_ATTEMPTS = 3
"""A record that failed so often becomes a dead letter, an entry is left out."""


class _Notes(Struct):
    in_hand: list[Origin] = []
    deaths: list[tuple[Origin, int]] = []


class Attempts:
    """Notes of what is in hand, and of what was when a process died.

    Parameters
    ----------
    folder : shared by the workers of one machine; each has a file named by its process.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._file = folder / f"{os.getpid()}.json"
        self._deaths: dict[Origin, int] = {}
        for file in sorted(folder.glob("*.json")):
            if file == self._file or not _is_alive(file.stem):
                self._take_over(file)
        self._write([])

    def deaths(self, origin: Origin) -> int:
        """How many processes died with this record in hand."""
        return self._deaths.get(origin, 0)

    def begin(self, origins: Sequence[Origin]) -> None:
        """Note what is in hand now."""
        self._write(origins)

    def done(self, origins: Sequence[Origin]) -> None:
        """Strike it out: it is done, or given up."""
        for origin in origins:
            self._deaths.pop(origin, None)
        self._write([])

    def _take_over(self, file: Path) -> None:
        with contextlib.suppress(OSError, msgspec.MsgspecError):
            notes = msgspec.json.decode(file.read_bytes(), type=_Notes)
            for origin, deaths in notes.deaths:
                self._deaths[origin] = max(self.deaths(origin), deaths)
            for origin in notes.in_hand:
                self._deaths[origin] = self.deaths(origin) + 1
        file.unlink(missing_ok=True)

    def _write(self, origins: Sequence[Origin]) -> None:
        notes = _Notes(list(origins), list(self._deaths.items()))
        fresh = self._file.with_suffix(".new")
        fresh.write_bytes(msgspec.json.encode(notes))
        fresh.replace(self._file)


def _is_alive(process_id: str) -> bool:
    try:
        os.kill(int(process_id), 0)
    except (ProcessLookupError, ValueError):
        return False
    except PermissionError:
        return True
    return True
