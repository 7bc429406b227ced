import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detectors.incitement import WrongSpaceError
from detectors.records import STANCES, Stance
from detectors.stance_head import (
    ATTITUDES,
    FEATURES,
    LATER,
    OWN,
    Readings,
    StanceHead,
    StanceWeights,
    features,
    standing,
)

NOTHING = (0.0, 0.0, 0.0, 0.0)
PLAIN = StanceWeights(
    space="s", dense=(NOTHING, NOTHING), wording={}, bias=NOTHING, evening=NOTHING, trained_on="nothing: a test"
)


def weights(**changes) -> StanceWeights:
    return msgspec.structs.replace(PLAIN, **changes)


def read(text: str, vector=(1.0, 0.0), **changes) -> Readings:
    return StanceHead(weights(**changes), "s").read([text], np.array([vector], np.float32))[0]


def test_a_head_of_another_space_is_refused():
    with pytest.raises(WrongSpaceError, match="train stance"):
        StanceHead(PLAIN, "another")


def test_a_feature_that_this_version_lacks_is_refused():
    with pytest.raises(ValueError, match="sarcasm"):
        StanceHead(weights(wording={"sarcasm": NOTHING}), "s")


def test_vectors_of_another_length_are_refused():
    with pytest.raises(ValueError, match="expected"):
        read("words", vector=(1.0, 0.0, 0.0))
    with pytest.raises(ValueError, match="dense_later"):
        read("words", dense_later=(NOTHING,))


def test_the_vector_and_the_wording_move_the_attitude_that_they_weigh_for():
    level = read("Anything").own
    by_vector = read("Anything", dense=((0.0, 2.0, 0.0, 0.0), NOTHING)).own
    by_wording = read("Anything?", wording={"question": (0.0, 0.0, 2.0, 0.0)}).own
    assert by_vector.deny > level.deny
    assert by_wording.query > level.query


def test_what_is_known_of_posts_of_their_own_leaves_replies_alone():
    weighed = read("Anything?", wording={"own": (2.0, 0.0, 0.0, 0.0), "own_question": (0.0, 0.0, 1.0, 0.0)})
    plain = read("Anything?")
    assert weighed.own.support + weighed.own.report > plain.own.support + plain.own.report
    assert (weighed.reply, weighed.later) == (plain.reply, plain.later)


@pytest.mark.parametrize(
    "changes",
    [
        {"wording": {"later": (0.0, 0.0, 0.0, 2.0)}},
        {"wording": {"later_question": (0.0, 0.0, 0.0, 2.0)}},
        {"dense_later": ((0.0, 0.0, 0.0, 2.0), NOTHING)},
    ],
)
def test_what_is_known_of_answers_to_replies_leaves_others_alone(changes):
    weighed, plain = read("Anything?", **changes), read("Anything?")
    assert weighed.later.comment > plain.later.comment
    assert (weighed.own, weighed.reply) == (plain.own, plain.reply)


def test_weights_that_know_no_answers_to_replies_read_them_as_replies():
    readings = read("Anything?", dense=((0.0, 2.0, 0.0, 0.0), NOTHING), wording={"question": (0.0, 0.0, 2.0, 0.0)})
    assert readings.later == readings.reply


def test_a_report_is_told_from_support_by_its_named_source():
    reported = read("Police say two people were hurt").own
    vouched = read("Two people were hurt").own
    assert reported.report > reported.support
    assert vouched.support > vouched.report
    assert reported.support + reported.report == pytest.approx(vouched.support + vouched.report)


def test_the_attitude_told_may_be_a_rare_one_that_is_not_the_likeliest():
    head = StanceHead(weights(evening=(0.0, 1.0, 0.0, 0.0)), "s")
    assert head.told(Stance(support=0.1, deny=0.3, comment=0.6)) == "deny"
    assert head.told(Stance(support=0.1, deny=0.2, comment=0.7)) == "comment"
    assert head.told(Stance(support=0.3, report=0.4, comment=0.3)) == "report"


def test_an_empty_text_is_a_comment_and_no_text_is_no_reading():
    assert read("") == (Stance(comment=1.0),) * 3
    assert StanceHead(PLAIN, "s").read([], np.zeros((0, 2), np.float32)) == []


def test_a_language_that_shows_nothing_may_be_judged_and_another_not():
    head = StanceHead(PLAIN, "s")
    assert head.covers("")
    assert head.covers("en")
    assert not head.covers("de")


@given(st.text(max_size=200))
def test_features_of_any_text_have_a_name_each_and_are_of_the_same_size(text):
    values = features(text)
    assert len(values) == len(FEATURES)
    assert np.isfinite(values).all()
    assert standing(np.array([values])).shape == (1, len(OWN)) == (1, len(LATER))


@given(st.text(max_size=200))
def test_the_probabilities_of_any_text_sum_to_one(text):
    for stance in read(text, wording={"cue_query": (0.0, 0.0, 3.0, 0.0), "length": (1.0, -1.0, 0.0, 0.0)}):
        values = [getattr(stance, name) for name in STANCES]
        assert sum(values) == pytest.approx(1.0)
        assert min(values) >= 0.0


def test_a_batch_reads_as_its_texts_do_one_by_one():
    head = StanceHead(weights(wording={"question": (0.0, 0.3, 1.0, 0.2)}), "s")
    texts, vectors = ["Is it?", "It is.", "No!"], np.eye(3, 2, dtype=np.float32)
    alone = [head.read([text], vectors[[place]])[0] for place, text in enumerate(texts)]
    assert head.read(texts, vectors) == alone


def test_the_attitudes_are_those_of_the_records_but_for_the_report():
    assert set(STANCES) - set(ATTITUDES) == {"report"}
