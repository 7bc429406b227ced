"""Cascades: a post with everything that shares, answers or literally repeats it."""

import hashlib

from msgspec import Struct

from detectors.entries import ScoredPost
from detectors.virality import MINUTE_S

MOST_CASCADES = 256
"""Cascades that a micro-cluster tells apart; beyond them the one that was silent longest is forgotten."""


UNLINKED = 0
"""Cascade of the posts that do not say what they follow."""


class Cascades(Struct, array_like=True):
    """Posts by cascade and minute, for as long as a window looks back."""

    minutes: dict[int, dict[int, int]] = {}

    def add(self, cascade: int, at_s: float, window_s: float) -> int:
        """Count a post; posts of its cascade in the window that ends with it.

        >>> cascades = Cascades()
        >>> [cascades.add(7, at_s, 600.0) for at_s in (0.0, 30.0, 599.0, 601.0)]
        [1, 2, 3, 2]
        """
        minute = int(at_s // MINUTE_S)
        counts = self.minutes.pop(cascade, {})
        counts[minute] = counts.get(minute, 0) + 1
        first = minute - int(window_s // MINUTE_S) + 1
        posts = sum([posts for one, posts in counts.items() if first <= one <= minute])
        if counts[minute] == 1:  # else no minute is new, and none has become old
            kept = max(counts) - int(window_s // MINUTE_S) + 1
            counts = {one: posts for one, posts in counts.items() if one >= kept}
        self.minutes[cascade] = counts
        if len(self.minutes) > MOST_CASCADES:
            del self.minutes[next(iter(self.minutes))]
        return posts


def is_linked(post: ScoredPost) -> bool:
    """Whether a post says which one it follows."""
    return post.kind in {"reply", "reshare"} and bool(post.root_id or post.parent_id)


def cascade_of(post: ScoredPost) -> int:
    """64 bits that name the cascade of a post within its micro-cluster.

    What it follows where it says so; all that say nothing of it are one, as their words are nearly the same.
    """
    return _key(f"post/{post.root_id or post.parent_id}".encode()) if is_linked(post) else UNLINKED


def _key(name: bytes) -> int:
    return int.from_bytes(hashlib.blake2b(name, digest_size=8).digest(), "big")
