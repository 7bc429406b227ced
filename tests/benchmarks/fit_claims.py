"""Fit the weights of `detectors.falsehood`: `python tests/benchmarks/fit_claims.py --data DIR`, in a checkout.

Ranking is a listwise softmax regression over the nearest claims of queries that repeat one. The probability is a
logistic regression on the first of them, on the first that is left when the right ones are taken out (near misses),
and on the first claim of posts that repeat none. Prints weights to be written into the module, and
cross-fitted figures. What is set by reasoning (denial) is left as it is.
"""

import argparse
import random
from pathlib import Path

import numpy as np
from corpora import files, read_rows
from rich.progress import Progress
from scipy.optimize import minimize
from scipy.special import expit

from detectors import falsehood
from detectors.claim_index import Asked, ClaimShelf
from detectors.falsehood import CANDIDATES, MATCH_WEIGHTS, RANK_WEIGHTS, Candidate, Wording
from detectors.posts import clean
from streams.claims_command import index_of
from streams.models import load_scorer
from streams.settings import Settings

QUERIES = "queries_train"
NEGATIVES = (("posts", "crisislex_t26"), ("stance", "rumoureval_traindev"))
MEASURED_ON = (*NEGATIVES, ("posts", "pheme_stories"))
"""The last is never fitted on."""
NEGATIVES_EACH = 1500
FALSE_MATCHES = 0.01
BY_REASONING = ("debunks_alone", "negates_alone")
RANK_PENALTY = 3e-3
MATCH_PENALTY = 3e-4
NEAR_MISS = 0.75
"""Weight of a near miss, which has the topic and not the claim: the more, the fewer match, and the fewer right ones."""
FOLDS = 5
SEED = 5


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--data", type=Path, required=True)
    data = parser.parse_args().data
    scorer = load_scorer(Settings())
    with Progress() as progress:
        queries = [row for file in files(data, "claims") if QUERIES in file.name for row in read_rows(file)]
        wanted = {claim_id for row in queries for claim_id in row["claim_ids"]}
        claim_files = [file for file in files(data, "claims") if "claimreview" in file.name]
        index = index_of([file for file in claim_files if _holds(file, wanted)], scorer, progress)[0]
    shelf = index._shelves[scorer.space]
    asked = _looked_up([(row["text"], set(row["claim_ids"])) for row in queries], index, shelf, scorer)
    unrelated = {name: _looked_up(_unrelated(data, folder, name), index, shelf, scorer) for folder, name in MEASURED_ON}
    negatives = [one for _, name in NEGATIVES for one in unrelated[name]]
    _cross_fit(asked, negatives, unrelated, shelf)
    rank = fit_rank(asked)
    weights, bias = fit_match(asked, negatives, rank, shelf)
    print("RANK_WEIGHTS", {name: round(float(weight), 2) for name, weight in zip(RANK_WEIGHTS, rank, strict=True)})
    print("MATCH_WEIGHTS", {name: round(float(weight), 2) for name, weight in zip(_fitted(), weights, strict=True)})
    print("MATCH_BIAS", round(float(bias), 2))


def fit_rank(asked) -> np.ndarray:
    """Weights that put the right claims first."""
    lists = [
        (np.array([one.values for one in found]), np.array([one.hit.claim_id in right for one in found], float))
        for right, _, found in asked
    ]
    lists = [(values, truth / truth.sum()) for values, truth in lists if truth.sum()]
    everything = np.concatenate([values for values, _ in lists])
    mean, deviation = everything.mean(axis=0), everything.std(axis=0)
    scaled = [((values - mean) / deviation, truth) for values, truth in lists]

    def loss(weights):
        total, slope = RANK_PENALTY * weights @ weights, 2 * RANK_PENALTY * weights
        for values, truth in scaled:
            scores = values @ weights
            shares = np.exp(scores - scores.max())
            shares /= shares.sum()
            total -= truth @ np.log(shares + 1e-12) / len(scaled)
            slope = slope + (shares - truth) @ values / len(scaled)
        return total, slope

    return minimize(loss, np.zeros(len(RANK_WEIGHTS)), jac=True, method="L-BFGS-B").x / deviation


def fit_match(asked, negatives, rank: np.ndarray, shelf: ClaimShelf) -> tuple[np.ndarray, float]:
    """Weights and bias of the probability that the first claim is repeated."""
    rows = [row for one in [*asked, *negatives] for row in _examples(one, rank, shelf)]
    columns = [list(MATCH_WEIGHTS).index(name) for name in _fitted()]
    values = np.array([row[0] for row in rows])[:, columns]
    truth, weight = np.array([row[1] for row in rows], float), np.array([row[2] for row in rows])
    mean, deviation = values.mean(axis=0), values.std(axis=0) + 1e-9
    scaled = np.c_[(values - mean) / deviation, np.ones(len(values))]

    def loss(weights):
        scores = scaled @ weights
        penalised = np.append(weights[:-1], 0.0)
        slope = scaled.T @ (weight * (expit(scores) - truth)) / weight.sum() + 2 * MATCH_PENALTY * penalised
        value = (weight * (np.logaddexp(0, scores) - truth * scores)).sum() / weight.sum()
        return value + MATCH_PENALTY * penalised @ penalised, slope

    fitted = minimize(loss, np.zeros(scaled.shape[1]), jac=True, method="L-BFGS-B").x
    weights = fitted[:-1] / deviation
    return weights, float(fitted[-1] - weights @ mean)


