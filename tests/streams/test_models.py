import subprocess
import sys
from importlib.metadata import version

import pytest

from detectors.embedding import Encoder, HashEncoder
from detectors.policy import Configuration
from detectors.scoring import Scorer
from streams import models
from streams.heads import load_weights
from streams.models import configuration_of, load_scorer
from streams.sentence_model import SentenceEncoder, load_encoder
from streams.settings import Settings

DEFAULT_SPACE = "all-MiniLM-L6-v2@53aa5117"


@pytest.fixture(scope="module")
def default_encoder() -> Encoder:
    return load_encoder(threads=1)


def test_the_configuration_names_what_posts_are_scored_by():
    settings = Settings(model="hash", shards=3)
    completed = configuration_of(settings, Configuration(epoch=2))
    assert completed.embedding_space == load_scorer(settings).space == "hash-64+words256"
    assert (completed.shards, completed.epoch, completed.code_version) == (3, 2, version("emberwatch"))
    assert len(completed.weights_hash) == 12


def test_the_configuration_of_the_default_model_is_known_without_loading_it():
    script = (
        "import sys; from streams.models import *; from streams.settings import Settings;"
        "print(configuration_of(Settings(), Configuration()).embedding_space, 'torch' in sys.modules)"
    )
    out = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    assert out.split() == [f"{DEFAULT_SPACE}+words256", "False"]


def test_an_encoder_without_heads_is_told_of_both(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch):
    class Strange(HashEncoder):
        space = "strange@00000000"

    monkeypatch.setattr(models, "HashEncoder", SentenceEncoder)  # a real model's encoder, as far as the warning goes
    monkeypatch.setattr(models, "encoder_of", lambda settings: Strange())
    assert not load_scorer(Settings()).has_heads
    assert "no incitement head was trained on vectors of strange@00000000" in caplog.text
    assert "no stance head was trained on vectors of strange@00000000" in caplog.text


def test_the_scorer_as_shipped_tells_the_attitude(default_encoder: Encoder):
    scorer = Scorer(default_encoder, load_weights(default_encoder.space), cache_texts=10)
    attitudes = {
        ("Is this true? Nobody else reports it", True): "query",
        ("Is it true that the bridge has collapsed?", False): "query",
        ("That's not true, he was at work all day", True): "deny",
        ("The story about the poisoned river is a hoax", False): "deny",
        ("Two people have died in the fire at the old mill", False): "support",
        ("Police say that two people have died in the fire", False): "report",
        ("so sad, thinking of the families", True): "comment",
    }
    scores = scorer.score_texts([text for text, _ in attitudes])
    told = {
        (text, is_reply): scorer.attitude_of(one.stance_as_reply if is_reply else one.stance)
        for (text, is_reply), one in zip(attitudes, scores, strict=True)
    }
    assert told == attitudes


def test_the_scorer_as_shipped_scores_a_call_above_a_weather_report(default_encoder: Encoder):
    scorer = load_scorer(Settings(threads=1))
    call, weather = scorer.score_texts(
        ["Bring petrol and burn the hotel down tonight at eight, all of them inside", "Light rain tonight at eight"]
    )
    assert call.incitement > 0.5 > weather.incitement
    assert scorer.space == f"{default_encoder.space}+words256"
