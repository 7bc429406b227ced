import random

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.embedding import HashEncoder
from detectors.entries import ClaimEntry, Origin, Vector
from detectors.falsehood import MATCHES, ClaimIndex, matched_claim
from detectors.ratings import rating_words, verdict_of
from detectors.records import Claim, Publisher, Rating
from detectors.vectors import quantise

ENCODER = HashEncoder(256)
NO_WORDS = np.zeros(4, np.float32)
RIVER = "The river Lume in Harwick was poisoned with cyanide by the Corvex factory"
MAYOR = "Mayor Adeline Brook was arrested at Penford airport with 3 million in cash"
BRIDGE = "The bridge at Oakfield collapsed during the marathon of 2019"
OWL = "A giant owl was photographed above the stadium of Marlow"


def vector(text: str, space: str = "hash") -> Vector:
    return quantise(ENCODER.encode([text])[0], NO_WORDS, space)


def entry(claim_id: str, text: str, title: str | None = None, space: str = "hash", rating: Rating | None = None):
    return ClaimEntry(
        origin=Origin("claims", 0, 0),
        claim_id=claim_id,
        claim=Claim(id=claim_id, claim_reviewed=text, name=title, review_rating=rating),
        vector=vector(text, space),
        title_vector=vector(title, space) if title else None,
    )


def index(*entries: ClaimEntry) -> ClaimIndex:
    made = ClaimIndex()
    for one in entries:
        made.put(one)
    return made


ALL = (
    entry("river", RIVER),
    entry("mayor", MAYOR, "Was Adeline Brook arrested?"),
    entry("bridge", BRIDGE),
    entry("owl", OWL),
)


def answers(claims: ClaimIndex, text: str, k: int = MATCHES):
    return claims.best(text, vector(text), k=k)


def test_the_claim_that_a_text_repeats_comes_first_and_matches():
    best, *others = answers(
        index(*ALL), "so they poisoned the river Lume in Harwick with cyanide!! Corvex factory did it"
    )
    assert best.claim_id == "river"
    assert best.probability > 0.5 > max(other.probability for other in others)
    assert best.similarity > others[0].similarity


def test_a_text_about_something_else_matches_nothing():
    assert all(
        match.probability < 0.1 for match in answers(index(*ALL), "New bakery opened on Mill Road, lovely bread")
    )


def test_one_claim_alone_is_not_matched_by_every_text():
    alone = index(ALL[0])
    assert answers(alone, "New bakery opened on Mill Road, lovely bread")[0].probability < 0.1
    assert answers(alone, RIVER)[0].probability > 0.9


def test_of_a_topic_with_many_claims_none_of_which_is_the_point_each_is_less_of_a_match():
    text = "Mayor Adeline Brook was seen at Penford airport, cash in her case"
    alone = index(entry("mayor", MAYOR)).best(text, vector(text))[0]
    others = [
        entry(f"mayor-{place}", f"Mayor Adeline Brook {what} at Penford airport with cash in a case")
        for place, what in enumerate(("danced", "slept", "sang", "was married"))
    ]
    among = next(
        one for one in index(entry("mayor", MAYOR), *others).best(text, vector(text)) if one.claim_id == "mayor"
    )
    assert among.probability < alone.probability


def test_a_debunk_is_less_of_a_match_than_the_claim():
    claims = index(*ALL)
    claim, debunk = (answers(claims, text)[0] for text in (RIVER, f"Fake, this is not true: {RIVER}"))
    assert claim.claim_id == debunk.claim_id == "river"
    assert debunk.probability < claim.probability


def test_the_same_claim_by_two_publishers_still_matches():
    claims = index(*ALL, entry("river-too", RIVER))
    first, second = answers(claims, RIVER)[:2]
    assert (first.claim_id, second.claim_id) == ("river", "river-too")
    assert first.probability == second.probability > 0.9


def test_ties_are_ordered_by_claim_id():
    claims = index(entry("b", RIVER), entry("a", RIVER), entry("c", RIVER))
    assert [match.claim_id for match in answers(claims, RIVER)] == ["a", "b", "c"]


def test_a_claim_is_replaced_by_a_later_one_of_its_id():
    claims = index(*ALL, entry("river", OWL))
    assert len(claims) == 4
    assert [match.claim_id for match in answers(claims, OWL)[:2]] == ["owl", "river"]


