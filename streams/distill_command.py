"""`emberwatch distill --out FOLDER`: the fast tier's table for the configured model, offline, in seconds."""

import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import Progress

from detectors.static import StaticTable, distilled
from streams.backends import BatchEncoder
from streams.errors import EmberwatchError
from streams.sentence_model import load_encoder
from streams.settings import Settings, variable_of
from streams.static_model import write

PIECES_AT_ONCE = 256


def run(settings: Settings, *, out: Path) -> int:
    """Distill the configured model into `out`; returns the exit status."""
    console = Console(stderr=True)
    started_s = time.monotonic()
    # Float32, so that two machines distill the same table but for last bits that int8 mostly takes away.
    encoder = load_encoder(settings.model, threads=settings.threads, revision=settings.model_revision, backend="torch")
    if not isinstance(encoder, BatchEncoder):
        raise EmberwatchError(f"{variable_of('model')}: only a transformer with pooling can be distilled")
    table = _distilled(encoder, console)
    write(out, table, encoder.tokenizer)
    took_s = time.monotonic() - started_s
    pieces, dimensions = table.pieces.shape
    console.print(
        f"{out}: {table.space}, {pieces:,} pieces of {dimensions} dimensions, {table.pieces.nbytes / 1e6:.1f} MB,"
        f" {took_s:.0f} s. Use it with {variable_of('tier')}=fast {variable_of('fast_model')}={out}",
        highlight=False,
    )
    return 0


def _distilled(encoder: BatchEncoder, console: Console) -> StaticTable:
    count = encoder.tokenizer.get_vocab_size()
    rows: list[NDArray[np.float32]] = []
    with Progress(console=console, transient=True) as progress:
        for start in progress.track(range(0, count, PIECES_AT_ONCE), description="distill"):
            pieces = range(start, min(start + PIECES_AT_ONCE, count))
            rows.append(encoder.encode_pieces(pieces))
    return distilled(encoder.space, np.concatenate(rows))
