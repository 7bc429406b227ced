"""`emberwatch train second-look --data DIR --out DIR`: tune low-rank deltas of the configured model for incitement.

Reads what `train incitement` reads, and leaves out the same. The deltas are fitted with a linear head on the sentence
vector and the wording (AdamW, two passes over the data); the head is calibrated on the texts that were held out.
Seeded; on another machine the last digits may differ. On one core it takes some ten minutes.
"""

import math
import random
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import Progress

from detectors import training
from detectors.incitement import FEATURES, HeadWeights, IncitementWeights
from detectors.training import Example
from streams import train_command
from streams.errors import EmberwatchError
from streams.second_look import NAME, SCALE, save, tuned_layers, tuned_space
from streams.sentence_model import SentenceEncoder, encoder_space, load_sentence_model
from streams.settings import Settings

if TYPE_CHECKING:
    import torch
    from sentence_transformers import SentenceTransformer

RANK = 8
"""Rows of A; 330,000 numbers for a MiniLM of six layers."""
LEARNING_RATE = 6e-4
HEAD_LEARNING_RATE = 5e-3
BATCH = 32
LONGEST_TOKENS = 64
VECTOR_SCALE = 8.0
"""A unit vector is multiplied by it, so that the head's weights and the wording's are of one size."""
KEPT = {"incites": 1.0, "does not": 0.5, "not judged": 0.08}
"""Share of the public examples that are used: most of EDOS says little."""
WRITTEN_WEIGHT = 1.0
"""More than in the linear heads: what reads the order of words learns from them, and forgets nothing else by it."""
CALIBRATION_ONE_IN = 8
"""Of the written examples so many are held out for the calibration, with the held out quarter of the corpora."""
SEED = 7


def run(settings: Settings, *, data: Path, out: Path | None = None, passes: float) -> int:
    """Tune on `data`, write deltas and head into a folder (`out`, else `Settings.heads`); returns the exit status."""
    import torch

    out = out or train_command.own_heads(settings)
    console = Console(stderr=True)
    seen = train_command.texts_in(data, ("posts", "stance"))
    fitted, held_out = train_command.examples(data, seen, ("en",), console, contrasts=True)
    fit_on, calibrate_on = _divided(fitted, held_out)
    torch.manual_seed(SEED)
    if settings.threads:
        torch.set_num_threads(settings.threads)
    model = load_sentence_model(settings.model, threads=settings.threads, revision=settings.model_revision)
    console.print(f"{len(fit_on):,} texts to tune on, {len(calibrate_on):,} to calibrate with", highlight=False)
    deltas = _deltas(model)
    head = _tune(model, deltas, fit_on, console, passes)
    out.mkdir(parents=True, exist_ok=True)
    file = out / f"{NAME}.safetensors"
    space = encoder_space(settings.model, revision=settings.model_revision)
    save(deltas, file, about={"base": space, "rank": RANK, "scale": SCALE})
    tuned = tuned_space(space, file.read_bytes())
    weights = _weights(tuned, head, model, calibrate_on, fit_on)
    (out / f"{NAME}.json").write_bytes(msgspec.json.format(msgspec.json.encode(weights), indent=1) + b"\n")
    rows = training.measure(weights, held_out, _vectors(model, held_out, tuned), tuned)
    train_command.print_figures(console, "On texts it never saw (some of them calibrated it)", rows)
    console.print(train_command.how_used(out / f"{NAME}.json", NAME, settings.model), highlight=False)
    return 0


def _divided(fitted: Sequence[Example], held_out: Sequence[Example]) -> tuple[list[Example], list[Example]]:
    """Examples to tune on, and those to calibrate with; what may only be measured is in neither."""
    draw = random.Random(SEED)  # noqa: S311 - no secret
    own = (train_command.WRITTEN, train_command.PATTERNS)
    fit_on: list[Example] = []
    calibrate_on = [one for one in held_out if one.corpus not in {*train_command.MEASURED_ONLY, *own}]
    groups: dict[str, bool] = {}
    for example in fitted:
        if example.corpus in own:
            group = example.group or example.text
            for_calibration = groups.setdefault(group, draw.randrange(CALIBRATION_ONE_IN) == 0)
            (calibrate_on if for_calibration else fit_on).append(example)
        elif example.kind or draw.random() < _kept(example):
            fit_on.append(example)
    return fit_on, calibrate_on


def _kept(example: Example) -> float:
    return KEPT["not judged" if example.incites is None else "incites" if example.incites else "does not"]


def _deltas(model: "SentenceTransformer") -> "dict[str, torch.nn.Parameter]":
    """Put A and B beside every linear layer of a model, whose own weights stay as they are."""
    import torch

    for weight in model.parameters():
        weight.requires_grad_(False)
    deltas: dict[str, torch.nn.Parameter] = {}
    for name, layer in tuned_layers(model).items():
        low = torch.nn.Parameter(torch.randn(RANK, layer.in_features) / math.sqrt(layer.in_features))
        high = torch.nn.Parameter(torch.zeros(layer.out_features, RANK))
        deltas[f"{name}.a"], deltas[f"{name}.b"] = low, high
        layer.register_forward_hook(_beside(low, high))
    return deltas


