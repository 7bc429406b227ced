"""`emberwatch bench`: the table that people read, and what is asked for that is not there."""

import inspect
import json
from types import SimpleNamespace

import pytest

from streams import bench_command
from streams.errors import EmberwatchError

ROW = {"task": "N", "corpus": "made", "metric": "ami", "value": 0.86012, "anchor": 0.908, "level": "event"}


@pytest.fixture
def modules(monkeypatch):
    """Two benchmarks: one that can draw and has peers, one that can do neither."""
    full = SimpleNamespace(
        rows=lambda _settings, _data: [ROW],
        peer_rows=lambda _settings, _data: [{**ROW, "peer": "birch", "value": 0.5, "low": 0.4, "high": 0.6}],
        draw=lambda rows, folder: [folder / f"{len(rows)}.png"],
    )
    bare = SimpleNamespace(rows=lambda _settings, _data: [{**ROW, "task": "C", "value": 14231, "anchor": None}])
    made = {"full": full, "bare": bare}
    monkeypatch.setattr(bench_command, "_names", lambda: sorted(made))
    monkeypatch.setattr(bench_command, "_load", made.__getitem__)
    return made


def bench(settings, tmp_path, name, **more):
    file = tmp_path / "figures.json"
    arguments = {"pictures": None, "peers": False, **more}
    assert bench_command.run(settings, name=name, data=tmp_path, json_file=file, **arguments) == 0
    return json.loads(file.read_text())


def test_the_anchor_stands_beside_the_figure(settings, tmp_path, modules, capsys):
    assert bench(settings, tmp_path, "all") == [{**ROW, "task": "C", "value": 14231, "anchor": None}, ROW]
    out = capsys.readouterr().out
    [line] = [line for line in out.splitlines() if "level event" in line and "0.860" in line]
    assert line.index("0.860") < line.index("0.908")
    assert "14,231" in out
    assert "N: made" in out


def test_peers_run_on_request_and_stand_in_the_same_table(settings, tmp_path, modules, capsys):
    rows = bench(settings, tmp_path, "full", peers=True)
    assert [row.get("peer") for row in rows] == [None, "birch"]
    assert "0.400 to 0.600" in capsys.readouterr().out


def test_peers_of_a_benchmark_without_any_are_an_error(settings, tmp_path, modules):
    with pytest.raises(EmberwatchError, match="bare has none"):
        bench(settings, tmp_path, "bare", peers=True)


def test_what_can_be_drawn_is_drawn_where_a_folder_is_given(settings, tmp_path, modules, capsys):
    bench(settings, tmp_path, "all", pictures=tmp_path)
    assert "drawn: " in capsys.readouterr().out


def test_a_benchmark_that_is_not_there_is_told_with_those_that_are(settings, tmp_path):
    with pytest.raises(EmberwatchError, match=r"nope: no such benchmark; there are .*narratives.*sensitivity.*all"):
        bench_command.run(settings, name="nope", data=tmp_path, json_file=None, pictures=None, peers=False)


def test_every_benchmark_takes_a_folder_of_data_and_those_of_corpora_come_first():
    names = bench_command._names()
    assert names[: len(bench_command.FIRST)] == list(bench_command.FIRST)
    for name in names:
        assert len(inspect.signature(bench_command._load(name).rows).parameters) == 2, name
    assert "latency" not in names  # a part of `throughput`


def test_a_benchmark_that_fails_takes_no_other_figures_with_it(settings, tmp_path, modules, capsys):
    def broken(_settings, _data):
        raise ZeroDivisionError("of this test")

    modules["full"].rows = broken
    file = tmp_path / "figures.json"
    arguments = {"data": tmp_path, "json_file": file, "pictures": None, "peers": False}
    assert bench_command.run(settings, name="all", **arguments) == 1
    assert [row["task"] for row in json.loads(file.read_text())] == ["C"]
    told = capsys.readouterr().err
    assert "ZeroDivisionError: of this test" in told
    assert "failed: full" in told
    with pytest.raises(ZeroDivisionError):
        bench_command.run(settings, name="full", **arguments)
