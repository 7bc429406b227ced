from datetime import timedelta

from detectors.records import TimelineBucket
from streams.console.timeline import HEIGHT, LARGEST_BUCKETS, WIDTH, draw


def test_bars_stay_within_the_drawing_and_their_heights_follow_the_posts(story):
    timeline = draw(story.narrative(), [])
    assert all(bar.x >= 0 and bar.x + bar.width <= WIDTH + 0.01 for bar in timeline.bars)
    assert all(bar.y >= 0 and abs(bar.y + bar.height - HEIGHT) < 0.02 for bar in timeline.bars)
    highest = max(timeline.bars, key=lambda bar: bar.height)
    assert "61 posts" in highest.words
    assert "61 posts" in timeline.summary


def test_a_long_timeline_is_joined_without_losing_a_post(story):
    count = 10 * LARGEST_BUCKETS + 7
    buckets = tuple(
        TimelineBucket(at=story.start + timedelta(minutes=number), posts=1, expected=0.5) for number in range(count)
    )
    timeline = draw(story.narrative(timeline=buckets, timeline_bucket_s=60), [])
    assert len(timeline.bars) <= LARGEST_BUCKETS
    assert sum(int(bar.words.split(": ")[1].split(" ")[0]) for bar in timeline.bars) == count


def test_steps_of_the_alert_are_marked_but_mere_updates_are_not(story):
    _, _, revisions, _ = story.records()
    marks = draw(story.narrative(), revisions).marks
    assert [mark.transition for mark in marks] == ["opened", "opened"]
    assert marks[0].x < marks[1].x


def test_only_a_narrative_with_a_history_has_an_expectation(story):
    assert draw(story.narrative(), []).expected == "typical at this age"


def test_a_single_bucket_and_none_at_all_can_be_drawn(story):
    one = TimelineBucket(at=story.start, posts=0, expected=0.0)
    assert len(draw(story.narrative(timeline=(one,)), []).bars) == 1
    assert draw(story.narrative(timeline=()), []) is None


def test_a_gap_in_time_lifts_the_pen(story):
    buckets = tuple(TimelineBucket(at=story.start + timedelta(minutes=m), posts=3, expected=1.0) for m in (0, 1, 30))
    path = draw(story.narrative(timeline=buckets, timeline_bucket_s=60), []).expected_path
    assert path.count("M") == 2
