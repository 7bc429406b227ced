import math

import numpy as np
import pytest

pytest.importorskip("sklearn", reason="training needs scikit-learn")

from detectors.forecast import HORIZON_S, LEAST_POSTS, Forecaster
from detectors.forecast_training import (
    Cascade,
    boosted,
    cross_fitted,
    cross_intervals,
    figures,
    fit,
    folds,
    samples_of,
)

AGES_S = (600.0, 1800.0)


def corpus(count, seed):
    """Cascades whose speed in the first minutes tells how many will come, with noise."""
    random = np.random.default_rng(seed)
    cascades = []
    for _ in range(count):
        memory_s = float(np.exp(random.normal(8.0, 1.0)))
        posts = int(np.exp(random.normal(3.5, 0.5)))
        times = np.sort(random.exponential(memory_s, posts))
        cascades.append(Cascade(times - times[0], np.full(posts, -1, np.int64), None))
    return cascades


@pytest.fixture(scope="module")
def samples():
    return samples_of([corpus(200, 1)], AGES_S)


def test_a_sample_knows_the_posts_so_far_and_those_of_a_week_from_then():
    times = np.array([0.0, 10.0, 20.0, 30.0, 40.0, 3000.0, HORIZON_S + 500.0, HORIZON_S + 2000.0])
    told = samples_of([[Cascade(times, np.full(8, -1, np.int64), None)]], AGES_S)
    assert told.posts.tolist() == [5, 5]
    assert told.final.tolist() == [7, 7]


def test_a_cascade_of_few_posts_is_no_sample():
    times = np.arange(LEAST_POSTS - 1.0)
    assert len(samples_of([[Cascade(times, np.full(len(times), -1, np.int64), None)]], AGES_S).posts) == 0


def test_exported_trees_say_what_scikit_learn_says(samples):
    weights = fit(samples, ["made"], trees=20)
    ours = Forecaster(weights).quantiles(samples.values)[:, 1]
    theirs = boosted(samples, 0.5, trees=20).predict(samples.values)
    assert np.abs(ours - theirs).max() < 20 * 1e-5


def test_the_interval_covers_what_it_says_on_cascades_that_were_left_out(samples):
    groups = folds(samples.items)
    ends = cross_intervals(samples, cross_fitted(samples, groups, trees=30), groups)
    found = figures(samples, *ends)
    assert 0.72 <= found.coverage80 <= 0.88
    constant = np.full(len(groups), np.median(samples.growth()))
    assert found.median_ape < figures(samples, constant, constant, constant).median_ape


def test_all_samples_of_a_cascade_are_in_one_fold(samples):
    groups = folds(samples.items)
    for item in np.unique(samples.items):
        assert len(np.unique(groups[samples.items == item])) == 1


def test_too_little_to_learn_from_is_said():
    with pytest.raises(ValueError, match="at least"):
        fit(samples_of([corpus(5, 3)], AGES_S), ["made"])


def test_a_perfect_forecast_has_perfect_figures(samples):
    growth = samples.growth()
    found = figures(samples, growth, growth, growth)
    assert (found.median_ape, found.precision_top1, found.coverage80) == (0.0, 1.0, 1.0)
    assert math.isclose(found.spearman, 1.0)
