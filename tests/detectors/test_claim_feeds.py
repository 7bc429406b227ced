import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detectors.claim_feeds import Withdrawal, decode_one, read_document
from detectors.posts import BadRecord
from detectors.ratings import verdict_of
from detectors.records import Claim

REVIEW = {
    "@context": "https://schema.org",
    "@type": "ClaimReview",
    "url": "https://checks.example/1",
    "claimReviewed": "The river Lume was poisoned",
    "datePublished": "2026-03-01",
    "author": {"@type": "Organization", "name": "Example Checks", "url": "https://checks.example"},
    "reviewRating": {"@type": "Rating", "ratingValue": 1, "bestRating": 5, "worstRating": 1, "alternateName": "False"},
}


def review(**changes):
    return {key: value for key, value in {**REVIEW, **changes}.items() if value is not None}


def read(document):
    return read_document(json.dumps(document).encode())


def ids(items):
    return [item.claim_id for item in items]


def test_a_review_alone_in_a_list_and_in_a_graph_reads_the_same():
    [alone] = read(REVIEW)
    [listed] = read([REVIEW])
    [in_graph] = read({"@context": "x", "@graph": [{"@type": "WebPage", "url": "w"}, REVIEW]})
    assert alone == listed == in_graph
    assert (alone.claim_reviewed, alone.author.name) == ("The river Lume was poisoned", "Example Checks")
    assert alone.review_rating.alternate_name == "False"


@pytest.mark.parametrize(
    ("changes", "field", "value"),
    [
        ({"@type": ["Review", "ClaimReview"]}, "claim_id", "https://checks.example/1"),
        ({"@type": "http://schema.org/ClaimReview"}, "claim_id", "https://checks.example/1"),
        ({"url": ["https://a.example", "https://b.example"]}, "claim_id", "https://a.example"),
        ({"url": {"@id": "https://a.example"}}, "claim_id", "https://a.example"),
        ({"url": None, "mainEntityOfPage": {"@id": "https://m.example"}}, "claim_id", "https://m.example"),
        ({"claimReviewed": ["x", "y"]}, "claim_reviewed", "x"),
        ({"claimReviewed": {"@value": "x", "@language": "en"}}, "claim_reviewed", "x"),
        ({"claimReviewed": None, "itemReviewed": {"@type": "Claim", "name": "z"}}, "claim_reviewed", "z"),
        ({"headline": "Was it poisoned?"}, "name", "Was it poisoned?"),
    ],
)
def test_the_forms_that_a_property_may_have_are_read(changes, field, value):
    [claim] = read(review(**changes))
    assert getattr(claim, field) == value


@pytest.mark.parametrize(
    ("rating", "verdict"),
    [
        ([{"ratingValue": "1", "bestRating": "5", "worstRating": "1"}], "false"),
        ({"ratingValue": 5, "bestRating": 1, "worstRating": 5}, "false"),
        ({"ratingValue": 1, "bestRating": 1, "worstRating": 5}, "true"),
        ({"ratingValue": 3, "alternateName": ["Bufala"]}, "false"),
        ({"ratingValue": -1, "bestRating": 5, "worstRating": 1}, "unknown"),
        ("Vrai", "true"),
        ({}, "unknown"),
        (None, "unknown"),
    ],
)
def test_ratings_of_any_form_and_direction_have_a_verdict(rating, verdict):
    [claim] = read(review(reviewRating=rating))
    assert verdict_of(claim.review_rating) == verdict


def feed(*elements):
    return {"@context": "https://schema.org", "@type": "DataFeed", "dataFeedElement": list(elements)}


def test_a_data_feed_gives_the_last_state_of_each_claim_and_what_was_deleted():
    items = read(
        feed(
            {"@type": "DataFeedItem", "dateModified": "2026-03-02T10:00:00Z", "item": [review(claimReviewed="newer")]},
            {"@type": "DataFeedItem", "dateCreated": "2026-03-01T10:00:00Z", "item": review(claimReviewed="older")},
            {"@type": "DataFeedItem", "item": [review(url="https://checks.example/2")]},
            {"@type": "DataFeedItem", "dateDeleted": "2026-03-03", "item": [{"url": "https://checks.example/2"}]},
            {"@type": "DataFeedItem", "dateDeleted": "2026-03-03", "url": "https://checks.example/3"},
        )
    )
    assert [item.claim_reviewed for item in items if isinstance(item, Claim)] == ["newer"]
    assert [item.claim_id for item in items if isinstance(item, Withdrawal)] == [
        "https://checks.example/2",
        "https://checks.example/3",
    ]


