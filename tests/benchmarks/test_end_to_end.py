import gzip
import random
from collections import Counter

import end_to_end
import msgspec
import pytest
from end_to_end import BACKGROUND, Tally, _credit

from detectors.entries import Origin, ScoredPost

RUMOUR = 120
"""Posts of the only story that is large."""
REPEATED = 12
"""Posts of the background with one and the same text."""
QUIET = 300
EVERY_S = 5


def _at(second):
    return f"2026-01-01T{second // 3600:02d}:{second // 60 % 60:02d}:{second % 60:02d}Z"


def _row(post_id, second, text, **fields):
    gold = fields.pop("gold")
    row = {"post_id": post_id, "platform": "x", "created_at": _at(second), "author_id": f"author of {post_id}"}
    return {**row, "text": text, **fields, "gold": gold}


def _small_talk(chance):
    return " ".join("".join(chance.choices("abcdefghijklmnop", k=7)) for _ in range(8))


def _write(file, rows):
    file.parent.mkdir(exist_ok=True)
    file.write_bytes(gzip.compress(b"".join(msgspec.json.encode(row) + b"\n" for row in rows)))


@pytest.fixture(scope="module")
def corpora(tmp_path_factory):
    """A rumour that is reshared, a true story of few, and a background that repeats one text."""
    chance, data = random.Random(7), tmp_path_factory.mktemp("corpora")
    rumour = {"event": "flood", "story": "dam", "veracity": "false"}
    small = {"event": "flood", "story": "school", "veracity": "true"}
    stream = [_row("root", 1800, "the dam has burst, leave the town at once", gold=rumour)]
    stream += [
        _row(
            f"share-{n}",
            1800 + n * EVERY_S,
            stream[0]["text"],
            kind="reshare",
            parent_id="root",
            root_id="root",
            gold=rumour,
        )
        for n in range(1, RUMOUR)
    ]
    stream += [_row(f"small-{n}", 600 * n, _small_talk(chance), gold=small) for n in range(1, 10)]
    _write(data / "posts" / "tiny.jsonl.gz", stream)
    quiet = [_row(f"quiet-{n}", 60 * n, _small_talk(chance), gold={"event": "fair"}) for n in range(QUIET - REPEATED)]
    quiet += [_row(f"copy-{n}", 1500 * n, "win a prize, click here", gold={"event": "fair"}) for n in range(REPEATED)]
    _write(data / "posts" / "quiet.jsonl.gz", quiet)
    return data


@pytest.fixture(scope="module")
def found(corpora):
    from streams.settings import load_settings

    rows = end_to_end.rows(load_settings({"EMBERWATCH_MODEL": "hash"}), corpora)

    def value(metric, detector, severity="watch", **more):
        wanted = {"metric": metric, "detector": detector, "severity": severity, "veracity": None, "posts": None, **more}
        [row] = [row for row in rows if all(row.get(key) == one for key, one in wanted.items())]
        return row["value"]

    return value


@pytest.mark.parametrize("least", [10, 20, 40])
def test_the_counter_fires_at_its_count_and_that_is_when_it_is_credited(found, least):
    assert found("stories_alerted_before_half", "counter", posts=least) == 1
    assert found("stories_alerted_before_half", "counter", posts=least, veracity="false") == 1
    assert found("median_posts_to_alert", "counter", posts=least) == least
    assert found("median_minutes_to_alert", "counter", posts=least) == pytest.approx((least - 1) * EVERY_S / 60)
    assert found("median_share_seen", "counter", posts=least) == pytest.approx(least / RUMOUR)


def test_the_counter_takes_copies_in_the_background_for_a_root(found):
    assert found("false_alerts_per_10k", "counter", posts=10) == pytest.approx(10_000 / QUIET)
    assert found("false_alerts_per_10k", "counter", posts=20) == 0


def test_the_detector_finds_the_rumour_early_and_leaves_the_background_alone(found):
    assert found("stories_alerted_before_half", "emberwatch") == 1
    assert 2 <= found("median_posts_to_alert", "emberwatch") < RUMOUR / 2
    assert found("false_alerts_per_10k", "emberwatch") == 0


def test_nothing_pages_where_no_claim_and_no_call_is_known(found):
    assert found("stories_alerted_before_half", "emberwatch", severity="page") == 0
    assert found("pages_per_day", "emberwatch", severity="page") == 0
    assert found("pages_on_true_stories", "emberwatch", severity="page") == 0


