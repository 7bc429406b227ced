import json
from pathlib import Path

import msgspec
import pytest
from rich.console import Console

from detectors.incitement import IncitementHead, IncitementWeights
from detectors.taxonomy import CLASSES
from detectors.training import is_held_out
from streams import train_command
from streams.errors import EmberwatchError
from streams.heads import heads_come_for, load_weights
from streams.settings import Settings

pytest.importorskip("sklearn", reason="scikit-learn is not installed (extra `train`)")

OWN = [text for n in range(8) for text in (f"Burn house {n} down", f"House {n} is for sale")]
SETTINGS = Settings(model="hash")


def write(file: Path, rows) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))


@pytest.fixture
def data(tmp_path: Path) -> Path:
    write(
        tmp_path / "incitement" / "own.jsonl",
        [{"text": f"Burn house {n} down", "gold": {"incites": 1}} for n in range(8)]
        + [{"text": f"House {n} is for sale", "gold": {"incites": 0}} for n in range(8)],
    )
    write(
        tmp_path / "incitement" / "ethos.jsonl",
        [{"text": "Hang them", "gold": {"incites": 1}}, {"text": "Hello", "gold": {"incites": 0}}],
    )
    return tmp_path


def test_the_head_is_written_for_the_configured_model(data: Path):
    assert train_command.run(SETTINGS, data=data, out=data / "head.json") == 0
    head = msgspec.json.decode((data / "head.json").read_bytes(), type=IncitementWeights)
    assert head.space == "hash-64"
    assert len(head.incites.dense) == 64
    assert set(head.classes) == set(CLASSES)
    kept = sum(not is_held_out(row) for row in OWN)
    assert f"own ({kept})" in head.trained_on
    assert 0 < kept < len(OWN)
    assert "written_examples" in head.trained_on
    IncitementHead(head, "hash-64")


def test_without_a_file_the_head_goes_into_the_folder_that_workers_read(data: Path, capsys):
    settings = Settings(model="hash", heads=data / "heads")
    assert train_command.run(settings, data=data) == 0
    shipped = load_weights("hash-64").incitement
    own = load_weights("hash-64", settings.heads).incitement
    assert (shipped.space, own.space) == ("", "hash-64")
    assert heads_come_for("hash-64+words256", settings.heads)
    assert f"EMBERWATCH_HEADS={settings.heads} EMBERWATCH_MODEL=hash" in capsys.readouterr().err


def test_no_work_is_begun_without_a_place_for_the_head(data: Path):
    with pytest.raises(EmberwatchError, match=r"--out.*EMBERWATCH_HEADS"):
        train_command.run(SETTINGS, data=data)


def test_a_language_that_the_head_is_no_good_at_is_said_loudly(data: Path, capsys):
    train_command.run(SETTINGS, data=data, out=data / "head.json", languages=("en", "de", "fi"))
    told = capsys.readouterr().err
    assert "de: AUROC" in told  # the encoder of the tests knows no language
    assert "of little use" in told
    assert "fi: no examples of both labels: nobody knows how well it judges there" in told
    head = msgspec.json.decode((data / "head.json").read_bytes(), type=IncitementWeights)
    assert head.languages == ("en", "de", "fi")


def test_a_corpus_tells_the_language_of_its_rows(data: Path, capsys):
    rows = [
        {"text": f"{verb} Haus {n}", "lang": "de-AT", "gold": {"incites": label}}
        for n in range(8)
        for verb, label in (("Brennt ab", 1), ("Verkauft", 0))
    ]
    write(data / "incitement" / "deutsch.jsonl", rows)
    examples, _ = train_command.examples(data, frozenset(), ("en", "de"), Console(stderr=True))
    assert {one.lang for one in examples if one.corpus == "deutsch"} == {"de"}


def test_corpora_that_may_not_be_trained_on_are_only_measured(data: Path, capsys):
    train_command.run(SETTINGS, data=data, out=data / "head.json")
    head = msgspec.json.decode((data / "head.json").read_bytes(), type=IncitementWeights)
    told = capsys.readouterr().err
    assert "ethos" not in head.trained_on
    assert "only measured (GPL-3.0)" in told
    assert "On corpora it never saw" in told


def test_texts_of_the_posts_are_left_out_of_the_training(data: Path):
    write(data / "posts" / "stream.jsonl", [{"text": "RT @a: Burn house 3 down https://u.example"}])
    train_command.run(SETTINGS, data=data, out=data / "head.json")
    head = msgspec.json.decode((data / "head.json").read_bytes(), type=IncitementWeights)
    kept = sum(not is_held_out(row) for row in OWN if row != "Burn house 3 down")
    assert f"own ({kept})" in head.trained_on


def test_a_head_on_the_wording_alone_fits_any_model(data: Path):
    train_command.run(SETTINGS, data=data, out=data / "head.json", wording_only=True)
    head = msgspec.json.decode((data / "head.json").read_bytes(), type=IncitementWeights)
    assert (head.space, head.incites.dense) == ("", ())


def test_a_folder_without_labelled_texts_is_an_error(tmp_path: Path):
    with pytest.raises(EmberwatchError, match="no file of labelled texts"):
        train_command.run(SETTINGS, data=tmp_path, out=tmp_path / "head.json")


def test_a_row_without_text_is_named_with_its_line(data: Path):
    write(data / "incitement" / "worse.jsonl", [{"text": "fine", "gold": {}}, {"gold": {}}])
    with pytest.raises(EmberwatchError, match=r"worse\.jsonl:2: text"):
        train_command.run(SETTINGS, data=data, out=data / "head.json")


def test_the_written_examples_carry_their_licence_and_labels():
    import importlib.resources

    content = importlib.resources.files("detectors").joinpath("weights/written_examples.jsonl").read_text("utf-8")
    licence, *rows = map(json.loads, content.splitlines())
    assert licence["license"] == "Apache-2.0"
    assert {row["incites"] for row in rows} == {0, 1}
    assert len({row["text"] for row in rows}) == len(rows)
