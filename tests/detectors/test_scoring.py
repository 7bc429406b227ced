from contextlib import contextmanager
from datetime import UTC, datetime

import msgspec
import numpy as np
import pytest

from detectors import lexical
from detectors.embedding import HashEncoder
from detectors.entries import ClaimEntry, Origin, ScoredPost
from detectors.incitement import HeadWeights, IncitementWeights, WrongSpaceError
from detectors.posts import decode_post
from detectors.records import Claim, Post, Stance
from detectors.scoring import NOTHING_SAID, STAGES, Scorer, ScoringWeights
from detectors.stance import stance_of
from detectors.stance_head import StanceWeights

WEIGHTS = ScoringWeights(
    incitement=IncitementWeights(
        space="",
        incites=HeadWeights(dense=(), lexical={}, bias=-3.0, calibration=(1.0, 0.0)),
        trained_on="nothing: a test",
    )
)
ORIGIN = Origin("posts", 1, 7)
AT = datetime(2026, 3, 1, 12, tzinfo=UTC)


class CountingEncoder(HashEncoder):
    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []

    def encode(self, texts):
        self.texts += texts
        return super().encode(texts)


def scorer(encoder: HashEncoder | None = None, **options) -> Scorer:
    return Scorer(encoder or HashEncoder(), WEIGHTS, **({"cache_texts": 100} | options))


def post(text: str, **fields) -> Post:
    return Post(**({"post_id": "1", "platform": "x", "created_at": AT, "author_id": "a", "text": text} | fields))


def score_one(text: str, **fields) -> ScoredPost:
    return scorer().score([(post(text, **fields), ORIGIN, 1.0)])[0]


def test_a_scored_post_keeps_what_the_post_said():
    value = msgspec.json.encode(
        {
            "post_id": "p", "platform": "x", "created_at": "2026-03-01T12:00:00.250Z", "author_id": "a",
            "text": "Fire at the harbour", "kind": "quote", "parent_id": "q", "root_id": "r", "lang": "en-GB",
            "followers": 3, "urls": ["https://u.example"], "media": ["m"], "community": "c", "place": "Riga",
            "ingested_at": "2026-03-01T12:00:02Z",
        }
    )  # fmt: skip
    source = decode_post(value)
    (scored,) = scorer().score([(source, ORIGIN, 60.0)])
    same = {name: getattr(source, name) for name in Post.__struct_fields__ if name in ScoredPost.__struct_fields__}
    assert {name: getattr(scored, name) for name in same} == same
    assert set(Post.__struct_fields__) - set(same) == {"schema_version", "created_at", "ingested_at"}
    assert (scored.origin, scored.speed) == (ORIGIN, 60.0)
    assert (scored.created_at_s, scored.ingested_at_s) == (AT.timestamp() + 0.25, AT.timestamp() + 2.0)


def cosine(channel, wanted):
    row = np.frombuffer(channel, np.int8).astype(np.float32)
    return row @ wanted / np.linalg.norm(row)


def test_the_vector_holds_both_channels_of_the_plain_text():
    vector = score_one("RT @bbc: F\u200bire at the harbоur https://t.co/x").vector
    assert vector is not None
    assert vector.space == "hash-64+words256"
    expected = HashEncoder().encode(["Fire at the harbour"])[0]
    assert cosine(vector.dense, expected) == pytest.approx(1.0, abs=1e-3)
    words = lexical.LexicalChannel().vectors(["Fire at the harbour"], ["en"])[0]
    assert cosine(vector.lexical, words) == pytest.approx(1.0, abs=1e-3)


def test_a_text_without_own_words_has_no_vector_and_wakes_no_encoder():
    encoder = CountingEncoder()
    items = [(post(text, kind="reshare"), ORIGIN, 1.0) for text in ("", "RT @x:", "https://t.co/x @bob", "\u200b")]
    for scored in scorer(encoder).score(items):
        assert (scored.vector, scored.incitement, scored.indicators) == (None, 0.0, ())
        assert scored.stance == Stance(comment=1.0)
    assert not encoder.texts


def test_a_reshare_and_a_copied_text_cost_no_embedding():
    encoder = CountingEncoder()
    shared = scorer(encoder)
    first = shared.score([(post("Fire at the harbour", post_id="1"), ORIGIN, 1.0)])
    later = shared.score(
        [
            (post("RT @x: Fire at the harbour https://t.co/1", post_id="2", kind="reshare"), ORIGIN, 1.0),
            (post("Fire at  the harbour", post_id="3", author_id="b"), ORIGIN, 1.0),
        ]
    )
    assert encoder.texts == ["Fire at the harbour"]
    assert [scored.vector for scored in later] == [first[0].vector] * 2
    assert shared.cache.hits == 2 - 1  # both reshares ask once, as one text of the batch


def test_repeats_within_a_batch_are_embedded_once():
    encoder = CountingEncoder()
    scorer(encoder).score([(post(text), ORIGIN, 1.0) for text in ("Fire", "Flood", "Fire", "RT @a: Flood")])
    assert sorted(encoder.texts) == ["Fire", "Flood"]