def test_a_withdrawn_claim_matches_no_more_and_unknown_ones_are_no_error():
    claims = index(*ALL)
    claims.put(ClaimEntry(origin=Origin("claims", 0, 9), claim_id="river"))
    claims.remove("never seen")
    assert len(claims) == 3
    assert claims.entry("river") is None
    assert "river" not in {match.claim_id for match in answers(claims, RIVER)}


def test_an_emptied_index_answers_nothing():
    claims = index(ALL[0])
    claims.remove("river")
    assert answers(claims, RIVER) == []
    assert answers(ClaimIndex(), RIVER) == []


def test_claims_of_another_space_or_without_a_vector_are_kept_but_do_not_match():
    without = msgspec.structs.replace(ALL[3], vector=None)
    claims = index(entry("elsewhere", RIVER, space="other"), without, ALL[0])
    assert len(claims) == 3
    assert [match.claim_id for match in answers(claims, RIVER)] == ["river"]
    assert [one.claim_id for one in claims.entries()] == ["elsewhere", "owl", "river"]


@given(st.integers(0, 2**32), st.integers(1, 60))
@settings(deadline=None, max_examples=25)
def test_the_answer_depends_on_the_claims_held_not_on_how_they_came(seed, count):
    shuffled = random.Random(seed)
    words = [f"word{number}" for number in range(40)]
    texts = {f"claim-{number:03}": " ".join(shuffled.choices(words, k=6)) for number in range(count)}
    straight = index(*(entry(claim_id, text) for claim_id, text in sorted(texts.items())))
    winding = ClaimIndex()
    for claim_id in shuffled.sample(sorted(texts), count):
        winding.put(entry(claim_id, "an earlier wording of it"))
        if shuffled.random() < 0.5:
            winding.remove(claim_id)
        winding.put(entry("passing", " ".join(shuffled.choices(words, k=3))))
        winding.remove("passing")
        winding.put(entry(claim_id, texts[claim_id]))
    query = " ".join(shuffled.choices(words, k=5))
    assert answers(winding, query) == answers(straight, query)
    assert list(winding.entries()) == list(straight.entries())


def test_the_ranking_is_that_of_the_plain_formula():
    claims = index(*ALL)
    query = "the mayor was arrested at the airport"
    unit = ENCODER.encode([query])[0]
    said, title = ENCODER.encode([MAYOR, "Was Adeline Brook arrested?"])
    cosine = float(unit @ (said + title)) / 2
    match = next(match for match in answers(claims, query) if match.claim_id == "mayor")
    assert cosine < match.similarity < cosine + 0.3


def test_fewer_claims_than_asked_for_are_all_given():
    assert len(answers(index(*ALL), RIVER, k=50)) == 4
    assert len(answers(index(*ALL), RIVER, k=2)) == 2
    assert answers(index(*ALL), RIVER, k=0) == []


def test_the_probability_of_a_claim_does_not_depend_on_how_many_are_asked_for():
    claims = index(*ALL, entry("river-too", RIVER))
    assert answers(claims, RIVER, k=1) == answers(claims, RIVER, k=5)[:1]


@pytest.mark.parametrize(
    ("words", "verdict"),
    [
        ("FALSE", "false"),
        ("Pants on Fire!", "false"),
        ("Mostly False", "false"),
        ("Not true", "false"),
        ("Four Pinocchios", "false"),
        ("This is inaccurate", "false"),
        ("Falsch", "false"),
        ("Faux", "false"),
        ("Bulo", "false"),
        ("фейк", "false"),
        ("谣言", "false"),
        ("Half-True", "mixed"),
        ("Partly false", "mixed"),
        ("Misleading", "mixed"),
        ("Missing context", "mixed"),
        ("True, but misleading", "mixed"),
        ("Engañoso", "mixed"),
        ("Teilweise falsch", "mixed"),
        ("TRUE", "true"),
        ("Mostly True", "true"),
        ("Correct Attribution", "true"),
        ("Vrai", "true"),
        ("Unproven", "unknown"),
        ("Full Flop", "unknown"),
        ("See article", "unknown"),
        ("", "unknown"),
    ],
)
def test_ratings_are_read_by_their_words(words, verdict):
    assert verdict_of(Rating(alternate_name=words)) == verdict