def _beside(low: "torch.nn.Parameter", high: "torch.nn.Parameter") -> Any:
    def add(_layer: Any, inputs: Any, output: Any) -> Any:
        return output + SCALE * ((inputs[0] @ low.T) @ high.T)

    return add


def _tune(
    model: "SentenceTransformer",
    deltas: "dict[str, torch.nn.Parameter]",
    examples: Sequence[Example],
    console: Console,
    passes: float,
) -> "torch.nn.Linear":
    import torch

    labels = torch.tensor([float(example.incites is True) for example in examples])
    weights = torch.tensor([_weight(example) for example in examples])
    wording = _wording(examples)
    model.train()
    head = torch.nn.Linear(_width(model) + len(FEATURES), 1)
    torch.nn.init.zeros_(head.weight)
    optimiser = torch.optim.AdamW(
        [
            {"params": list(deltas.values()), "lr": LEARNING_RATE},
            {"params": head.parameters(), "lr": HEAD_LEARNING_RATE},
        ],
        weight_decay=0.01,
    )
    steps = max(1, math.ceil(passes * len(examples) / BATCH))
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimiser, lambda step: min(1.0, 10 * (step + 1) / steps) * (1 - step / steps)
    )
    batches = _batches(examples, steps)
    with Progress(console=console, transient=True) as progress:
        for places in progress.track(batches, description="tune"):
            vectors = _sentence_vectors(model, [examples[place].text for place in places])
            scores = head(torch.cat([vectors * VECTOR_SCALE, wording[places]], 1))[:, 0]
            losses = torch.nn.functional.binary_cross_entropy_with_logits(scores, labels[places], reduction="none")
            loss = (losses * weights[places]).sum() / weights[places].sum()
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            schedule.step()
    model.eval()
    return head


def _weight(example: Example) -> float:
    """Of the kinds of examples, those of which fewer are kept weigh as much more, but within limits."""
    if example.corpus == train_command.WRITTEN:
        return WRITTEN_WEIGHT
    return min(2.0, example.weight / (1.0 if example.kind else _kept(example)))


def _batches(examples: Sequence[Example], steps: int) -> list[list[int]]:
    """Places of the examples, in batches of texts of like length, shuffled."""
    draw = random.Random(SEED)  # noqa: S311 - no secret
    out: list[list[int]] = []
    while len(out) < steps:
        places = list(range(len(examples)))
        draw.shuffle(places)
        some = 20 * BATCH
        sorted_places = [
            place
            for start in range(0, len(places), some)
            for place in sorted(places[start : start + some], key=lambda place: len(examples[place].text))
        ]
        batches = [sorted_places[start : start + BATCH] for start in range(0, len(sorted_places), BATCH)]
        draw.shuffle(batches)
        out += batches
    return out[:steps]


def _sentence_vectors(model: "SentenceTransformer", texts: Sequence[str]) -> "torch.Tensor":
    whole = model.max_seq_length
    model.max_seq_length = min(LONGEST_TOKENS, whole or LONGEST_TOKENS)
    try:
        vectors: torch.Tensor = model(model.preprocess(list(texts)))["sentence_embedding"]
        return vectors
    finally:
        model.max_seq_length = whole


def _wording(examples: Sequence[Example]) -> "torch.Tensor":
    import torch

    return torch.tensor(
        training.wording_of([one.text for one in examples]) * training.WORDING_SCALE, dtype=torch.float32
    )


def _width(model: "SentenceTransformer") -> int:
    width = len(model.encode("", show_progress_bar=False))
    if not width:
        raise EmberwatchError("the model gives no vector")
    return width


def _vectors(model: "SentenceTransformer", examples: Sequence[Example], space: str) -> NDArray[np.float32]:
    from detectors.embedding import embed

    return embed(SentenceEncoder(model, space), [one.text for one in examples])


def _weights(
    space: str,
    head: "torch.nn.Linear",
    model: "SentenceTransformer",
    calibrate_on: Sequence[Example],
    fit_on: Sequence[Example],
) -> IncitementWeights:
    """Write the head in the form of all heads, calibrated on texts that the deltas did not see."""
    row = head.weight.detach().double().numpy()[0]
    dimensions = len(row) - len(FEATURES)
    dense, wording = row[:dimensions] * VECTOR_SCALE, row[dimensions:] * training.WORDING_SCALE
    bias = float(head.bias.detach().double().numpy()[0])
    texts = [one.text for one in calibrate_on]
    scores = _vectors(model, calibrate_on, space).astype(np.float64) @ dense
    scores += training.wording_of(texts) @ wording + bias
    labels = np.array([one.incites is True for one in calibrate_on])
    calibration = training.platt(scores, labels, training.mix_of(calibrate_on))
    corpora = ", ".join(f"{corpus} ({count:,})" for corpus, count in training.corpora_of(fit_on).items())
    return IncitementWeights(
        space=space,
        incites=HeadWeights(
            dense=tuple(round(float(value), training.DECIMALS) for value in dense),
            lexical={
                name: round(float(value), training.DECIMALS) for name, value in zip(FEATURES, wording, strict=True)
            },
            bias=round(bias, training.DECIMALS),
            calibration=calibration,
        ),
        trained_on=corpora,
    )
