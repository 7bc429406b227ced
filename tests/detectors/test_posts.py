import json
import re
import unicodedata
from contextlib import suppress
from datetime import UTC, datetime

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detectors import posts
from detectors.policy import TimeParameters
from detectors.posts import (
    MAX_SCORED_CHARACTERS,
    BadRecord,
    clean,
    decode_claim,
    decode_crisis,
    decode_deletion,
    decode_feedback,
    decode_post,
    decode_text_row,
    links_in,
    normalise,
)
from detectors.records import MAX_RECORD_BYTES, MAX_TEXT_BYTES, Claim, Crisis, Deletion, Feedback, Post

POST = {
    "post_id": "1",
    "platform": "example",
    "created_at": "2026-03-01T12:00:00Z",
    "author_id": "a-1",
    "text": "Smoke over the harbour",
}
RECEIVED_AT_S = datetime(2026, 3, 1, 12, 0, 5, tzinfo=UTC).timestamp()

SURPRISES = "\u200b\u0301\u034fаоeE1340@$ \n\u00a0ΑRT:#.-_\u2066\ufe0fﷺ½ſ한\u3164"
"""Characters that the rules treat in their own ways."""

texts = st.one_of(
    st.text(),
    st.text(alphabet=SURPRISES),
    st.lists(
        st.sampled_from([*SURPRISES, "RT @x:", "@bob", "https://", "t.co/a", "pic.twitter.com/", "b0mb", "аttack"])
    ).map("".join),
    st.text(alphabet=st.characters()),  # lone surrogates too
)


def encoded(**changes: object) -> bytes:
    return json.dumps({name: value for name, value in (POST | changes).items() if value is not ...}).encode()


def refusal(value: bytes, received_at_s: float | None = RECEIVED_AT_S) -> BadRecord:
    with pytest.raises(BadRecord) as caught:
        decode_post(value, received_at_s=received_at_s)
    return caught.value


def test_a_post_of_the_required_fields_is_read_and_stamped_with_its_arrival():
    post = decode_post(encoded(), received_at_s=RECEIVED_AT_S)
    assert post == Post(
        post_id="1",
        platform="example",
        created_at=datetime(2026, 3, 1, 12, tzinfo=UTC),
        author_id="a-1",
        text="Smoke over the harbour",
        ingested_at=datetime(2026, 3, 1, 12, 0, 5, tzinfo=UTC),
    )


def test_a_stamped_arrival_is_kept():
    post = decode_post(encoded(ingested_at="2026-03-01T12:00:01Z"), received_at_s=RECEIVED_AT_S)
    assert post.ingested_at == datetime(2026, 3, 1, 12, 0, 1, tzinfo=UTC)


def test_unknown_fields_and_another_time_zone_are_fine():
    post = decode_post(encoded(created_at="2026-03-01T14:00:00+02:00", mood="grim"), received_at_s=RECEIVED_AT_S)
    assert post.created_at.timestamp() == RECEIVED_AT_S - 5