def _cross_fit(asked, negatives, unrelated, shelf: ClaimShelf) -> None:
    order = np.random.default_rng(SEED).permutation(len(asked))
    precision, right, wrong, near = [], 0, 0, 0
    covered = dict.fromkeys(unrelated, 0)
    for fold in range(FOLDS):
        held = [asked[place] for place in order[fold::FOLDS]]
        rest = [asked[place] for place in np.setdiff1d(order, order[fold::FOLDS])]
        rank = fit_rank(rest)
        match = fit_match(rest, negatives, rank, shelf)
        precision += [_average_precision(right_ids, _ranked(found, rank)) for right_ids, _, found in held]
        told = [example for one in held for example in _scored(one, rank, match, shelf)]
        near += sum(score >= 0.0 for score, _, weight in told if weight == NEAR_MISS)
        right += sum(score >= 0.0 for score, truth, _ in told if truth)
        wrong += sum(score >= 0.0 for score, truth, weight in told if not truth and weight != NEAR_MISS)
        for name, others in unrelated.items():
            scores = [score for one in others for score, _, _ in _scored(one, rank, match, shelf)]
            limit = np.quantile(scores, 1.0 - FALSE_MATCHES)
            covered[name] += sum(score > limit for score, truth, _ in told if truth)
    print(f"cross-fitted: MAP@5 {np.mean(precision):.3f}; at .5 {right / len(asked):.3f} of the queries get their")
    print(
        f"claim, {wrong / len(asked):.3f} another; without the right one in the index {near / len(asked):.3f} get one"
    )
    for name, count in covered.items():
        print(f"right claim first at {FALSE_MATCHES:.0%} false matches on {name}: {count / len(asked):.3f}")


def _scored(one, rank: np.ndarray, match: tuple[np.ndarray, float], shelf: ClaimShelf):
    """Logit, truth and weight of each example of one text, with what is set by reasoning."""
    columns = [list(MATCH_WEIGHTS).index(name) for name in _fitted()]
    fixed = [(list(MATCH_WEIGHTS).index(name), MATCH_WEIGHTS[name]) for name in BY_REASONING]
    for values, truth, weight in _examples(one, rank, shelf):
        reasoned = sum(values[at] * fixed_at for at, fixed_at in fixed)
        yield match[1] + np.array(values)[columns] @ match[0] + reasoned, truth, weight


def _looked_up(items, index, shelf: ClaimShelf, scorer):
    """(Right ids, wording, candidates) of each text."""
    scored = scorer.score_texts([text for text, _ in items])
    found = []
    for (text, right), scores in zip(items, scored, strict=True):
        if scores.vector is None:
            continue
        query = Wording.of(clean(text))
        hits = shelf.nearest([Asked(scores.vector.dense, frozenset(query.counts))], CANDIDATES)[0]
        candidates = [Candidate.of(query, scores.vector, hit, index.entry(hit.claim_id), shelf) for hit in hits]
        found.append((right, query, candidates))
    return found


def _examples(one, rank: np.ndarray, shelf: ClaimShelf):
    """Features, truth and weight of the first claim, and of the first that is not right."""
    right, query, found = one
    examples = [(_features(query, _ranked(found, rank), shelf), _ranked(found, rank)[0].hit.claim_id in right, 1.0)]
    others = [each for each in found if each.hit.claim_id not in right]
    if right and others:
        examples.append((_features(query, _ranked(others, rank), shelf), False, NEAR_MISS))
    return examples


def _features(query, ranked, shelf: ClaimShelf):
    best = ranked[0]
    lead, ahead = falsehood.lead_of(best, ranked, shelf), falsehood.standing_out(best, ranked)
    return falsehood.match_features(query, best, lead, ahead)


def _ranked(found, rank: np.ndarray):
    scored = [one._replace(rank=float(rank @ np.array(one.values))) for one in found]
    return sorted(scored, key=lambda one: (-one.rank, one.hit.claim_id))


def _average_precision(right: set[str], ranked) -> float:
    hits, total = 0, 0.0
    for place, one in enumerate(ranked[:5], start=1):
        if one.hit.claim_id in right:
            hits += 1
            total += hits / place
    return total / min(5, len(right))


def _unrelated(data: Path, folder: str, name: str) -> list[tuple[str, set[str]]]:
    rows = [row for file in files(data, folder) if name in file.name for row in read_rows(file)]
    texts = sorted({row["text"] for row in rows if clean(row["text"])})
    return [(text, set()) for text in random.Random(SEED).sample(texts, min(NEGATIVES_EACH, len(texts)))]


def _holds(file: Path, wanted: set[str]) -> bool:
    return any((row.get("@id") or row.get("url")) in wanted for row in read_rows(file))


def _fitted() -> list[str]:
    return [name for name in MATCH_WEIGHTS if name not in BY_REASONING]


if __name__ == "__main__":
    main()
