"""Vectors that are fixed once, and whole-number forms of them whose products are exact.

A sentence embedded in another batch differs in its last bits, and a matrix product's last bits depend on its
shape. So a vector is rounded once, to int8, when it is written to the journal; and wherever the fold compares
vectors it uses whole numbers small enough that float32 products are exact in any order: the integers of a vector
have a Euclidean norm of at most `NORM`, so by the Cauchy-Schwarz inequality every partial sum of a product of two
of them is an integer of at most NORM**2 < 2**24, which float32 holds exactly. Batches, threads and the processor's
instruction set cannot show in a result.
"""

import numpy as np
from numpy.typing import NDArray

from detectors.entries import Vector

Floats = NDArray[np.float32]

NORM = 4095
"""Norm of a whole vector; the cosine of two is their product over NORM**2, to within some 2e-6 of the rounded inputs."""

COSINE = 1.0 / (NORM * NORM)
"""Factor from a product of two whole vectors to their cosine."""


def quantise(dense: Floats, lexical: Floats, space: str) -> Vector:
    """Round two channels, shapes (d,) and (l,), to int8 with a scale each.

    A channel without length (a text with no words) becomes zeros with scale 0.

    >>> v = quantise(np.array([0.6, 0.8], np.float32), np.zeros(2, np.float32), "toy")
    >>> np.frombuffer(v.dense, np.int8).tolist(), v.lexical_scale
    ([95, 127], 0.0)
    """
    dense_bytes, dense_scale = _to_int8(dense)
    lexical_bytes, lexical_scale = _to_int8(lexical)
    return Vector(
        space=space, dense=dense_bytes, dense_scale=dense_scale, lexical=lexical_bytes, lexical_scale=lexical_scale
    )


def dense_of(vector: Vector) -> Floats:
    """The sentence vector, shape (d,), unit length (zeros stay zeros)."""
    return _unit(np.frombuffer(vector.dense, np.int8))


def lexical_of(vector: Vector) -> Floats:
    """The lexical vector, shape (l,), unit length (zeros stay zeros)."""
    return _unit(np.frombuffer(vector.lexical, np.int8))


def whole(vector: Vector, lexical_weight: float) -> Floats:
    """Both channels side by side as whole numbers, shape (d + l,), norm at most `NORM`.

    `lexical_weight` is the lexical channel's share of the squared length. A text without words keeps the sentence
    channel's share only: its cosine with others is lower, as it says less.

    >>> v = quantise(np.array([0.6, 0.8], np.float32), np.array([1, 0], np.float32), "toy")
    >>> bool(np.linalg.norm(whole(v, 0.5)) <= NORM)
    True
    """
    if not 0.0 <= lexical_weight <= 1.0:
        raise ValueError(f"lexical_weight must lie in 0..1, not {lexical_weight}")
    dense = _unit64(np.frombuffer(vector.dense, np.int8)) * (1.0 - lexical_weight) ** 0.5
    lexical = _unit64(np.frombuffer(vector.lexical, np.int8)) * lexical_weight**0.5
    return to_whole(np.concatenate([dense, lexical]))


def whole_dense(vector: Vector) -> Floats:
    """The sentence channel alone as whole numbers, shape (d,), norm at most `NORM`."""
    return to_whole(_unit64(np.frombuffer(vector.dense, np.int8)))


def to_whole(direction: NDArray[np.float64]) -> Floats:
    """Whole numbers nearest a vector of length at most 1, truncated towards zero so that the norm stays within `NORM`."""
    return np.trunc(direction * NORM).astype(np.float32)


def centroid(total: NDArray[np.int64]) -> Floats:
    """Whole-number centroid of a sum of whole vectors, shape (d,); the sum itself is exact whatever its order."""
    return to_whole(_unit64(total))


def _to_int8(channel: Floats) -> tuple[bytes, float]:
    largest = float(np.max(np.abs(channel), initial=0.0))
    if largest == 0.0 or not np.isfinite(largest):
        return bytes(len(channel)), 0.0
    scale = largest / 127.0
    return np.rint(channel / np.float32(scale)).astype(np.int8).tobytes(), scale


def _unit64(values: NDArray[np.int8] | NDArray[np.int64]) -> NDArray[np.float64]:
    """Unit vector of whole numbers; the squared length is summed in integers, so it is exact."""
    integers = values.astype(np.int64)
    squared = int(integers @ integers)
    return integers / (squared**0.5 if squared else 1.0)


def _unit(values: NDArray[np.int8]) -> Floats:
    return _unit64(values).astype(np.float32)