def test_a_batch_may_hold_more_texts_than_the_cache():
    texts = [f"text number {i}" for i in range(20)]
    scored = scorer(cache_texts=3).score_texts(texts)
    assert scored == scorer().score_texts(texts)


def test_the_way_texts_are_batched_does_not_show():
    texts = ["Fire", "Is this true?", "Fire", "", "Kill them all tonight at the station"]
    alone = [scorer().score_texts([text])[0] for text in texts]
    assert scorer().score_texts(texts) == alone
    assert alone[3] == NOTHING_SAID


def test_a_language_is_weighed_by_its_own_word_list_even_when_the_text_is_known():
    german, english = scorer().score(
        [(post("Feuer und Rauch", lang="de"), ORIGIN, 1.0), (post("Feuer und Rauch", lang="en"), ORIGIN, 1.0)]
    )
    assert german.vector is not None
    assert english.vector is not None
    assert german.vector.dense == english.vector.dense
    assert german.vector.lexical != english.vector.lexical


def test_a_reply_has_the_stance_of_a_reply():
    text = "good morning everyone"
    own, reply = scorer().score([(post(text), ORIGIN, 1.0), (post(text, kind="reply", parent_id="0"), ORIGIN, 1.0)])
    assert own.stance == stance_of(text, is_reply=False)
    assert reply.stance == stance_of(text, is_reply=True)
    assert own.stance != reply.stance


def test_an_answer_to_a_reply_has_the_stance_of_one_where_a_head_knows_it():
    nothing = (0.0, 0.0, 0.0, 0.0)
    head = StanceWeights(
        space="",
        dense=(),
        wording={"own": (2.0, 0.0, 0.0, 0.0), "later": (0.0, 0.0, 0.0, 2.0)},
        bias=nothing,
        evening=nothing,
        trained_on="nothing: a test",
    )
    weights = ScoringWeights(incitement=WEIGHTS.incitement, stance=head)
    places = [
        {},
        {"kind": "reply", "parent_id": "0", "root_id": "0"},
        {"kind": "reply", "parent_id": "9"},
        {"kind": "reply", "parent_id": "9", "root_id": "0"},
        {"kind": "quote", "parent_id": "9", "root_id": "0"},
    ]
    scored = Scorer(HashEncoder(), weights, cache_texts=10).score(
        [(post("good morning everyone", **place), ORIGIN, 1.0) for place in places]
    )
    own, reply, unknown, later, quote = (one.stance for one in scored)
    assert own == quote
    assert reply == unknown
    assert own.comment < reply.comment < later.comment


def test_links_are_found_in_the_text_only_where_the_source_gives_none():
    assert score_one("see https://t.co/a.").urls == ("https://t.co/a",)
    assert score_one("see https://t.co/a.", urls=("https://a.example",)).urls == ("https://a.example",)


def test_a_post_that_nobody_stamped_counts_as_ingested_when_created():
    assert score_one("Fire").ingested_at_s == AT.timestamp()


def test_a_claim_has_the_vectors_of_its_words_and_title():
    claim = Claim(id="c", claim_reviewed="The moon is cheese", name="Moon cheese")
    entry = scorer().claim_entry(claim, "c", ORIGIN)
    said, title = scorer().score_texts(["The moon is cheese", "Moon cheese"])
    assert entry == ClaimEntry(origin=ORIGIN, claim_id="c", claim=claim, vector=said.vector, title_vector=title.vector)


def test_a_claim_without_a_title_has_no_vector_of_one():
    assert scorer().claim_entry(Claim(id="c", claim_reviewed="x"), "c", ORIGIN).title_vector is None


def test_a_withdrawn_claim_is_an_entry_without_claim():
    assert scorer().claim_entry(None, "c", ORIGIN) == ClaimEntry(origin=ORIGIN, claim_id="c")


def test_each_stage_is_timed_and_a_known_text_takes_only_the_first():
    seen: list[str] = []

    @contextmanager
    def timed(stage: str):
        seen.append(stage)
        yield

    timed_scorer = scorer(timed=timed)
    timed_scorer.score_texts(["Fire"])
    assert tuple(seen) == STAGES
    timed_scorer.score_texts(["Fire"])
    assert tuple(seen) == (*STAGES, "normalise")


def test_weights_of_another_embedding_space_are_refused():
    other = msgspec.structs.replace(
        WEIGHTS.incitement,
        space="another@1",
        incites=msgspec.structs.replace(WEIGHTS.incitement.incites, dense=(0.0,) * 64),
    )
    with pytest.raises(WrongSpaceError):
        Scorer(HashEncoder(), ScoringWeights(incitement=other), cache_texts=1)


def test_scores_survive_the_journal():
    scored = score_one("Kill them all tonight at the station")
    assert msgspec.json.decode(msgspec.json.encode(scored), type=ScoredPost) == scored
    assert np.isfinite(scored.incitement)
