import coordination as bench
import pytest


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(bench, "SEEDS", 1)
    monkeypatch.setattr(bench, "FANS", 600)
    monkeypatch.setitem(bench.CROWDS, "twenty_links", {"things": 5, "sharers": 200, "pace_s": 300.0, "uneven": False})


def test_a_ring_is_found_and_a_slow_one_is_not():
    assert bench._ring(10, 8, 10.0)["value"] > 0.7
    assert bench._ring(10, 8, 3000.0)["value"] == 0.0


def test_a_crowd_without_a_ring_has_nobody():
    values = {row["metric"]: row["value"] for row in bench._crowd("twenty_links", bench.CROWDS["twenty_links"])}
    assert values["false_positive_rate"] == 0.0
    assert values["crowds_flagged"] == 0
    assert values["microseconds_per_share"] > 0


def test_every_file_of_posts_is_run_as_it_is_and_under_its_null_model(tmp_path, monkeypatch):
    import json

    monkeypatch.setattr(bench, "CROWDS", {})
    monkeypatch.setattr(bench, "RINGS", [])
    (tmp_path / "posts").mkdir()
    rows = [
        {
            "post_id": f"p{wave}-{member}", "platform": "x", "author_id": f"a{member}",
            "created_at": f"2026-01-01T{wave:02d}:00:{member:02d}Z", "text": f"link {wave}",
            "urls": [f"https://x.example/{wave}"],
        }
        for wave in range(8)
        for member in range(8)
    ]  # fmt: skip
    (tmp_path / "posts" / "made.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    found = bench.rows(None, tmp_path)
    assert [(row["corpus"], row["authors"], row["of"]) for row in found] == [
        ("made", "as_it_is", 8),
        ("made", "null", 8),
    ]
    assert found[0]["value"] > 0.5
