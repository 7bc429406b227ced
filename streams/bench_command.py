"""`emberwatch bench`: measures on real corpora; the benchmarks themselves lie beside the tests, in a checkout."""

import importlib.util
import os
import platform
import re
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import click
import msgspec
from rich.console import Console
from rich.table import Table

from streams.errors import EmberwatchError
from streams.settings import Settings

FOLDER = Path(__file__).parent.parent / "tests" / "benchmarks"

ALL = "all"

FIRST = ("narratives", "virality", "claims", "incitement", "stance", "end-to-end", "throughput")
"""Benchmarks of corpora; `all` runs them before those that make most of what they measure on."""

_TAKES_A_FOLDER = re.compile(r"^def rows\(_?settings: Settings, data: Path\)", re.MULTILINE)

SHOWN_APART = ("task", "corpus", "metric", "value", "anchor", "low", "high")
"""Keys of a row that have a place of their own; the others say what it is about."""


def run(
    settings: Settings, *, name: str, data: Path, json_file: Path | None, pictures: Path | None, peers: bool
) -> int:
    """Run one benchmark, or all; prints its rows, writes them to `json_file` and draws what it can into `pictures`.

    Each benchmark is a module with `rows(settings, data)`; it names and skips what has no file in `data`. Some have
    `draw(rows, folder)`, and `peer_rows(settings, data)`, which measures other people's software on the same data.
    All of them take long: what is measured is printed and written at once, and one that fails ends no other. The exit
    status is 1 then.
    """
    names = _names()
    wanted = names if name == ALL else [name]
    if unknown := [one for one in wanted if one not in names]:
        raise EmberwatchError(f"{unknown[0]}: no such benchmark; there are {', '.join([*names, ALL])}")
    modules = {one: _load(one) for one in wanted}
    if peers and not any(hasattr(module, "peer_rows") for module in modules.values()):
        raise EmberwatchError(f"--peers: {name} has none")
    rows: list[dict[str, Any]] = []
    failed: list[str] = []
    for one, module in modules.items():
        try:
            own, drawn = _measure(module, settings, data, pictures, peers=peers)
        except Exception as error:
            if name != ALL:
                raise
            why = str(error) if isinstance(error, EmberwatchError) else traceback.format_exc()
            click.echo(f"{one}: failed: {why}", err=True)
            failed.append(one)
            continue
        rows.extend(own)
        _print(own, drawn)
        if json_file is not None:
            json_file.write_bytes(msgspec.json.format(msgspec.json.encode(rows), indent=1) + b"\n")
    if failed:
        click.echo(f"failed: {', '.join(failed)}", err=True)
    return 1 if failed else 0


def _measure(
    module: ModuleType, settings: Settings, data: Path, pictures: Path | None, *, peers: bool
) -> tuple[list[dict[str, Any]], list[Path]]:
    rows = [*module.rows(settings, data)]
    if peers and hasattr(module, "peer_rows"):
        rows.extend(module.peer_rows(settings, data))
    can_draw = pictures is not None and bool(rows) and hasattr(module, "draw")
    return rows, list(module.draw(rows, pictures)) if can_draw else []


def _names() -> list[str]:
    if not FOLDER.is_dir():
        raise EmberwatchError("benchmarks run in a checkout of the project; this is an installed package")
    found = {
        file.stem.replace("_", "-")
        for file in FOLDER.glob("*.py")
        if _TAKES_A_FOLDER.search(file.read_text(encoding="utf-8"))
    }
    return [one for one in FIRST if one in found] + sorted(found.difference(FIRST))


def _load(name: str) -> ModuleType:
    file = FOLDER / f"{name.replace('-', '_')}.py"
    spec = importlib.util.spec_from_file_location(f"benchmarks.{file.stem}", file)
    assert spec is not None
    assert spec.loader is not None
    if str(FOLDER) not in sys.path:
        sys.path.insert(0, str(FOLDER))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _print(rows: Sequence[dict[str, Any]], drawn: Sequence[Path]) -> None:
    """One table for each corpus of each task: the figure, the anchor beside it, and what the row is about."""
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 160)
    machine = f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    for task, corpus in dict.fromkeys((str(row["task"]), str(row["corpus"])) for row in rows):
        table = Table(title=f"{task}: {corpus} ({machine})", title_justify="left")
        for column in ("metric", "of"):
            table.add_column(column)
        for column in ("value", "95 %", "anchor"):
            table.add_column(column, justify="right")
        for row in rows:
            if (str(row["task"]), str(row["corpus"])) == (task, corpus):
                table.add_row(*_cells(row))
        console.print(table)
    for file in drawn:
        console.print(f"drawn: {file}", soft_wrap=True)


def _cells(row: dict[str, Any]) -> tuple[str, ...]:
    rest = ", ".join(f"{key} {value}" for key, value in row.items() if key not in SHOWN_APART)
    spread = f"{_shown(row['low'])} to {_shown(row['high'])}" if "low" in row and "high" in row else ""
    return str(row["metric"]), rest, _shown(row["value"]), spread, _shown(row.get("anchor"))


def _shown(value: object) -> str:
    """Three figures after the point, or the thousands parted where it is large.

    >>> _shown(0.86012), _shown(12345.6), _shown(3), _shown(None)
    ('0.860', '12,346', '3', '')
    """
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3f}"
    return f"{value:,}" if isinstance(value, int) else str(value)
