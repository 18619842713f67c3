"""Evaluator: how good a demonstration is, from what its ranking gave to the ground truth.

Effect_D knows the rank alone. The log-probability tells demonstrations of one rank apart, and
moves before the rank does: one lucky rank weighs less.
"""

from math import log, log2

from lrgd.agents.values import Ranking

LEAST_PROBABILITY = 1e-9
"""Stands for none: one candidate that got nothing must not outweigh all other tasks."""


def effect(rank: int | None) -> float:
    """Effect_D = 1 / log2(i + 1), in (0, 1]; 0 where the item was not ranked.

    Args:
        rank: i, the 1-based position of the ground-truth item; None if absent.

    Raises:
        ValueError: a rank below 1.

    Source: LRGD eq. (15).
    """
    if rank is None:
        return 0.0
    if rank < 1:
        raise ValueError(f"a rank is 1 or more, got {rank}")
    return 1.0 / log2(rank + 1)


def rank_from(effect: float) -> int:
    """The rank i that has this Effect_D > 0: the inverse of `effect`."""
    return round(2 ** (1 / effect) - 1)


def log_probability(ranking: Ranking, item_id: str) -> float | None:
    """Natural logarithm of the item's probability among the candidates, 0 at most.

    None where the ranking has no probabilities. They are made to sum to 1: a ranker may have read
    them from the likeliest tokens only.
    """
    total = sum(ranking.probabilities.values())
    if total <= 0:
        return None
    return log(max(ranking.probabilities.get(item_id, 0.0) / total, LEAST_PROBABILITY))
