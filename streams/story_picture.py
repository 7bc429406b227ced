"""Pictures of one narrative's course, and of all alerts of a run."""

from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import accumulate, pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from detectors.records import SEVERITIES, Alert, Severity
from detectors.timelines import Moment, Timeline
from detectors.words import duration
from streams.pictures import BLUE, FAINT, INK, ORANGE, PAPER, PURPLE, SKY, VERMILION, picture, plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.lines import Line2D

SEVERITY_COLOURS: dict[Severity, str] = {"watch": SKY, "notice": ORANGE, "page": VERMILION}
SEVERITY_MARKERS: dict[Severity, str] = {"watch": "o", "notice": "s", "page": "D"}

TAIL = 0.02
"""Share of the posts that may lie to the right of the picture: the last stragglers of a story come days later."""

LONGEST_LABEL = 90
WORDS_TAKE = 0.12
"""Width of a revision's words, as a share of the picture's."""

WORD_ROWS = (1.4, 3.6)
"""Heights at which a revision's words may stand, the lower one first."""

PAUSE_S = 2 * 86400.0
"""Alerts further apart are drawn in panels of their own."""

BUCKET_WORDS = {60: "posts a minute", 3600: "posts an hour"}
MOST_LANES = 60
"""Alerts that one picture of a run shows; those with most posts."""


def draw_story(timeline: Timeline, file: Path) -> None:
    """Draw the alert's revisions, counts against expectation with bursts, and how it grew, with its forecasts."""
    left, right = _at(timeline.start_s), _at(_shown_until_s(timeline))
    with picture(file, width=11.0, height=7.7, nrows=3, sharex=True, height_ratios=[1.7, 5, 3.6]) as (figure, panels):
        revisions, counts, growth = panels
        for panel in panels:
            plain(panel)
        _draw_counts(counts, timeline)
        _draw_revisions(revisions, timeline)
        for moment in timeline.moments:
            counts.axvline(_at(moment.at_s), color=SEVERITY_COLOURS[moment.severity], linewidth=0.9, alpha=0.7)
        _draw_growth(growth, timeline)
        _dated(growth)
        growth.set_xlim(left - 0.02 * (right - left), right + 0.02 * (right - left))
        figure.suptitle(_title(timeline), color=INK, fontsize=12, parse_math=False)
        figure.supxlabel(_foot(timeline), color=FAINT, fontsize=8.5, parse_math=False)


def draw_alerts(histories: Sequence[Sequence[Alert]], file: Path) -> None:
    """Draw a lane for each alert of a run, from the narrative's first post to the last revision.

    `histories` are the revisions of each alert, in order, none empty. What lies days apart gets a panel of its own.
    """
    largest = sorted(histories, key=lambda history: -history[-1].counts.posts)[:MOST_LANES]
    periods = _periods(sorted(largest, key=lambda history: (history[0].changed_at, history[0].alert_id)))
    lanes = [len(period) + 1.5 for period in periods]
    panels = {"nrows": len(periods), "height_ratios": lanes, "squeeze": False}
    with picture(file, width=11.0, height=0.9 + 0.27 * sum(lanes), **panels) as (figure, axes):
        for panel, period in zip(axes[:, 0], periods, strict=True):
            _draw_period(panel, period)
        handles = [_handle(severity) for severity in SEVERITY_COLOURS]
        figure.legend(handles=handles, loc="outside lower center", ncols=3, frameon=False, fontsize=9, labelcolor=INK)
        more = len(histories) - len(largest)
        words = f"{len(histories):,} alerts" + (f", the {len(largest)} largest shown" if more else "")
        figure.suptitle(
            f"{words}: first post (|), each revision (open mark: peaked, cleared, merged), posts in the end",
            color=INK,
            fontsize=11,
        )


def _draw_period(panel: "Axes", period: Sequence[Sequence[Alert]]) -> None:
    plain(panel)
    panel.grid(visible=False, axis="y")
    begin_s = min(history[0].changed_at.timestamp() for history in period)
    end_s = max(history[-1].changed_at.timestamp() for history in period)
    margin_s = 0.12 * max(end_s - begin_s, 600.0)  # what began before is cut off there
    for lane, history in enumerate(reversed(period)):
        _draw_lane(panel, lane, history)
    panel.set_yticks(
        range(len(period)),
        [f"{_cut(history[-1].label, 40)}   {history[-1].counts.posts:,}" for history in reversed(period)],
        fontsize=8,
        parse_math=False,
    )
    panel.set_ylim(-0.8, len(period) - 0.2)
    panel.set_xlim(_at(begin_s - margin_s), _at(end_s + margin_s / 2))
    _dated(panel)


