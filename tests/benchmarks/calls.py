"""Task I, surface forms: place, time and target of calls to come or to act, and silence on what only looks like one.

Measured on `calls.jsonl`, which was written for this project: two halves, of which one was looked at when rules were
mended (`development`), and one was not (`held_out`). What is found in a text counts where a call was found in it.
"""

import re
import sys
from collections import Counter
from pathlib import Path

from corpora import read_rows

from detectors.entries import Indicator
from detectors.incitement import indicators, names_place_and_time, wilson
from detectors.posts import normalise
from streams.settings import Settings

SET = Path(__file__).with_name("calls.jsonl")
KINDS = ("place", "time", "target")

LEAST_SHARED = 0.5
"""Share of the words of both, found and wanted, that they must have in common (Jaccard) to be the same."""

_SMALL = "the a an at on in by of to from and this before after until outside front behind near"
_LEFT_OUT = frozenset(_SMALL.split())


def rows(settings: Settings, data: Path) -> list[dict]:
    """Precision and recall of each kind, calls found, and look-alikes taken for calls, of each half."""
    written = [row for row in read_rows(SET) if "half" in row]
    return [row for half in ("development", "held_out") for row in _of_half(half, written)]


def _of_half(half: str, written: list[dict]) -> list[dict]:
    mine = [row for row in written if row["half"] == half]
    read = [(row, indicators(normalise(row["text"]))) for row in mine]
    calls = [(row, found) for row, found in read if _is_call(row)]
    others = [found for row, found in read if not _is_call(row)]
    out = []
    for kind in KINDS:
        hits, told, wanted = _counted(kind, read)
        out += [_row(half, "precision", hits, told, kind), _row(half, "recall", hits, wanted, kind)]
    complete = [found for row, found in calls if row["place"] and row["time"]]
    return [
        *out,
        _row(half, "calls_found", sum(map(_calls, (found for _, found in calls))), len(calls)),
        _row(half, "place_and_time_told", sum(map(names_place_and_time, complete)), len(complete)),
        _row(half, "look_alikes_called", sum(map(_calls, others)), len(others)),
        _row(half, "look_alikes_with_place_and_time", sum(map(names_place_and_time, others)), len(others)),
    ]


def _counted(kind: str, read: list[tuple[dict, tuple[Indicator, ...]]]) -> tuple[int, int, int]:
    """Right ones, told ones and wanted ones of a kind; each wanted one is found once at most."""
    hits = told = wanted = 0
    for row, found in read:
        mine = [one.words for one in found if one.kind == kind] if _calls(found) else []
        left = list(row[kind])
        told, wanted = told + len(mine), wanted + len(left)
        for words in mine:
            same = next((one for one in left if alike(words, one)), None)
            if same is not None:
                left.remove(same)
                hits += 1
    return hits, told, wanted


def alike(found: str, wanted: str) -> bool:
    """Whether two phrases are the same place, time or target, but for small words.

    >>> alike("at 8pm", "8pm"), alike("hall", "town hall"), alike("station", "north exit")
    (True, True, False)
    """
    ours, theirs = _content(found), _content(wanted)
    return len(ours & theirs) >= LEAST_SHARED * len(ours | theirs) > 0


def _content(words: str) -> frozenset[str]:
    found = frozenset(re.findall(r"[\w:.']+", words.lower()))
    return found - _LEFT_OUT or found


def _calls(found: tuple[Indicator, ...]) -> bool:
    return any(one.kind == "call_to_act" for one in found)


def _is_call(row: dict) -> bool:
    return bool(row["place"] or row["time"] or row["target"])


def _row(half: str, metric: str, hits: int, of: int, kind: str = "") -> dict:
    low, high = wilson(hits, of)
    about = {"kind": kind} if kind else {}
    return {
        "task": "I",
        "corpus": f"calls, {half}",
        "metric": metric,
        "value": hits / max(1, of),
        "anchor": None,
        "low": low,
        "high": high,
        **about,
        "counted": f"{hits} of {of}",
    }


def errors(half: str) -> Counter:
    """Print what is missed and what is wrong in a half, for whoever mends rules; returns how many of each."""
    counted: Counter = Counter()
    for row in read_rows(SET):
        if row.get("half") != half:
            continue
        found = indicators(normalise(row["text"]))
        told = {kind: [one.words for one in found if one.kind == kind] for kind in KINDS} if _calls(found) else {}
        wrong = [
            f"{kind}: {told.get(kind, [])} for {row[kind]}"
            for kind in KINDS
            if len(told.get(kind, [])) != len(row[kind])
            or any(not any(alike(words, one) for one in row[kind]) for words in told.get(kind, []))
        ]
        counted.update(line.partition(":")[0] for line in wrong)
        if wrong or _calls(found) != _is_call(row):
            print(f"{row['text']}\n    call: {_calls(found)}; {'; '.join(wrong)}", file=sys.stderr)
    return counted
