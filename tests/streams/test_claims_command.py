import gzip
import json
from pathlib import Path

import pytest

from streams import claims_command
from streams.errors import EmberwatchError
from streams.settings import Settings

SETTINGS = Settings(model="hash")
RIVER = "The river Lume in Harwick was poisoned with cyanide by the Corvex factory"
OWL = "A giant owl was photographed above the stadium of Marlow"


def lines_of(rows) -> bytes:
    return b"".join((row if isinstance(row, bytes) else json.dumps(row).encode()) + b"\n" for row in rows)


def match(tmp_path: Path, rows, claims, settings: Settings = SETTINGS) -> tuple[int, list[dict]]:
    (tmp_path / "texts.jsonl").write_bytes(lines_of(rows))
    (tmp_path / "claims.jsonl.gz").write_bytes(gzip.compress(lines_of(claims)))
    status = claims_command.run(
        settings, file=tmp_path / "texts.jsonl", claims=[tmp_path / "claims.jsonl.gz"], out=tmp_path / "out.jsonl"
    )
    return status, [json.loads(line) for line in (tmp_path / "out.jsonl").read_bytes().splitlines()]


def test_each_text_gets_its_best_claims_with_similarity_probability_and_match(tmp_path: Path):
    status, rows = match(
        tmp_path,
        [{"id": 7, "text": RIVER}, {"id": "b", "text": "lovely bread today"}, {"post_id": "p", "text": ""}],
        [
            {"@id": "river", "claimReviewed": RIVER},
            {"url": "https://u.example/owl", "claimReviewed": OWL, "name": "An owl"},
        ],
    )
    assert status == 0
    assert [row["id"] for row in rows] == [7, "b", "p"]
    assert [claim["claim_id"] for claim in rows[0]["claims"]] == ["river", "https://u.example/owl"]
    assert [claim["match"] for claim in rows[0]["claims"]] == [True, False]
    assert set(rows[0]["claims"][0]) == {"claim_id", "similarity", "probability", "match", "shared", "differing"}
    assert not any(claim["match"] for claim in rows[1]["claims"])
    assert rows[2]["claims"] == []


def test_at_most_five_claims_are_given(tmp_path: Path):
    claims = [{"@id": f"c{number}", "claimReviewed": f"{OWL} {number}"} for number in range(9)]
    _, rows = match(tmp_path, [{"id": 1, "text": OWL}], claims)
    assert len(rows[0]["claims"]) == 5


def test_bad_rows_and_claims_are_told_of_with_line_and_field_and_the_rest_goes_on(tmp_path: Path, capsys):
    status, rows = match(
        tmp_path,
        [{"id": 1, "text": RIVER}, {"text": "no id"}, b"{broken"],
        [{"@id": "river", "claimReviewed": RIVER}, {"@id": "empty", "claimReviewed": ""}, {"claimReviewed": OWL}],
    )
    told = capsys.readouterr().err
    assert status == 0
    assert [row["id"] for row in rows] == [1]
    assert "claims.jsonl.gz: claimReviewed" in told
    assert "(line 3)" in told
    assert "texts.jsonl: id" in told
    assert "2 rows and 2 claims unusable" in told


def test_the_threshold_of_the_configuration_decides_what_is_a_match(tmp_path: Path):
    (tmp_path / "policy.toml").write_text("[falsehood]\nmatch_probability = 1.0\n")
    settings = Settings(model="hash", configuration=tmp_path / "policy.toml")
    _, rows = match(tmp_path, [{"id": 1, "text": RIVER}], [{"@id": "river", "claimReviewed": RIVER}], settings)
    assert rows[0]["claims"][0]["match"] is False


def test_claims_of_which_none_can_be_used_are_an_error(tmp_path: Path):
    with pytest.raises(EmberwatchError, match="no claim that can be used"):
        match(tmp_path, [{"id": 1, "text": RIVER}], [b"[]"])


def test_without_a_row_that_can_be_used_the_exit_status_is_one(tmp_path: Path):
    status, rows = match(tmp_path, [b"{broken"], [{"@id": "river", "claimReviewed": RIVER}])
    assert (status, rows) == (1, [])
