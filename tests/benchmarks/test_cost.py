import cost

from detectors.monitor import new_state
from streams.settings import load_settings


def test_search_and_join_costs_more_among_more():
    few, many = cost._search_and_join(64), cost._search_and_join(8192)
    assert (few["micro_clusters"], many["micro_clusters"]) == (64, 8192)
    assert many["value"] > few["value"] > 0


def test_the_longest_grouping_is_that_of_the_fold(monkeypatch):
    row = cost._grouping(200)
    assert (row["metric"], row["micro_clusters"]) == ("grouping_seconds", 200)
    assert row["value"] > 0


def test_every_grouping_of_a_state_is_timed_and_still_done():
    state = new_state()
    times_s = cost._timed_groupings(state)
    posts = cost._synthetic(cost._units(cost.np.random.default_rng(1), 100), 0)
    cost._folded(state, posts)
    assert len(times_s) >= 100 // 32
    assert all(one >= 0 for one in times_s)
    assert state.narratives.new_since_grouping < 100


def test_without_corpora_the_synthetic_rows_are_still_there(tmp_path, monkeypatch):
    monkeypatch.setattr(cost, "LIVE", (64,))
    monkeypatch.setattr(cost, "GROUPED", (64,))
    rows = cost.rows(load_settings({"EMBERWATCH_MODEL": "hash"}), tmp_path)
    assert [row["metric"] for row in rows] == ["search_and_join_microseconds", "grouping_seconds"]
