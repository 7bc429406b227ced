import gzip
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.errors import EmberwatchError
from streams.json_lines import read_lines, write_lines


@pytest.mark.parametrize("name", ["rows.jsonl", "rows.jsonl.gz"])
def test_what_is_written_is_read_with_its_line_numbers(tmp_path: Path, name: str):
    file = tmp_path / name
    with write_lines(file) as lines:
        lines.write(b'{"a":1}\n\n  \n{"b":2}\r\n{"c":3}')
    assert [(line.number, line.value) for line in read_lines(file)] == [
        (1, b'{"a":1}'),
        (4, b'{"b":2}'),
        (5, b'{"c":3}'),
    ]
    assert list(read_lines(file))[-1].read_bytes == file.stat().st_size
    assert list(tmp_path.iterdir()) == [file]


def test_the_same_lines_make_the_same_gzip(tmp_path: Path):
    for name in ("a.gz", "b.gz"):
        with write_lines(tmp_path / name) as lines:
            lines.write(b"{}\n")
    assert (tmp_path / "a.gz").read_bytes() == (tmp_path / "b.gz").read_bytes()


@given(st.lists(st.integers(0, 40), max_size=8), st.booleans())
def test_a_line_that_is_too_long_is_cut_and_the_next_is_whole(lengths: list[int], ends: bool):
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "rows.jsonl")
        values = [bytes([65 + i]) * length for i, length in enumerate(lengths)]
        file.write_bytes(b"\n".join(values) + b"\n" * ends)
        read = [line.value for line in read_lines(file, most_bytes=10)]
    kept = [value for value in values if value]
    assert [value[:10] for value in read] == [value[:10] for value in kept]
    assert [len(value) > 10 for value in read] == [len(value) > 10 for value in kept]


def test_a_broken_gzip_is_told_with_the_line_reached(tmp_path: Path):
    file = tmp_path / "rows.jsonl.gz"
    file.write_bytes(gzip.compress(b"{}\n" * 3)[:-6])
    with pytest.raises(EmberwatchError, match=r"rows.jsonl.gz: after line \d+: "):
        list(read_lines(file))
    file.write_bytes(b"not gzip")
    with pytest.raises(EmberwatchError, match="after line 0"):
        list(read_lines(file))


def test_a_missing_file_is_told(tmp_path: Path):
    with pytest.raises(EmberwatchError, match=r"absent\.jsonl"):
        list(read_lines(tmp_path / "absent.jsonl"))


def test_an_interrupted_writer_leaves_what_was_there(tmp_path: Path):
    file = tmp_path / "out.jsonl"
    file.write_text("before")

    def write_half_of_it() -> None:
        with write_lines(file) as lines:
            lines.write(b"half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_half_of_it()
    assert file.read_text() == "before"
    assert list(tmp_path.iterdir()) == [file]


def test_a_folder_that_is_not_there_is_told(tmp_path: Path):
    with pytest.raises(EmberwatchError, match="No such file"), write_lines(tmp_path / "absent" / "out.jsonl"):
        pass
