"""What the demo shows: a live screen in a terminal, plain lines elsewhere."""

import textwrap
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import NamedTuple, Protocol, Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from detectors.records import SEVERITIES, Alert, Severity

STYLES: dict[Severity, str] = {"page": "bold red", "notice": "yellow", "watch": "cyan"}
MARKS: dict[Severity, str] = {"page": "▲ PAGE  ", "notice": "◆ notice", "watch": "● watch "}
INDENT = " " * 10
DETAILS: tuple[dict[Severity, int], ...] = tuple(
    {"page": page, "notice": notice, "watch": watch}
    for page, notice, watch in ((9, 2, 1), (9, 2, 0), (9, 1, 0), (9, 0, 0), (3, 0, 0), (2, 0, 0), (1, 0, 0))
)
"""How many reasons are shown, by severity; the first that fits into the screen is taken."""
STATUS_EVERY_S = 10.0
"""Between two status lines where there is no live screen."""


class Shown(NamedTuple):
    """An alert as it is, and as it was when it reached its severity."""

    now: Alert
    raised: Alert


@dataclass
class Progress:
    """How far the demo has come."""

    phase: str = "starting"
    total_posts: int = 0
    begins_at_s: float = 0.0
    ends_at_s: float = 0.0
    """Event time of the sample's first and last post."""
    event_at_s: float = 0.0
    """Watermark; 0 before there is one."""
    sent: int = 0
    scored: int = 0
    folded: int = 0
    folded_per_s: float = 0.0
    narratives: int = 0
    claims: int = 0
    alerts: dict[str, Alert] = field(default_factory=dict)
    """Last revision of each."""
    raised: dict[str, Alert] = field(default_factory=dict)
    """The revision that brought each to its highest severity: its reasons say why."""

    def put(self, alert: Alert) -> None:
        """Take a revision."""
        self.alerts[alert.alert_id] = alert
        before = self.raised.get(alert.alert_id)
        if before is None or SEVERITIES.index(alert.severity) > SEVERITIES.index(before.severity):
            self.raised[alert.alert_id] = alert

    def shown(self) -> list[Shown]:
        """Alerts that live on by themselves: the most severe first, of the same severity the newest."""
        alive = [alert for alert in self.alerts.values() if alert.transition not in {"merged", "retracted"}]
        shown = [Shown(alert, self.raised[alert.alert_id]) for alert in alive]
        return sorted(
            shown, key=lambda one: (-SEVERITIES.index(one.raised.severity), -one.raised.changed_at.timestamp())
        )


@dataclass(frozen=True)
class Links:
    """Where to click, and where to read on."""

    console: str
    metrics: tuple[str, ...]
    logs: str
    broker: str
    """Address for commands of one's own."""

    def broker_words(self) -> str:
        """How to ask it: `emberwatch why`, `alerts`, `feedback` and the others."""
        return f"EMBERWATCH_BROKER={self.broker} emberwatch alerts"

    def of(self, alert: Alert) -> str:
        """Page of an alert's narrative."""
        return f"{self.console}/narratives/{alert.narrative_id}"


