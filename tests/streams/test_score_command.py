import gzip
import json
from pathlib import Path

import pytest

from streams import score_command
from streams.settings import Settings

SETTINGS = Settings(model="hash")


def score(tmp_path: Path, *rows: object, name: str = "in.jsonl", out: str = "out.jsonl") -> tuple[int, list[dict]]:
    lines = b"".join((row if isinstance(row, bytes) else json.dumps(row).encode()) + b"\n" for row in rows)
    (tmp_path / name).write_bytes(gzip.compress(lines) if name.endswith(".gz") else lines)
    status = score_command.run(SETTINGS, file=tmp_path / name, out=tmp_path / out)
    written = (tmp_path / out).read_bytes()
    return status, [
        json.loads(line) for line in (gzip.decompress(written) if out.endswith(".gz") else written).splitlines()
    ]


def test_each_row_keeps_its_id_under_its_own_name_and_order(tmp_path: Path):
    status, rows = score(
        tmp_path,
        {"id": 7, "text": "Is this true?"},
        {"post_id": "p", "id": "q", "text": "Kill them all tonight at the station"},
        {"id": "e", "text": ""},
    )
    assert status == 0
    assert [{key: row[key] for key in ("id", "post_id") if key in row} for row in rows] == [
        {"id": 7}, {"post_id": "p"}, {"id": "e"},
    ]  # fmt: skip
    for row in rows:
        assert set(row) - {"id", "post_id"} == {"incitement", "classes", "judged", "indicators", "stance", "attitude"}
        assert set(row["stance"]) == {"support", "deny", "query", "report", "comment"}
        assert sum(row["stance"].values()) == pytest.approx(1.0)
        assert 0.0 <= row["incitement"] <= 1.0
    assert rows[1]["incitement"] > rows[0]["incitement"]
    assert all(set(indicator) == {"kind", "words"} for indicator in rows[1]["indicators"])
    assert "call_to_act" in {indicator["kind"] for indicator in rows[1]["indicators"]}
    assert rows[2]["stance"]["comment"] == 1.0
    assert [row["attitude"] for row in rows] == ["query", "support", "comment"]


def test_a_bad_row_is_told_with_line_and_field_and_the_rest_is_scored(tmp_path: Path, capsys: pytest.CaptureFixture):
    status, rows = score(
        tmp_path, {"id": "a", "text": "x"}, b"", b"{", {"text": "x"}, {"id": "b", "text": 3}, {"id": "c", "text": "y"}
    )
    assert (status, [row["id"] for row in rows]) == (0, ["a", "c"])
    told = capsys.readouterr().err.replace("\n", " ")
    for words in ("in.jsonl:3: record: not JSON", "in.jsonl:4: id: neither", "in.jsonl:5: text: Expected"):
        assert words in told
    assert "2 rows scored, 3 bad" in told


def test_only_bad_rows_is_a_failure_and_an_empty_file_is_not(tmp_path: Path):
    assert score(tmp_path, b"{", b"[]") == (1, [])
    assert score(tmp_path) == (0, [])


def test_gzip_is_read_and_written_by_name(tmp_path: Path):
    row = {"id": "a", "text": "Fire at the harbour"}
    plain = score(tmp_path, row)
    assert score(tmp_path, row, name="in.jsonl.gz", out="out.jsonl.gz") == plain


def test_the_times_of_the_stages_are_printed(tmp_path: Path, capsys: pytest.CaptureFixture):
    score(tmp_path, {"id": "a", "text": "Fire"})
    told = capsys.readouterr().err
    for stage in ("load model", "normalise", "embed", "lexical", "heads"):
        assert f"{stage} " in told


def test_a_reply_is_scored_as_one(tmp_path: Path):
    _, (own, reply) = score(
        tmp_path, {"id": "1", "text": "good morning everyone"},
        {"id": "2", "text": "good morning everyone", "root_id": "1"},
    )  # fmt: skip
    assert own["stance"] != reply["stance"]