@pytest.mark.parametrize(
    ("value", "worst", "best", "verdict"),
    [
        (1, 1, 5, "false"),
        (2, 1, 5, "false"),
        (3, 1, 5, "mixed"),
        (4, 1, 5, "true"),
        (5, 1, 5, "true"),
        (3, 1, 6, "false"),
        (4, 1, 6, "mixed"),
        (5, 1, 6, "true"),
        ("1", "1", "5", "false"),
        ("4,5", None, None, "true"),
        (5, 5, 1, "false"),
        (0, 0, 1, "false"),
        (-1, -1, -1, "unknown"),
        (-1, 1, 5, "unknown"),
        (7, 1, 5, "unknown"),
        ("n/a", 1, 5, "unknown"),
        (None, 1, 5, "unknown"),
        (float("nan"), 1, 5, "unknown"),
    ],
)
def test_ratings_without_words_are_read_on_their_scale(value, worst, best, verdict):
    assert verdict_of(Rating(rating_value=value, worst_rating=worst, best_rating=best)) == verdict


def test_words_win_over_numbers():
    assert verdict_of(Rating(alternate_name="False", rating_value=5, worst_rating=1, best_rating=5)) == "false"


@given(st.one_of(st.none(), st.text(), st.floats()), st.one_of(st.none(), st.text(), st.floats()), st.text())
def test_any_rating_has_a_verdict_and_words(value, best, words):
    rating = Rating(alternate_name=words, rating_value=value, best_rating=best)
    assert verdict_of(rating) in {"false", "mixed", "true", "unknown"}
    assert rating_words(rating)


def test_a_matched_claim_carries_what_an_alert_says_of_it():
    rated = entry("river", RIVER, rating=Rating(alternate_name="False"))
    claim = msgspec.structs.replace(rated.claim, url="https://u.example/1", author=Publisher(name="The Checkers"))
    rated = msgspec.structs.replace(rated, claim=claim)
    (match,) = answers(index(rated), RIVER)
    matched = matched_claim(rated, match)
    assert (matched.claim_id, matched.claim, matched.verdict, matched.rating) == ("river", RIVER, "false", "False")
    assert (matched.publisher, matched.url) == ("The Checkers", "https://u.example/1")
    with pytest.raises(ValueError, match="withdrawn"):
        matched_claim(ClaimEntry(origin=Origin("claims", 0, 0), claim_id="river"), match)


def test_a_debunk_and_a_negation_of_it_do_not_count_as_repeating_a_claim():
    claims = index(*ALL)
    repeats = answers(claims, "The river Lume in Harwick was poisoned with cyanide by the Corvex factory, share")[0]
    debunks = answers(claims, "FAKE: the river Lume in Harwick was poisoned with cyanide by the Corvex factory")[0]
    negates = answers(claims, "The river Lume in Harwick was not poisoned with cyanide by the Corvex factory")[0]
    assert repeats.probability > 0.9
    assert debunks.probability < repeats.probability
    assert negates.probability < repeats.probability
    assert debunks.differing == ("the posts call it false",)
    assert negates.differing == ("the posts negate it",)


def test_a_match_says_what_is_shared_and_what_differs_in_words_of_the_claim_alone():
    [match] = answers(index(entry("bridge", BRIDGE)), "The bridge at Wendlebury collapsed during the marathon of 2021")
    assert set(match.shared) == {"bridge", "collapsed", "during", "marathon"}
    assert match.differing == (
        "only the claim names oakfield",
        "only the claim has 2019",
        "the numbers are others",
    )
    assert "wendlebury" not in " ".join((*match.shared, *match.differing)).lower()


def test_other_numbers_and_names_make_a_match_less_probable():
    claims = index(*ALL)
    same = answers(claims, "Mayor Adeline Brook was arrested at Penford airport with 3 million in cash")[0]
    other = answers(claims, "Mayor Gordon Hale was arrested at Torbrook airport with 7 million in cash")[0]
    assert same.claim_id == other.claim_id == "mayor"
    assert other.probability < same.probability - 0.05


def test_the_surest_wording_of_a_narrative_counts_for_each_claim():
    claims = index(*ALL)
    wordings = [(text, vector(text)) for text in ("taps unsafe tonight", RIVER, "so they poisoned the river Lume")]
    found = claims.of_narrative(wordings, k=3)
    surest = max(claims.best(text, about)[0].probability for text, about in wordings)
    assert found[0].claim_id == "river"
    assert found[0].probability == surest
    assert len(found) == len({match.claim_id for match in found}) == 3
    assert claims.of_narrative([], k=3) == []


def test_wordings_asked_together_get_what_each_gets_alone():
    claims = index(*ALL, entry("elsewhere", RIVER, space="other"))
    wordings = [(RIVER, vector(RIVER)), (OWL, vector(OWL)), (RIVER, vector(RIVER, space="other"))]
    assert claims.best_of_each(wordings) == [claims.best(text, about) for text, about in wordings]
