"""TOML files whose errors name the line: where in the text a key of the parsed document stands."""

import re
import tomllib
from pathlib import Path
from typing import Any

import msgspec

from streams.errors import SettingsError

_HEADER = re.compile(r"^\s*(?P<open>\[\[?)\s*(?P<name>[^\]]+?)\s*\]\]?\s*(#.*)?$")
_KEY = re.compile(r"^\s*(?P<name>[A-Za-z0-9_.\"'-]+?)\s*=")
_STEP = re.compile(r"\.?(?P<name>[^.\[\]]+)|\[(?P<index>\d+|\.\.\.)\]")
_AT = re.compile(r" - at `(?P<path>\$[^`]*)`$")
_UNKNOWN = re.compile(r"unknown field `(?P<name>[^`]+)`")


def read_toml(path: Path) -> tuple[str, dict[str, Any]]:
    """Text and parsed document of a TOML file; raises `SettingsError` naming the file and, where known, the line."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8"
        raise SettingsError(f"{path}: cannot be read: {reason}") from error
    try:
        return text, tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{path}: not TOML: {error}") from error
    except RecursionError:
        raise SettingsError(f"{path}: not TOML: nested too deeply") from None


def error_at(path: Path, text: str, error: msgspec.ValidationError, *, within: str = "$") -> SettingsError:
    """One line for a msgspec error: file, line, key, and what is wrong."""
    message = str(error)
    found = _AT.search(message)
    where = within + (found["path"][1:] if found else "")
    what = message[: found.start()] if found else message
    if unknown := _UNKNOWN.search(what):
        where, what = f"{where}.{unknown['name']}", "no such key"
    line = line_of(text, where)
    return SettingsError(f"{path}{f':{line}' if line else ''}: {where.removeprefix('$').removeprefix('.')}: {what}")


def line_of(text: str, where: str) -> int | None:
    r"""Line (from 1) of the key that a msgspec path names, or of its nearest parent.

    >>> text = "a = 1\n[[rules]]\nname = 'x'\n[[rules]]\nname = 'y'\n[time]\nfuture_s = 2\n"
    >>> line_of(text, "$.rules[1].name"), line_of(text, "$.time.future_s"), line_of(text, "$.a"), line_of(text, "$.b")
    (5, 7, 1, None)
    """
    wanted = _steps(where)
    while wanted:
        for number, key in _keys(text):
            if key == wanted:
                return number
        wanted = wanted[:-1]
    return None


def _steps(where: str) -> tuple[str | int, ...]:
    """`$.rules[1].when[0]` as `("rules", 1, "when", 0)`."""
    steps: list[str | int] = []
    for step in _STEP.finditer(where.removeprefix("$")):
        if step["name"] is not None:
            steps.append(step["name"])
        elif step["index"] != "...":
            steps.append(int(step["index"]))
    return tuple(steps)


def _keys(text: str) -> list[tuple[int, tuple[str | int, ...]]]:
    """Line and full key of each table header and each assignment, in the order of the text."""
    keys: list[tuple[int, tuple[str | int, ...]]] = []
    table: tuple[str | int, ...] = ()
    seen: dict[tuple[str | int, ...], int] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        if header := _HEADER.match(line):
            table = _split(header["name"])
            if header["open"] == "[[":
                index = seen.get(table, 0)
                seen[table] = index + 1
                table = (*table, index)
            keys.append((number, table))
        elif assignment := _KEY.match(line):
            keys.append((number, (*table, *_split(assignment["name"]))))
    return keys


def _split(dotted: str) -> tuple[str | int, ...]:
    return tuple(part.strip().strip("\"'") for part in dotted.split("."))
