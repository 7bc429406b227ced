import json
import random
from pathlib import Path

import msgspec
import pytest

from detectors.codec import decode_entry, encode_entry
from detectors.entries import ScoredPost
from detectors.policy import Configuration, ViralityParameters
from detectors.records import Claim, Rating
from detectors.replay import Replay, Row, opening_entries, score_rows, source_end, with_configuration

GOLDEN = Path(__file__).parent / "golden" / "replay.jsonl"

STORIES = [
    ("The reservoir in Ashford was poisoned, do not drink from the taps", 0, 90),
    ("Is it true that the Marlow bridge is closed? Nobody knows", 1500, 60),
    ("Wolves escaped from the sanctuary, that is not true", 2400, 45),
]


def rows(seed=7):
    """A few hundred posts of three stories among everyday talk, and two lines that are no posts."""
    draw = random.Random(seed)
    posts = []
    for number, (words, at_s, count) in enumerate(STORIES):
        for place in range(count):
            kind = "reshare" if place and draw.random() < 0.5 else "post"
            post = {"post_id": f"{number}-{place}", "text": words, "kind": kind, "at_s": at_s + draw.randrange(900)}
            if kind == "reshare":
                post["parent_id"] = f"{number}-0"
            else:
                post["text"] += draw.choice(["", " omg", " say friends", " they say"])
            posts.append(post)
        posts[-count]["at_s"] = at_s
    talk = ["cats", "rain", "football", "supper", "trains", "music", "exams", "coffee", "garden", "films"]
    for place in range(120):
        text = " ".join(draw.sample(talk, 3)) + f" {place}"
        posts.append({"post_id": f"t-{place}", "text": text, "kind": "post", "at_s": draw.randrange(3600)})
    posts.sort(key=lambda post: post["at_s"])
    lines = []
    for post in posts:
        minute, second = divmod(post.pop("at_s"), 60)
        post["created_at"] = f"2026-03-01T{12 + minute // 60:02}:{minute % 60:02}:{second:02}Z"
        post |= {"platform": "x", "author_id": f"a{draw.randrange(500)}", "lang": "en"}
        lines.append(json.dumps(post).encode())
    lines.insert(50, b'{"post_id": "broken"}')
    lines.insert(90, b"no JSON")
    return [Row(0, "posts.jsonl", number, line) for number, line in enumerate(lines)]


CLAIM = Claim(
    id="c-1",
    claim_reviewed="The Ashford reservoir was poisoned and taps are unsafe to drink from",
    review_rating=Rating(alternate_name="False"),
)


@pytest.fixture(scope="module")
def configuration(streams):
    return Configuration(embedding_space=streams.scorer.space)


@pytest.fixture(scope="module")
def entries(streams, configuration):
    time = configuration.time
    scored, bad = score_rows(rows(), streams.scorer, started_at_s=1_800_000_000.0, time=time)
    assert [one.offset for one in bad] == [50, 90]
    return [*opening_entries(configuration, [CLAIM], streams.scorer), *scored, source_end(0, len(scored) + 2)]


@pytest.fixture(scope="module")
def replayed(entries):
    replay = Replay()
    replay.append(entries)
    return replay


def lines_of(replay):
    records = [*replay.alert_history, *replay.narrative_history]
    return "".join(msgspec.json.encode(record).decode() + "\n" for record in records)


def test_a_replay_gives_the_alerts_that_it_gave_when_they_were_last_looked_at(replayed, golden):
    assert {alert.severity for alert in replayed.alerts.values()} >= {"page"}
    golden(GOLDEN, lines_of(replayed))


def test_posts_scored_again_and_an_exported_journal_give_the_same(entries, replayed):
    exported = [(offset, decode_entry(encode_entry(entry))) for offset, entry in enumerate(entries)]
    journal = Replay()
    for start in range(0, len(exported), 100):
        journal.run(exported[start : start + 100])
    assert lines_of(journal) == lines_of(replayed)
    assert journal.narratives == replayed.narratives
    assert list(journal.assignments()) == list(replayed.assignments())


def test_every_post_has_one_assignment_and_the_end_names_what_is_live(entries, replayed):
    posts = [entry.post_id for entry in entries if isinstance(entry, ScoredPost)]
    assignments = list(replayed.assignments())
    assert [one.post_id for one in assignments] == posts
    live = replayed.state.narratives.narratives
    for one in assignments:
        if one.narrative_at_end in live:
            assert live[one.narrative_at_end].event_id == one.event_at_end
    stories = {one.narrative_at_end for one in assignments if one.post_id.startswith("0-")}
    assert len(stories) == 1


def test_rows_that_are_no_posts_become_dead_letters_that_name_line_and_field(streams, configuration):
    given = [Row(0, "f", 4, b"no JSON"), Row(0, "f", 5, b'{"post_id": 5}'), Row(0, "f", 6, b"\xff" * 70_000)]
    scored, bad = score_rows(given, streams.scorer, started_at_s=0.0, time=configuration.time)
    assert scored == []
    assert [(one.topic, one.offset) for one in bad] == [("f", 4), ("f", 5), ("f", 6)]
    assert bad[0].value == "no JSON"
    assert all(one.error and len(one.value) <= 2000 for one in bad)


def test_a_backtest_is_the_same_journal_under_another_policy(streams, entries, replayed):
    stricter = Configuration(virality=ViralityParameters(least_posts=80))
    backtest = Replay()
    backtest.run(with_configuration(enumerate(entries), stricter))
    assert backtest.state.configuration.virality.least_posts == 80
    assert backtest.state.configuration.embedding_space == streams.scorer.space
    assert len(backtest.alerts) < len(replayed.alerts)
    assert backtest.state.core.folded == replayed.state.core.folded
