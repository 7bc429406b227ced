"""Fact-checks in the forms in which fact-checkers publish them, as `Claim` records.

Read are a schema.org `ClaimReview` alone, in a list or in an `@graph`; a schema.org `DataFeed`, whose elements say
what was changed or deleted and when; and the answer of Google's Fact Check Tools API (`claims[].claimReview[]`). The
publisher's own words of a rating are kept as they are (`detectors.ratings` reads them). What cannot be used is said
with its place in the document, and does not keep the rest from being read.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
from msgspec import Struct

from detectors.posts import WHOLE_RECORD, BadRecord, decode_claim
from detectors.records import MAX_RECORD_BYTES, Claim, Publisher, Rating

REVIEW = "ClaimReview"
MOST_NESTED = 8
"""Levels of lists and graphs that are followed."""


class Withdrawal(Struct, frozen=True):
    """A fact-check that its publisher has deleted."""

    claim_id: str


Item = Claim | Withdrawal | BadRecord


def read_document(value: bytes) -> list[Item]:
    """Read everything that a document holds, in order; of a claim that stands there twice the one changed last.

    >>> [item.claim_id for item in read_document(b'[{"@type": "ClaimReview", "url": "u", "claimReviewed": "x"}]')]
    ['u']
    """
    try:
        document = msgspec.json.decode(value)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        return [BadRecord(WHOLE_RECORD, f"not JSON: {error}")]
    return read_value(document)


def read_value(document: object) -> list[Item]:
    """Read a document that was decoded."""
    kept: dict[str, tuple[str, Item]] = {}
    bad: list[Item] = []
    for item, changed in _items(document, "", "", 0):
        if isinstance(item, BadRecord):
            bad.append(item)
        elif changed >= kept.get(item.claim_id, ("", item))[0]:
            kept[item.claim_id] = changed, item
    return [*(item for _, item in kept.values()), *bad]


def decode_one(value: bytes) -> Claim | Withdrawal:
    """Read a record that holds one fact-check in any of the forms; raises `BadRecord`."""
    try:
        return decode_claim(value)
    except BadRecord as plain:
        if len(value) > MAX_RECORD_BYTES:
            raise
        try:
            document = msgspec.json.decode(value)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise plain from None
        items = read_value(document)
        if not _is_other_form(document) and all(isinstance(item, BadRecord) for item in items):
            raise plain from None
    usable = [item for item in items if not isinstance(item, BadRecord)]
    if len(usable) > 1:
        raise BadRecord(
            WHOLE_RECORD, f"{len(usable)} fact-checks in one record; publish a feed with `emberwatch claims publish`"
        )
    if not usable:
        bad = (item for item in items if isinstance(item, BadRecord))
        raise next(bad, BadRecord(WHOLE_RECORD, "no fact-check in it"))
    return usable[0]


def is_document(document: object) -> bool:
    """Whether a value is of a form that is read here."""
    return isinstance(document, list) or _is_other_form(document) or _is_review(document)


def _is_other_form(document: object) -> bool:
    if isinstance(document, list):
        return True
    return isinstance(document, Mapping) and any(name in document for name in ("@graph", "dataFeedElement", "claims"))


def _items(value: object, path: str, changed: str, depth: int) -> Iterator[tuple[Item, str]]:
    """Everything below a value, with the date of its last change."""
    if depth > MOST_NESTED:
        yield BadRecord(path, "nested too deeply"), changed
    elif isinstance(value, list):
        for place, one in enumerate(value):
            yield from _items(one, f"{path}[{place}]", changed, depth + 1)
    elif not isinstance(value, Mapping):
        yield BadRecord(path, f"expected an object, got {type(value).__name__}"), changed
    else:
        yield from _items_of(value, path, changed, depth)


def _items_of(value: Mapping[str, Any], path: str, changed: str, depth: int) -> Iterator[tuple[Item, str]]:
    if "dataFeedElement" in value:
        for place, element in enumerate(_listed(value["dataFeedElement"])):
            yield from _element(element, _below(path, f"dataFeedElement[{place}]"), depth + 1)
    elif "@graph" in value:
        graph = _listed(value["@graph"])
        reviews = [(place, one) for place, one in enumerate(graph) if _is_review(one)]
        if not reviews:
            yield BadRecord(_below(path, "@graph"), f"no {REVIEW} in it"), changed
        for place, one in reviews:
            yield from _items(one, _below(path, f"@graph[{place}]"), changed, depth + 1)
    elif "claims" in value and not _is_review(value):
        for place, one in enumerate(_listed(value["claims"])):
            yield from _tools_claim(one, _below(path, f"claims[{place}]"))
    else:
        yield _review(value, path), changed


def _element(element: object, path: str, depth: int) -> Iterator[tuple[Item, str]]:
    """One element of a `DataFeed`: its items, or what it says was deleted."""
    if not isinstance(element, Mapping):
        yield BadRecord(path, f"expected an object, got {type(element).__name__}"), ""
        return
    deleted = _text(element.get("dateDeleted"))
    changed = deleted or _text(element.get("dateModified")) or _text(element.get("dateCreated")) or ""
    items = _listed(element.get("item"))
    if not items:
        items = [element] if deleted or _is_review(element) else []
    if not items:
        yield BadRecord(_below(path, "item"), "missing"), changed
    for place, one in enumerate(items):
        where = _below(path, f"item[{place}]")
        if not deleted:
            yield from _items(one, where, changed, depth)
            continue
        claim_id = _id_of(one) if isinstance(one, Mapping) else _text(one)
        yield (Withdrawal(claim_id) if claim_id else BadRecord(where, "deleted, but neither `@id` nor `url`")), changed


def _tools_claim(value: object, path: str) -> Iterator[tuple[Item, str]]:
    """One claim of the Fact Check Tools API: a record for each of its reviews."""
    if not isinstance(value, Mapping):
        yield BadRecord(path, f"expected an object, got {type(value).__name__}"), ""
        return
    reviews = _listed(value.get("claimReview"))
    if not reviews:
        yield BadRecord(_below(path, "claimReview"), "missing"), ""
    for place, review in enumerate(reviews):
        where = _below(path, f"claimReview[{place}]")
        if not isinstance(review, Mapping):
            yield BadRecord(where, f"expected an object, got {type(review).__name__}"), ""
            continue
        publisher = review.get("publisher")
        publisher = publisher if isinstance(publisher, Mapping) else {}
        fields = {
            "url": review.get("url"),
            "claimReviewed": value.get("text"),
            "name": review.get("title"),
            "datePublished": review.get("reviewDate"),
            "author": {"name": publisher.get("name") or publisher.get("site"), "url": publisher.get("site")},
            "reviewRating": {"alternateName": review.get("textualRating")},
        }
        yield _review(fields, where), _text(review.get("reviewDate")) or ""


def _review(value: Mapping[str, Any], path: str) -> Item:
    """One `ClaimReview`, whatever of the allowed forms its properties have."""
    if "@type" in value and not _is_review(value):
        return BadRecord(_below(path, "@type"), f"expected {REVIEW}, got {_type_of(value)}")
    reviewed = _text(value.get("claimReviewed")) or _reviewed_item(value.get("itemReviewed"))
    claim = Claim(
        id=_text(value.get("@id")) or _text(value.get("id")),
        url=_link(value.get("url")) or _link(value.get("mainEntityOfPage")),
        claim_reviewed=reviewed or "",
        name=_text(value.get("name")) or _text(value.get("headline")),
        date_published=_text(value.get("datePublished")),
        author=_publisher(value.get("author")) or _publisher(value.get("publisher")),
        review_rating=_rating(value.get("reviewRating")),
    )
    try:
        return decode_claim(msgspec.json.encode(claim))
    except BadRecord as bad:
        return BadRecord(_below(path, bad.field), bad.error)
    except UnicodeEncodeError:
        return BadRecord(path or WHOLE_RECORD, "a text that is not Unicode")


def _rating(value: object) -> Rating | None:
    one = next((each for each in _listed(value) if isinstance(each, Mapping)), None)
    if one is None:
        words = _text(value)
        return Rating(alternate_name=words) if words else None
    return Rating(
        alternate_name=_text(one.get("alternateName")) or _text(one.get("name")),
        rating_value=_number(one.get("ratingValue")),
        best_rating=_number(one.get("bestRating")),
        worst_rating=_number(one.get("worstRating")),
    )


def _publisher(value: object) -> Publisher | None:
    for one in _listed(value):
        if isinstance(one, Mapping):
            name, url = _text(one.get("name")), _link(one.get("url")) or _text(one.get("@id"))
            if name or url:
                return Publisher(name=name, url=url)
        elif text := _text(one):
            return Publisher(name=text)
    return None


def _reviewed_item(value: object) -> str | None:
    """The claim where only the item that was reviewed gives its words."""
    for one in _listed(value):
        if isinstance(one, Mapping) and (words := _text(one.get("text")) or _text(one.get("name"))):
            return words
    return None


def _is_review(value: object) -> bool:
    if not isinstance(value, Mapping):
        return False
    if "@type" not in value:
        return "claimReviewed" in value
    return any(str(name).rsplit("/", 1)[-1].rsplit(":", 1)[-1] == REVIEW for name in _listed(value["@type"]))


def _type_of(value: Mapping[str, Any]) -> str:
    return " ".join(str(name) for name in _listed(value["@type"]))[:80]


def _id_of(value: Mapping[str, Any]) -> str | None:
    return _text(value.get("@id")) or _text(value.get("id")) or _link(value.get("url"))


def _listed(value: object) -> list[Any]:
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


def _text(value: object) -> str | None:
    """A text, of whatever form JSON-LD gives it: alone, the first of a list, or an object with `@value`."""
    for one in _listed(value):
        inner = one.get("@value") if isinstance(one, Mapping) else one
        if isinstance(inner, str) and inner.strip():
            return inner.strip()
    return None


def _link(value: object) -> str | None:
    for one in _listed(value):
        inner = (one.get("@id") or one.get("url")) if isinstance(one, Mapping) else one
        if isinstance(inner, str) and inner.strip():
            return inner.strip()
    return None


def _number(value: object) -> float | str | None:
    for one in _listed(value):
        inner = one.get("@value") if isinstance(one, Mapping) else one
        if isinstance(inner, int | float) and not isinstance(inner, bool):
            return float(inner)
        if isinstance(inner, str) and inner.strip():
            return inner.strip()
    return None


def _below(path: str, name: str) -> str:
    return f"{path}.{name}" if path and name else path or name
