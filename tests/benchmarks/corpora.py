"""Corpora as the benchmarks read them: rows of JSON lines, every file of a folder of the data."""

import json
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec

from detectors.entries import Origin, ScoredPost
from detectors.records import Post
from detectors.scoring import Scorer
from streams.errors import EmberwatchError
from streams.json_lines import read_lines

MADE_UP_START = datetime(2020, 1, 1, tzinfo=UTC)
"""First post of a corpus without a clock; each row is one second."""

SCORED_TOGETHER = 512

MOST_ROW_BYTES = 1 << 24


def files(data: Path, folder: str) -> list[Path]:
    """Every file of JSON lines in a folder of the data; says so where there is none."""
    found = sorted(file for file in (data / folder).glob("*") if ".jsonl" in file.name)
    if not found:
        print(f"{data / folder}: no corpus there, skipped", file=sys.stderr)
    return found


def corpus_name(file: Path) -> str:
    return file.name.split(".", 1)[0]


def read_rows(file: Path) -> list[dict]:
    """Rows of a file; each has a `gold`, empty where the file has no truth about it.

    Raises `EmberwatchError`, with the line, where one is no JSON object.
    """
    rows = []
    for line in read_lines(file, most_bytes=MOST_ROW_BYTES):
        try:
            row = json.loads(line.value)
        except ValueError as error:
            raise EmberwatchError(f"{file}: line {line.number}: {error}") from error
        if not isinstance(row, dict):
            raise EmberwatchError(f"{file}: line {line.number}: no JSON object")
        rows.append({**row, "gold": row.get("gold") or {}})
    return rows


def tells_a_story(row: dict) -> bool:
    return row["gold"].get("story") is not None


def post_of(row: dict, place: int) -> Post:
    """A row as a post; one without a clock gets a second of its own. Raises `EmberwatchError` where it is none."""
    fields = row if "post_id" in row else _made_up(row, place)
    try:
        return msgspec.convert(fields, Post)
    except msgspec.ValidationError as error:
        raise EmberwatchError(f"{fields['post_id']}, row {place + 1} of its corpus, is no post: {error}") from error


def _made_up(row: dict, place: int) -> dict:
    return {
        "post_id": str(row.get("id")),
        "platform": "corpus",
        "created_at": MADE_UP_START + timedelta(seconds=place),
        "author_id": f"author-of-{row.get('id')}",
        "text": row.get("text"),
    }


def score(scorer: Scorer, posts: list[Post], what: str) -> list[ScoredPost]:
    """Score posts in order, with progress on standard error."""
    scored: list[ScoredPost] = []
    for start in range(0, len(posts), SCORED_TOGETHER):
        batch = posts[start : start + SCORED_TOGETHER]
        items = [(post, Origin("posts", 0, start + place), 0.0) for place, post in enumerate(batch)]
        scored.extend(scorer.score(items))
        print(f"\rscoring {what}: {len(scored):,} of {len(posts):,}", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    return scored


def in_time(posts: list[ScoredPost]) -> list[ScoredPost]:
    """Posts by event time, with offsets in that order, as one source partition would have them."""
    ordered = sorted(posts, key=lambda post: (post.created_at_s, post.origin.offset))
    return [msgspec.structs.replace(post, origin=Origin("posts", 0, offset)) for offset, post in enumerate(ordered)]
