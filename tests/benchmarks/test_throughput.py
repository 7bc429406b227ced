from datetime import UTC, datetime, timedelta

import pytest
import throughput

from detectors.embedding import HashEncoder
from detectors.records import Post


def _posts(texts):
    begin = datetime(2026, 1, 1, tzinfo=UTC)
    return [
        Post(post_id=f"p{n}", platform="x", created_at=begin + timedelta(seconds=n), author_id=f"a{n}", text=text)
        for n, text in enumerate(texts)
    ]


def test_texts_that_the_scorer_takes_for_one_are_drawn_once():
    posts = _posts(["Fire in the hall", "RT @a: Fire in the hall", "fire elsewhere", "", "https://a.example/b"])
    assert sorted(post.post_id for post in throughput._distinct(posts)) == ["p0", "p2"]


@pytest.mark.parametrize(("texts", "hit_ratio"), [("as_is", 0.5), ("distinct", 0.0)])
def test_scoring_is_measured_with_the_repeats_that_there_are(settings, texts, hit_ratio):
    posts = _posts([f"text number {n % 128 if texts == 'as_is' else n}" for n in range(256)])
    rows = throughput._scoring(settings, "full", HashEncoder(), HashEncoder(), "made", texts, posts)
    values = {(row["metric"], row.get("stage")): row["value"] for row in rows}
    assert values["cache_hit_ratio", None] == pytest.approx(hit_ratio)
    assert values["ratio_to_encode", None] > 0
    stages = sum(value for (metric, _), value in values.items() if metric == "microseconds_per_post")
    assert 0.5 < stages / (1e6 / values["posts_per_cpu_second", None]) <= 1.0


def test_the_synthetic_fold_holds_as_many_micro_clusters_as_it_says(monkeypatch):
    folded = []
    fold = throughput.fold
    monkeypatch.setattr(throughput, "fold", lambda state, items: (folded.append((state, items)), fold(state, items))[1])
    row = throughput._fold_of_synthetic(100)
    assert row["value"] > 0
    [(_, setup), (state, measured)] = folded
    assert (len(setup), len(measured)) == (100, row["posts"])
    assert 100 < len(state.narratives.micros) <= 100 + row["posts"] / throughput.FOUNDS_ONE_IN
    assert state.core.folded == 100 + row["posts"]
