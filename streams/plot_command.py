"""`emberwatch plot`: a narrative's course, or all alerts of a run, as a picture."""

from collections import defaultdict
from itertools import chain, islice
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from detectors.monitor import JournalGapError
from detectors.records import Alert, Narrative
from detectors.timelines import Recorder, Timeline, published_timeline
from streams.errors import EmberwatchError
from streams.journal_file import read_journal
from streams.settings import Settings
from streams.story_picture import draw_alerts, draw_story
from streams.why_command import records_in

FOLDED_TOGETHER = 4096


def run(_settings: Settings, *, wanted: str | None, source: Path, out: Path) -> int:
    """Draw the narrative or alert that `wanted` names, or all alerts, from a replay's folder or a journal's file.

    Raises `EmberwatchError` where the source does not know it.
    """
    if out.suffix.lower() != ".png":
        raise EmberwatchError(f"--out: {out} is not a name of a PNG file")
    words = _from_folder(source, wanted, out) if source.is_dir() else _from_journal(source, wanted, out)
    Console(highlight=False).print(f"{out}: {words}", soft_wrap=True)
    return 0


def _from_folder(folder: Path, wanted: str | None, out: Path) -> str:
    for name in ("alert-history", "narratives"):
        if not (folder / f"{name}.jsonl").is_file():
            raise EmberwatchError(f"{folder}: no {name}.jsonl; is it the folder of a replay?")
    history = list(records_in(folder / "alert-history.jsonl", Alert))
    if wanted is None:
        return _draw_all(history, folder, out)
    alert_ids = [alert.alert_id for alert in history if wanted in {alert.alert_id, alert.narrative_id}]
    own = [alert for alert in history if alert_ids and alert.alert_id == alert_ids[-1]]
    narrative_id = own[-1].narrative_id if own else wanted
    narratives = [one for one in records_in(folder / "narratives.jsonl", Narrative) if one.narrative_id == narrative_id]
    if not narratives:
        raise _unknown(wanted, folder)
    return _draw_one(published_timeline(narratives[-1], own), out)


def _from_journal(file: Path, wanted: str | None, out: Path) -> str:
    recorders = _record(file)
    if wanted is None:
        return _draw_all(list(chain.from_iterable(one.replay.alert_history for one in recorders.values())), file, out)
    for shard in sorted(recorders):
        narrative_id = recorders[shard].find(wanted)
        timeline = recorders[shard].timeline(narrative_id) if narrative_id else None
        if timeline is not None:
            return _draw_one(timeline, out)
    raise _unknown(wanted, file)


def _record(file: Path) -> dict[int, Recorder]:
    recorders: dict[int, Recorder] = {}
    entries = read_journal(file)
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.completed:,} entries"))
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        bar = progress.add_task(file.name, total=None)
        while batch := list(islice(entries, FOLDED_TOGETHER)):
            for shard in sorted({shard for shard, _, _ in batch}):
                items = [(offset, entry) for at, offset, entry in batch if at == shard]
                if shard not in recorders:
                    recorders[shard] = Recorder()
                    recorders[shard].replay.state.core.next_offset = items[0][0]
                try:
                    recorders[shard].run(items)
                except JournalGapError as gap:
                    raise EmberwatchError(f"shard {shard}: {gap}; the file lacks the entries between") from gap
            progress.update(bar, advance=len(batch))
    return recorders


def _draw_one(timeline: Timeline, out: Path) -> str:
    if not timeline.posts:
        raise EmberwatchError(f"{timeline.narrative_id}: all its posts came late, there is no course to draw")
    draw_story(timeline, out)
    revisions = f"{len(timeline.moments)} revisions of {timeline.alert_id}" if timeline.alert_id else "no alert"
    return f"{sum(timeline.posts) + timeline.earlier_posts:,} posts of {timeline.narrative_id}, {revisions}"


def _draw_all(history: list[Alert], source: Path, out: Path) -> str:
    by_alert: dict[str, list[Alert]] = defaultdict(list)
    for alert in history:
        by_alert[alert.alert_id].append(alert)
    if not by_alert:
        raise EmberwatchError(f"{source}: no alert to draw")
    draw_alerts(list(by_alert.values()), out)
    return f"{len(by_alert):,} alerts"


def _unknown(wanted: str, source: Path) -> EmberwatchError:
    return EmberwatchError(f"{wanted}: no such alert or published narrative in {source}")
