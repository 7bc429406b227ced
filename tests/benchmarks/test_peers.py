import json

import numpy as np
import peers
import pytest

from streams.settings import load_settings

SETTINGS = {"EMBERWATCH_MODEL": "hash"}


@pytest.fixture
def data(tmp_path):
    """Two stories of twenty posts each, in nearly the same words, in turns."""
    words = {
        "bridge": "the old bridge is closed until further notice",
        "band": "a brass band plays tonight at the pier",
    }
    rows = [
        {"id": f"{story}-{n}", "text": f"{text} {'really' if n % 2 else ''}", "gold": {"story": story}}
        for n in range(20)
        for story, text in words.items()
    ]
    folder = tmp_path / "narratives"
    folder.mkdir()
    (folder / "made.jsonl").write_text("\n".join(json.dumps(row) for row in rows))
    return tmp_path


@pytest.mark.parametrize("name", ["textclust", "dbstream", "birch", "hdbscan_sklearn"])
def test_a_peer_tells_two_stories_apart_and_is_timed(data, monkeypatch, name):
    if name in {"textclust", "dbstream"}:
        pytest.importorskip("river", reason="river is not installed (`make peers`)")
    monkeypatch.setattr(peers, "PEERS", {name: peers.PEERS[name]})
    rows = {row["metric"]: row for row in peers.peer_rows(load_settings(SETTINGS), data)}
    assert set(rows) == {"ami", "bcubed_f1", "posts_per_second"}
    assert rows["bcubed_f1"]["value"] > 0.6
    assert rows["posts_per_second"]["value"] > 0
    assert {(row["task"], row["corpus"], row["peer"]) for row in rows.values()} == {("N", "made", name)}


def test_what_is_not_installed_is_named_and_skipped(data, monkeypatch, capsys):
    monkeypatch.setattr(peers, "PEERS", {"nothing": ("no_such_package", lambda _texts, _vectors: [])})
    assert peers.peer_rows(load_settings(SETTINGS), data) == []
    assert "no_such_package is not installed, skipped" in capsys.readouterr().err


def test_a_peer_that_fails_is_named_and_the_others_go_on(data, monkeypatch, capsys):
    def fails(_texts, _vectors):
        raise ValueError("not today")

    monkeypatch.setattr(peers, "PEERS", {"broken": ("numpy", fails), "birch": peers.PEERS["birch"]})
    assert {row["peer"] for row in peers.peer_rows(load_settings(SETTINGS), data)} == {"birch"}
    assert "broken ... failed, skipped: ValueError: not today" in capsys.readouterr().err


def test_the_radii_are_those_of_the_cosine():
    generator = np.random.default_rng(1)
    one = generator.standard_normal(500)
    one /= np.linalg.norm(one)
    other = generator.standard_normal(500)
    other -= (other @ one) * one
    other = peers.COSINE * one + np.sqrt(1 - peers.COSINE**2) * other / np.linalg.norm(other)
    assert np.linalg.norm(one - other) == pytest.approx(peers.RADIUS)
