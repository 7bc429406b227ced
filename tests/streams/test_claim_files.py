import gzip
import json
from pathlib import Path

import pytest

from detectors.claim_feeds import Withdrawal
from detectors.posts import BadRecord
from streams.claim_files import read_claims, read_known


def test_each_line_is_a_claim_or_what_is_wrong_with_it(tmp_path: Path):
    file = tmp_path / "claims.jsonl"
    file.write_text('{"@id": "a", "claimReviewed": "x"}\n\n{"@id": "b"}\n{"url": "u", "claimReviewed": "y"}\n')
    first, second, third = read_claims(file)
    assert (first.claim_id, third.claim_id) == ("a", "u")
    assert isinstance(second, BadRecord)
    assert second.field == "claimReviewed"
    assert second.error.endswith("(line 3)")


REVIEW = {"@type": "ClaimReview", "url": "u", "claimReviewed": "x"}
FEED = {"dataFeedElement": [{"item": [REVIEW]}, {"dateDeleted": "2026-01-01", "item": {"url": "old"}}]}


@pytest.mark.parametrize("indent", [None, 2])
@pytest.mark.parametrize("packed", [False, True])
def test_a_feed_is_one_document_however_it_is_laid_out(tmp_path: Path, indent, packed):
    content = json.dumps(FEED, indent=indent).encode()
    file = tmp_path / ("feed.json.gz" if packed else "feed.json")
    file.write_bytes(gzip.compress(content) if packed else content)
    claim, withdrawal = read_claims(file)
    assert (claim.claim_id, withdrawal) == ("u", Withdrawal("old"))


def test_lines_may_be_of_any_form_and_a_later_one_withdraws_an_earlier(tmp_path: Path):
    lines = [
        {"@graph": [REVIEW]},
        {"url": "old", "claimReviewed": "y"},
        [{"url": "a", "claimReviewed": "1"}, {"url": "b", "claimReviewed": "2"}],
        {"dataFeedElement": [{"dateDeleted": "2026-01-01", "item": {"url": "old"}}]},
    ]
    file = tmp_path / "claims.jsonl"
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert [claim.claim_id for claim in read_known(file)] == ["u", "a", "b"]


def test_an_empty_file_and_one_that_is_no_json_are_told(tmp_path: Path):
    file = tmp_path / "claims.jsonl"
    file.write_text("\n\n")
    assert list(read_claims(file)) == []
    file.write_text("{broken\n")
    [bad] = read_claims(file)
    assert isinstance(bad, BadRecord)
    assert "(line 1)" in bad.error
