import msgspec
import pytest

from detectors.entries import Origin, ScoredPost
from detectors.policy import Configuration, SourceParameters
from detectors.sources import is_credible, is_satirical

SOURCES = SourceParameters(
    credible_domains=("news.example",),
    credible_accounts=("x/hash-1",),
    credible_communities=("forum/town-hall",),
    satire_domains=("theturnip.example",),
)


def post(**fields):
    given = {"platform": "x", "author_id": "hash-9", **fields}
    return ScoredPost(
        origin=Origin("posts", 0, 0), post_id="p", created_at_s=0.0, text="a text", ingested_at_s=0.0, **given
    )


@pytest.mark.parametrize(
    "fields",
    [
        {"urls": ("https://news.example/a",)},
        {"urls": ("http://other.example", "https://WWW.News.example:443/a?b=c")},
        {"urls": ("live.news.example/now",)},
        {"author_id": "hash-1"},
        {"platform": "forum", "community": "town-hall"},
    ],
)
def test_a_link_below_a_listed_domain_a_listed_account_or_community_is_credible(fields):
    assert is_credible(post(**fields), SOURCES)


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"urls": ("https://badnews.example/a", "https://news.example.evil.test/", "https://[broken", "")},
        {"urls": ("https://evil.test/?u=https://news.example",)},
        {"platform": "y", "author_id": "hash-1"},
        {"community": "town-hall"},
        {"urls": ("https://theturnip.example/a",)},
    ],
)
def test_anything_else_is_not(fields):
    assert not is_credible(post(**fields), SOURCES)


def test_without_lists_nothing_is_credible_and_nothing_satire():
    linked = post(urls=("https://news.example", "https://theturnip.example"))
    assert not is_credible(linked, SourceParameters())
    assert not is_satirical(linked, SourceParameters())
    assert is_satirical(linked, SOURCES)


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"credible_domains": ["https://news.example/"]}, "credible_domains: 'https://news.example/' is no domain"),
        ({"satire_domains": ["The Turnip"]}, "satire_domains: 'The Turnip' is no domain"),
        ({"credible_accounts": ["hash-1"]}, "credible_accounts: 'hash-1' is not of the form PLATFORM/NAME"),
        ({"credible_communities": ["/x"]}, "credible_communities: '/x' is not of the form PLATFORM/NAME"),
        ({"credible_domains": ["a.example", "a.example"]}, "credible_domains: a name stands there twice"),
        ({"credible_domain": []}, "unknown field `credible_domain`"),
    ],
)
def test_a_list_that_could_never_match_is_refused_with_the_field(fields, error):
    with pytest.raises(msgspec.ValidationError, match=error) as raised:
        msgspec.convert({"sources": fields}, Configuration)
    assert "$.sources" in str(raised.value)
