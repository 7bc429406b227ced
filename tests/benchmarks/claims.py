"""C1: the claim that a tweet repeats is found. C2: and where a post repeats none, that is noticed."""

import random
import sys
import time
from pathlib import Path

import numpy as np
from corpora import corpus_name, files, read_rows
from rich.progress import Progress

from detectors.claim_index import Asked, ClaimShelf
from detectors.falsehood import CANDIDATES, ClaimIndex, Wording
from detectors.posts import TextRow, clean
from streams.claim_files import read_known
from streams.claims_command import index_of, match_rows
from streams.models import load_scorer
from streams.settings import Settings

C1_ANCHORS = {"queries_dev": 0.939}
"""Best of claim and title, dense (all-MiniLM-L6-v2)."""
C2_ANCHORS = {"queries_dev": 0.65}
"""Dense and lexical fused."""

FALSE_MATCHES = 0.01
NEGATIVES_A_CORPUS = 2000
SEED = 2022

INDEX_CLAIMS = 500_000
LOOK_UPS = 64
"""An index of so many claims is asked for so many texts, in processor time."""

FITTED_ON = "queries_train, crisislex_t26, rumoureval_traindev"
"""What ranking and probability were fitted on (`detectors/weights/claims.md`)."""


def rows(settings: Settings, data: Path) -> list[dict]:
    """MAP@5 of every file of queries, and how many find their claim at one false match in a hundred posts."""
    found = files(data, "claims")
    queries = {file: rows_of for file in found if (rows_of := [row for row in read_rows(file) if "claim_ids" in row])}
    reviews = [file for file in found if file not in queries]
    if not queries or not reviews:
        print(f"{data / 'claims'}: no queries or no claims, skipped", file=sys.stderr)
        return []
    scorer = load_scorer(settings)
    indices: dict[tuple[Path, ...], ClaimIndex] = {}
    out: list[dict] = []
    with Progress() as progress:
        for file, asked in queries.items():
            wanted = {claim_id for row in asked for claim_id in row["claim_ids"]}
            holding = tuple(review for review in reviews if wanted & _ids(review))
            if not holding:
                print(f"{file}: no file of claims holds its claim_ids, skipped", file=sys.stderr)
                continue
            if holding not in indices:
                indices[holding] = index_of(holding, scorer, progress)[0]
            index = indices[holding]
            answers = _answers(asked, index, scorer, progress)
            name = corpus_name(file)
            out.append(
                {
                    "task": "C1",
                    "corpus": name,
                    "metric": "map5",
                    "value": _map5(asked, answers),
                    "anchor": C1_ANCHORS.get(name),
                }
            )
            for negatives in [*files(data, "posts"), *files(data, "stance")]:
                others = _answers(_sample(negatives), index, scorer, progress)
                out.append(
                    {
                        "task": "C2",
                        "corpus": name,
                        "metric": "coverage_at_false_match_01",
                        "value": _coverage(asked, answers, others),
                        "anchor": C2_ANCHORS.get(name),
                        "negatives": corpus_name(negatives),
                        "fitted_on": FITTED_ON,
                    }
                )
    if indices:
        out += _index_rows(
            max(indices.values(), key=len), [row["text"] for rows_of in queries.values() for row in rows_of], scorer
        )
    return out


def _index_rows(index: ClaimIndex, texts: list[str], scorer) -> list[dict]:
    """What an index of `INDEX_CLAIMS` costs: the claims of a corpus again and again, each time turned a little."""
    print(f"an index of {INDEX_CLAIMS:,} claims", file=sys.stderr)
    known = [entry for entry in index.entries() if entry.vector is not None and entry.claim is not None]
    words = [Wording.of(f"{entry.claim.claim_reviewed}. {entry.claim.name or ''}").counts for entry in known]
    vectors = [np.frombuffer(entry.vector.dense, np.int8).astype(np.int16) for entry in known]
    random_bits = np.random.default_rng(SEED)
    shelf = ClaimShelf()
    started_s = time.process_time()
    for number in range(INDEX_CLAIMS):
        place = number % len(known)
        noise = random_bits.integers(-12, 13, len(vectors[place]))
        turned = np.clip(vectors[place] + noise, -127, 127).astype(np.int8).tobytes()
        shelf.put(f"claim-{number}", [turned], words[place])
    built_s = time.process_time() - started_s
    scored = scorer.score_texts(texts[:LOOK_UPS])
    asked = [
        Asked(scores.vector.dense, frozenset(Wording.of(clean(text)).counts))
        for text, scores in zip(texts, scored, strict=False)
        if scores.vector is not None
    ]
    took_s = {}
    for at_once in (1, 8):
        started_s = time.process_time()
        for start in range(0, len(asked), at_once):
            shelf.nearest(asked[start : start + at_once], CANDIDATES)
        took_s[at_once] = (time.process_time() - started_s) / len(asked)
    common = {"task": "C", "corpus": "claims", "anchor": None, "claims": INDEX_CLAIMS}
    return [
        {**common, "metric": "index_megabytes", "value": shelf.nbytes() / 1e6},
        {**common, "metric": "index_build_seconds", "value": built_s},
        *(
            {**common, "metric": "look_up_ms", "value": 1000.0 * each_s, "wordings_at_once": at_once}
            for at_once, each_s in took_s.items()
        ),
    ]


def _ids(file: Path) -> set[str]:
    return {claim.claim_id for claim in read_known(file) if not isinstance(claim, Exception)}


def _answers(asked: list[dict], index: ClaimIndex, scorer, progress: Progress) -> list[list]:
    wanted = [TextRow(id=str(place), text=row["text"]) for place, row in enumerate(asked)]
    bar = progress.add_task("match", total=len(wanted))
    return [matches for _, matches in match_rows(wanted, index, scorer, progress, bar)]


def _sample(file: Path) -> list[dict]:
    """Distinct texts of a corpus of posts, a seeded sample of them."""
    distinct = sorted({text for row in read_rows(file) if (text := clean(row.get("text", "")))})
    chosen = random.Random(SEED).sample(distinct, min(NEGATIVES_A_CORPUS, len(distinct)))
    return [{"text": text} for text in chosen]


def _map5(asked: list[dict], answers: list[list]) -> float:
    """Mean average precision over the five best."""
    total = 0.0
    for row, matches in zip(asked, answers, strict=True):
        right = set(row["claim_ids"])
        hits, precision = 0, 0.0
        for place, match in enumerate(matches[:5], start=1):
            if match.claim_id in right:
                hits += 1
                precision += hits / place
        total += precision / min(5, len(right))
    return total / len(asked)


def _coverage(asked: list[dict], answers: list[list], others: list[list]) -> float:
    """Share of queries whose first claim is right and above the probability that one negative in a hundred passes."""
    negative = [matches[0].probability if matches else 0.0 for matches in others]
    threshold = float(np.quantile(negative, 1.0 - FALSE_MATCHES))
    covered = sum(
        bool(matches) and matches[0].claim_id in row["claim_ids"] and matches[0].probability > threshold
        for row, matches in zip(asked, answers, strict=True)
    )
    return covered / len(asked)