def _periods(histories: Sequence[Sequence[Alert]]) -> list[list[Sequence[Alert]]]:
    """Part alerts, in order of their opening, where nothing opened for `PAUSE_S`."""
    periods: list[list[Sequence[Alert]]] = []
    last_s = float("-inf")
    for history in histories:
        opened_s = history[0].changed_at.timestamp()
        if opened_s - last_s > PAUSE_S:
            periods.append([])
        periods[-1].append(history)
        last_s = opened_s
    return periods


def _draw_counts(panel: "Axes", timeline: Timeline) -> None:
    width = timeline.bucket_s / 86400.0
    starts = [_at(timeline.start_s + place * timeline.bucket_s) for place in range(len(timeline.posts))]
    for first, last in _runs(timeline.bursting):
        panel.axvspan(
            starts[first], starts[last] + width, color=ORANGE, alpha=0.14, linewidth=0,
            label="burst: beyond what is normal" if (first, last) == _runs(timeline.bursting)[0] else None,
        )  # fmt: skip
    panel.bar(starts, timeline.posts, width=width, align="edge", color=BLUE, linewidth=0, label="posts")
    expected = [float("nan") if one is None else one for one in timeline.expected]
    panel.step(starts, expected, where="post", color=INK, linewidth=1.5, linestyle=(0, (4, 2)), label="expected posts")
    panel.set_ylabel(BUCKET_WORDS.get(timeline.bucket_s, f"posts in {duration(timeline.bucket_s)}"), color=INK)
    panel.set_ylim(0, 1.12 * max([*timeline.posts, 1]))
    handles, _ = panel.get_legend_handles_labels()
    shown = {moment.severity for moment in timeline.moments}
    panel.legend(
        handles=[*handles, *(_handle(one) for one in SEVERITY_COLOURS if one in shown)],
        loc="best", fontsize=8.5, labelcolor=INK, facecolor=PAPER, edgecolor="none", framealpha=0.85,
    )  # fmt: skip


def _draw_revisions(panel: "Axes", timeline: Timeline) -> None:
    """Mark each revision of the alert; in words where it changed, as far as there is room."""
    panel.grid(visible=False)
    panel.set_ylim(0, 2.0 + 1.8 * len(WORD_ROWS))
    panel.set_yticks([])
    panel.spines["left"].set_visible(False)
    panel.spines["bottom"].set_visible(False)
    panel.tick_params(bottom=False)
    until_s = _shown_until_s(timeline)
    span_s = max(until_s - timeline.start_s, 1.0)
    shown = [moment for moment in timeline.moments if moment.at_s <= until_s]
    for moment in shown:
        panel.plot([_at(moment.at_s)], [0.6], linestyle="none", markersize=7, **_mark(moment.severity))
    for moment, row in _worded(shown, WORDS_TAKE * span_s):
        is_last = moment.at_s - timeline.start_s > 0.93 * span_s
        panel.annotate(
            f"{moment.transition}: {moment.severity}\n{moment.posts:,} posts",
            (_at(moment.at_s), row),
            ha="right" if is_last else "left",
            va="bottom",
            fontsize=8.5,
            color=INK,
            linespacing=1.05,
        )
    if not timeline.moments:
        panel.text(0.0, 0.2, "no alert", transform=panel.transAxes, color=FAINT, fontsize=9)


def _worded(moments: Sequence[Moment], width_s: float) -> list[tuple[Moment, float]]:
    """Revisions that changed something, with the height of their words: the graver first, as far as there is room."""
    changed = [
        moment
        for before, moment in pairwise((None, *moments))
        if moment is not None
        and (before is None or moment.severity != before.severity or moment.transition != "updated")
    ]
    placed: list[tuple[Moment, float]] = []
    for moment in sorted(changed, key=lambda one: (-SEVERITIES.index(one.severity), one.at_s)):
        for row in WORD_ROWS:
            if all(abs(moment.at_s - one.at_s) >= width_s for one, taken in placed if taken == row):
                placed.append((moment, row))
                break
    return placed


