from pathlib import Path

from detectors.posts import BadRecord
from streams.claim_files import read_claims


def test_each_line_is_a_claim_or_what_is_wrong_with_it(tmp_path: Path):
    file = tmp_path / "claims.jsonl"
    file.write_text('{"@id": "a", "claimReviewed": "x"}\n\n{"@id": "b"}\n{"url": "u", "claimReviewed": "y"}\n')
    first, second, third = read_claims(file)
    assert (first.claim_id, third.claim_id) == ("a", "u")
    assert isinstance(second, BadRecord)
    assert second.field == "claimReviewed"
    assert second.error.endswith("(line 3)")
