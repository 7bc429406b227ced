from datetime import UTC, datetime

import msgspec
import numpy as np
import pytest

from detectors.embedding import HashEncoder
from detectors.entries import Origin
from detectors.injection import Mixture, Shape, inject, neutral_texts
from detectors.policy import Configuration, ViralityParameters
from detectors.records import Forecast
from detectors.replay import opening_entries, source_end
from detectors.scoring import Scorer
from detectors.timelines import Recorder, moments_of, published_timeline
from streams.heads import load_weights

START = datetime(2026, 6, 5, 12, tzinfo=UTC)


@pytest.fixture(scope="module")
def recorder():
    """A story of some 200 posts, most of them reshares, among a post a minute about other things."""
    encoder = HashEncoder()
    scorer = Scorer(encoder, load_weights(encoder.space), cache_texts=1000)
    mixture = Mixture(reshares=1.0, copies=0.0, own_words=0.0, questions=0.0)
    generator = np.random.default_rng(1)
    story = inject(
        Shape(rate_per_minute=10.0, duration_s=1200.0, mixture=mixture),
        neutral_texts(), generator, name="story", start=START, platform="x", lang="en",
    )  # fmt: skip
    talk = inject(
        Shape(rate_per_minute=1.0, duration_s=7200.0, branching_factor=0.0, mixture=mixture),
        neutral_texts(), generator, name="talk", start=START, platform="x", lang="en",
    )  # fmt: skip
    apart = [
        msgspec.structs.replace(
            one.post, kind="post", parent_id=None, root_id=None, text=f"remark {n} {n**3} {n**5} on something else"
        )
        for n, one in enumerate(talk)
    ]
    posts = sorted([*(one.post for one in story), *apart], key=lambda post: post.created_at)
    items = [(post, Origin("posts", 0, n), 0.0) for n, post in enumerate(posts)]
    configuration = Configuration(embedding_space=scorer.space, virality=ViralityParameters())
    entries = [*opening_entries(configuration, [], scorer), *scorer.score(items), source_end(0, len(posts))]
    recorder = Recorder()
    recorder.run(list(enumerate(entries))[:100])
    recorder.run(list(enumerate(entries))[100:])
    recorder.story_posts = [one.post for one in story]
    return recorder


@pytest.fixture(scope="module")
def alert(recorder):
    alerts = list(recorder.replay.alerts.values())
    assert len(alerts) == 1
    return alerts[0]


def test_every_post_of_the_story_is_in_the_minute_in_which_it_came(recorder, alert):
    timeline = recorder.timeline(recorder.find(alert.alert_id))
    assert sum(timeline.posts) == len(recorder.story_posts)
    minutes = [int(post.created_at.timestamp() // 60) for post in recorder.story_posts]
    first = int(timeline.start_s // 60)
    assert first == min(minutes)
    assert timeline.end_s == 60.0 * (max(minutes) + 1)
    assert list(timeline.posts) == [minutes.count(minute) for minute in range(first, max(minutes) + 1)]


def test_the_burst_begins_when_the_alert_opens_and_little_was_expected(recorder, alert):
    timeline = recorder.timeline(alert.narrative_id)
    opened = timeline.moments[0]
    assert (opened.transition, timeline.alert_id) == ("opened", alert.alert_id)
    first_burst_s = timeline.start_s + 60.0 * timeline.bursting.index(True)
    assert abs(opened.at_s - first_burst_s) <= 60.0
    at_burst = timeline.expected[timeline.bursting.index(True)]
    assert 0.0 < at_burst < 1.0
    assert len(timeline.expected) == len(timeline.bursting) == len(timeline.posts)


def test_an_id_means_a_narrative_or_the_one_of_an_alert(recorder, alert):
    assert recorder.find(alert.alert_id) == recorder.find(alert.narrative_id) == alert.narrative_id
    assert recorder.find("a-nope") is None
    assert recorder.timeline("n-nope") is None


def test_what_was_published_gives_the_same_counts(recorder, alert):
    history = [one for one in recorder.replay.alert_history if one.alert_id == alert.alert_id]
    narrative = recorder.replay.narratives[alert.narrative_id]
    published = published_timeline(narrative, history)
    folded = recorder.timeline(alert.narrative_id)
    assert published.posts == folded.posts[: len(published.posts)]
    assert published.start_s == folded.start_s
    assert published.moments == folded.moments
    assert published.label == folded.label
    assert any(published.bursting)
    assert not published.bursting[0]


def test_a_published_narrative_without_an_alert_has_counts_and_no_moments(recorder, alert):
    narrative = recorder.replay.narratives[alert.narrative_id]
    timeline = published_timeline(narrative, [])
    assert (timeline.alert_id, timeline.moments) == (None, ())
    assert not any(timeline.bursting)


def test_what_came_before_the_first_bucket_is_not_lost(recorder, alert):
    narrative = recorder.replay.narratives[alert.narrative_id]
    later = msgspec.structs.replace(narrative, timeline=narrative.timeline[5:])
    before = sum(bucket.posts for bucket in narrative.timeline[:5])
    assert published_timeline(later, []).earlier_posts == before > 0


def test_a_revision_that_came_twice_is_one_moment_and_carries_its_forecast(alert):
    forecast = Forecast(posts=300.0, low=200.0, high=500.0)
    told = msgspec.structs.replace(alert, forecast=forecast)
    [moment] = moments_of([alert, told])
    assert (moment.forecast, moment.posts) == (forecast, alert.counts.posts)
