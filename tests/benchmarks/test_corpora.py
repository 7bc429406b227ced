"""Corpora that are not what they should be say so, with the file and the row."""

import gzip

import pytest
from corpora import files, post_of, read_rows

from streams.errors import EmberwatchError
from streams.train_command import labelled_rows

POST = {
    "post_id": "p1",
    "platform": "x",
    "created_at": "2026-01-01T00:00:00Z",
    "author_id": "a",
    "text": "the bridge is closed",
}


@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzip"])
def test_rows_are_read_with_a_truth_that_may_be_empty(tmp_path, pack):
    file = tmp_path / ("rows.jsonl.gz" if pack is gzip.compress else "rows.jsonl")
    file.write_bytes(pack(b'{"id": 1, "gold": {"story": "a"}}\n\n{"id": 2, "gold": null}\n{"id": 3}'))
    assert [(row["id"], row["gold"]) for row in read_rows(file)] == [(1, {"story": "a"}), (2, {}), (3, {})]


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b'{"id": 1}\nnot json\n', "line 2: Expecting value"),
        (b'{"id": 1}\n[1, 2]\n', "line 2: no JSON object"),
        (b'{"id": "\xff"}\n', "line 1: 'utf-8' codec"),
    ],
)
def test_a_line_that_is_no_row_is_told_with_its_number(tmp_path, content, told):
    file = tmp_path / "rows.jsonl"
    file.write_bytes(content)
    with pytest.raises(EmberwatchError, match=f"rows.jsonl: {told}"):
        read_rows(file)


def test_a_file_that_is_no_gzip_is_told(tmp_path):
    (tmp_path / "posts").mkdir()
    (tmp_path / "posts" / "rows.jsonl.gz").write_bytes(b"plain")
    [file] = files(tmp_path, "posts")
    with pytest.raises(EmberwatchError, match="Not a gzipped file"):
        read_rows(file)


def test_a_row_without_a_clock_gets_a_second_of_its_own():
    first, second = [post_of({"id": place, "text": "rain"}, place) for place in (0, 1)]
    assert (second.created_at - first.created_at).total_seconds() == 1.0
    assert [first.post_id, first.author_id, second.author_id] == ["0", "author-of-0", "author-of-1"]


@pytest.mark.parametrize(
    ("row", "told"),
    [
        ({**POST, "created_at": "yesterday"}, r"p1, row 5 of its corpus, is no post: .*created_at"),
        ({key: value for key, value in POST.items() if key != "text"}, "p1.*`text`"),
        ({"id": 7, "gold": {}}, r"7, row 5 .*\$\.text"),
    ],
)
def test_a_row_that_is_no_post_is_told_with_the_field(row, told):
    with pytest.raises(EmberwatchError, match=told):
        post_of(row, 4)


def test_a_row_without_a_text_is_told_where_texts_are_judged(tmp_path):
    file = tmp_path / "rows.jsonl"
    file.write_text('{"text": "the bridge is closed"}\n{"id": 1}\n')
    rows = labelled_rows(file)
    assert next(rows)["text"] == "the bridge is closed"
    with pytest.raises(EmberwatchError, match=r"rows\.jsonl:2: text: missing"):
        next(rows)


def test_a_row_that_is_too_long_is_told_with_the_limit(tmp_path):
    file = tmp_path / "rows.jsonl"
    file.write_text('{"text": "' + 70_000 * "a" + '"}\n')
    with pytest.raises(EmberwatchError, match=r"rows\.jsonl:1: longer than 65536 bytes"):
        next(labelled_rows(file))
