import numpy as np
import pytest

from detectors.change_points import ALARM, risen, step
from detectors.growth import course, reproduction

WINDOW = 10


def branching(random, reproduction_number, minutes=120, seeds=6.0):
    """Posts a minute of a branching process with the kernel of reshares, some of them beginning by themselves."""
    lags = np.arange(minutes)
    kernel = np.where(lags <= 5, 1.0, (np.maximum(lags, 1) / 5.0) ** -1.242)
    kernel[0] = 0.0
    kernel /= kernel.sum()
    expected = np.zeros(2 * minutes)
    counts = []
    for minute in range(minutes):
        rate = expected[minute] + (seeds if minute < 20 else 0.0)
        count = int(random.poisson(rate))
        counts.append(count)
        expected[minute : minute + minutes] += reproduction_number * count * kernel
    return counts


@pytest.mark.parametrize("truth", [1.0, 1.3])
def test_the_interval_of_the_reproduction_number_holds_the_true_one_about_as_often_as_it_says(truth):
    random = np.random.default_rng(5)
    told = [reproduction(branching(random, truth), WINDOW, 1.0) for _ in range(200)]
    told = [one for one in told if one is not None]
    assert len(told) > 100
    held = sum(low <= truth <= high for low, _, high in told) / len(told)
    assert 0.6 <= held <= 0.95
    assert abs(float(np.median([middle for _, middle, _ in told])) - truth) < 0.2


def test_more_dispersion_makes_the_reproduction_number_less_certain():
    minutes = [0] * 60 + [4] * 60
    narrow, wide = reproduction(minutes, WINDOW, 1.0), reproduction(minutes, WINDOW, 5.0)
    assert wide[2] - wide[0] > narrow[2] - narrow[0]


def test_a_few_posts_have_no_reproduction_number():
    assert reproduction([0] * 110 + [0, 1, 0, 1, 2, 0, 0, 1, 1, 1], WINDOW, 1.0) is None


def test_quiet_counts_seldom_alarm():
    random = np.random.default_rng(3)
    alarms = 0
    for _ in range(200):
        score = highest = 0.0
        for count in random.negative_binomial(20, 20 / 25, 600).tolist():
            score = step(score, count, 5.0, 1.25)
            highest = max(highest, score)
        alarms += highest >= ALARM
    assert alarms / 200 < 0.1


def test_a_doubling_is_found_in_a_few_bins_and_its_beginning_is_told():
    random = np.random.default_rng(4)
    needed = []
    for _ in range(200):
        before = random.negative_binomial(20, 20 / 25, 30).tolist()
        after = random.negative_binomial(20, 20 / 30, 60).tolist()
        needed.append(next(bins for bins in range(1, 61) if risen(before + after[:bins], 5.0, 1.25) is not None))
    assert float(np.median(needed)) <= 5
    assert 8 <= risen([5] * 30 + [10] * 10, 5.0, 1.25) <= 12


def test_a_rise_that_is_over_is_over():
    assert risen([5] * 30 + [15] * 5 + [1] * 60, 5.0, 1.25) is None


def test_the_course_tells_how_many_times_and_whether_it_accelerates():
    growing = course([1] * 100 + [2] * 10 + [4, 4, 4, 4, 4, 12, 12, 12, 12, 12], WINDOW, 10.0, 1.5)
    assert growing.times == 8.0
    assert growing.accelerating
    even = course([3] * 120, WINDOW, 30.0, 1.5)
    assert (even.times, even.accelerating, even.rising_minutes) == (None, False, None)
