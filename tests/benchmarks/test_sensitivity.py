import gzip
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import corpora
import msgspec
import numpy as np
import pytest
import sensitivity

import streams.sample
from detectors.embedding import HashEncoder
from detectors.injection import Mixture, Shape, neutral_texts
from detectors.policy import Configuration
from detectors.scoring import Scorer
from streams.heads import load_weights
from streams.models import configuration_of, load_scorer
from streams.settings import load_settings


@pytest.fixture(scope="module")
def scorer():
    encoder = HashEncoder()
    return Scorer(encoder, load_weights(encoder.space), cache_texts=10_000)


@pytest.fixture
def corpus(tmp_path):
    """A thousand posts about as many things, an hour apart with a pause of a month."""
    begin = datetime(2025, 1, 1, tzinfo=UTC)
    things = np.random.default_rng(1).integers(10**6, 10**9, (1000, 6))
    lines = [
        json.dumps(
            {
                "post_id": f"p{n}",
                "platform": "x",
                "created_at": (begin + timedelta(hours=n, days=30 * (n > 500))).isoformat(),
                "author_id": f"a{n}",
                "text": " ".join(f"w{word}" for word in words),
                "gold": {"event": "talk"},
            }
        )
        for n, words in enumerate(things)
    ]
    file = tmp_path / "posts" / "talk.jsonl.gz"
    file.parent.mkdir()
    file.write_bytes(gzip.compress("\n".join(lines).encode()))
    return file


@pytest.fixture
def backgrounds(corpus, scorer):
    configuration = Configuration(embedding_space=scorer.space)
    return sensitivity._backgrounds(corpus, scorer, configuration)


def test_the_clock_of_the_background_runs_at_the_rate_that_is_said(backgrounds):
    assert len(backgrounds) == sensitivity.PLACES
    for background in backgrounds:
        assert len(background.rest) == 300
        minutes = (background.rest[-1].created_at_s - background.start_s) / 60
        assert len(background.rest) / minutes == pytest.approx(sensitivity.BACKGROUND_PER_MINUTE, rel=0.1)


def test_a_fast_cascade_is_found_and_a_trickle_is_not(backgrounds, scorer):
    shares = Mixture(reshares=1.0, copies=0.0, own_words=0.0, questions=0.0)
    fast = Shape(rate_per_minute=16.0, mixture=shares)
    slow = Shape(rate_per_minute=0.3, mixture=shares)
    for background in backgrounds:
        found = sensitivity._trial(background, fast, neutral_texts(), 1, scorer)
        assert found["watch"].in_time
        assert 12 <= found["watch"].posts <= 60
        assert not sensitivity._trial(background, slow, neutral_texts(), 1, scorer)


def test_the_same_trial_gives_the_same_result_and_the_background_alone_nothing(backgrounds, scorer):
    trials = [
        sensitivity._trial(backgrounds[0], sensitivity.SOUTHPORT, sensitivity.SOUTHPORT_TEXTS, 1, scorer)
        for _ in range(2)
    ]
    assert trials[0] == trials[1]
    assert sensitivity._alerts(backgrounds[0], []) == ({}, [])


def test_an_alert_counts_within_fifty_posts_or_ten_minutes():
    assert sensitivity.Found(posts=50, minutes=30.0).in_time
    assert sensitivity.Found(posts=200, minutes=10.0).in_time
    assert not sensitivity.Found(posts=51, minutes=10.1).in_time


def test_rows_give_the_share_its_interval_and_the_least_rate():
    hit, late = {"watch": sensitivity.Found(20, 4.0)}, {"watch": sensitivity.Found(80, 12.0)}
    rows = []
    for rate, trials in ((1.0, [late, {}]), (2.0, [hit, hit]), (4.0, [hit, late])):
        rows += sensitivity._rows_of(trials, rate_per_minute=rate, branching="all", mixture="copies")
    shares = [row["value"] for row in rows if row["metric"] == "share_found" and row["severity"] == "watch"]
    assert shares == [0.0, 1.0, 0.5]
    least = sensitivity._least_rates(rows, "copies")
    assert [(row["severity"], row["value"]) for row in least] == [("watch", 2.0), ("notice", None)]


def test_the_curve_is_drawn_as_a_picture(tmp_path):
    rows = []
    for mixture in (*sensitivity.MIXTURES, "southport"):
        for rate in sensitivity.RATES_PER_MINUTE:
            trials = [{"watch": sensitivity.Found(20, 4.0)}] * int(rate) + [{}] * 4
            rows += sensitivity._rows_of(trials, rate_per_minute=rate, branching="all", mixture=mixture)
    [file] = sensitivity.draw(rows, tmp_path / "new")
    assert file.read_bytes().startswith(b"\x89PNG")


def test_a_folder_without_posts_is_skipped_with_a_word(tmp_path, capsys):
    assert sensitivity.rows(load_settings({"EMBERWATCH_MODEL": "hash"}), tmp_path) == []
    assert "skipped" in capsys.readouterr().err


@pytest.mark.slow
def test_a_southport_shaped_story_is_a_notice_within_fifty_posts_or_ten_minutes(monkeypatch):
    """A few large accounts give a false name, others share it, some ask for a source; with the model that workers use.

    The background is the ordinary talk of the bundled story; alone it raises nothing.
    """
    monkeypatch.setattr(sensitivity, "WARM_POSTS", 200)
    settings = load_settings({})
    scorer = load_scorer(settings)
    configuration = configuration_of(msgspec.structs.replace(settings, posts_partitions=1, shards=1), Configuration())
    sample = Path(streams.sample.__file__).parent / "posts.jsonl.gz"
    ordinary = [corpora.post_of(row, n) for n, row in enumerate(corpora.read_rows(sample)[:500])]
    posts = sensitivity._stretched(corpora.score(scorer, ordinary, "ordinary talk"))
    background = sensitivity._warmed("ordinary talk", posts, scorer, configuration)
    assert sensitivity._alerts(background, []) == ({}, [])
    for seed in (1, 2, 3, 5):
        found = sensitivity._trial(background, sensitivity.SOUTHPORT, sensitivity.SOUTHPORT_TEXTS, seed, scorer)
        assert found["notice"].in_time, f"seed {seed}: {found}"
