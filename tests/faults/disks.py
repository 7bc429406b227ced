"""A disk so small that it can be filled: a file system in memory of its own, which only root may mount."""

import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path


class NotHereError(Exception):
    """A fault cannot be made on this machine; the message says why."""


class SmallDisk:
    """A mounted folder with little room."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._filler = folder / "filler"

    def fill(self) -> None:
        """Leave no room at all."""
        block = bytes(4096)
        with self._filler.open("wb", buffering=0) as filler, contextlib.suppress(OSError):
            while filler.write(block):
                pass

    def make_room(self) -> None:
        """Give back what `fill` took."""
        self._filler.unlink()


@contextlib.contextmanager
def small_disk(folder: Path, *, megabytes: int) -> Iterator[SmallDisk]:
    """Mount a small disk at a folder while the context lasts. Raises `NotHereError` where one may not mount."""
    folder.mkdir(parents=True)
    options = f"size={megabytes}m"
    try:
        made = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)], check=False, capture_output=True, text=True
        )
        refusal = made.stderr.strip() if made.returncode else ""
    except FileNotFoundError:
        refusal = "there is no `mount`"
    if refusal:
        raise NotHereError(f"a full disk needs a small one, and user {os.getuid()} may not mount it: {refusal}")
    try:
        yield SmallDisk(folder)
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)
