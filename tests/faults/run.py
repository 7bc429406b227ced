"""Every fault, one after the other, on an Apache Kafka that this run starts: `python tests/faults/run.py --help`.

Prints a table of what was lost, counted twice and published otherwise, and how long recovery took; exit status 1
where a promise was not kept.
"""

import argparse
import contextlib
import itertools
import os
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import faults
import msgspec
from disks import NotHereError
from rich.console import Console
from rich.table import Table
from rig import Pipeline, Row, write_story

from streams import apache_kafka
from streams.apache_kafka import Node
from streams.errors import EmberwatchError
from streams.settings import Settings

_numbers = itertools.count(1)


class Bench:
    """Makes pipelines on one broker."""

    def __init__(self, node: Node, folder: Path) -> None:
        self.node = node
        self._folder = folder
        self.complaints: list[str] = []

    def folder(self) -> Path:
        """A new folder, gone at the end."""
        return Path(tempfile.mkdtemp(dir=self._folder))

    @contextlib.contextmanager
    def make(self, *, posts: int = 600, address: str | None = None, **changes: Any) -> Iterator[Pipeline]:
        """Make a pipeline with topics of its own, on the node or at another address."""
        number, folder = next(_numbers), self.folder()
        given = {
            "topic_prefix": f"fault-{os.getpid()}-{number}.",
            "model": "hash",
            "posts_partitions": 2,
            "snapshot_every_s": 2.0,
        }
        settings = apache_kafka.settings_for(Settings(**given), address or self.node.address)
        settings = msgspec.structs.replace(settings, **changes)
        with Pipeline(settings, folder, write_story(self._folder, posts)) as pipeline:
            yield pipeline
            self.complaints = pipeline.complaints


def run(names: Sequence[str], *, long: bool, console: Console) -> list[Row]:
    """Run faults by name, or all; prints each row when it is there."""
    wanted = [fault for fault in faults.ALL if not names or fault.__name__ in names]
    rows = []
    with tempfile.TemporaryDirectory() as scratch, apache_kafka.one_node() as node:
        bench = Bench(node, Path(scratch))
        for fault in wanted:
            console.print(f"{fault.__name__}: {(fault.__doc__ or '').splitlines()[0]}", markup=False, highlight=False)
            began_s = time.monotonic()
            try:
                row = fault(bench, long=long)
            except NotHereError as reason:
                console.print(f"    skipped: {reason}", highlight=False, markup=False)
                continue
            except (AssertionError, EmberwatchError, TimeoutError):
                console.print(traceback.format_exc(), markup=False, highlight=False)
                row = Row(fault.__name__, 0, 0, -1, -1, -1, -1, None)
            rows.append(row)
            words = "kept" if row.holds() else f"NOT KEPT: {row} {' | '.join(bench.complaints)}"
            console.print(f"    {words}, {time.monotonic() - began_s:.0f} s", highlight=False, markup=False)
    return rows


def table(rows: Sequence[Row]) -> Table:
    """The rows as a table."""
    shown = Table(title="Faults")
    for field in Row._fields:
        shown.add_column(field.replace("_", " "), justify="left" if field == "fault" else "right")
    for row in rows:
        shown.add_row(*("" if value is None else str(value) for value in row))
    return shown


def main() -> int:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description="Break the pipeline in every way that is promised to be survived.")
    parser.add_argument("names", nargs="*", help="faults; without any, all of them")
    parser.add_argument("--long", action="store_true", help="more rounds, longer ones")
    parser.add_argument("--json", type=Path, help="file for the rows")
    parser.add_argument("--list", action="store_true", help="name the faults")
    given = parser.parse_args()
    console = Console(width=None if sys.stdout.isatty() else 180)
    if given.list:
        for fault in faults.ALL:
            console.print(f"{fault.__name__}: {fault.__doc__}", markup=False)
        return 0
    if reason := apache_kafka.missing():
        console.print(reason)
        return 2
    rows = run(given.names, long=given.long, console=console)
    console.print(table(rows))
    if given.json is not None:
        given.json.write_bytes(msgspec.json.format(msgspec.json.encode([row._asdict() for row in rows])) + b"\n")
    return 0 if all(row.holds() for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
