"""Where each post was counted: what makes reshares, repeats and deletions cheap and exact within the horizon."""

import hashlib

from msgspec import Struct

from detectors.virality import Mark


def forgotten_key(post_id: str) -> str:
    """What a deleted post is remembered by: a digest of its id, for the id itself is forgotten too.

    >>> forgotten_key("p1") == forgotten_key("p1"), len(forgotten_key("p1"))
    (True, 32)
    """
    return hashlib.blake2b(post_id.encode(errors="surrogatepass"), digest_size=16).hexdigest()


class IndexedPost(Struct, array_like=True):
    """What is remembered of a post; `micro_id` is None for one that was counted without a place."""

    micro_id: str | None
    mark: Mark
    reshares: int = 0


class PostIndex(Struct):
    """Posts by id, oldest first, within a horizon of event time and a hard cap; evictions are counted."""

    posts: dict[str, IndexedPost] = {}
    forgotten_posts: dict[str, float] = {}
    """Deleted, or deleted before they came: digest of the id -> event time of the request, kept for the horizon."""
    forgotten_authors: dict[int, float] = {}
    """Erased authors (keys), likewise."""
    evicted: int = 0

    def get(self, post_id: str | None) -> IndexedPost | None:
        """Return the post, if it is remembered."""
        return self.posts.get(post_id) if post_id else None

    def put(self, post_id: str, post: IndexedPost, cap: int) -> None:
        """Remember a post; past the cap, forget the one that was put first."""
        self.posts[post_id] = post
        while len(self.posts) > cap:
            del self.posts[next(iter(self.posts))]
            self.evicted += 1

    def take(self, post_id: str) -> IndexedPost | None:
        """Forget a post and return what was remembered."""
        return self.posts.pop(post_id, None)

    def forget(self, post_id: str, at_s: float) -> None:
        """Let a post that was deleted not be counted when it comes (again)."""
        self.forgotten_posts[forgotten_key(post_id)] = at_s

    def is_forgotten(self, post_id: str | None) -> bool:
        """Whether a post was deleted within the horizon."""
        return bool(post_id and self.forgotten_posts) and forgotten_key(post_id or "") in self.forgotten_posts

    def of_author(self, author_key: int) -> list[str]:
        """Ids of an author's posts within the horizon (a scan: erasures are rare)."""
        return [post_id for post_id, post in self.posts.items() if post.mark.author_key == author_key]

    def expire(self, before_s: float) -> None:
        """Forget what is older; stops at the first younger one, as posts come nearly in order."""
        expired = []
        for post_id, post in self.posts.items():
            if post.mark.at_s >= before_s:
                break
            expired.append(post_id)
        for post_id in expired:
            del self.posts[post_id]
        self.forgotten_posts = {key: at_s for key, at_s in self.forgotten_posts.items() if at_s >= before_s}
        self.forgotten_authors = {key: at_s for key, at_s in self.forgotten_authors.items() if at_s >= before_s}