def _draw_growth(panel: "Axes", timeline: Timeline) -> None:
    total = timeline.earlier_posts
    ends, totals = [_at(timeline.start_s)], [total]
    for place, posts in enumerate(timeline.posts):
        total += posts
        ends.append(_at(timeline.start_s + (place + 1) * timeline.bucket_s))
        totals.append(total)
    panel.plot(ends, totals, color=BLUE, linewidth=2.0, label="posts so far")
    forecasts = [(moment, moment.forecast) for moment in timeline.moments if moment.forecast is not None]
    if forecasts:
        panel.errorbar(
            [_at(moment.at_s) for moment, _ in forecasts], [one.posts for _, one in forecasts],
            yerr=[[max(0.0, one.posts - one.low) for _, one in forecasts],
                  [max(0.0, one.high - one.posts) for _, one in forecasts]],
            fmt="D", markersize=5, color=PURPLE, capsize=4, linewidth=1.5,
            label="forecast of the final size, 80 % interval",
        )  # fmt: skip
        panel.axhline(total, color=FAINT, linewidth=0.9, linestyle=(0, (2, 3)), label=f"final: {total:,} posts")
        low, high = min(one.low for _, one in forecasts), max([total, *(one.high for _, one in forecasts)])
        if high > 20 * max(1.0, min(low, total)):
            panel.set_yscale("log")
    else:
        panel.text(0.99, 0.06, "no forecast was made", transform=panel.transAxes, ha="right", color=FAINT, fontsize=9)
    if panel.get_yscale() == "linear":
        panel.set_ylim(bottom=0)
    panel.set_ylabel("posts so far", color=INK)
    panel.legend(loc="best", frameon=False, fontsize=8.5, labelcolor=INK)


def _draw_lane(panel: "Axes", lane: int, history: Sequence[Alert]) -> None:
    first, last = _at(history[0].first_seen.timestamp()), _at(history[-1].changed_at.timestamp())
    opened = _at(history[0].changed_at.timestamp())
    panel.plot([first, opened], [lane, lane], color=FAINT, linewidth=1.0)
    panel.plot([opened, last], [lane, lane], color=SEVERITY_COLOURS[history[-1].severity], linewidth=2.5, alpha=0.6)
    panel.plot([first], [lane], marker="|", color=INK, markersize=7)
    for alert in history:
        filled = alert.transition not in {"peaked", "cleared", "merged", "retracted"}
        panel.plot(
            [_at(alert.changed_at.timestamp())], [lane], marker=SEVERITY_MARKERS[alert.severity], markersize=5,
            color=SEVERITY_COLOURS[alert.severity] if filled else PAPER, markeredgecolor=INK, markeredgewidth=0.6,
        )  # fmt: skip


def _handle(severity: Severity) -> "Line2D":
    from matplotlib.lines import Line2D

    return Line2D([], [], linestyle="none", label=f"sent as {severity}", **_mark(severity))


def _mark(severity: Severity) -> dict[str, Any]:
    colour, marker = SEVERITY_COLOURS[severity], SEVERITY_MARKERS[severity]
    return {"color": colour, "marker": marker, "markeredgecolor": INK, "markeredgewidth": 0.6}


def _dated(panel: "Axes") -> None:
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

    locator = AutoDateLocator(tz=UTC)
    panel.xaxis.set_major_locator(locator)
    panel.xaxis.set_major_formatter(ConciseDateFormatter(locator, tz=UTC))


def _at(at_s: float) -> float:
    """Days since the epoch, as matplotlib counts dates."""
    return at_s / 86400.0


def _shown_until_s(timeline: Timeline) -> float:
    """Where the picture ends: when all but the last stragglers have come, and a little after it was last graver."""
    wanted = (1.0 - TAIL) * sum(timeline.posts)
    buckets = next((place + 1 for place, posts in enumerate(accumulate(timeline.posts)) if posts >= wanted), 0)
    end_s = timeline.start_s + buckets * timeline.bucket_s
    news = [one.at_s for one in timeline.moments if one.transition in {"opened", "resurged"}]
    return min(max([end_s, *(at_s + 5 * timeline.bucket_s for at_s in news)]), max([timeline.end_s, *news]))


def _title(timeline: Timeline) -> str:
    names = timeline.narrative_id if timeline.alert_id is None else f"{timeline.narrative_id}, {timeline.alert_id}"
    return f"{_cut(timeline.label, LONGEST_LABEL)}\n{names}" if timeline.label else names


def _foot(timeline: Timeline) -> str:
    start = datetime.fromtimestamp(timeline.start_s, UTC)
    shown_until_s = _shown_until_s(timeline)
    hidden = sum(
        posts
        for place, posts in enumerate(timeline.posts)
        if timeline.start_s + place * timeline.bucket_s >= shown_until_s
    )
    words = f"event time, UTC, from {start:%Y-%m-%d %H:%M}"
    if timeline.earlier_posts:
        words += f"; {timeline.earlier_posts:,} posts came before"
    if hidden:
        words += f"; {hidden:,} posts came later, over {duration(timeline.end_s - shown_until_s)}"
    return f"{words}. Viral says how fast it spreads, not whether it is true."


def _runs(flags: Sequence[bool]) -> list[tuple[int, int]]:
    """First and last place of each run of true flags."""
    runs: list[tuple[int, int]] = []
    for place, flag in enumerate(flags):
        if flag and runs and runs[-1][1] == place - 1:
            runs[-1] = (runs[-1][0], place)
        elif flag:
            runs.append((place, place))
    return runs


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else text[: length - 1].rstrip() + "…"
