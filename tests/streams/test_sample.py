"""The bundled sample is what its README says, and every row of it is fit for the topic `posts`."""

import gzip
import json
from collections import Counter, defaultdict
from datetime import datetime
from itertools import pairwise

import msgspec
import pytest

from detectors.posts import decode_claim, decode_post
from detectors.records import Post
from streams.sample import CLAIMS, EXPECTED, POSTS
from streams.sample.write_sample import LASTS_MIN, STARTS_AT, compressed, jsonl, main


class Row(msgspec.Struct):
    post: Post
    gold: dict[str, str]


@pytest.fixture(scope="module")
def rows() -> list[Row]:
    lines = gzip.decompress(POSTS.read_bytes()).splitlines()
    return [Row(decode_post(line), json.loads(line)["gold"]) for line in lines]


@pytest.fixture(scope="module")
def stories(rows) -> dict[str, list[Row]]:
    by_story = defaultdict(list)
    for row in rows:
        by_story[row.gold.get("story", "")].append(row)
    return by_story


def _minutes(at: datetime) -> float:
    return (at - STARTS_AT).total_seconds() / 60


def test_the_phrases_give_the_shipped_rows_again(capsys):
    assert main(["--check"]) == 0, capsys.readouterr().out
    rows = jsonl()
    assert rows == gzip.decompress(POSTS.read_bytes())
    assert compressed(rows) == compressed(rows)


def test_it_is_small_enough_to_ship_and_large_enough_to_show_something(rows):
    assert POSTS.stat().st_size < 400_000
    assert 6_000 <= len(rows) <= 9_000
    assert len({row.post.text for row in rows if row.post.kind == "post"}) > 3_000


def test_rows_are_in_order_of_time_on_one_afternoon_with_ids_used_once(rows):
    assert all(before.post.created_at <= after.post.created_at for before, after in pairwise(rows))
    assert len({row.post.post_id for row in rows}) == len(rows)
    assert 0 <= _minutes(rows[0].post.created_at) < _minutes(rows[-1].post.created_at) <= LASTS_MIN


def test_who_follows_comes_after_whom_it_follows(rows):
    seen = {}
    for post in (row.post for row in rows):
        if post.kind == "post":
            assert post.parent_id is None
        else:
            parent = seen[post.parent_id]
            assert parent.created_at < post.created_at
            assert parent.platform == post.platform
            assert post.root_id == (parent.root_id or parent.post_id)
        seen[post.post_id] = post


def test_reshares_carry_the_text_or_none_as_their_platform_does(rows):
    texts = {row.post.post_id: row.post.text for row in rows}
    reshares = [row.post for row in rows if row.post.kind == "reshare"]
    assert {post.platform for post in reshares} == {"chirp", "fedi", "clips"}
    for post in reshares:
        if post.platform == "chirp":
            assert post.text.startswith("RT @")
            assert post.text.endswith(": " + texts[post.parent_id])
        else:
            assert not post.text


def test_ordinary_traffic_has_a_dozen_themes_and_several_languages(rows):
    themes = Counter(row.gold["theme"] for row in rows if "story" not in row.gold)
    assert sum(count >= 150 for count in themes.values()) >= 12
    assert {"en", "es", "fr", "de", "cy"} <= {row.post.lang for row in rows}


def test_the_first_hour_is_quiet_and_then_the_stories_come_in_their_order(stories):
    onsets = {name: _minutes(stories[name][0].post.created_at) for name in EXPECTED}
    assert min(onsets.values()) > 60
    assert sorted(onsets, key=onsets.__getitem__) == ["joke", "protest", "rumour", "call"]


def test_the_rumour_explodes_and_denials_follow_within_the_hour(stories):
    rumour = stories["rumour"]
    spread = [_minutes(row.post.created_at) for row in rumour if row.gold["voice"] == "spread"]
    official = [_minutes(row.post.created_at) for row in rumour if row.gold["voice"] == "official"]
    assert 500 <= len(rumour) <= 900
    assert len({row.post.author_id for row in rumour}) >= 200
    assert 30 <= official[0] - spread[0] <= 60
    assert sum(minute < official[0] for minute in spread) >= 50


def test_what_must_not_page_is_no_smaller_than_what_must(stories):
    sizes = {name: len(stories[name]) for name in EXPECTED}
    assert sizes["protest"] > sizes["call"]
    assert sizes["joke"] > 0.9 * sizes["rumour"]
    assert 60 <= len({row.post.author_id for row in stories["call"]}) <= 120


def test_one_fact_check_contradicts_the_rumour_and_the_others_are_of_every_rating():
    claims = [decode_claim(line) for line in CLAIMS.read_bytes().splitlines()]
    assert len({claim.claim_id for claim in claims}) == len(claims) >= 11
    about = [claim for claim in claims if "poisoned" in claim.claim_reviewed]
    assert [claim.review_rating.alternate_name for claim in about] == ["False"]
    assert {claim.review_rating is None for claim in claims} == {True, False}
