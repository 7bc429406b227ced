import math

import pytest
from clustering_scores import ami, bcubed_f1, interval
from hypothesis import assume, given
from hypothesis import strategies as st

LABELS = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=2, max_size=30)


def _bcubed_by_definition(gold, found):
    """Amigo et al. 2009: over all elements, the share of its group that is of its class, and of its class in it."""
    precision = recall = 0.0
    for g, f in zip(gold, found, strict=True):
        both = sum(a == g and b == f for a, b in zip(gold, found, strict=True))
        precision += both / found.count(f) / len(gold)
        recall += both / gold.count(g) / len(gold)
    return 2 * precision * recall / (precision + recall)


@given(LABELS)
def test_bcubed_is_what_its_definition_says(pairs):
    gold, found = [a for a, _ in pairs], [b for _, b in pairs]
    assert math.isclose(bcubed_f1(gold, found), _bcubed_by_definition(gold, found))


@pytest.mark.parametrize("measure", [ami, bcubed_f1])
@given(LABELS, st.permutations(range(5)))
def test_names_of_groups_and_the_order_of_posts_do_not_count(measure, pairs, names):
    gold, found = [a for a, _ in pairs], [b for _, b in pairs]
    score = measure(gold, found)
    assert math.isclose(score, measure(gold, [f"group {names[label]}" for label in found]), abs_tol=1e-9)
    assert math.isclose(score, measure(gold[::-1], found[::-1]), abs_tol=1e-9)


@pytest.mark.parametrize("measure", [ami, bcubed_f1])
@given(LABELS)
def test_the_gold_groups_themselves_score_one_and_others_less(measure, pairs):
    gold, found = [a for a, _ in pairs], [b for _, b in pairs]
    assume(1 < len(set(gold)) < len(gold))
    assert math.isclose(measure(gold, gold), 1.0)
    same = len(set(pairs)) == len(set(gold)) == len(set(found))
    assert same or measure(gold, found) < 1.0


def test_ami_gives_nothing_for_one_group_or_for_chance():
    gold = [number % 4 for number in range(400)]
    assert ami(gold, [0] * 400) == 0.0
    assert abs(ami(gold, [(7 * number // 4) % 5 for number in range(400)])) < 0.05


def test_the_interval_holds_the_score_and_is_the_same_for_the_same_seed():
    gold = [number % 5 for number in range(200)]
    found = [label if number % 7 else 9 for number, label in enumerate(gold)]
    low, high = interval(bcubed_f1, gold, found, rounds=40)
    assert low < bcubed_f1(gold, found) < high
    assert high - low < 0.2
    assert interval(bcubed_f1, gold, found, rounds=40) == (low, high)
    assert interval(bcubed_f1, gold, found, rounds=40, seed=8) != (low, high)


def test_the_interval_narrows_with_more_posts():
    def width(posts):
        gold = [number % 5 for number in range(posts)]
        low, high = interval(bcubed_f1, gold, [g if n % 7 else 9 for n, g in enumerate(gold)], rounds=40)
        return high - low

    assert width(2000) < width(100)
