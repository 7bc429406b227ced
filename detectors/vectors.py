"""Vectors that are fixed once, and whole-number forms of them whose products are exact.

A sentence embedded in another batch differs in its last bits, and a matrix product's last bits depend on its
shape. So a vector is rounded once, to int8, when it is written to the journal; and wherever the fold compares
vectors it uses whole numbers small enough that float32 products are exact in any order: the integers of a vector
have a Euclidean norm below 4096, so by the Cauchy-Schwarz inequality every partial sum of a product of two
of them is an integer below 2**24, which float32 holds exactly. Batches, threads and the processor's
instruction set cannot show in a result.
"""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from detectors.entries import Vector

Floats = NDArray[np.float32]

RADIUS = 4064
"""Length to which a whole vector is scaled before rounding; rounding adds at most half the root of its dimensions."""

LARGEST_DIMENSIONS = 4000
"""With so many dimensions a whole vector's norm is still below 4096, the root of 2**24."""

COSINE = 1.0 / (RADIUS * RADIUS)
"""Factor from a product of two whole vectors to their cosine (usually within 1e-4)."""


def quantise(dense: Floats, lexical: Floats, space: str) -> Vector:
    """Round two channels, shapes (d,) and (l,), to int8 with a scale each.

    A channel without length (a text with no words) becomes zeros with scale 0.

    >>> v = quantise(np.array([0.6, 0.8], np.float32), np.zeros(2, np.float32), "toy")
    >>> np.frombuffer(v.dense, np.int8).tolist(), v.lexical_scale
    ([95, 127], 0.0)
    """
    [vector] = quantise_rows(dense[None, :], lexical[None, :], space)
    return vector


def quantise_rows(dense: Floats, lexical: Floats, space: str) -> list[Vector]:
    """Round the channels of n texts, shapes (n, d) and (n, l), each row on its own as `quantise` does."""
    return [
        Vector(
            space=space, dense=dense_bytes, dense_scale=dense_scale, lexical=lexical_bytes, lexical_scale=lexical_scale
        )
        for (dense_bytes, dense_scale), (lexical_bytes, lexical_scale) in zip(
            _to_int8(dense), _to_int8(lexical), strict=True
        )
    ]


def whole(vectors: Sequence[Vector], lexical_weight: float) -> Floats:
    """Both channels side by side as whole numbers, shape (n, d + l).

    `lexical_weight` is the lexical channel's share of the squared length. A text without words keeps the sentence
    channel's share only: its cosine with others is lower, as it says less. Each row depends on its own vector alone.

    >>> v = quantise(np.array([0.6, 0.8], np.float32), np.array([1, 0], np.float32), "toy")
    >>> whole([v], 0.5).tolist()
    [[1721.0, 2301.0, 2874.0, 0.0]]
    """
    if not 0.0 <= lexical_weight <= 1.0:
        raise ValueError(f"lexical_weight must lie in 0..1, not {lexical_weight}")
    dense = _unit(_rows([vector.dense for vector in vectors])) * (1.0 - lexical_weight) ** 0.5
    lexical = _unit(_rows([vector.lexical for vector in vectors])) * lexical_weight**0.5
    return to_whole(np.concatenate([dense, lexical], axis=1))


def whole_dense(vectors: Sequence[Vector]) -> Floats:
    """The sentence channel alone as whole numbers, shape (n, d)."""
    return to_whole(_unit(_rows([vector.dense for vector in vectors])))


def cosine(one: bytes, other: bytes) -> float:
    """Cosine of two channels of int8; 0 where one has no length.

    >>> cosine(bytes([0, 3, 4]), bytes([0, 4, 3]))
    0.96
    """
    left, right = (np.frombuffer(channel, np.int8).astype(np.int64) for channel in (one, other))
    squares = int(left @ left) * int(right @ right)
    return int(left @ right) / math.sqrt(squares) if squares else 0.0


def to_whole(directions: NDArray[np.float64]) -> Floats:
    """Whole numbers nearest rows of length at most 1, shape (n, d).

    Raises ValueError where d is too large for products to stay exact.
    """
    if directions.shape[1] > LARGEST_DIMENSIONS:
        raise ValueError(f"{directions.shape[1]} dimensions; exact products need at most {LARGEST_DIMENSIONS}")
    return np.rint(directions * RADIUS).astype(np.float32)


def centroid(total: NDArray[np.int32]) -> Floats:
    """Whole-number centroid of a sum of whole vectors, shape (d,); the sum is exact whatever its order.

    Its squared length is a whole number below 2**63 (`strands.FULL_AT` vectors), so that is exact too.
    """
    squares = total.astype(np.int64)
    values = total.astype(np.float64)
    values /= math.sqrt(int(squares @ squares)) or 1.0
    values *= RADIUS
    return np.rint(values, out=values).astype(np.float32)


def _to_int8(channel: Floats) -> list[tuple[bytes, float]]:
    """Bytes and scale of each row; a row without length, or one that is not finite, becomes zeros with scale 0."""
    largest = np.max(np.abs(channel), axis=1, initial=0.0).astype(np.float64)
    usable = np.isfinite(largest) & (largest > 0.0)
    scales = np.where(usable, largest, 0.0) / 127.0
    divisors = np.where(usable, scales, 1.0).astype(np.float32)[:, None]
    rounded = np.rint(np.where(usable[:, None], channel, np.float32(0.0)) / divisors).astype(np.int8)
    return [(row.tobytes(), scale) for row, scale in zip(rounded, scales.tolist(), strict=True)]


def _rows(channels: Sequence[bytes]) -> NDArray[np.int8]:
    return (
        np.frombuffer(b"".join(channels), np.int8).reshape(len(channels), -1) if channels else np.zeros((0, 0), np.int8)
    )


def _unit(integers: NDArray[np.int8]) -> NDArray[np.float64]:
    """Unit rows; squared lengths are sums of integers, so they are exact (below 2**53)."""
    values = integers.astype(np.float64)
    lengths = np.sqrt(np.einsum("ij,ij->i", values, values))
    return values / np.where(lengths == 0.0, 1.0, lengths)[:, None]
