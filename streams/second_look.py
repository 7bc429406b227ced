"""The second look at incitement: the configured sentence model with small low-rank deltas, tuned for this question.

Every linear layer W of the encoder becomes W + s B A, with A and B of a few rows (LoRA: Hu et al. 2021). The deltas
are some hundred kilobytes, so they ship with the project, while the model comes from its own package; they are merged
into a copy of the model when it is loaded. It runs only on the few posts of narratives that are about to alert.
"""

import hashlib
import importlib.resources
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from detectors.embedding import Encoder, embed
from detectors.incitement import IncitementHead, IncitementWeights
from detectors.languages import language_told
from detectors.looks import Finding, FullLook
from detectors.posts import clean, normalise
from detectors.quotation import own_words
from detectors.records import Look
from detectors.scoring import Scorer
from streams.sentence_model import SentenceEncoder, encoder_space, load_sentence_model
from streams.settings import Settings

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable

    import torch
    from sentence_transformers import SentenceTransformer

NAME = "incitement_look"
"""Of the shipped files: `.safetensors` holds the deltas, `.json` the head."""

SCALE = 2.0
"""s: what B A is multiplied by."""

FULL_SHARE = 1.0 / 3.0
"""Weight of the model as it comes beside the tuned one, in log odds. Tuned on little, it errs elsewhere: together they
order better than either (AUROC on ETHOS .897 against .889 and .873; shares from .3 to .5 do as well)."""

OWN_SHARE = 0.5
"""Weight of a text without its quotation beside the whole text, in log odds: a report of a call loses what the call
brought, and who agrees with one keeps half of it."""

LEAST = 1e-6
"""Probabilities are kept so far from 0 and 1."""

NOT_TUNED = ("pooler",)
"""Parts of an encoder that a sentence vector does not pass through."""


