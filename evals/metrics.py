"""Ranking metrics for one relevant item, from its 1-based rank.

Every function takes a rank or an array of ranks and returns the same shape. With one relevant
item the ideal DCG is 1, so nDCG@k = 1 / log2(rank + 1) within the first k (Järvelin and
Kekäläinen 2002).
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

Scores = NDArray[np.float64]


def ndcg_at(k: int, rank: ArrayLike) -> Scores:
    """Normalised discounted cumulative gain in the first k."""
    ranks = _checked(rank)
    return np.where(ranks <= k, 1.0 / np.log2(ranks + 1), 0.0)


def recall_at(k: int, rank: ArrayLike) -> Scores:
    """1 where the item is among the first k, else 0."""
    return np.where(_checked(rank) <= k, 1.0, 0.0)


def reciprocal_rank(rank: ArrayLike) -> Scores:
    """1 / rank; its mean is MRR."""
    return 1.0 / _checked(rank)


def effect_d(rank: ArrayLike) -> Scores:
    """Effect_D, nDCG without cut-off (LRGD eq. 15)."""
    return 1.0 / np.log2(_checked(rank) + 1)


def _checked(rank: ArrayLike) -> Scores:
    ranks = np.asarray(rank, dtype=np.float64)
    if ranks.size and ranks.min() < 1:
        raise ValueError(f"a rank is 1 or more, got {ranks.min():g}")
    return ranks


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
