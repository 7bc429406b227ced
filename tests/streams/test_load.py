from collections import Counter

import pytest
from click.testing import CliRunner

from detectors.embedding import HashEncoder
from detectors.policy import Configuration
from detectors.scoring import Scorer
from streams import topics
from streams.cli import emberwatch
from streams.day import run_day, with_horizon
from streams.heads import load_weights
from streams.load import Load, Measured, Mixture, Watch, find_knee, knee, workers


def measured(rate, *, p99=0.1, backlog=0):
    return Measured(
        rate=rate,
        posts=100,
        sender_behind_s=0.0,
        journal_s={"p99": p99},
        alert_s={},
        backlog_posts=backlog,
        drained_s=0.0,
        lost=0,
        counted_twice=0,
        alerts=0,
        alerts_say_late=0,
    )


def test_the_mixture_is_the_same_for_the_same_seed_and_another_for_another():
    one, same, other = (Mixture(seed) for seed in (1, 1, 2))
    texts = [[mixture.post(float(i), "x").text for i in range(500)] for mixture in (one, same, other)]
    assert texts[0] == texts[1] != texts[2]


def test_the_mixture_has_unique_posts_reshares_copies_and_a_burst():
    mixture = Mixture(burst_every=1000, burst_posts=200)
    posts = [mixture.post(float(number), "x") for number in range(1000)]
    kinds = Counter(post.kind for post in posts)
    assert 150 < kinds["reshare"] < 400
    assert sum("is poisoned" in post.text for post in posts[:800]) == 0
    assert sum("is poisoned" in post.text for post in posts[800:]) > 60
    own = Counter(post.text for post in posts if post.kind == "post")
    assert sum(count == 1 for count in own.values()) > 400
    assert len({post.post_id for post in posts}) == 1000


class Bearing:
    """A load that is borne up to a rate."""

    def __init__(self, most):
        self.most = most
        self.tried = []

    def run(self, rate, lasts_s):
        self.tried.append(rate)
        return measured(rate, p99=0.1 if rate <= self.most else 9.0)


@pytest.mark.parametrize("most", [30.0, 100.0, 130.0, 777.0])
def test_the_knee_is_found_within_a_third(most):
    found = find_knee(Bearing(most), begin=25.0, lasts_s=1.0, told=lambda _: None)
    assert most / 1.34 <= knee(found) <= most


def test_a_rate_that_is_kept_only_above_one_that_is_not_is_no_knee():
    assert knee([measured(25.0), measured(50.0, backlog=500), measured(75.0)]) == 25.0
    assert knee([measured(25.0, p99=5.0)]) is None


@pytest.mark.slow
@pytest.mark.broker
def test_of_an_open_load_nothing_is_lost_and_what_waits_counts_with_its_waiting(broker, tmp_path):
    topics.create(broker)
    with workers(broker, tmp_path) as check, Watch(broker) as watch:
        load = Load(broker, watch, check, Mixture(burst_every=600, burst_posts=300))
        load.warm_up()
        calm = load.run(100.0, 6.0)
    assert calm.posts == 600
    assert (calm.lost, calm.counted_twice) == (0, 0)
    assert 0.0 < calm.journal_s["p50"] <= calm.journal_s["p99"] <= calm.journal_s["p100"]
    assert calm.alerts > 0
    assert calm.alert_s["p50"] >= 0.0


def test_what_a_day_leaves_is_bounded_by_the_horizon():
    scorer = Scorer(HashEncoder(), load_weights(HashEncoder().space), cache_texts=1000)
    configuration = Configuration(embedding_space=scorer.space)
    short = with_horizon(configuration, 2 * 3600.0)
    found = run_day(scorer, short, posts=4800, hours=12, told=lambda _: None)
    assert [hour.hour for hour in found] == list(range(1, 13))
    assert found[-1].posts > 1500
    # The stream swells towards noon: what is held may grow with it, not with all that has been.
    rate = (found[-1].posts - found[-2].posts) / (found[3].posts - found[2].posts)
    assert found[-1].state_mb <= 1.5 * rate * found[3].state_mb
    assert found[-1].written_mb <= found[-1].state_mb


def test_the_command_knows_its_options():
    assert "--find-knee" in CliRunner().invoke(emberwatch, ["load", "--help"]).output
