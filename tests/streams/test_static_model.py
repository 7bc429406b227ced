import logging
from pathlib import Path

import numpy as np
import pytest

from detectors.policy import Configuration
from detectors.static import StaticTable
from streams import distill_command, static_model
from streams.backends import BatchEncoder
from streams.errors import SettingsError
from streams.models import configuration_of, encoder_of, load_checker, load_scorer, space_of_settings
from streams.sentence_model import load_encoder
from streams.settings import Settings

FAST = Settings(tier="fast", threads=1)


def test_the_space_is_known_without_the_tokenizer_and_is_that_of_the_scorer():
    assert load_scorer(FAST).space == f"{space_of_settings(FAST)}+words256"
    assert configuration_of(FAST, Configuration()).embedding_space == load_scorer(FAST).space
    assert space_of_settings(FAST) != space_of_settings(Settings())


def test_the_hash_model_has_a_fast_tier_too():
    settings = Settings(model="hash", tier="fast")
    assert load_scorer(settings).space == f"{space_of_settings(settings)}+words256" == "hash-32+words256"
    checker = load_checker(settings, load_scorer(settings))
    assert checker is not None
    assert checker.model == "hash-64+words256"
    full = Settings(model="hash")
    assert load_checker(full, load_scorer(full)) is None


def test_a_table_of_another_model_is_refused(tmp_path: Path):
    table = StaticTable(model="other@00000000", pieces=np.ones((3, 8), np.int8), scales=np.ones(3, np.float32))
    encoder = load_encoder(threads=1, backend="torch")
    assert isinstance(encoder, BatchEncoder)
    static_model.write(tmp_path, table, encoder.tokenizer)
    with pytest.raises(SettingsError, match="the table is of other@00000000, the model is all-MiniLM-L6-v2@53aa5117"):
        encoder_of(Settings(tier="fast", fast_model=tmp_path))


def test_a_folder_without_a_table_is_refused(tmp_path: Path):
    with pytest.raises(SettingsError, match=r"EMBERWATCH_FAST_MODEL: no table in .*`emberwatch distill"):
        encoder_of(Settings(tier="fast", fast_model=tmp_path))


def test_distilling_again_gives_a_table_that_serves_and_whose_missing_head_is_told(tmp_path, monkeypatch, caplog):
    """Of the first pieces only: all of them take minutes on a busy machine."""
    monkeypatch.setattr("tokenizers.Tokenizer.get_vocab_size", lambda self: 400)
    assert distill_command.run(Settings(threads=1), out=tmp_path / "table") == 0
    table = static_model.load_table(tmp_path / "table")
    assert table.pieces.shape == (400, 256)
    settings = Settings(tier="fast", fast_model=tmp_path / "table", threads=1)
    with caplog.at_level(logging.WARNING):
        scorer = load_scorer(settings)
    assert scorer.space == f"{table.space}+words256"
    assert f"no incitement head was trained on vectors of {table.space}" in caplog.text
    shipped = static_model.load_table(None)
    ours, theirs = (one.pieces.astype(float) * one.scales[:, None] for one in (table, shipped))
    ours, theirs = ours[200:400], theirs[200:400] - theirs[:400].mean(axis=0)
    assert np.corrcoef((ours @ ours.T).ravel(), (theirs @ theirs.T).ravel())[0, 1] > 0.95
