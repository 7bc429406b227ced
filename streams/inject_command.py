"""`emberwatch inject`: a synthetic cascade of known figures, put into a file of real posts."""

import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from msgspec import Struct
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

from detectors.injection import Injected, InjectionError, Mixture, Shape, Texts, inject, mixture_of, neutral_texts
from detectors.posts import BadRecord, decode_post
from streams.errors import EmberwatchError
from streams.json_lines import Line, read_lines, write_lines
from streams.settings import Settings

DEFAULT_PLATFORM = "synthetic"

OPTION_OF = {"rate_per_minute": "--rate", "duration_s": "--minutes", "branching_factor": "--branching"}
"""Options that are not named as the field of the shape that they set."""


class Background(Struct):
    """What has to be known of a file of posts before anything is put into it."""

    posts: int = 0
    bad: int = 0
    """Lines that are no posts: passed on as they are."""
    times_s: list[float] = []
    platforms: Counter[str] = msgspec.field(default_factory=Counter)


def run(
    settings: Settings,
    *,
    background: Path | None,
    out: Path,
    texts: Path | None,
    question_texts: Path | None,
    at: str | None,
    name: str | None,
    seed: int,
    platform: str | None,
    lang: str,
    speed: str | None,
    figures: Mapping[str, Any],
) -> int:
    """Write the background with the cascade in it, and play it into `posts` where `speed` says how fast.

    `figures` are fields of `Shape` and of `Mixture`, and `minutes`; what is None takes its default.

    Raises `EmberwatchError` naming the option that cannot be used.
    """
    name = name or f"injection-{seed}"
    shape = _shape({key: value for key, value in figures.items() if value is not None})
    said = _texts(texts, question_texts)
    if background is not None and background.resolve() == out.resolve():
        raise EmberwatchError(f"--out: {out} is the background itself")
    console = Console(stderr=True, highlight=False)
    with _progress(console) as progress:
        known = _survey(background, name, progress)
        start = _start(at, known)
        try:
            cascade = inject(
                shape,
                said,
                np.random.default_rng(seed),
                name=name,
                start=start,
                platform=platform or _platform(known),
                lang=lang,
            )
        except InjectionError as error:
            raise EmberwatchError(str(error)) from error
        if not cascade:
            raise EmberwatchError(
                "the cascade came out without a post: raise --rate or --minutes, or take another --seed"
            )
        _write(out, background, cascade, progress)
    _summarise(console, shape, cascade, known, out)
    if speed is None:
        return 0
    from streams import publish

    # A live source goes on after a drill; a file of the past is through.
    return publish.run(settings, file=out, speed=speed, hash_authors=False, raw=False, end=background is not None)


def _shape(figures: dict[str, Any]) -> Shape:
    if "minutes" in figures:
        figures["duration_s"] = 60.0 * figures.pop("minutes")
    try:
        mixture = mixture_of({share: figures.pop(share) for share in Mixture.__struct_fields__ if share in figures})
        return msgspec.convert({**figures, "mixture": msgspec.to_builtins(mixture)}, Shape)
    except msgspec.ValidationError as error:
        words, _, path = str(error).partition(" - at `$.")
        field = path.rstrip("`").rpartition(".")[2]
        raise EmberwatchError(f"{OPTION_OF.get(field) or _option(field)}: {words}") from error
    except InjectionError as error:
        raise EmberwatchError(f"--reshares, --copies, --own-words, --questions: {error}") from error


def _option(field: str) -> str:
    return f"--{field.replace('_', '-')}"


def _texts(file: Path | None, questions: Path | None) -> Texts:
    said = neutral_texts() if file is None else Texts(variants=_lines(file))
    return said if questions is None else msgspec.structs.replace(said, questions=_lines(questions))


def _lines(file: Path) -> tuple[str, ...]:
    try:
        lines = tuple(line.value.decode().strip() for line in read_lines(file))
    except UnicodeDecodeError as error:
        raise EmberwatchError(f"{file}: not UTF-8: {error}") from error
    if not lines:
        raise EmberwatchError(f"{file}: no line of text")
    return lines


