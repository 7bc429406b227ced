from datetime import UTC, datetime

from detectors.codec import decode_entry, decode_record, encode_entry, encode_record
from detectors.entries import Origin
from detectors.looks import FullLook, answers, look_id_of
from detectors.posts import clean, normalise
from detectors.records import Look

AT = datetime(2024, 7, 29, 12, 0, tzinfo=UTC)


def look(post_id: str, text: str, *, lang: str | None = None, is_reply: bool = False) -> Look:
    return Look(
        look_id=look_id_of(post_id, "full"),
        shard=0,
        post_id=post_id,
        narrative_id="n-1",
        text=text,
        lang=lang,
        is_reply=is_reply,
        asked_at=AT,
    )


def test_answers_come_in_the_order_of_the_requests_whatever_their_languages(streams):
    texts = [("the reservoir is poisoned", "en"), ("el embalse", "es"), ("is this true? any source?", "en")]
    asked = [look(f"p{i}", text, lang=lang) for i, (text, lang) in enumerate(texts)]
    found = FullLook(streams.scorer).check(asked)
    for (text, lang), one in zip(texts, found, strict=True):
        [scored] = streams.scorer.score_texts([text], lang=lang)
        assert (one.vector, one.incitement, one.stance) == (scored.vector, scored.incitement, scored.stance)


def test_a_reply_is_read_as_a_reply(streams):
    text = "they told us nothing about it"
    [own, reply] = FullLook(streams.scorer).check([look("p1", text), look("p2", text, is_reply=True)])
    [scored] = streams.scorer.score_texts([text])
    assert (own.stance, reply.stance) == (scored.stance, scored.stance_as_reply)
    assert own.stance != reply.stance


def test_an_answer_is_an_entry_that_names_its_model_and_its_request(streams):
    asked = look("p1", "RT @a: the reservoir is poisoned https://t.co/x")
    [answer] = answers(FullLook(streams.scorer), [(asked, Origin("looks", 0, 5))])
    assert decode_entry(encode_entry(answer)) == answer
    assert (answer.look_id, answer.post_id, answer.origin.offset) == (asked.look_id, "p1", 5)
    assert answer.model == streams.scorer.space
    assert answer.vector == streams.scorer.score_texts([normalise(clean(asked.text))])[0].vector


def test_a_request_reads_back_as_written():
    asked = look("p1", "the reservoir is poisoned", lang="en")
    assert decode_record(Look, encode_record(asked)) == asked
