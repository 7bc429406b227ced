"""`emberwatch load`: how fast, and up to which rate; and whether a day leaves anything behind."""

import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
from rich.console import Console
from rich.table import Table

from streams import apache_kafka, embedded_broker, topics
from streams.day import Hour, run_day, with_horizon
from streams.load import PERCENTILES, Load, Measured, Mixture, Watch, find_knee, knee, workers
from streams.models import configuration_of, load_scorer
from streams.settings import Settings, load_configuration

BEGIN_RATE = 25.0


def run(
    settings: Settings,
    *,
    rates: Sequence[float],
    seconds: float,
    to_knee: bool,
    scorers: int,
    apache: bool,
    json_file: Path | None,
) -> int:
    """Measure each rate, or look for the knee, on a broker and workers of our own; exit status 1 if a post is lost."""
    console = Console(highlight=False, stderr=True)
    broker = apache_kafka.apache_kafka() if apache else embedded_broker.embedded_broker()
    with broker as address, tempfile.TemporaryDirectory(prefix="emberwatch-load-") as folder:
        there = (apache_kafka if apache else embedded_broker).settings_for(settings, address)
        ours = msgspec.structs.replace(there, topic_prefix="load.", posts_partitions=max(2, scorers))
        topics.create(ours)
        with workers(ours, Path(folder), scorers=scorers) as check, Watch(ours) as watch:
            load = Load(ours, watch, check, Mixture())
            console.print("warming up ...")
            load.warm_up()
            if to_knee:
                measured = find_knee(load, begin=BEGIN_RATE, lasts_s=seconds, told=lambda one: _tell(console, one))
            else:
                measured = []
                for rate in rates:
                    measured.append(load.run(rate, seconds))
                    _tell(console, measured[-1])
    _show(measured, to_knee=to_knee)
    if json_file is not None:
        rows = [msgspec.to_builtins(one) | {"keeps_up": one.keeps_up} for one in measured]
        _write(json_file, {"knee": knee(measured) if to_knee else None, "rates": rows})
    return 1 if any(one.lost for one in measured) else 0


def run_day_of(settings: Settings, *, posts: int, hours: int, horizon_hours: float, json_file: Path | None) -> int:
    """Fold a made-up day and print what is held, hour by hour."""
    console = Console(highlight=False, stderr=True)
    scorer = load_scorer(settings)
    configuration = configuration_of(
        msgspec.structs.replace(settings, posts_partitions=1, shards=1), load_configuration(settings.configuration)
    )
    if horizon_hours:
        configuration = with_horizon(configuration, horizon_hours * 3600.0)

    def told(hour: Hour) -> None:
        console.print(f"hour {hour.hour}: {hour.posts:,} posts, {hour.memory_mb:.0f} MB, state {hour.state_mb:.1f} MB")

    found = run_day(scorer, configuration, posts=posts, hours=hours, told=told)
    table = Table(*(field.replace("_", " ") for field in Hour.__struct_fields__), title="A day")
    for hour in found:
        table.add_row(*(f"{value:,}" for value in msgspec.structs.astuple(hour)))
    _console().print(table)
    if json_file is not None:
        _write(json_file, found)
    return 0


def _tell(console: Console, one: Measured) -> None:
    words = "keeps up" if one.keeps_up else f"falls behind: {one.backlog_posts:,} waited"
    p99 = one.journal_s.get("p99", float("nan"))
    console.print(f"{one.rate:g} posts/s: p99 to the journal {1000 * p99:,.0f} ms; {words}")


def _show(measured: Sequence[Measured], *, to_knee: bool) -> None:
    console = _console()
    columns = (
        "posts/s",
        "posts",
        "to",
        "p50",
        "p90",
        "p95",
        "p99",
        "p99.9",
        "max",
        "waited at the end",
        "drained",
        "lost",
    )
    table = Table(*columns, "say they are late", title="Seconds from the moment a post was due", title_justify="left")
    for one in measured:
        for place, found in (("journal", one.journal_s), ("alert", one.alert_s)):
            figures = [f"{value:.3f}" for value in found.values()] or [""] * len(PERCENTILES)
            rest = [f"{one.backlog_posts:,}", f"{one.drained_s:.1f}", str(one.lost), ""]
            late = ["", "", "", f"{one.alerts_say_late} of {one.alerts} alerts"]
            table.add_row(f"{one.rate:g}", f"{one.posts:,}", place, *figures, *(rest if place == "journal" else late))
    console.print(table)
    if to_knee:
        found_knee = knee(measured)
        console.print(f"knee: {found_knee:g} posts/s" if found_knee else "not even the least rate is kept up with")
    console.print("Nothing is shed: what is too much waits in its topic, for as long as the topic keeps it.")


def _console() -> Console:
    """The tables are wide: in a file they are not folded."""
    return Console(highlight=False, width=None if sys.stdout.isatty() else 160)


def _write(file: Path, content: Any) -> None:
    file.write_bytes(msgspec.json.format(msgspec.json.encode(content), indent=1) + b"\n")