def test_posts_without_truth_are_part_of_the_stream_and_neither_right_nor_wrong(tmp_path, settings):
    chance = random.Random(7)
    rumour = {"story": "dam"}
    stream = [_row(f"copy-{n}", 10 * n, "the dam has burst, leave the town", gold=rumour) for n in range(RUMOUR)]
    stream += [_row(f"other-{n}", 10 * n, "win a prize, click here", gold=None) for n in range(RUMOUR)]
    _write(tmp_path / "posts" / "half_labelled.jsonl.gz", stream)
    quiet = [_row(f"quiet-{n}", 60 * n, _small_talk(chance), gold=None) for n in range(50)]
    _write(tmp_path / "posts" / "unlabelled.jsonl.gz", [{k: v for k, v in row.items() if k != "gold"} for row in quiet])
    rows = end_to_end.rows(settings, tmp_path)
    [found] = [row for row in rows if row.get("veracity") == "unrated" and row["detector"] == "emberwatch"][:1]
    assert (found["of"], found["value"]) == (1, 1)
    assert {row["value"] for row in rows if row["metric"] == "false_alerts_per_10k"} == {0}


def test_without_a_background_no_rate_of_false_alerts_is_told(corpora, tmp_path, settings, capsys):
    (tmp_path / "posts").mkdir()
    (tmp_path / "posts" / "tiny.jsonl.gz").write_bytes((corpora / "posts" / "tiny.jsonl.gz").read_bytes())
    rows = end_to_end.rows(settings, tmp_path)
    assert not [row for row in rows if row["metric"] == "false_alerts_per_10k"]
    assert "no background" in capsys.readouterr().err


def test_a_stream_without_stories_is_named_and_skipped(tmp_path, settings, capsys):
    _write(tmp_path / "posts" / "quiet.jsonl.gz", [_row("a", 0, "words", gold={"event": "fair"})])
    assert end_to_end.rows(settings, tmp_path) == []
    assert "no file has gold.story" in capsys.readouterr().err


class _Alert:
    def __init__(self, alert_id, severity, second):
        from datetime import UTC, datetime

        self.alert_id, self.severity, self.changed_at = alert_id, severity, datetime.fromtimestamp(second, UTC)


def _credited(*alerts):
    """Tally of (alert, story) in order, when half of each story was seen."""
    tally, credited, false_ids = Tally(), {}, {"watch": set(), "notice": set(), "page": set()}
    for alert, story in alerts:
        _credit(tally, alert, story, credited, false_ids, Counter(a=5, b=5), Counter(a=10, b=10), {"a": 0.0, "b": 60.0})
    return tally, false_ids


def test_one_alert_credits_one_story_and_its_severity_counts_below_too():
    tally, _ = _credited((_Alert("1", "notice", 120), "a"), (_Alert("1", "page", 180), "b"))
    assert set(tally.stories["watch"]) == set(tally.stories["notice"]) == {"a"}
    assert not tally.stories["page"]
    assert tally.stories["watch"]["a"].minutes == 2.0
    assert tally.stories["watch"]["a"].share == 0.5


def test_only_the_first_alert_on_a_story_says_how_early_it_was():
    tally, _ = _credited((_Alert("1", "watch", 120), "b"), (_Alert("2", "page", 600), "b"))
    assert tally.stories["watch"]["b"].minutes == 1.0
    assert tally.stories["page"]["b"].minutes == 9.0


def test_revisions_of_one_alert_on_the_background_are_one_false_alert():
    _, false_ids = _credited((_Alert("1", "watch", 0), BACKGROUND), (_Alert("1", "notice", 9), BACKGROUND))
    assert {severity: len(ids) for severity, ids in false_ids.items()} == {"watch": 1, "notice": 1, "page": 0}


def test_an_alert_without_a_majority_credits_nobody():
    tally, false_ids = _credited((_Alert("1", "page", 9), ""))
    assert not tally.stories["watch"]
    assert not any(false_ids.values())


def _scored(post_id, second):
    return ScoredPost(
        origin=Origin("posts", 0, 0),
        post_id=post_id,
        platform="x",
        created_at_s=float(second),
        author_id="a",
        text="t",
        ingested_at_s=0.0,
    )


def test_the_background_keeps_its_order_and_runs_at_the_stated_rate():
    stream = [_scored("s", 1_000_000), _scored("t", 1_100_000)]
    gold = {"s": {"event": "flood"}, "t": {"event": "flood"}}
    noise = [_scored(f"n{n}", n * n) for n in range(100)]
    shifted = end_to_end._shifted(noise, ["fair"] * 100, stream, gold)
    times = [post.created_at_s for post in shifted]
    assert [post.post_id for post in shifted] == [post.post_id for post in noise]
    assert times == sorted(times)
    assert 1_000_000 <= times[0] <= 1_050_000
    assert times[-1] - times[0] == pytest.approx(100 / end_to_end.BACKGROUND_PER_MINUTE * 60)
    assert end_to_end._shifted(noise, ["fair"] * 100, stream, gold) == shifted
