"""`emberwatch bench`: measures on real corpora; the benchmarks themselves lie beside the tests, in a checkout."""

import importlib.util
import os
import platform
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec
from rich.console import Console
from rich.table import Table

from streams.errors import EmberwatchError
from streams.settings import Settings

FOLDER = Path(__file__).parent.parent / "tests" / "benchmarks"

ALL = "all"

FIRST_COLUMNS = ("task", "corpus", "metric", "value", "anchor")


def run(settings: Settings, *, name: str, data: Path, json_file: Path | None) -> int:
    """Run one benchmark, or all; prints its rows and writes them to `json_file`.

    Each benchmark is a module with `rows(settings, data)`; it names and skips what has no file in `data`.
    """
    names = _names()
    wanted = names if name == ALL else [name]
    if unknown := [one for one in wanted if one not in names]:
        raise EmberwatchError(f"{unknown[0]}: no such benchmark; there are {', '.join([*names, ALL])}")
    rows: list[dict[str, Any]] = []
    for one in wanted:
        rows.extend(_load(one).rows(settings, data))
    _print(rows)
    if json_file is not None:
        json_file.write_bytes(msgspec.json.format(msgspec.json.encode(rows), indent=1) + b"\n")
    return 0


def _names() -> list[str]:
    if not FOLDER.is_dir():
        raise EmberwatchError("benchmarks run in a checkout of the project; this is an installed package")
    return sorted(
        file.stem.replace("_", "-") for file in FOLDER.glob("*.py") if "def rows(" in file.read_text(encoding="utf-8")
    )


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


def _print(rows: Sequence[dict[str, Any]]) -> None:
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 160)
    table = Table(title=f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}")
    for column in (*FIRST_COLUMNS, "of"):
        table.add_column(column)
    for row in rows:
        rest = ", ".join(f"{key} {value}" for key, value in row.items() if key not in FIRST_COLUMNS)
        table.add_row(*(_shown(row.get(column)) for column in FIRST_COLUMNS), rest)
    console.print(table)


def _shown(value: object) -> str:
    return f"{value:.3f}" if isinstance(value, float) else "" if value is None else str(value)
