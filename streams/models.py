"""Joins what scoring needs: the encoder of the tier, the weights of the heads, and what looks again."""

import importlib.metadata
import importlib.resources
import logging
from contextlib import nullcontext
from functools import cache, lru_cache, partial

import msgspec

from detectors import scoring
from detectors.embedding import Encoder, HashEncoder
from detectors.forecast_weights import ForecastWeights
from detectors.looks import Checker, FullLook
from detectors.policy import Configuration
from detectors.scoring import Scorer, Timed
from streams import static_model
from streams.errors import SettingsError
from streams.heads import check_heads, load_weights, weights_hash
from streams.second_look import load_second_look, shipped_space
from streams.sentence_model import HASH_MODEL, encoder_space, folder_of, load_encoder
from streams.settings import Settings, variable_of

FAST_HASH_DIMENSIONS = 32
"""Of the same under the fast tier."""

_log = logging.getLogger(__name__)


def load_scorer(settings: Settings, *, timed: Timed = nullcontext) -> Scorer:
    """Load the encoder of the tier and weights, and join them; raises `SettingsError` naming what does not fit."""
    check_heads(settings)
    encoder = encoder_of(settings)
    weights = load_weights(encoder.space, settings.heads)
    if not weights.incitement.space and not isinstance(encoder, HashEncoder):
        _log.warning(
            "no incitement head was trained on vectors of %s: the one on wording alone serves, and finds less; fit one"
            " with `emberwatch train incitement`",
            encoder.space,
        )
    if weights.stance is None and not isinstance(encoder, HashEncoder):
        _log.warning(
            "no stance head was trained on vectors of %s: patterns tell questions and denials, and find fewer; fit one"
            " with `emberwatch train stance`",
            encoder.space,
        )
    full = None if settings.tier == "full" else partial(_full_scorer, settings)
    return Scorer(encoder, weights, cache_texts=settings.cache_texts, timed=timed, claims_by=full)


def load_checker(settings: Settings, scorer: Scorer) -> Checker | None:
    """Load what takes second looks under these settings: the model as it was tuned for incitement.

    Where it was not, the full model looks again under the fast tier, and nothing under the full one.

    Parameters
    ----------
    scorer : what takes the first look, of the same settings.
    """
    if settings.tier == "full":
        return load_second_look(settings, scorer)
    full = _full_scorer(settings)
    return load_second_look(settings, full) or FullLook(full)


def look_model_of(settings: Settings) -> str:
    """Name of what `load_checker` loads, without loading it; empty where there is nothing."""
    space = encoder_space(settings.model, revision=settings.model_revision)
    tuned = shipped_space(space, settings.heads)
    return tuned or ("" if settings.tier == "full" else scoring.space_of(space))


@lru_cache(maxsize=1)
def _full_scorer(settings: Settings) -> Scorer:
    """Load the full tier's scorer once: claims and second looks share it."""
    return load_scorer(msgspec.structs.replace(settings, tier="full"))


def encoder_of(settings: Settings) -> Encoder:
    """Load the encoder that scores every post: the model, or under the fast tier the table distilled from it."""
    if settings.tier == "full":
        return load_encoder(
            settings.model,
            threads=settings.threads,
            revision=settings.model_revision,
            backend=settings.backend,
            remember=settings.data_dir,
        )
    if settings.model == HASH_MODEL:
        return HashEncoder(FAST_HASH_DIMENSIONS)
    _fast_space(settings)
    folder = None if settings.fast_model else folder_of(settings.model)
    return static_model.load(settings.fast_model, folder and folder / static_model.TOKENIZER)


def space_of_settings(settings: Settings) -> str:
    """Name of the space of `encoder_of`, without loading a model; raises `SettingsError` like it."""
    if settings.tier == "full":
        return encoder_space(settings.model, revision=settings.model_revision)
    return HashEncoder(FAST_HASH_DIMENSIONS).space if settings.model == HASH_MODEL else _fast_space(settings)


def _fast_space(settings: Settings) -> str:
    """Space of the fast tier's table, which must be of the configured model."""
    table = static_model.load_table(settings.fast_model)
    full = encoder_space(settings.model, revision=settings.model_revision)
    if table.model != full:
        raise SettingsError(
            f"{variable_of('fast_model')}: the table is of {table.model}, the model is {full}; make one with"
            " `emberwatch distill --out FOLDER`"
        )
    return table.space


def configuration_of(settings: Settings, policy: Configuration) -> Configuration:
    """The policy completed with what this process scores by: space, weights, code and shards.

    Raises `SettingsError` where the model is missing or not what its checksum says; loads no model.
    """
    check_heads(settings)
    space = space_of_settings(settings)
    return msgspec.structs.replace(
        policy,
        look_model=look_model_of(settings),
        embedding_space=scoring.space_of(space),
        weights_hash=weights_hash(space, settings.heads),
        code_version=importlib.metadata.version("emberwatch"),
        source_partitions=settings.posts_partitions,
        shards=settings.shards,
    )


@cache
def shipped_forecast() -> ForecastWeights | None:
    """Trees of the forecast of final size that come with the project; None where a package was built without."""
    file = importlib.resources.files("detectors").joinpath("weights", "forecast.json")
    return msgspec.json.decode(file.read_bytes(), type=ForecastWeights) if file.is_file() else None
