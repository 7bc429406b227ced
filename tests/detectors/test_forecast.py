import math

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detectors.alerts import establish
from detectors.forecast import (
    FACTORS,
    FEATURES,
    FINE,
    LEAF,
    LEAST_POSTS,
    MISSING,
    NODE,
    Forecaster,
    features,
    interval,
)
from detectors.forecast_weights import ForecastWeights
from detectors.policy import Configuration
from detectors.records import Forecast
from detectors.virality import Mark, Population, Tally, assess, author_key, counts
from streams.models import shipped_forecast

START_S = 1_400_000_400.0


def tally_of(times_s, followers=None):
    tally = Tally()
    for place, time_s in enumerate(times_s):
        tally.add(
            Mark(at_s=START_S + time_s, author_key=author_key(str(place)), followers=followers and followers[place])
        )
    return tally


def stump(feature, threshold, below, above):
    """Weights whose middle is one tree of one split; the ends are constants."""
    place = FEATURES.index(feature)
    nodes = [
        (LEAF, 0, 0.0, 0),
        (place, 2, threshold, 0),
        (LEAF, 0, 0.0, round(FINE * math.log(below))),
        (LEAF, 0, 0.0, round(FINE * math.log(above))),
        (LEAF, 0, 0.0, round(FINE * math.log(4.0))),
    ]
    return ForecastWeights(
        features=FEATURES,
        nodes=np.array(nodes, NODE).tobytes(),
        roots=((0,), (1,), (4,)),
        start=(0, 0, 0),
        ages_s=(300.0, 86400.0),
        offsets=((math.inf, 0.0, 0.0),),
        corpora=(),
        trained_on="nothing",
    )


def test_a_tree_says_what_its_split_says():
    forecaster = Forecaster(stump("posts", math.log(15), below=2.0, above=3.0))
    few, many = tally_of(range(0, 600, 60)), tally_of(range(0, 600, 30))
    assert forecaster.forecast(few, START_S + 600).posts == 20.0
    assert forecaster.forecast(many, START_S + 600).posts == 60.0
    assert forecaster.forecast(many, START_S + 600).high == 80.0


def test_below_the_least_posts_nothing_is_forecast():
    assert Forecaster().forecast(tally_of(range(LEAST_POSTS - 1)), START_S + 60) is None


def test_without_weights_and_beyond_known_ages_a_factor_by_age_serves_and_says_so():
    tally = tally_of(range(0, 600, 10))
    for forecaster, age_s in ((Forecaster(), 3000.0), (Forecaster(stump("age", 1.0, 2.0, 2.0)), 90000.0)):
        forecast = forecaster.forecast(tally, START_S + age_s)
        low, middle, high = next(factors for upto_s, factors in FACTORS if age_s <= upto_s)
        assert forecast.basis == "factor_by_age"
        assert (forecast.low, forecast.posts, forecast.high) == tuple(round(60 * one) for one in (low, middle, high))


def test_weights_that_read_other_features_are_refused():
    with pytest.raises(ValueError, match="other features"):
        Forecaster(msgspec.structs.replace(stump("age", 1.0, 2.0, 2.0), features=("posts",)))


times = st.lists(st.floats(0, 7 * 86400), min_size=LEAST_POSTS, max_size=60).map(sorted)


@settings(max_examples=25)
@given(times, st.floats(0, 14 * 86400), st.booleans())
def test_whatever_comes_the_interval_holds_the_middle_and_no_fewer_posts_than_there_are(each, later_s, with_followers):
    tally = tally_of(each, [10 * place for place in range(len(each))] if with_followers else None)
    for weights in (None, shipped_forecast()):
        forecast = Forecaster(weights).forecast(tally, START_S + each[-1] + later_s)
        assert tally.posts <= forecast.low <= forecast.posts <= forecast.high


@settings(max_examples=25)
@given(times, st.data())
def test_the_forecast_of_merged_tallies_is_that_of_all_posts(each, data):
    parts = [[], []]
    for one in each:
        parts[data.draw(st.integers(0, 1))].append(one)
    merged = tally_of(parts[0], [7] * len(parts[0])).merge(tally_of(parts[1], [7] * len(parts[1])))
    now_s = START_S + each[-1]
    assert features(merged, now_s) == features(tally_of(each, [7] * len(each)), now_s)


def test_followers_are_read_where_most_posts_say_how_many():
    place = FEATURES.index("followers")
    assert features(tally_of(range(10), [100] * 10), START_S + 60)[place] == pytest.approx(math.log1p(1000))
    assert features(tally_of(range(10)), START_S + 60)[place] == MISSING
    assert len(features(tally_of(range(10)), START_S + 60)) == len(FEATURES)


def test_an_interval_that_may_begin_at_now_moves_its_upper_end_alone():
    predicted = np.array([[0.0, 0.2, 0.5], [0.3, 0.6, 0.9]])
    low, middle, high = interval(predicted, np.array([600.0, 600.0]), ((math.inf, 0.1, 0.2),))
    assert low.tolist() == pytest.approx([0.0, 0.1])
    assert middle.tolist() == pytest.approx([0.2, 0.6])
    assert high.tolist() == pytest.approx([0.6, 1.1])


def test_the_shipped_weights_are_small_and_read_what_this_version_gives():
    weights = shipped_forecast()
    assert len(msgspec.json.encode(weights)) < 200_000
    forecast = Forecaster(weights).forecast(tally_of(range(0, 600, 6)), START_S + 600)
    assert forecast.basis == "trained"
    assert 100 <= forecast.low < forecast.high


@pytest.mark.parametrize(("posts", "holds"), [(999.0, False), (1000.0, True)])
def test_a_forecast_is_large_from_the_size_that_the_policy_names(posts, holds):
    tally = tally_of(range(0, 600, 10))
    configuration = Configuration()
    now_s = START_S + 600
    growth = assess(tally, now_s, Population(), configuration.virality)
    counted = counts(tally, now_s, configuration.virality)
    forecast = Forecast(posts=posts, low=100.0, high=2000.0)
    assert establish(tally, growth, counted, (), now_s, configuration, forecast=forecast).forecast_large is holds
    assert not establish(tally, growth, counted, (), now_s, configuration).forecast_large
