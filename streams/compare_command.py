"""`emberwatch compare`: whether two replays give the same alerts in substance."""

from pathlib import Path

from rich.console import Console

from detectors.comparison import AlertWithMembers, differences, with_members
from detectors.policy import TimeParameters
from detectors.records import Alert, Assignment
from streams.settings import Settings
from streams.why_command import records_in


def run(settings: Settings, *, first: Path, second: Path, lateness_s: float | None) -> int:  # noqa: ARG001
    """Print what differs between the folders of two replays; exit status 1 where anything does."""
    console = Console(highlight=False)
    one, other = _read(first), _read(second)
    allowed_s = TimeParameters().allowed_lateness_s if lateness_s is None else lateness_s
    found = differences(one, other, allowed_lateness_s=allowed_s)
    for difference in found:
        folder = first if difference.run == "first" else second
        console.print(
            f"{folder}: {difference.alert_id} “{difference.label}” ({', '.join(difference.kinds)}): {difference.why}",
            markup=False,
        )
    console.print(f"{len(one)} alerts in {first}, {len(other)} in {second}, {len(found)} differences in substance")
    return 1 if found else 0


def _read(folder: Path) -> list[AlertWithMembers]:
    alerts = records_in(folder / "alerts.jsonl", Alert)
    return with_members(alerts, records_in(folder / "assignments.jsonl", Assignment))
