import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detectors.incitement import (
    FEATURES,
    HeadWeights,
    IncitementHead,
    IncitementWeights,
    WrongSpaceError,
    calls_to_violence,
    features,
    indicators,
    names_place_and_time,
)
from detectors.surface_forms import read


def weights(**changes) -> IncitementWeights:
    of_all = {"space": "toy@1", "trained_on": "nothing: a test"}
    of_head = {"dense": (2.0, 0.0), "lexical": {"violent_call": 3.0}, "bias": -1.0, "calibration": (1.0, 0.0)}
    for name, value in changes.items():
        (of_head if name in of_head else of_all)[name] = value
    return IncitementWeights(incites=HeadWeights(**of_head), **of_all)


def vectors(*rows) -> np.ndarray:
    return np.array(rows, np.float32)


def test_the_probability_is_the_calibrated_sum_of_vector_and_wording():
    head = IncitementHead(weights(calibration=(0.5, -0.25)), "toy@1")
    (probability,) = head.probabilities(["Burn it down"], vectors([1.0, 0.0]))
    assert probability == pytest.approx(1 / (1 + np.exp(-(0.5 * (2.0 + 3.0 - 1.0) - 0.25))))


def test_the_probability_of_a_text_does_not_depend_on_its_batch():
    head = IncitementHead(weights(), "toy@1")
    texts = ["Burn it down", "a quiet day", ""]
    dense = vectors([0.6, 0.8], [0.0, 1.0], [1.0, 0.0])
    together = head.probabilities(texts, dense)
    alone = [head.probabilities([text], dense[i : i + 1])[0] for i, text in enumerate(texts)]
    assert together.tolist() == pytest.approx(alone)


def test_no_texts_give_no_probabilities():
    assert IncitementHead(weights(), "toy@1").probabilities([], np.zeros((0, 2), np.float32)).shape == (0,)


def test_a_head_refuses_vectors_of_another_space_and_says_what_to_do():
    with pytest.raises(WrongSpaceError, match=r"'toy@1'.*'other@2'.*train incitement"):
        IncitementHead(weights(), "other@2")


def test_a_head_on_wording_alone_fits_every_space():
    head = IncitementHead(weights(space="", dense=()), "other@2")
    assert head.probabilities(["Burn it down"], np.zeros((1, 7), np.float32))[0] > 0.8


def test_a_head_refuses_features_that_this_version_lacks():
    with pytest.raises(ValueError, match="no_such_feature"):
        IncitementHead(weights(lexical={"no_such_feature": 1.0}), "toy@1")


def test_a_head_refuses_vectors_of_another_length():
    with pytest.raises(ValueError, match=r"expected \(1, 2\)"):
        IncitementHead(weights(), "toy@1").probabilities(["x"], vectors([1.0, 0.0, 0.0]))


@given(st.text(max_size=200))
def test_every_feature_of_any_text_lies_between_zero_and_one(text):
    values = features(text, read(text))
    assert len(values) == len(FEATURES)
    assert all(0.0 <= value <= 1.0 for value in values)


def test_a_call_with_place_and_time_is_known_as_such():
    assert names_place_and_time(indicators("Burn the camp on Mill Road at nine tonight"))
    assert not names_place_and_time(indicators("Burn the camp on Mill Road"))
    assert not names_place_and_time(indicators("Fire on Mill Road at nine tonight"))


def test_a_lawful_protest_calls_with_place_and_time_but_not_to_violence():
    found = indicators("March with us from the bridge to the town hall, Saturday at 2pm")
    assert names_place_and_time(found)
    assert not calls_to_violence(found)


@pytest.fixture(scope="module")
def shipped() -> IncitementHead:
    import importlib.resources

    content = importlib.resources.files("detectors").joinpath("weights/incitement_wording.json").read_bytes()
    return IncitementHead(msgspec.json.decode(content, type=IncitementWeights), "any")


@pytest.mark.parametrize(
    ("harmful", "harmless"),
    [
        ("Burn the mosque down tonight at nine, bring petrol", "Meet at the mosque tonight at nine, bring candles"),
        ("They should all be shot", "They should all be paid"),
        ("Let's attack the camp tomorrow and beat them", "Police say a man attacked the camp and beat three people"),
        ("Stab him", "He said he was stabbed"),
    ],
)
def test_the_shipped_wording_head_ranks_calls_above_their_look_alikes(shipped, harmful, harmless):
    call, look_alike = shipped.probabilities([harmful, harmless], np.zeros((2, 0), np.float32))
    assert call > 0.5 > look_alike