@pytest.mark.parametrize(
    ("value", "field", "said"),
    [
        (b"", "record", "not JSON"),
        (b"{", "record", "not JSON"),
        (encoded() + b"x", "record", "not JSON"),
        (b"\xef\xbb\xbf" + encoded(), "record", "not JSON"),
        (b"[1]", "record", "Expected `object`"),
        (b"null", "record", "Expected `object`"),
        (encoded().replace(b"Smoke", b"Smo\xffke"), "record", "not UTF-8 at byte"),
        (encoded()[:-1] + b', "unread": "\xff"}', "record", "not UTF-8"),
        (encoded().decode().encode("utf-16"), "record", "not UTF-8"),
        (encoded().replace(b"Smoke", b"\\ud800"), "record", "not JSON"),
        (encoded(mood="x" * MAX_RECORD_BYTES), "record", "longer than"),
        (encoded()[:-1] + b', "mood": ' + b"[" * 60_000 + b"}", "record", "nested too deeply"),
        (encoded(text="é" * (MAX_TEXT_BYTES // 2 + 1)), "text", "longer than"),
        (encoded(text=...), "text", "missing"),
        (encoded(text=None), "text", "Expected `str`"),
        (encoded(text=" \u200b\n\u00ad"), "text", "blank"),
        (encoded(post_id=""), "post_id", "length >= 1"),
        (encoded(post_id=7), "post_id", "Expected `str`"),
        (encoded(post_id="x" * 257), "post_id", "length <= 256"),
        (encoded(kind="poke"), "kind", "Invalid enum value 'poke'"),
        (encoded(urls=["https://a.example", 3]), "urls[1]", "Expected `str`"),
        (encoded(urls=["u"] * 65), "urls", "length <= 64"),
        (encoded(followers=-1), "followers", ">= 0"),
        (encoded(followers=10**40), "followers", "2**53"),
        (encoded(followers=1.5), "followers", "Expected `int"),
        (encoded(schema_version=2), "schema_version", "reads 1 to 1"),
        (encoded(created_at="2026-03-01T12:00:00"), "created_at", "timezone"),
        (encoded(created_at="yesterday"), "created_at", "RFC3339"),
        (encoded(created_at=1772366400), "created_at", "Expected `datetime`"),
        (encoded(created_at="1970-01-01T00:00:00Z"), "created_at", "before 1990"),
        (encoded(created_at="0001-01-01T00:00:00+14:00"), "created_at", "before 1990"),
        (encoded(created_at="2099-01-01T00:00:00Z"), "created_at", "ahead"),
        (encoded(created_at="9999-12-31T23:59:59-12:00"), "created_at", "ahead"),
        (encoded(ingested_at="2099-01-01T00:00:00Z"), "ingested_at", "ahead"),
    ],
)
def test_a_broken_record_is_refused_with_the_field_that_is_wrong(value: bytes, field: str, said: str):
    bad = refusal(value)
    assert (bad.field, said in bad.error) == (field, True), bad


def test_a_future_date_is_measured_from_the_stamped_arrival_else_from_ours():
    later = "2026-03-01T12:20:00Z"
    assert refusal(encoded(created_at=later)).field == "created_at"
    assert refusal(encoded(created_at=later, ingested_at="2026-03-01T12:00:00Z"), None).field == "created_at"
    assert decode_post(encoded(created_at=later, ingested_at="2026-03-01T12:15:00Z"), received_at_s=None)
    patient = TimeParameters(future_s=3600.0)
    assert decode_post(encoded(created_at=later), received_at_s=RECEIVED_AT_S, time=patient)


def test_only_what_speaks_by_something_else_may_have_no_text():
    assert decode_post(encoded(text="", kind="reshare")).text == ""
    assert decode_post(encoded(text="", media=["hash"])).media == ("hash",)
    assert refusal(encoded(text="", kind="reply")).field == "text"


def test_a_text_of_the_greatest_length_is_read():
    assert len(decode_post(encoded(text="x" * MAX_TEXT_BYTES)).text) == MAX_TEXT_BYTES


@given(st.binary(max_size=200))
def test_any_bytes_are_a_post_or_a_bad_record(value: bytes):
    with suppress(BadRecord):
        assert isinstance(decode_post(value, received_at_s=RECEIVED_AT_S), Post)


@given(
    st.dictionaries(
        st.sampled_from([*POST, "kind", "urls", "ingested_at", "followers", "lang", "schema_version"]),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.datetimes().map(str),
            lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
            max_leaves=5,
        ),
    )
)
def test_any_fields_are_a_post_that_can_be_written_again_or_a_bad_record(changes: dict[str, object]):
    with suppress(BadRecord):
        post = decode_post(encoded(**changes), received_at_s=RECEIVED_AT_S)
        assert decode_post(msgspec.json.encode(post), received_at_s=RECEIVED_AT_S) == post


def test_a_claim_needs_its_words_and_a_name_to_be_known_by():
    claim = decode_claim(
        b'{"@id": "c1", "claimReviewed": "Moon is cheese", "reviewRating": null, "@type": "ClaimReview"}'
    )
    assert claim == Claim(id="c1", claim_reviewed="Moon is cheese")
    assert decode_claim(b'{"url": "https://f.example/1", "claimReviewed": "x"}').claim_id == "https://f.example/1"
    for value, field in [
        (b'{"claimReviewed": "x"}', "@id"),
        (b'{"@id": "c1"}', "claimReviewed"),
        (b'{"@id": "c1", "claimReviewed": " "}', "claimReviewed"),
        (b'{"@id": "' + b"c" * 3000 + b'", "claimReviewed": "x"}', "@id"),
        (b'{"@id": "c1", "claimReviewed": "x", "reviewRating": {"ratingValue": []}}', "reviewRating.ratingValue"),
    ]:
        with pytest.raises(BadRecord) as caught:
            decode_claim(value)
        assert caught.value.field == field


def test_feedback_is_about_something_and_complete():
    at = datetime(2026, 3, 1, tzinfo=UTC)
    said = {"feedback_id": "f", "by": "ana", "at": at, "word": "confirm", "alert_id": "x"}
    assert decode_feedback(msgspec.json.encode(said)) == Feedback(**said)
    for changes, field in [
        ({"alert_id": None}, "alert_id"),
        ({"word": "merge"}, "into_alert_id"),
        ({"word": "link_claim"}, "claim_id"),
        ({"word": "like"}, "word"),
        ({"at": datetime(1970, 1, 1, tzinfo=UTC)}, "at"),
    ]:
        with pytest.raises(BadRecord) as caught:
            decode_feedback(msgspec.json.encode(said | changes))
        assert caught.value.field == field


def test_a_crisis_that_never_expires_is_refused():
    at = datetime(2026, 3, 1, tzinfo=UTC)
    declared = {"crisis_id": "c", "word": "declare", "by": "ana", "why": "riots", "at": at}
    for expires_at in (None, at):
        with pytest.raises(BadRecord) as caught:
            decode_crisis(msgspec.json.encode(declared | {"expires_at": expires_at}))
        assert caught.value.field == "expires_at"
    until = datetime(2026, 3, 2, tzinfo=UTC)
    assert decode_crisis(msgspec.json.encode(declared | {"expires_at": until})).expires_at == until
    assert decode_crisis(msgspec.json.encode(declared | {"word": "stand_down"})) == Crisis(
        **(declared | {"word": "stand_down"})
    )


def test_a_deletion_names_a_post_or_an_author():
    asked = {"requested_by": "dpo", "at": datetime(2026, 3, 1, tzinfo=UTC)}
    assert decode_deletion(msgspec.json.encode(asked | {"author_id": "a"})) == Deletion(**asked, author_id="a")
    with pytest.raises(BadRecord) as caught:
        decode_deletion(msgspec.json.encode(asked))
    assert caught.value.field == "post_id"


@given(st.binary(max_size=200), st.sampled_from([decode_claim, decode_feedback, decode_crisis, decode_deletion]))
def test_any_bytes_are_a_control_record_or_a_bad_record(value: bytes, decode):
    with suppress(BadRecord):
        decode(value)


def test_a_row_of_text_is_known_by_either_id_and_is_a_reply_when_it_answers():
    assert decode_text_row(b'{"id": 3, "text": ""}').id == 3
    assert decode_text_row(b'{"id": "3", "text": "no", "root_id": "1"}').is_reply
    assert not decode_text_row(b'{"id": "3", "text": "no", "root_id": "3"}').is_reply
    assert not decode_text_row(b'{"post_id": "3", "text": "no", "parent_id": "1", "kind": "quote"}').is_reply
    with pytest.raises(BadRecord, match="id: neither"):
        decode_text_row(b'{"text": "no"}')


@pytest.mark.parametrize(
    ("text", "own_words"),
    [
        ("RT @bbc: Police ask https://t.co/x", "Police ask"),
        ("RT @a: RT @b_c Fire", "Fire"),
        ("Art @home", "Art"),
        ("mail me at ana@example.org", "mail me at ana@example.org"),
        ("@ana@social.example hi @bob.bsky.social. Fine", "hi . Fine"),
        ("pic.twitter.com/abc\n\n#Fire  NOW", "#Fire NOW"),
        ("@a @b https://t.co/x", ""),
        ("start rt @x", "start rt"),
    ],
)
def test_cleaning_leaves_a_texts_own_words(text: str, own_words: str):
    assert clean(text) == own_words


@pytest.mark.parametrize(
    ("hidden", "plain"),
    [
        ("𝐤𝐢𝐥𝐥 ｔｈｅｍ", "kill them"),
        ("k\u200bi\u2060l\u00adl \u202ethem", "kill them"),
        ("аttаck the рolice", "attack the police"),  # Cyrillic а, р
        ("νiolence", "violence"),  # Greek ν
        ("k1ll th3m, sh00t, 4ttack, $hoot", "kill them, shoot, attack, shoot"),
    ],
)
def test_a_hidden_word_reads_plain(hidden: str, plain: str):
    assert normalise(hidden) == plain


@pytest.mark.parametrize(
    "text",
    [
        "La7, be4, 11am, 1ra, #Rescue5, H1N1, COVID19, MH370, G20, B52s",
        "4chan, 10th, 5pm, 100k, 2014, 1st, 50s, CO2, iPhone5s, 3D, AK47, U2",
        "Москва и Київ, СССР",
        "Αθήνα",
        "ana@example.org owes $500 and US$40",
        "2x Δx, 5μg",
        "Été à Zürich",
    ],
)
def test_names_numbers_and_other_scripts_stay(text: str):
    assert normalise(text) == text.replace("μ", "μ")


@given(texts)
def test_cleaning_twice_is_cleaning_once(text: str):
    assert clean(clean(text)) == clean(text)


@given(texts)
def test_normalising_twice_is_normalising_once(text: str):
    once = normalise(text)
    assert normalise(once) == once
    assert len(once) <= MAX_SCORED_CHARACTERS


def test_hostile_lengths_are_scored_in_bounded_time():
    for text in (
        "RT @x:" * 5_000,
        "@" * 16_000,
        "@a.b-" * 3_000,
        "1" * 16_000 + "a",
        "ﷺ" * 5_000,
        "a1" * 8_000,
        " " * 16_000,
    ):
        assert len(normalise(clean(text))) <= MAX_SCORED_CHARACTERS


def test_links_are_few_and_without_the_sentences_punctuation():
    text = "(see https://a.example/x). HTTPS://B.example! http:// https://a.example/x " + " ".join(
        f"https://c.example/{i}" for i in range(20)
    )
    assert links_in(text, most=3) == ("https://a.example/x", "HTTPS://B.example", "https://c.example/0")


LIKE_POSTS = st.lists(
    st.sampled_from(
        [
            "RT @a:",
            "@b",
            "k1ll",
            "La7",
            "http://x.y/z",
            "HTTPS://X.Y",
            "pic.twitter.com/q",
            "a\tb",
            "\x85",
            "\u200b",
            "аll",
        ]
    )
    | st.text(max_size=8)
).map(" ".join)


@given(LIKE_POSTS)
def test_short_ways_for_plain_texts_give_what_the_long_ways_give(text: str):
    def collapsed(text: str) -> str:
        return re.sub(r"\s+", " ", text).strip()

    own = posts._HANDLE.sub(" ", posts._LINK.sub(" ", posts._RESHARE.sub("", text)))
    assert clean(text) == collapsed(own)
    visible = unicodedata.normalize("NFKC", text.translate(posts._INVISIBLE))
    latin = posts._MARKED_WORD.sub(posts._without_look_alikes, visible)
    assert normalise(text) == collapsed(unicodedata.normalize("NFC", posts._LEET_WORD.sub(posts._without_leet, latin)))
    assert posts._is_blank(text) == (not text.translate(posts._INVISIBLE).strip())
