"""`emberwatch replay`, `why` and `compare`, over files in the way a researcher uses them."""

import gzip
import json
import subprocess
import sys

import pytest

from detectors.codec import decode_record
from detectors.records import Alert

CONFIGURATION = "[virality]\nleast_posts = 8\nleast_cascade_posts = 8\n"


def post(number, text, *, second, **more):
    return {
        "post_id": f"p{number}",
        "platform": "x",
        "created_at": f"2026-06-05T12:{second // 60:02d}:{second % 60:02d}Z",
        "author_id": f"a{number}",
        "text": text,
        **more,
    }


def story():
    """A post that is shared thirty times in ten minutes, among talk of other things."""
    yield post(0, "They have poisoned the reservoir above the town", second=0)
    for number in range(1, 31):
        yield post(
            number,
            "RT @x: They have poisoned the reservoir above the town",
            second=20 * number,
            kind="reshare",
            parent_id="p0",
            root_id="p0",
        )
        yield post(
            100 + number,
            f"An ordinary remark, number {number}, about the {number}th of many things",
            second=20 * number + 5,
        )


@pytest.fixture
def files(tmp_path):
    posts = tmp_path / "posts.jsonl.gz"
    with gzip.open(posts, "wt") as lines:
        lines.write("\n".join(json.dumps(row) for row in story()) + "\n")
    config = tmp_path / "config.toml"
    config.write_text(CONFIGURATION)
    return posts, config


def emberwatch(*arguments, **environment):
    return subprocess.run(
        [sys.executable, "-m", "streams.cli", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={"PATH": "/usr/bin:/bin", "EMBERWATCH_MODEL": "hash", "COLUMNS": "200", **environment},
    )


def rows(file):
    return [json.loads(line) for line in file.read_text().splitlines()]


def test_a_replay_writes_every_file_that_others_script_against(files, tmp_path):
    posts, config = files
    out = tmp_path / "out"
    done = emberwatch("replay", posts, "--config", config, "--out", out)
    assert done.returncode == 0, done.stderr
    assert "61 posts, 1 alerts" in done.stdout
    [alert] = [decode_record(Alert, line.encode()) for line in (out / "alerts.jsonl").read_text().splitlines()]
    assert (alert.severity, alert.kinds) == ("watch", ("viral",))
    assert rows(out / "alert-history.jsonl")[0]["transition"] == "opened"
    assignments = rows(out / "assignments.jsonl")
    assert set(assignments[0]) == {
        "post_id",
        "micro_cluster",
        "narrative_then",
        "narrative_at_end",
        "event_then",
        "event_at_end",
    }
    assert {row["narrative_at_end"] for row in assignments if row["post_id"] in {"p0", "p30"}} == {alert.narrative_id}
    assert rows(out / "dead-letters.jsonl") == []
    manifest = json.loads((out / "manifest.json").read_text())
    assert manifest["counts"]["posts"] == 61
    assert manifest["inputs"].keys() == {str(posts)}
    assert manifest["model"].startswith("hash-")
    assert {"score", "fold"} <= manifest["seconds"].keys()


def test_the_same_file_gives_the_same_bytes_again(files, tmp_path):
    posts, config = files
    for name in ("one", "two"):
        assert emberwatch("replay", posts, "--config", config, "--out", tmp_path / name).returncode == 0
    for name in ("alerts", "alert-history", "narratives", "narrative-history", "assignments"):
        assert (tmp_path / "one" / f"{name}.jsonl").read_bytes() == (tmp_path / "two" / f"{name}.jsonl").read_bytes()
    same = emberwatch("compare", tmp_path / "one", tmp_path / "two")
    assert (same.returncode, "0 differences" in same.stdout) == (0, True)


def test_what_another_policy_would_have_told_is_a_difference(files, tmp_path):
    posts, config = files
    assert emberwatch("replay", posts, "--config", config, "--out", tmp_path / "one").returncode == 0
    config.write_text("[virality]\nleast_posts = 500\n")
    assert emberwatch("replay", posts, "--config", config, "--out", tmp_path / "two").returncode == 0
    other = emberwatch("compare", tmp_path / "one", tmp_path / "two")
    assert (other.returncode, "no partner" in other.stdout) == (1, True)


def test_a_bad_row_goes_to_the_dead_letters_with_its_line_and_field_and_disturbs_nothing(files, tmp_path):
    posts, config = files
    good = gzip.decompress(posts.read_bytes()).decode().splitlines()
    mixed = tmp_path / "mixed.jsonl"
    bad = ["not json", json.dumps(post(900, "from the future", second=1) | {"created_at": "2099-01-01T00:00:00Z"})]
    mixed.write_text("\n".join([*good[:10], bad[0], *good[10:20], bad[1], *good[20:]]) + "\n")
    assert emberwatch("replay", posts, "--config", config, "--out", tmp_path / "clean").returncode == 0
    assert emberwatch("replay", mixed, "--config", config, "--out", tmp_path / "mixed").returncode == 0
    letters = rows(tmp_path / "mixed" / "dead-letters.jsonl")
    assert [(letter["offset"], letter["field"]) for letter in letters] == [(11, "record"), (22, "created_at")]
    one, other = (rows(tmp_path / name / "alert-history.jsonl") for name in ("clean", "mixed"))
    assert one == other


def test_why_tells_the_evidence_in_words_and_an_unknown_alert_is_one_line(files, tmp_path):
    posts, config = files
    out = tmp_path / "out"
    assert emberwatch("replay", posts, "--config", config, "--out", out).returncode == 0
    alert_id = rows(out / "alerts.jsonl")[0]["alert_id"]
    told = emberwatch("why", alert_id, "--out", out)
    assert told.returncode == 0
    assert "accounts in 10 minutes" in told.stdout
    assert "opened" in told.stdout
    assert "poisoned the reservoir above" not in told.stdout, "texts of posts are not for this page"
    unknown = emberwatch("why", "a-unknown", "--out", out)
    assert (unknown.returncode, unknown.stderr.count("\n")) == (1, 1)
    assert "no such alert" in unknown.stderr


def test_a_journal_is_replayed_alone(files, tmp_path):
    journal = tmp_path / "journal.jsonl"
    journal.write_text('{"shard": 0, "offset": 5, "entry": {"entry": "tick", "now_at_s": 1.0}}\n')
    done = emberwatch("replay", journal, files[0], "--out", tmp_path / "out")
    assert (done.returncode, "replayed alone" in done.stderr) == (1, True)


def test_a_journal_with_a_gap_is_refused_with_the_offsets(tmp_path):
    journal = tmp_path / "journal.jsonl"
    tick = {"entry": "tick", "now_at_s": 1.0}
    lines = [json.dumps({"shard": 0, "offset": offset, "entry": tick}) + "\n" for offset in (5, 7)]
    journal.write_text("".join(lines))
    done = emberwatch("replay", journal, "--out", tmp_path / "out")
    assert done.returncode == 1
    assert "7" in done.stderr
    assert "Traceback" not in done.stderr
