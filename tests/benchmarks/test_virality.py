import numpy as np
import pytest

pytest.importorskip("sklearn", reason="the benchmark fits with scikit-learn")

import change_detection
import virality

from detectors.change_points import ALARM
from detectors.forecast_training import Cascade


def cascades(count, seed):
    random = np.random.default_rng(seed)
    made = []
    for _ in range(count):
        times = np.sort(random.exponential(float(np.exp(random.normal(8.0, 1.0))), int(random.integers(5, 60))))
        made.append(Cascade(times - times[0], np.full(len(times), -1, np.int64), None))
    return made


def test_a_corpus_that_no_weights_saw_is_measured_cross_fitted_and_with_the_shipped_ones():
    rows = virality._sizes("made", cascades(80, 1))
    told = {(row["metric"], row["age_minutes"], row["fitted_on"].split(":")[0]) for row in rows}
    assert ("median_ape", 60.0, "cross-fit") in told
    assert ("coverage80", 60.0, "shipped weights") in told
    assert all(np.isfinite(row["value"]) for row in rows)


def test_a_corpus_that_the_weights_were_trained_on_is_measured_cross_fitted_alone():
    assert {row["fitted_on"] for row in virality._sizes("auspol", cascades(80, 1))} == {"cross-fit"}


def test_a_count_finds_everything_late_and_the_rows_say_how_much_was_seen():
    made = cascades(80, 2)
    looks = virality._looks(made)
    sizes = np.array([len(one.times_s) for one in made])
    top = sizes >= np.sort(sizes)[-8]
    found = virality._alerted(looks, looks.posts.astype(float), sizes, top, 0.05)
    assert found["recall"] == 1.0
    assert found["recall_before_half"] < 0.5
    assert found["share_seen"] > 0.5


def test_the_score_of_the_alarm_gives_five_percent_false_alarms_in_six_hundred_bins(monkeypatch):
    monkeypatch.setattr(change_detection, "QUIET_RUNS", 400)
    assert change_detection.false_alarms_at(ALARM) == pytest.approx(0.05, abs=0.03)
