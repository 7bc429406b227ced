"""Who a post comes from or points to, as far as the configuration knows: a credible source, or satire.

A post counts as one of a credible source when the account or community that wrote it is on the list, or when it links
to a domain there (or below one). Short links whose target is not in the record cannot be told. The lists are the
organisation's own; none comes with the project.
"""

from functools import lru_cache
from urllib.parse import urlsplit

from detectors.entries import ScoredPost
from detectors.policy import SourceParameters


def is_credible(post: ScoredPost, sources: SourceParameters) -> bool:
    """Whether a post is by a credible source, or links to one."""
    if not sources.count_credible():
        return False
    return (
        f"{post.platform}/{post.author_id}" in _set(sources.credible_accounts)
        or (post.community is not None and f"{post.platform}/{post.community}" in _set(sources.credible_communities))
        or _links_to(post, sources.credible_domains)
    )


def is_satirical(post: ScoredPost, sources: SourceParameters) -> bool:
    """Whether a post links to a satirical site."""
    return _links_to(post, sources.satire_domains)


@lru_cache(maxsize=16_384)
def domains_of(url: str) -> tuple[str, ...]:
    """Host of a link and the domains above it, the longest first; empty where there is none.

    >>> domains_of("https://www.news.example.org/a?b=c"), domains_of("not a link")
    (('www.news.example.org', 'news.example.org', 'example.org'), ())
    """
    try:
        host = urlsplit(url if "//" in url else f"//{url}").hostname or ""
    except ValueError:
        return ()
    labels = host.rstrip(".").split(".")
    return tuple(".".join(labels[start:]) for start in range(len(labels) - 1))


def _links_to(post: ScoredPost, domains: tuple[str, ...]) -> bool:
    if not domains or not post.urls:
        return False
    known = _set(domains)
    return any(domain in known for url in post.urls for domain in domains_of(url))


@lru_cache(maxsize=32)
def _set(names: tuple[str, ...]) -> frozenset[str]:
    return frozenset(names)