class Display(Protocol):
    """Shows progress; one for terminals, one for files and pipes."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None: ...

    def show(self, progress: Progress) -> None:
        """Bring what is shown up to date."""

    def alert(self, alert: Alert) -> None:
        """Tell of a revision, as it comes."""


class Screen:
    """A live screen that fits itself into the terminal."""

    def __init__(self, console: Console, links: Links) -> None:
        self._console = console
        self._links = links
        self._live = Live(console=console, auto_refresh=False, vertical_overflow="crop")

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def show(self, progress: Progress) -> None:
        """Draw it again."""
        self._live.update(picture(progress, self._links, self._console.width, self._console.height), refresh=True)

    def alert(self, alert: Alert) -> None:
        """Nothing more: the next picture has it."""


class Lines:
    """One line for each thing that happens, and a status line now and then."""

    def __init__(self, console: Console, links: Links) -> None:
        self._console = console
        self._links = links
        self._phase = ""
        self._status = ""
        self._status_at_s = time.monotonic()

    def __enter__(self) -> Self:
        links = self._links
        self._say(f"console {links.console}")
        for url in links.metrics:
            self._say(f"metrics {url}")
        self._say(f"logs    {links.logs}")
        self._say(f"ask     {links.broker_words()}")
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def show(self, progress: Progress) -> None:
        """Say that a phase begins, or how far it is where that has changed."""
        now_s = time.monotonic()
        if progress.phase != self._phase:
            self._phase = progress.phase
            self._say(progress.phase)
        elif progress.folded and now_s - self._status_at_s >= STATUS_EVERY_S:
            self._status_at_s = now_s
            status, self._status = self._status, f"{clock(progress.event_at_s)} {figures(progress)}"
            if self._status != status:
                self._say(self._status)

    def alert(self, alert: Alert) -> None:
        """Say what became of an alert."""
        why = "; ".join(reason.words for reason in alert.reasons) if alert.revision == 1 or _is_raised(alert) else ""
        words = f"{alert.changed_at:%H:%M} {alert.severity:6} {alert.transition:9} {alert.label}"
        self._say(f"{words}: {why}  {self._links.of(alert)}" if why else words)

    def _say(self, line: str) -> None:
        self._console.print(line, markup=False, highlight=False, soft_wrap=True)


def _is_raised(alert: Alert) -> bool:
    return alert.transition in {"opened", "resurged", "updated"}


def picture(progress: Progress, links: Links, width: int, height: int) -> Group:
    """The whole screen: how far it is, the alerts that fit, and where to click."""
    head: list[RenderableType] = [
        _title(progress, width),
        Text(figures(progress), no_wrap=True, overflow="ellipsis"),
        Text(),
    ]
    foot = [Text(), *_foot(links, width)]
    body = alert_lines(progress.shown(), links, width, max(3, height - len(head) - len(foot) - 1))
    if not body:
        body = [Text(_waiting_words(progress), style="dim")]
    return Group(*head, *body, *foot)


def figures(progress: Progress) -> str:
    """One line of numbers."""
    words = f"{progress.sent:,}/{progress.total_posts:,} posts in, {progress.scored:,} scored"
    words += f", {progress.folded:,} followed, {progress.folded_per_s:,.0f}/s"
    return f"{words}; {progress.narratives:,} narratives"


def clock(at_s: float) -> str:
    """Event time of the day.

    >>> clock(0.0), clock(1780659000.0)
    ('--:--', '11:30')
    """
    return f"{datetime.fromtimestamp(at_s, UTC):%H:%M}" if at_s else "--:--"


def alert_lines(alerts: Sequence[Shown], links: Links, width: int, most: int) -> list[Text]:
    """As many alerts as fit into `most` lines, with as many of their reasons as fit; pages first."""
    blocks: list[list[Text]] = []
    for detail in DETAILS:
        blocks = [_block(alert, links, width, detail) for alert in alerts]
        if sum(map(len, blocks)) <= most:
            return [line for block in blocks for line in block]
    lines: list[Text] = []
    for shown, block in enumerate(blocks):
        if len(lines) + len(block) > most - 1:
            return [*lines, Text(f"{INDENT}and {len(blocks) - shown} more: {links.console}", style="dim")]
        lines += block
    return lines


def _block(shown: Shown, links: Links, width: int, detail: Mapping[Severity, int]) -> list[Text]:
    """An alert in lines: what it is about, some of its reasons, and a link where it is a page or has reasons."""
    alert, severity = shown.now, shown.raised.severity
    head = Text.assemble(
        (MARKS[severity], STYLES[severity]), f"  {shown.raised.changed_at:%H:%M}  ", (alert.label, "bold")
    )
    head.append(f"  {alert.counts.posts:,} posts", style="dim")
    if alert.transition not in {"opened", "updated"}:
        head.append(f", {alert.transition}", style="dim")
    lines = [head]
    for reason in shown.raised.reasons[: detail[severity]]:
        lines += [Text(INDENT + line) for line in textwrap.wrap(reason.words, width - len(INDENT))]
    if severity == "page" or detail[severity]:
        lines.append(Text(INDENT + links.of(alert), style="blue"))
    for line in lines:
        line.truncate(width, overflow="ellipsis")
    return lines


def _title(progress: Progress, width: int) -> Table:
    share = 0.0
    if progress.event_at_s and progress.ends_at_s > progress.begins_at_s:
        share = (progress.event_at_s - progress.begins_at_s) / (progress.ends_at_s - progress.begins_at_s)
    row = Table.grid(expand=True)
    for ratio in (None, 1, None):
        row.add_column(ratio=ratio, no_wrap=True)
    name = "Emberwatch: a Friday in Marlow Quay" if width >= 100 else "Emberwatch"
    row.add_row(
        Text(f"{name}  ", style="bold"),
        ProgressBar(total=1.0, completed=min(max(share, 0.0), 1.0)),
        Text(f"  {clock(progress.event_at_s)}  {progress.phase}"),
    )
    return row


def _waiting_words(progress: Progress) -> str:
    if progress.folded:
        return "No alert yet: ordinary traffic. The stories begin after an hour of event time."
    return "The workers load the model and join their groups; this takes a few seconds."


def _foot(links: Links, width: int) -> list[Text]:
    lines = [
        Text.assemble("look    ", (links.console, "blue"), "   Ctrl-C ends everything"),
        Text.assemble("metrics ", *((f"{url}   ", "blue") for url in links.metrics)),
        Text(f"logs    {links.logs}", style="dim"),
        Text(f"ask     {links.broker_words()}", style="dim"),
    ]
    for line in lines:
        line.truncate(width, overflow="ellipsis")
    return lines
