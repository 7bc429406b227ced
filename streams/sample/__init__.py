"""The bundled sample: one Friday afternoon in a town that does not exist (see README.md)."""

from pathlib import Path

FOLDER = Path(__file__).parent
POSTS = FOLDER / "posts.jsonl.gz"
CLAIMS = FOLDER / "claims.jsonl"

EXPECTED = {"rumour": "page", "call": "page", "protest": "no page", "joke": "no page"}
"""What the monitor should make of each story."""