def test_the_fact_check_tools_answer_gives_a_record_for_each_review():
    answer = {
        "claims": [
            {
                "text": "The river was poisoned",
                "claimant": "a post",
                "claimReview": [
                    {
                        "publisher": {"name": "Example Checks", "site": "checks.example"},
                        "url": "https://checks.example/1",
                        "title": "No, it was not",
                        "reviewDate": "2026-03-01T00:00:00Z",
                        "textualRating": "Pants on Fire",
                        "languageCode": "en",
                    },
                    {"publisher": {"site": "other.example"}, "url": "https://other.example/1", "textualRating": "True"},
                ],
            }
        ],
        "nextPageToken": "x",
    }
    first, second = read(answer)
    assert (first.claim_reviewed, first.name, first.author.name) == (
        "The river was poisoned",
        "No, it was not",
        "Example Checks",
    )
    assert first.review_rating.alternate_name == "Pants on Fire"
    assert (second.author.name, verdict_of(second.review_rating)) == ("other.example", "true")


@pytest.mark.parametrize(
    ("document", "field", "error"),
    [
        (feed({"item": [REVIEW, review(claimReviewed=None)]}), "dataFeedElement[0].item[1].claimReviewed", "length"),
        (feed({"dateDeleted": "2026-01-01", "item": [{}]}), "dataFeedElement[0].item[0]", "neither"),
        (feed({"item": []}), "dataFeedElement[0].item", "missing"),
        (feed("x"), "dataFeedElement[0]", "expected an object, got str"),
        ({"@graph": [{"@type": "WebPage"}]}, "@graph", "no ClaimReview"),
        ({"claims": [{"text": "x"}]}, "claims[0].claimReview", "missing"),
        (
            {"claims": [{"text": "x", "claimReview": [{"textualRating": "False"}]}]},
            "claims[0].claimReview[0].@id",
            "nei",
        ),
        ([REVIEW, {"@type": "Recipe", "name": "Pie"}], "[1].@type", "expected ClaimReview, got Recipe"),
        ([3], "[0]", "expected an object, got int"),
    ],
)
def test_what_cannot_be_used_is_told_with_its_place_and_the_rest_is_read(document, field, error):
    items = read(document)
    [bad] = [item for item in items if isinstance(item, BadRecord)]
    assert bad.field == field
    assert error in bad.error


def test_a_record_of_a_topic_holds_one_fact_check_in_any_form():
    assert decode_one(json.dumps({"@graph": [REVIEW]}).encode()).claim_id == "https://checks.example/1"
    assert decode_one(json.dumps(review(claimReviewed=["x"])).encode()).claim_reviewed == "x"
    gone = feed({"dateDeleted": "2026-01-01", "item": {"url": "u"}})
    assert decode_one(json.dumps(gone).encode()) == Withdrawal("u")
    with pytest.raises(BadRecord, match="2 fact-checks in one record"):
        decode_one(json.dumps([REVIEW, review(url="u")]).encode())
    with pytest.raises(BadRecord, match="no fact-check in it"):
        decode_one(b'{"dataFeedElement": []}')
    with pytest.raises(BadRecord, match="claimReviewed"):
        decode_one(b'{"url": "u"}')


json_values = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["@type", "@graph", "dataFeedElement", "item", "claims", "claimReview", "url", "dateDeleted"]
            )
            | st.sampled_from(["claimReviewed", "reviewRating", "ratingValue", "author", "text"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(json_values)
def test_whatever_a_document_holds_it_gives_claims_withdrawals_or_what_is_wrong(value):
    for item in read_document(msgspec.json.encode(value)):
        assert isinstance(item, Claim | Withdrawal | BadRecord)
        assert isinstance(item, BadRecord) or item.claim_id


@given(st.binary(max_size=60))
def test_bytes_that_are_no_document_are_told_as_such(value):
    for item in read_document(value):
        assert isinstance(item, Claim | Withdrawal | BadRecord)
