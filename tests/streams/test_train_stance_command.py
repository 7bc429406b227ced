import json
from pathlib import Path

import msgspec
import pytest

from detectors.stance_head import StanceHead, StanceWeights
from streams import train_stance_command
from streams.errors import EmberwatchError
from streams.settings import Settings
from streams.train_command import shipped_rows

pytest.importorskip("sklearn", reason="scikit-learn is not installed (extra `train`)")

SETTINGS = Settings(model="hash")
TEXTS = {"support": "Yes, {} burns", "deny": "{} does not burn", "query": "Does {} burn?", "comment": "Poor {}"}


def write(file: Path, rows) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))


@pytest.fixture
def data(tmp_path: Path) -> Path:
    rows = [
        {
            "id": f"{thread}-{place}",
            "root_id": f"{thread}-0",
            "text": text.format(f"house {thread}"),
            "gold": {"stance": name},
        }
        for thread in range(10)
        for place, (name, text) in enumerate(TEXTS.items())
    ]
    write(tmp_path / "stance" / "own.jsonl", rows)
    return tmp_path


def test_the_head_is_written_for_the_configured_model_and_texts_of_the_posts_are_left_out(
    data: Path, capsys: pytest.CaptureFixture
):
    write(data / "posts" / "stream.jsonl", [{"text": "RT @a: Does house 3 burn? https://u.example"}])
    assert train_stance_command.run(SETTINGS, data=data, out=data / "head.json") == 0
    head = msgspec.json.decode((data / "head.json").read_bytes(), type=StanceWeights)
    assert (head.space, len(head.dense)) == ("hash-64", 64)
    assert head.trained_on == f"own (39), written_stances ({len(train_stance_command.written())})"
    StanceHead(head, "hash-64")
    told = capsys.readouterr().err
    assert "40 labelled texts, 1 left out" in told
    assert "left out of the training" in told


def test_a_folder_without_labelled_texts_is_an_error(tmp_path: Path):
    with pytest.raises(EmberwatchError, match="no file of labelled texts"):
        train_stance_command.run(SETTINGS, data=tmp_path, out=tmp_path / "head.json")


def test_an_unknown_label_is_told_with_its_file(data: Path):
    write(data / "stance" / "worse.jsonl", [{"text": "fine", "gold": {"stance": "angry"}}])
    with pytest.raises(EmberwatchError, match=r"worse\.jsonl: stance must be one of"):
        train_stance_command.run(SETTINGS, data=data, out=data / "head.json")


def test_the_written_examples_carry_their_licence_and_labels():
    licence, *rows = shipped_rows(train_stance_command.WRITTEN)
    assert licence["license"] == "Apache-2.0"
    assert {(row["stance"], row["reply"]) for row in rows} == {
        (name, reply) for name in TEXTS for reply in (True, False)
    }
    assert len({(row["text"], row["reply"]) for row in rows}) == len(rows)
