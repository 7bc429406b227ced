"""Whether the monitor made of each story of the sample what it should.

An alert belongs to the story that most of its exemplars are of, over all its revisions; to ordinary traffic where
no story has a third of them (a narrative may have begun as talk of something near). Pages must be exactly those
of the stories that `EXPECTED` says: none missing, and none for anything else.
"""

import gzip
import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping

from msgspec import Struct

from detectors.records import SEVERITIES, Alert, Severity
from streams.sample import EXPECTED, POSTS

ORDINARY = "ordinary traffic"
"""What is no story."""


class Verdict(Struct, frozen=True, kw_only=True):
    """What was expected of a story, and what came."""

    story: str
    expected: str
    alerts: dict[Severity, int]
    """Alerts by the highest severity that each of them had."""

    @property
    def is_right(self) -> bool:
        """Whether it paged if it should, and did not if it should not."""
        return (self.alerts.get("page", 0) > 0) == (self.expected == "page")

    @property
    def got(self) -> str:
        """The alerts, most severe first, in words.

        >>> Verdict(story="joke", expected="no page", alerts={"watch": 2, "notice": 1}).got
        '1 notice, 2 watch'
        """
        words = [f"{self.alerts[severity]} {severity}" for severity in reversed(SEVERITIES) if severity in self.alerts]
        return ", ".join(words) or "no alert"


def story_of_posts() -> dict[str, str]:
    """Story of each post of the sample, from its gold."""
    rows = map(json.loads, gzip.decompress(POSTS.read_bytes()).splitlines())
    return {row["post_id"]: row["gold"].get("story", ORDINARY) for row in rows}


def judge(revisions: Iterable[Alert], stories: Mapping[str, str]) -> list[Verdict]:
    """One verdict a story, ordinary traffic last.

    Parameters
    ----------
    revisions : all that was published on `alert-history`, in any order.
    stories : story of each post, by its id.
    """
    severities: dict[str, Severity] = {}
    exemplars: dict[str, set[str]] = defaultdict(set)
    for alert in revisions:
        highest = severities.get(alert.alert_id, alert.severity)
        severities[alert.alert_id] = max(highest, alert.severity, key=SEVERITIES.index)
        exemplars[alert.alert_id] |= {exemplar.post_id for exemplar in alert.exemplars}
    by_story: dict[str, Counter[Severity]] = defaultdict(Counter)
    for alert_id, severity in severities.items():
        by_story[_story_of(exemplars[alert_id], stories)][severity] += 1
    expected = {**EXPECTED, ORDINARY: "no page"}
    return [Verdict(story=story, expected=word, alerts=dict(by_story[story])) for story, word in expected.items()]


def _story_of(post_ids: Iterable[str], stories: Mapping[str, str]) -> str:
    """The story that has most of these posts; of several the one first by name."""
    counts = Counter(stories[post_id] for post_id in post_ids if post_id in stories)
    told = {story: count for story, count in counts.items() if story != ORDINARY and 3 * count >= counts.total()}
    return min(told, key=lambda story: (-told[story], story)) if told else ORDINARY
