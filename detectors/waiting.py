"""Replies and reshares that came before what they follow."""

from msgspec import Struct

from detectors.entries import ScoredPost

MOST_WAITING = 100_000
"""Beyond so many, the one that has waited longest counts as an orphan at once."""


class Waiting(Struct):
    """Posts by id, in order of arrival, and whom each waits for."""

    posts: dict[str, ScoredPost] = {}
    followers: dict[str, list[str]] = {}
    """Id of the awaited post -> ids of those that wait for it."""

    def put(self, post: ScoredPost) -> list[ScoredPost]:
        """Let a post wait for its parent or root; those that must go to make room."""
        self.posts[post.post_id] = post
        for awaited in _awaited(post):
            self.followers.setdefault(awaited, []).append(post.post_id)
        return [self._drop(next(iter(self.posts))) for _ in range(len(self.posts) - MOST_WAITING)]

    def arrived(self, post_id: str) -> list[ScoredPost]:
        """Return who waited for this post, in order of arrival; they wait no more."""
        return [self._drop(waiting) for waiting in self.followers.pop(post_id, ())]

    def take(self, post_id: str) -> ScoredPost | None:
        """Forget a post that waits (it was deleted)."""
        return self._drop(post_id) if post_id in self.posts else None

    def reshares_of(self, post_id: str) -> list[str]:
        """Ids of the reshares that wait for a post: they carry its words."""
        return [one for one in self.followers.get(post_id, ()) if self.posts[one].kind == "reshare"]

    def of_author(self, author_id: str) -> list[str]:
        """Ids of an author's posts that wait (a scan: erasures are rare)."""
        return [post_id for post_id, post in self.posts.items() if post.author_id == author_id]

    def overdue(self, watermark_at_s: float) -> list[ScoredPost]:
        """Return those whose parent could have come by now; they wait no more."""
        overdue = [post_id for post_id, post in self.posts.items() if post.created_at_s <= watermark_at_s]
        return [self._drop(post_id) for post_id in overdue]

    def _drop(self, post_id: str) -> ScoredPost:
        post = self.posts.pop(post_id)
        for awaited in _awaited(post):
            if awaited not in self.followers:
                continue
            rest = [one for one in self.followers[awaited] if one != post_id]
            if rest:
                self.followers[awaited] = rest
            else:
                del self.followers[awaited]
        return post


def _awaited(post: ScoredPost) -> list[str]:
    return list(dict.fromkeys(one for one in (post.parent_id, post.root_id) if one and one != post.post_id))
