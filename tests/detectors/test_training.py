import msgspec
import numpy as np
import pytest

from detectors import training
from detectors.incitement import MIX, IncitementHead, WrongSpaceError
from detectors.training import Example, auroc, example_of

pytest.importorskip("sklearn", reason="scikit-learn is not installed (extra `train`)")

CALLS = ("Burn the camp down", "Let's attack them tonight", "They should all be shot", "Smash the shop and beat them")
TALK = ("The camp is open today", "Let's meet tonight", "They should all be paid", "The shop sells bread")


def corpus() -> tuple[list[Example], np.ndarray]:
    rows = [
        (f"{text} {number}", incites)
        for number in range(10)
        for texts, incites in ((CALLS, True), (TALK, False))
        for text in texts
    ]
    directions = np.random.default_rng(1).standard_normal((len(rows), 8)).astype(np.float32)
    directions[:, 0] += [3.0 if incites else -3.0 for _, incites in rows]
    examples = [Example(text=text, incites=incites, corpus="toy") for text, incites in rows]
    return examples, directions / np.linalg.norm(directions, axis=1, keepdims=True)


def test_a_fitted_head_tells_calls_from_talk_and_is_calibrated():
    examples, dense = corpus()
    head, figures = training.fit(examples, dense, "toy@1")
    probabilities = IncitementHead(head, "toy@1").probabilities([one.text for one in examples], dense)
    incites = np.array([one.incites for one in examples])
    assert probabilities[incites].min() > 0.5 > probabilities[~incites].max()
    assert next(one.value for one in figures if one.metric == "auroc") > 0.95


def test_what_a_better_model_tells_of_texts_that_nobody_judged_is_learned():
    examples, dense = corpus()
    unjudged = [msgspec.structs.replace(one, incites=None) if place % 2 else one for place, one in enumerate(examples)]
    told = [
        training.told_by(one, 0.9 if examples[place].incites else 0.1) if one.incites is None else one
        for place, one in enumerate(unjudged)
    ]
    texts = [one.text for one in examples]
    incites = np.array([one.incites for one in examples])
    as_not_inciting, as_told = (
        IncitementHead(training.fit(data, dense, "toy@1")[0], "toy@1").read(texts, dense).incites
        for data in (unjudged, told)
    )
    between = [(one[incites].mean() - one[~incites].mean()) for one in (as_not_inciting, as_told)]
    assert between[1] > between[0] + 0.05


def test_the_mix_that_is_calibrated_for_does_not_depend_on_the_data():
    examples, _ = corpus()
    more = [*examples, *(Example(text=f"x {n}", incites=None, corpus="toy") for n in range(100))]
    for some in (examples, more):
        weights = training.mix_of(some)
        incites = np.array([one.incites is True for one in some])
        assert weights[incites].sum() / weights.sum() == pytest.approx(MIX)


def test_each_language_has_its_figure_where_there_are_several():
    examples, _ = corpus()
    half = [msgspec.structs.replace(one, lang="de") if place % 2 else one for place, one in enumerate(examples)]
    told = np.array([float(bool(one.incites)) if one.lang == "en" else 0.5 for one in half])
    rows = {row.kind: row.value for row in training.figures(half, told) if row.corpus == "all"}
    assert rows == {"de": 0.5, "en": 1.0}
    assert not [row for row in training.figures(examples, told) if row.corpus == "all"]


def test_the_same_data_gives_the_same_weights():
    examples, dense = corpus()
    assert training.fit(examples, dense, "toy@1")[0] == training.fit(examples, dense, "toy@1")[0]


def test_a_head_without_vectors_fits_every_space_and_one_with_them_its_own():
    examples, dense = corpus()
    assert training.fit(examples, dense[:, :0], "toy@1")[0].space == ""
    head, _ = training.fit(examples, dense, "toy@1")
    with pytest.raises(WrongSpaceError):
        IncitementHead(head, "other@1")


def test_weights_survive_their_file():
    examples, dense = corpus()
    head, _ = training.fit(examples, dense, "toy@1")
    assert msgspec.json.decode(msgspec.json.encode(head), type=type(head)) == head


def test_training_data_of_one_kind_is_refused():
    examples, dense = corpus()
    talk = [index for index, one in enumerate(examples) if not one.incites]
    with pytest.raises(ValueError, match="incite"):
        training.fit([examples[index] for index in talk], dense[talk], "toy@1")


@pytest.mark.parametrize(
    ("row", "incites", "kind"),
    [
        ({"gold": {"incites": 1}}, True, ""),
        ({"gold": {"incites": 0.4}}, False, ""),
        ({"gold": {"benign": "news"}}, False, "news"),
        ({"gold": {"benign": "quoted", "incites": 0}}, False, "quoted"),
        ({"gold": {}}, None, ""),
        ({}, None, ""),
        ({"incites": 1, "kind": "call"}, True, "call"),
    ],
)
def test_labels_are_read_from_every_form_of_row(row, incites, kind):
    example = example_of(row, "text", "corpus")
    assert (example.incites, example.kind) == (incites, kind)


def test_an_empty_text_is_no_example_and_a_wrong_label_is_an_error():
    assert example_of({"gold": {"incites": 1}}, "", "corpus") is None
    with pytest.raises(ValueError, match=r"gold\.incites"):
        example_of({"gold": {"incites": "yes"}}, "text", "corpus")


def test_auroc_is_the_chance_of_the_right_order():
    assert auroc(np.array([1.0, 2.0]), np.array([0.0])) == 1.0
    assert auroc(np.array([0.0]), np.array([0.0])) == 0.5