def _survey(file: Path | None, name: str, progress: Progress) -> Background:
    """Read the background once, for its times and platforms, and for ids that would clash."""
    known = Background()
    if file is None:
        return known
    for line in _watched(file, "reading", progress):
        try:
            post = decode_post(line.value)
        except BadRecord:
            known.bad += 1
            continue
        known.posts += 1
        known.times_s.append(post.created_at.timestamp())
        known.platforms[post.platform] += 1
        if post.post_id.startswith(f"{name}-"):
            raise EmberwatchError(
                f"{file}:{line.number}: {post.post_id} is an id of this injection; give another --name"
            )
    if not known.posts:
        raise EmberwatchError(f"{file}: no line of it is a post")
    return known


def _start(at: str | None, known: Background) -> datetime:
    if at is None and known.times_s:
        middle_s = sorted(known.times_s)[len(known.times_s) // 2]
        return datetime.fromtimestamp(middle_s, UTC)
    if at is None or at == "now":
        return datetime.fromtimestamp(time.time(), UTC)
    try:
        start = datetime.fromisoformat(at)
    except ValueError as error:
        raise EmberwatchError(f"--at: expected RFC 3339, such as 2026-06-05T12:00:00Z, or `now`, not {at}") from error
    if start.tzinfo is None:
        raise EmberwatchError(f"--at: {at} has no time zone; write {at}Z for UTC")
    return start.astimezone(UTC)


def _platform(known: Background) -> str:
    most = known.platforms.most_common(1)
    return most[0][0] if most else DEFAULT_PLATFORM


def _write(out: Path, background: Path | None, cascade: Sequence[Injected], progress: Progress) -> None:
    """Write background lines as they are, each injected post before the first line that is later than it."""
    place = 0
    with write_lines(out) as lines:
        for line in _watched(background, "writing", progress) if background else ():
            at_s = _at_s(line.value)
            while at_s is not None and place < len(cascade) and cascade[place].post.created_at.timestamp() <= at_s:
                lines.write(_line(cascade[place]))
                place += 1
            lines.write(line.value + b"\n")
        lines.writelines(_line(one) for one in cascade[place:])


def _at_s(value: bytes) -> float | None:
    try:
        return decode_post(value).created_at.timestamp()
    except BadRecord:
        return None


def _line(one: Injected) -> bytes:
    row: dict[str, Any] = msgspec.to_builtins(one.post)
    return msgspec.json.encode({**row, "gold": one.gold}) + b"\n"


def _watched(file: Path, words: str, progress: Progress) -> Iterator[Line]:
    bar = progress.add_task(f"{words} {file.name}", total=file.stat().st_size)
    for line in read_lines(file):
        yield line
        progress.update(bar, completed=line.read_bytes)


def _progress(console: Console) -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    return Progress(*columns, console=console, transient=True)


def _summarise(console: Console, shape: Shape, cascade: Sequence[Injected], known: Background, out: Path) -> None:
    expected = shape.rate_per_minute * shape.duration_s / 60.0
    forms = Counter(one.gold["form"] for one in cascade)
    mixture = ", ".join(f"{posts:,} {form.replace('_', ' ')}" for form, posts in forms.most_common())
    first, last = cascade[0].post.created_at, cascade[-1].post.created_at
    accounts = len({one.post.author_id for one in cascade})
    console.print(
        f"{len(cascade):,} posts by {accounts:,} accounts ({expected:,.0f} expected), "
        f"{first:%Y-%m-%d %H:%M:%S} to {last:%H:%M:%S} UTC: {mixture}"
    )
    if known.posts:
        words = f"into {known.posts:,} posts"
        console.print(words + (f"; {known.bad:,} lines are no posts and stay as they are" if known.bad else ""))
    console.print(f"in {out}, marked by gold.injection; is it found? emberwatch replay {out} --out out")
