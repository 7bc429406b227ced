"""Calls to violence: the surface forms people look for, and a small calibrated head."""

from collections.abc import Sequence

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from detectors.entries import Indicator


class IncitementWeights(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A trained head; `detectors/weights/incitement.json` holds one, its model card lies beside it."""

    schema_version: int = 1
    space: str
    """Embedding space of `dense`; empty where the head uses no vector and so fits any encoder."""
    dense: tuple[float, ...]
    """Weight of each dimension of the sentence vector, shape (d,); empty where `space` is."""
    lexical: dict[str, float]
    """Weight of each feature of `FEATURES`."""
    bias: float
    calibration: tuple[float, float]
    """probability = sigmoid(a * score + b), fitted on cross-fitted scores (Platt)."""
    trained_on: str
    """The data, in words."""


class WrongSpaceError(ValueError):
    """The head was trained on vectors of another embedding space."""


class IncitementHead:
    """Calibrated probability that a text calls for violence.

    `space` is that of the encoder whose vectors it will see; raises WrongSpaceError where the weights are of another.
    """

    def __init__(self, weights: IncitementWeights, space: str) -> None:
        raise NotImplementedError

    def probabilities(self, texts: Sequence[str], dense: NDArray[np.float32]) -> NDArray[np.float64]:
        """Probabilities, shape (n,), for n texts and their unit vectors, shape (n, d)."""
        raise NotImplementedError


def indicators(text: str) -> tuple[Indicator, ...]:
    """Surface forms found in a text, in the order of the text."""
    raise NotImplementedError


def names_place_and_time(found: Sequence[Indicator]) -> bool:
    """Whether a call to violence comes with a place and a time."""
    raise NotImplementedError


def calls_to_violence(found: Sequence[Indicator]) -> bool:
    """Whether a call to act is one to violence, rather than one to gather (a march, a vigil)."""
    raise NotImplementedError
