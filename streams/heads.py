"""Finds the weights of the heads: those that fit the vectors of an encoder, one's own before those that come along."""

import hashlib
import importlib.resources
import re
from functools import cache
from pathlib import Path

import msgspec
from msgspec import Struct

from detectors import lexical
from detectors.incitement import IncitementWeights
from detectors.scoring import ScoringWeights
from detectors.stance_head import StanceWeights
from streams.errors import SettingsError
from streams.settings import Settings, variable_of

HEADS: dict[str, type[Struct]] = {"incitement": IncitementWeights, "stance": StanceWeights}
"""Kinds of heads, by how the names of their files begin."""


class _Trained(Struct):
    """Of a file of weights, what says whether they fit."""

    space: str


def load_weights(space: str, own: Path | None = None) -> ScoringWeights:
    """Weights of the heads for the vectors of one encoder (`Encoder.space`).

    Parameters
    ----------
    own : folder of heads (`Settings.heads`) that go before those that come with the project.
    """
    stance = _head_for("stance", space, own)
    return ScoringWeights(
        incitement=msgspec.json.decode(_incitement_weights(space, own), type=IncitementWeights),
        stance=msgspec.json.decode(stance, type=StanceWeights) if stance else None,
    )


def heads_come_for(space: str, own: Path | None = None) -> bool:
    """Whether there are heads trained on vectors of this space (`Scorer.space`): else the wording alone is read.

    >>> heads_come_for("all-MiniLM-L6-v2@53aa5117+words256"), heads_come_for("hash-64+words256")
    (True, False)
    """
    encoder_space = space.removesuffix(f"+{lexical.SPACE}")
    return bool(msgspec.json.decode(_incitement_weights(encoder_space, own), type=_Trained).space)


def weights_hash(space: str, own: Path | None = None) -> str:
    """Name what the heads for the vectors of one encoder are: another for other weights."""
    weights = _incitement_weights(space, own) + _head_for("stance", space, own)
    return hashlib.blake2b(weights, digest_size=6).hexdigest()


def check_heads(settings: Settings) -> None:
    """Raise `SettingsError` where a folder of one's own heads is set that is not there."""
    if settings.heads is not None and not settings.heads.is_dir():
        raise SettingsError(f"{variable_of('heads')}: no folder {settings.heads}")


def own_head_file(folder: Path, head: str, space: str) -> Path:
    """Where a head of this name (`incitement`, `stance`) for this space is kept in a folder of heads of one's own.

    >>> own_head_file(Path("heads"), "incitement", "intfloat/e5@0123abcd").name
    'incitement-intfloat-e5-0123abcd.json'
    """
    return folder / f"{head}-{re.sub(r'[^A-Za-z0-9._]+', '-', space) or 'wording'}.json"


def _incitement_weights(space: str, own: Path | None) -> bytes:
    """File of the incitement head trained on vectors of this space, else of the one that reads the wording alone."""
    found = _head_for("incitement", space, own) or _head_for("incitement", "", own)
    if not found:
        raise SettingsError(
            f"{variable_of('model')}: no incitement head was trained on vectors of {space}; fit one with"
            " `emberwatch train incitement`"
        )
    return found


def _head_for(head: str, space: str, own: Path | None) -> bytes:
    """File of the head of this name that was trained on vectors of this space, one's own first; empty without one."""
    return (_own(head, space, own) if own is not None else b"") or _shipped(head, space)


@cache
def _own(head: str, space: str, folder: Path) -> bytes:
    """File of one's own head for this space; raises `SettingsError` where it cannot be told which, or read."""
    found: dict[Path, bytes] = {}
    for file in sorted(folder.glob(f"{head}*.json")):
        content = file.read_bytes()
        try:
            if msgspec.json.decode(content, type=_Trained).space == space:
                msgspec.json.decode(content, type=HEADS[head])
                found[file] = content
        except msgspec.DecodeError as error:
            raise SettingsError(f"{variable_of('heads')}: {file} holds no head: {error}") from error
    if len(found) > 1:
        raise SettingsError(
            f"{variable_of('heads')}: {' and '.join(map(str, found))} are both for {space or 'any space'}"
        )
    return next(iter(found.values()), b"")


@cache
def _shipped(head: str, space: str) -> bytes:
    """File of the head of this name that was trained on vectors of this space; empty where none comes."""
    folder = importlib.resources.files("detectors").joinpath("weights")
    for file in sorted(folder.iterdir(), key=lambda file: file.name):
        if file.name.startswith(head) and file.name.endswith(".json"):
            weights = file.read_bytes()
            if msgspec.json.decode(weights, type=_Trained).space == space:
                return weights
    return b""
