"""`emberwatch inject`, as somebody uses it who wants to know whether a story would be found."""

import gzip
import json

import pytest
from click.testing import CliRunner

from streams import cli
from streams.errors import EmberwatchError


def background(file, posts=40):
    lines = [
        json.dumps(
            {
                "post_id": f"p{n}",
                "platform": "mastodon",
                "created_at": f"2026-06-05T12:{n:02d}:00Z",
                "author_id": f"a{n}",
                "text": f"remark number {n}",
                "gold": {"event": "talk"},
            }
        )
        for n in range(posts)
    ]
    lines.insert(3, "no post at all")
    with gzip.open(file, "wt") as out:
        out.write("\n".join(lines) + "\n")
    return [line.encode() for line in lines]


def emberwatch(*arguments):
    return CliRunner().invoke(cli.emberwatch, [str(one) for one in arguments])


def rows(file):
    return [json.loads(line) for line in file.read_bytes().splitlines() if line != b"no post at all"]


def test_the_background_stays_as_it_is_and_the_cascade_lies_between_in_time(tmp_path):
    lines = background(tmp_path / "in.jsonl.gz")
    out = tmp_path / "out.jsonl"
    done = emberwatch("inject", tmp_path / "in.jsonl.gz", "--out", out, "--rate", 2, "--minutes", 10, "--seed", 3)
    assert done.exit_code == 0, done.output
    assert [line for line in out.read_bytes().splitlines() if b'"injection"' not in line] == lines
    times = [row["created_at"][:19] for row in rows(out)]
    assert times == sorted(times)
    put_in = [row for row in rows(out) if "injection" in row["gold"]]
    assert 8 <= len(put_in) <= 35
    assert {row["platform"] for row in put_in} == {"mastodon"}
    assert min(row["created_at"] for row in put_in) >= "2026-06-05T12:20"
    assert "into 40 posts; 1 lines are no posts" in " ".join(done.output.split())


def test_the_same_seed_writes_the_same_bytes(tmp_path):
    background(tmp_path / "in.jsonl.gz")
    written = []
    for name, seed in (("one", 1), ("two", 1), ("three", 2)):
        file = tmp_path / f"{name}.jsonl.gz"
        assert emberwatch("inject", tmp_path / "in.jsonl.gz", "--out", file, "--seed", seed).exit_code == 0
        written.append(file.read_bytes())
    assert written[0] == written[1] != written[2]


def test_texts_of_a_file_are_what_is_said(tmp_path):
    (tmp_path / "story.txt").write_text("The bridge is closed\n\nThey have closed the bridge\n")
    (tmp_path / "ask.txt").write_text("who told you?\n")
    out = tmp_path / "out.jsonl"
    done = emberwatch(
        "inject", "--out", out, "--texts", tmp_path / "story.txt", "--question-texts", tmp_path / "ask.txt",
        "--at", "2026-06-05T12:00:00+02:00", "--questions", 0.5, "--large-accounts", 2, "--name", "bridge",
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    put_in = rows(out)
    assert put_in[0]["post_id"] == "bridge-00001"
    assert put_in[0]["text"] == "The bridge is closed"
    assert put_in[0]["created_at"].startswith("2026-06-05T10:0")
    assert {row["text"] for row in put_in if row.get("kind") == "reply"} == {"who told you?"}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--rate", -1), "--rate: Expected `float` > 0.0"),
        (("--minutes", 0), "--minutes: Expected `float` > 0.0"),
        (("--accounts", 0), "--accounts: Expected `int` >= 1"),
        (("--reshares", 0.9, "--copies", 0.4), "add up to 1.3"),
        (("--reshares", -0.1), "--reshares"),
        (("--at", "yesterday"), "--at: expected RFC 3339"),
        (("--at", "2026-06-05T12:00:00"), "no time zone"),
        (("--name", "p1"), "p1-7 is an id of this injection"),
        (("--rate", 0.2, "--large-accounts", 4), "large accounts alone bring"),
    ],
)
def test_an_option_that_cannot_be_used_is_named(tmp_path, arguments, words):
    file = tmp_path / "in.jsonl"
    post = {"platform": "x", "created_at": "2026-06-05T12:00:00Z", "author_id": "a", "text": "b"}
    file.write_text("".join(json.dumps({**post, "post_id": name}) + "\n" for name in ("p0", "p1-7")))
    done = emberwatch("inject", file, "--out", tmp_path / "out.jsonl", *arguments)
    assert isinstance(done.exception, EmberwatchError)
    assert words in str(done.exception)
    assert not (tmp_path / "out.jsonl").exists()


def test_the_background_is_never_written_over(tmp_path):
    background(tmp_path / "in.jsonl.gz")
    before = (tmp_path / "in.jsonl.gz").read_bytes()
    done = emberwatch("inject", tmp_path / "in.jsonl.gz", "--out", tmp_path / "in.jsonl.gz")
    assert "is the background itself" in str(done.exception)
    assert (tmp_path / "in.jsonl.gz").read_bytes() == before


@pytest.mark.broker
def test_a_drill_goes_to_the_topic_of_posts(broker, tmp_path, monkeypatch):
    from streams import inject_command, topics
    from streams.kafka_clients import read_to_end

    topics.create(broker)
    status = inject_command.run(
        broker, background=None, out=tmp_path / "drill.jsonl", at="2026-06-05T12:00:00Z", name="drill", seed=1,
        platform=None, lang="en", speed="max",
        texts=None, question_texts=None, figures={"rate_per_minute": 1.0},
    )  # fmt: skip
    assert status == 0
    sent = [json.loads(record.value) for record in read_to_end(broker, [topics.topic_name(broker, "posts")])]
    assert sorted(row["post_id"] for row in sent) == sorted(row["post_id"] for row in rows(tmp_path / "drill.jsonl"))
    assert not any("gold" in row for row in sent)
