"""From a post on its topic to what can be seen of it, at a fixed rate, with the real workers and the embedded broker.

The load is that of `emberwatch load` (open: latency counts from when a post was due), its unique posts are texts of
the corpora.
"""

import sys
import tempfile
from pathlib import Path

import msgspec
import numpy as np

from streams import topics
from streams.embedded_broker import embedded_broker, settings_for
from streams.errors import EmberwatchError
from streams.load import WARM_UP_POSTS, Load, Measured, Mixture, Watch, workers
from streams.settings import Settings

RATES = (20.0, 100.0)
"""Posts a second, one after the other; a scorer that cannot keep up with the second shows in the difference."""
LASTS_S = 30.0
RESHARED = 0.4
SEED = 7


def rows_of_texts(settings: Settings, texts: dict[str, list[str]]) -> list[dict]:
    """Rows of `latency_p95_ms`, or none, with a line that says why."""
    chance = np.random.default_rng(SEED)
    pool = [str(text) for text in chance.permutation(sorted({text for some in texts.values() for text in some}))]
    needed = WARM_UP_POSTS + int(sum(RATES) * LASTS_S)
    if len(pool) < needed:
        print(f"latency: {len(pool):,} texts are too few, the load needs {needed:,}; skipped", file=sys.stderr)
        return []
    try:
        with embedded_broker() as address, tempfile.TemporaryDirectory() as folder:
            ours = msgspec.structs.replace(settings_for(settings, address), topic_prefix="", data_dir=Path(folder))
            topics.create(ours)
            with workers(ours, Path(folder)) as check, Watch(ours) as watch:
                load = Load(ours, watch, check, Mixture(SEED, reshares=RESHARED, copies=0.0, texts=iter(pool)))
                load.warm_up()
                return [row for rate in RATES for row in _rows_of(load.run(rate, LASTS_S))]
    except EmberwatchError as error:
        print(f"latency: {error}; skipped", file=sys.stderr)
        return []


def _rows_of(measured: Measured) -> list[dict]:
    """Rows of both places; none where nothing arrived."""
    print(f"latency: the load was at most {1000 * measured.sender_behind_s:.0f} ms behind its plan", file=sys.stderr)
    return [
        {
            "task": "T",
            "corpus": "mixture",
            "metric": f"latency_p{percentile}_ms",
            "value": 1000.0 * seconds[f"p{percentile}"],
            "anchor": 103_000.0 if percentile == 95 and stage == "alert" else None,
            "posts_per_second": measured.rate,
            "until": stage,
            "records": records,
        }
        for stage, seconds, records in (
            ("journal", measured.journal_s, measured.posts),
            ("alert", measured.alert_s, measured.alerts),
        )
        for percentile in (50, 95)
        if seconds
    ]
