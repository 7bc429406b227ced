"""Event time: the watermark over the partitions of a source, and what of its movement can be trusted.

The watermark is the least, over the partitions, of the greatest trusted event time, less the allowed lateness; it
never goes back. A partition that was not heard of yet holds it back until all are known or a tick says that time
passed without it.
"""

from msgspec import Struct

from detectors.policy import TimeParameters

BEGINNING_S = float("-1e18")
"""Before every event time (JSON has no infinity)."""


class SourcePartition(Struct):
    """One partition's progress in event time."""

    greatest_at_s: float = BEGINNING_S
    ended: bool = False
    idle: bool = False
    ahead_authors: list[int] = []
    """Authors of posts that are further ahead than a jump is trusted."""


class EventTime(Struct):
    """Progress of the whole source."""

    partitions: dict[str, SourcePartition] = {}
    watermark_at_s: float = BEGINNING_S
    greatest_at_s: float = BEGINNING_S
    speed: float = 1.0
    distrusted: int = 0
    """Posts whose date was too far ahead to move time."""

    def observe(self, partition: str, at_s: float, author_key: int, parameters: TimeParameters) -> None:
        """A post came: its partition has reached `at_s`, if that can be believed."""
        one = self.partitions.get(partition)
        if one is None:
            one = self.partitions[partition] = SourcePartition()
        one.idle = one.ended = False
        if at_s <= one.greatest_at_s:
            return
        known = max(one.greatest_at_s, self.greatest_at_s)
        if known > BEGINNING_S and at_s > known + parameters.jump_s:
            if author_key not in one.ahead_authors:
                one.ahead_authors.append(author_key)
            if len(one.ahead_authors) < parameters.jump_authors:
                self.distrusted += 1
                return
        one.ahead_authors = []
        one.greatest_at_s = at_s
        self.greatest_at_s = max(self.greatest_at_s, at_s)

    def end(self, partition: str) -> None:
        """The source of a partition has nothing more: it holds nothing back."""
        self.partitions.setdefault(partition, SourcePartition()).ended = True

    def has_ended(self) -> bool:
        """Whether no partition has anything more to give."""
        return all(one.ended for one in self.partitions.values())

    def tick(self, now_at_s: float) -> None:
        """Time passed without posts: partitions behind `now_at_s` are idle."""
        self.greatest_at_s = max(self.greatest_at_s, now_at_s)
        for one in self.partitions.values():
            one.idle = one.greatest_at_s < now_at_s

    def advance(self, source_partitions: int, parameters: TimeParameters) -> float:
        """Move the watermark as far as it may go; returns it."""
        partitions = self.partitions.values()
        everyone_known = len(partitions) >= source_partitions or any(one.idle for one in partitions)
        if everyone_known and self.greatest_at_s > BEGINNING_S:
            waiting = [one.greatest_at_s for one in partitions if not (one.ended or one.idle)]
            reached = min(waiting, default=self.greatest_at_s)
            self.watermark_at_s = max(self.watermark_at_s, reached - parameters.allowed_lateness_s)
        return self.watermark_at_s
