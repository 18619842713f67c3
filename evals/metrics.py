"""Ranking metrics for one relevant item, from its 1-based rank.

Every function takes a rank or an array of ranks and returns the same shape. With one relevant
item the ideal DCG is 1, so nDCG@k = 1 / log2(rank + 1) within the first k (Järvelin and
Kekäläinen 2002), which is Effect_D cut off after k.
"""

from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lrgd.agents.evaluator import effect

Scores = NDArray[np.float64]


def ndcg_at(k: int, rank: ArrayLike) -> Scores:
    """Normalised discounted cumulative gain in the first k."""
    ranks = _checked(rank)
    return np.where(ranks <= k, effect_d(ranks), 0.0)


def ndcg_of(rank: int | None, k: int = 10) -> float:
    """nDCG of one ranking in its first k, 0 where the item is absent (None)."""
    return 0.0 if rank is None else float(ndcg_at(k, rank))


def recall_at(k: int, rank: ArrayLike) -> Scores:
    """1 where the item is among the first k, else 0."""
    return np.where(_checked(rank) <= k, 1.0, 0.0)


def reciprocal_rank(rank: ArrayLike) -> Scores:
    """1 / rank; its mean is MRR."""
    return 1.0 / _checked(rank)


def effect_d(rank: ArrayLike) -> Scores:
    """Effect_D, nDCG without cut-off: `lrgd.agents.evaluator.effect` of each rank."""
    ranks = _checked(rank)
    return _effects(int(ranks.max(initial=1)).bit_length())[ranks]


def _checked(rank: ArrayLike) -> NDArray[np.intp]:
    ranks = np.asarray(rank)
    whole = ranks.astype(np.intp)
    wrong = ranks[(whole < 1) | (whole != ranks)]
    if wrong.size:
        raise ValueError(f"a rank is a whole number, 1 or more, got {wrong[0]:g}")
    return whole


@lru_cache
def _effects(bits: int) -> Scores:
    """Effect_D of every rank that has so many bits, at its own place."""
    return np.array([np.nan, *map(effect, range(1, 1 << bits))])


METRICS = {
    "nDCG@1": lambda rank: ndcg_at(1, rank),
    "nDCG@5": lambda rank: ndcg_at(5, rank),
    "nDCG@10": lambda rank: ndcg_at(10, rank),
    "Recall@1": lambda rank: recall_at(1, rank),
    "Recall@5": lambda rank: recall_at(5, rank),
    "Recall@10": lambda rank: recall_at(10, rank),
    "MRR": reciprocal_rank,
    "Effect_D": effect_d,
}
"""Name -> the metric, in the order in which they are shown."""

MAIN_METRIC = "nDCG@10"
"""The metric that verdicts, comparisons and correlations are about."""
