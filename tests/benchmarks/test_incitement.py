import incitement
from corpora import read_rows

from streams.train_command import plain_of, written

LICENCE, *ROWS = read_rows(incitement.OWN)


def test_the_look_alikes_carry_their_licence_and_hold_both_labels_of_each_kind_once():
    assert LICENCE["license"] == "Apache-2.0"
    assert {row["gold"]["incites"] for row in ROWS} == {0, 1}
    assert all(("benign" in row["gold"]) is (row["gold"]["incites"] == 0) for row in ROWS)
    assert len({row["text"] for row in ROWS}) == len(ROWS) == 290


def test_no_look_alike_is_among_what_heads_are_trained_on():
    trained_on = {example.text for example in written(contrasts=True)}
    assert not trained_on & {plain_of(row["text"]) for row in ROWS}