class TunedLook:
    """Looks again with the tuned model; what it does not answer (stance, indicators, vector) the scorer does.

    Parameters
    ----------
    scorer : of the model as it comes.
    is_first : whether it is also what takes the first look: then stance and vector are known, and not told again.
    """

    def __init__(self, encoder: Encoder, head: IncitementHead, scorer: Scorer, *, is_first: bool = False) -> None:
        self._encoder = encoder
        self._head = head
        self._full = FullLook(scorer)
        self._is_first = is_first

    @property
    def model(self) -> str:
        """Space of the tuned model: it names the model and the deltas."""
        return self._encoder.space

    def probabilities(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """Probabilities that texts in plain form incite, shape (n,)."""
        return self._told(texts, self._full.incitement(texts)) if texts else np.zeros(0)

    def _told(self, texts: Sequence[str], full: NDArray[np.float64]) -> NDArray[np.float64]:
        """Probabilities, where texts that report a quotation are read also without it."""
        odds = self._odds(texts, full)
        own = {place: words for place, text in enumerate(texts) if (words := own_words(text))}
        if own:
            rest = list(own.values())
            places = list(own)
            odds[places] += OWN_SHARE * (self._odds(rest, self._full.incitement(rest)) - odds[places])
        told: NDArray[np.float64] = 1.0 / (1.0 + np.exp(-odds))
        return told

    def _odds(self, texts: Sequence[str], full: NDArray[np.float64]) -> NDArray[np.float64]:
        """Mean of the log odds of the tuned model and of the model as it comes."""
        tuned = self._head.probabilities(texts, embed(self._encoder, texts))
        odds: NDArray[np.float64] = (1.0 - FULL_SHARE) * _log_odds(tuned) + FULL_SHARE * _log_odds(full)
        return odds

    def _judges(self, look: Look, text: str) -> bool:
        return bool(text) and self._head.covers(language_told(look.lang, text))

    def check(self, looks: Sequence[Look]) -> list[Finding]:
        """Findings in the order of the looks; a text in a language that the head does not cover stays not judged."""
        found = self._full.check(looks)
        texts = [normalise(clean(look.text)) for look in looks]
        if not looks:
            return []
        told = self._told(texts, np.array([one.incitement for one in found]))
        return [
            msgspec.structs.replace(
                one,
                incitement=float(told[place]) if self._judges(looks[place], texts[place]) else 0.0,
                stance=None if self._is_first else one.stance,
                vector=None if self._is_first else one.vector,
            )
            for place, one in enumerate(found)
        ]


def _log_odds(probabilities: NDArray[np.float64]) -> NDArray[np.float64]:
    bounded = np.clip(probabilities, LEAST, 1.0 - LEAST)
    odds: NDArray[np.float64] = np.log(bounded / (1.0 - bounded))
    return odds


def load_second_look(settings: Settings, scorer: Scorer) -> TunedLook | None:
    """Load the tuned model for the configured one; None where no deltas were made for that."""
    space = encoder_space(settings.model, revision=settings.model_revision)
    if settings.heads and (own := read_second_look(settings.heads, space, settings, scorer)):
        return own
    folder = importlib.resources.files("detectors").joinpath("weights")
    with importlib.resources.as_file(folder) as weights:
        return read_second_look(Path(weights), space, settings, scorer)


def shipped_space(space: str, own: Path | None = None) -> str:
    """Name of the space of the tuned model that there is for a model of this space; empty where there is none.

    Parameters
    ----------
    own : folder of heads (`Settings.heads`) that go before those that come with the project.
    """
    shipped = importlib.resources.files("detectors").joinpath("weights")
    return (_space_in(own, space) if own else "") or _space_in(shipped, space)


def _space_in(folder: "Traversable", space: str) -> str:
    deltas, head = folder.joinpath(f"{NAME}.safetensors"), folder.joinpath(f"{NAME}.json")
    if not deltas.is_file() or not head.is_file():
        return ""
    tuned = tuned_space(space, deltas.read_bytes())
    return tuned if msgspec.json.decode(head.read_bytes(), type=IncitementWeights).space == tuned else ""


def read_second_look(folder: Path, space: str, settings: Settings, scorer: Scorer) -> TunedLook | None:
    """Load the tuned model from a folder with its two files; None where they were made for another space."""
    tuned = _read_tuned(folder, space, settings)
    return TunedLook(*tuned, scorer, is_first=settings.tier == "full") if tuned else None


def load_teacher(settings: Settings) -> tuple[Encoder, IncitementHead] | None:
    """Load the tuned model alone: it tells the heads of texts that nobody judged.

    One for the configured model goes before the one that comes for the default model. None where there is none.
    """
    with importlib.resources.as_file(importlib.resources.files("detectors").joinpath("weights")) as weights:
        for model, revision in dict.fromkeys(((settings.model, settings.model_revision), ("", None))):
            asked = msgspec.structs.replace(settings, model=model, model_revision=revision)
            space = encoder_space(model, revision=revision)
            for folder in (settings.heads, Path(weights)):
                if folder is not None and (tuned := _read_tuned(folder, space, asked)):
                    return tuned
    return None


def _read_tuned(folder: Path, space: str, settings: Settings) -> tuple[Encoder, IncitementHead] | None:
    deltas, head_file = folder / f"{NAME}.safetensors", folder / f"{NAME}.json"
    if not deltas.is_file() or not head_file.is_file():
        return None
    head = msgspec.json.decode(head_file.read_bytes(), type=IncitementWeights)
    if head.space != tuned_space(space, deltas.read_bytes()):
        return None
    model = load_sentence_model(settings.model, threads=settings.threads, revision=settings.model_revision)
    merge(model, deltas)
    return SentenceEncoder(model, head.space), IncitementHead(head, head.space)


def tuned_space(space: str, deltas: bytes) -> str:
    """Name of the space of a model with these deltas."""
    return f"{space}+look-{hashlib.sha256(deltas).hexdigest()[:8]}"


def tuned_layers(model: "SentenceTransformer") -> "dict[str, torch.nn.Linear]":
    """The linear layers that deltas apply to, by name."""
    import torch

    return {
        name: layer
        for name, layer in model.named_modules()
        if isinstance(layer, torch.nn.Linear) and not any(part in name for part in NOT_TUNED)
    }


def merge(model: "SentenceTransformer", deltas: Path) -> None:
    """Add the deltas of a file to the weights of a model."""
    import torch
    from safetensors.torch import load_file

    tensors = load_file(deltas)
    with torch.no_grad():
        for name, layer in tuned_layers(model).items():
            low, high = tensors[f"{name}.a"].float(), tensors[f"{name}.b"].float()
            layer.weight += SCALE * (high @ low)


def save(tensors: "Mapping[str, torch.Tensor]", file: Path, *, about: dict[str, Any]) -> None:
    """Write deltas in half precision, with what they are."""
    from safetensors.torch import save_file

    halves = {name: tensor.detach().half().contiguous() for name, tensor in tensors.items()}
    save_file(halves, file, metadata={"about": json.dumps(about, sort_keys=True)})
