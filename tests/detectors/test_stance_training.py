import numpy as np
import pytest

from detectors import stance_training as training
from detectors.stance_head import ATTITUDES, StanceHead
from detectors.stance_training import Example, example_of

pytest.importorskip("sklearn", reason="scikit-learn is not installed (extra `train`)")

TEXTS = {
    "support": "Yes, I saw it too, house {} burns",
    "deny": "That is not true of house {}",
    "query": "Is it true of house {}?",
    "comment": "So sad about house {}, love",
}


def corpus() -> tuple[list[Example], np.ndarray]:
    """Threads of six replies: three comments, and one of each other attitude; vectors tell little."""
    examples = [
        Example(
            text=TEXTS[name].format(f"{thread} {place}"), attitude=name, is_reply=True, thread=str(thread), corpus="toy"
        )
        for thread in range(20)
        for place, name in enumerate((*ATTITUDES, "comment", "comment"))
    ]
    noise = np.random.default_rng(1).standard_normal((len(examples), 8)).astype(np.float32)
    return examples, noise / np.linalg.norm(noise, axis=1, keepdims=True)


def test_attitudes_are_learned_and_measured_on_threads_that_were_not_seen():
    examples, dense = corpus()
    told = training.cross_fitted(examples, dense)
    assert training.macro_f1(training.labels_of(examples), told.chosen) > 0.9
    assert told.shares.sum(axis=1) == pytest.approx(np.ones(len(examples)))


def test_what_answers_to_replies_mean_is_learned_apart():
    examples, dense = corpus()
    # The same question asks about the claim where it answers the first post, and is talk further down.
    later = [
        Example(
            text=f"Is it true of house {place}?",
            attitude="comment",
            is_reply=True,
            is_later=True,
            thread=str(place % 20),
            corpus="toy",
        )
        for place in range(40)
    ]
    both = np.vstack([dense, dense[: len(later)]])
    head = StanceHead(training.fit([*examples, *later], both, "s"), "s")
    readings = head.read(["Is it true of house 9?"], np.zeros((1, 8), np.float32))[0]
    assert readings.reply.query > 0.5 > readings.later.query
    told = training.cross_fitted([*examples, *later], both)
    assert told.shares[len(examples) :, ATTITUDES.index("query")].max() < 0.5


def test_labels_without_sense_are_not_learned():
    examples, dense = corpus()
    shuffled = np.random.default_rng(2).permutation([example.attitude for example in examples])
    senseless = [
        Example(text=f"words {place}", attitude=str(name), is_reply=True, thread=one.thread, corpus="toy")
        for place, (one, name) in enumerate(zip(examples, shuffled, strict=True))
    ]
    told = training.cross_fitted(senseless, dense)
    assert training.macro_f1(training.labels_of(senseless), told.chosen) < 0.45


def test_the_same_data_gives_the_same_weights():
    examples, dense = corpus()
    assert training.fit(examples, dense, "s") == training.fit(examples, dense, "s")


def test_the_weights_are_of_the_space_and_name_their_data():
    examples, dense = corpus()
    weights = training.fit(examples, dense, "s", languages=("en", "sv"))
    assert (weights.space, weights.languages, weights.trained_on) == ("s", ("en", "sv"), "toy (120)")
    assert len(weights.dense) == len(weights.dense_later) == 8
    assert StanceHead(weights, "s").covers("sv")
    assert training.fit(examples, dense[:, :0], "s").space == ""


def test_what_may_not_be_used_is_measured_and_not_fitted_on():
    examples, dense = corpus()
    usable = np.array([int(example.thread) % 2 == 0 for example in examples])
    wrong = [
        one if use else Example(text=one.text, attitude="deny", is_reply=True, thread=one.thread, corpus="toy")
        for one, use in zip(examples, usable, strict=True)
    ]
    told = training.cross_fitted(wrong, dense, usable=usable)
    assert training.macro_f1(training.labels_of(examples), told.chosen) > 0.9


def test_too_little_data_is_an_error():
    examples, dense = corpus()
    with pytest.raises(ValueError, match="each attitude"):
        training.fit(examples[:3], dense[:3], "s")


def test_the_temperature_cools_what_is_too_sure():
    labels = np.array([0, 1, 2, 3] * 50)
    sure = 4.0 * np.eye(4)[np.where(np.arange(200) % 3, labels, (labels + 1) % 4)]
    assert training.temperature(sure, labels) < 1.0


def test_the_constants_even_out_a_rare_attitude():
    draw = np.random.default_rng(3)
    labels = np.where(draw.random(2000) < 0.9, 3, 1)
    logits = np.zeros((2000, 4))
    logits[:, 1] = np.where(labels == 1, 1.0, -1.0) + draw.standard_normal(2000) - 2.0
    evened = logits + training.evening(logits, labels)
    assert training.macro_f1(labels, evened.argmax(axis=1)) > training.macro_f1(labels, logits.argmax(axis=1))


@pytest.mark.parametrize(
    ("row", "attitude", "is_reply", "is_later", "thread"),
    [
        ({"id": "1", "root_id": "1", "gold": {"stance": "support"}}, "support", False, False, "c 1"),
        ({"id": "2", "root_id": "1", "gold": {"stance": "query"}}, "query", True, False, "c 1"),
        ({"id": "2", "root_id": "1", "parent_id": "1", "gold": {"stance": "deny"}}, "deny", True, False, "c 1"),
        ({"id": "3", "root_id": "1", "parent_id": "2", "gold": {"stance": "query"}}, "query", True, True, "c 1"),
        ({"stance": "deny", "reply": True}, "deny", True, False, "c 5"),
        ({"gold": {"stance": "comment"}}, "comment", False, False, "c 5"),
    ],
)
def test_labels_are_read_from_every_form_of_row(row, attitude, is_reply, is_later, thread):
    example = example_of(row, "text", "c", 5)
    assert (example.attitude, example.is_reply, example.thread) == (attitude, is_reply, thread)
    assert example.is_later == is_later


def test_a_row_without_a_label_is_no_example_and_an_unknown_label_is_an_error():
    assert example_of({"text": "x"}, "x", "c", 0) is None
    with pytest.raises(ValueError, match="must be one of"):
        example_of({"gold": {"stance": "angry"}}, "x", "c", 0)
