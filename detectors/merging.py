"""History played at maximum speed, back in the order of event time.

A reader takes partitions one after the other, so at maximum speed one may be months of event time ahead of another.
Posts of such a source are held until every partition has passed their time; live posts are never held.
"""

import heapq

from msgspec import Struct

from detectors.entries import ScoredPost

MERGED = "merged"
"""Name of the partition that the merged posts are of."""

MOST_HELD = 200_000
"""Beyond so many the earliest goes on, whatever is missing."""

HELD_FOR_UNKNOWN = 20_000
"""So many are held for a partition that was never heard of; it may have nothing."""


class Merging(Struct):
    """Posts that came too early, and how far each partition has come."""

    held: list[tuple[float, str, int, ScoredPost]] = []
    """A heap by event time and post, so that it does not show which partition came first."""
    reached: dict[str, float] = {}
    ended: dict[str, bool] = {}
    arrived: int = 0

    def arrive(self, partition: str, post: ScoredPost, source_partitions: int) -> None:
        """Hold a post. After all partitions have ended, a new source begins."""
        if self.has_ended(source_partitions):
            self.reached, self.ended = {}, {}
        self.ended.pop(partition, None)
        self.reached[partition] = max(post.created_at_s, self.reached.get(partition, post.created_at_s))
        self.arrived += 1
        heapq.heappush(self.held, (post.created_at_s, post.post_id, self.arrived, post))

    def end(self, partition: str) -> None:
        """Note that a partition has nothing more: nothing is held for it."""
        self.ended[partition] = True

    def has_ended(self, source_partitions: int) -> bool:
        """Whether posts came, and no partition has anything more."""
        return bool(self.reached) and len(self.ended) >= source_partitions and self.reached.keys() <= self.ended.keys()

    def ready(self, source_partitions: int) -> list[ScoredPost]:
        """Let go of the posts whose time every partition has passed, earliest first."""
        frontier_s = self._frontier_s(source_partitions)
        ready = []
        while self.held and (self.held[0][0] < frontier_s or len(self.held) > MOST_HELD):
            ready.append(heapq.heappop(self.held)[3])
        return ready

    def take(self, post_id: str | None, author_id: str | None) -> list[ScoredPost]:
        """Forget a post that is held, its reshares, or the posts of an author (a scan: deletions are rare)."""
        taken = [post for _, _, _, post in self.held if _is_meant(post, post_id, author_id)]
        if taken:
            self.held = [row for row in self.held if not _is_meant(row[3], post_id, author_id)]
            heapq.heapify(self.held)
        return taken

    def all(self) -> list[ScoredPost]:
        """Let go of everything, earliest first: time has passed and nothing more came."""
        return [heapq.heappop(self.held)[3] for _ in range(len(self.held))]

    def _frontier_s(self, source_partitions: int) -> float:
        known = len({*self.reached, *self.ended})
        if known < source_partitions and len(self.held) < HELD_FOR_UNKNOWN:
            return float("-inf")
        behind = [at_s for partition, at_s in self.reached.items() if partition not in self.ended]
        return min(behind, default=float("inf"))


def _is_meant(post: ScoredPost, post_id: str | None, author_id: str | None) -> bool:
    if author_id is not None and post.author_id == author_id:
        return True
    if post_id is None:
        return False
    return post.post_id == post_id or (post.kind == "reshare" and post_id in {post.parent_id, post.root_id})
