"""Evaluator: how good a demonstration is, from what its ranking gave to the ground truth.

Effect_D knows the rank alone. The log-probability tells demonstrations of one rank apart, and
moves before the rank does: one lucky rank weighs less.
"""

from collections.abc import Sequence
from math import log
from statistics import fmean

from lrgd.agents.values import Ranking, RankingTask
from lrgd.memory.demonstration import effect, mean_effect

__all__ = ["effect", "log_probability", "mean_effect", "mean_log_probability", "ranks_of"]

LEAST_PROBABILITY = 1e-9
"""Stands for none: one candidate that got nothing must not outweigh all other tasks."""


def ranks_of(rankings: Sequence[Ranking], tasks: Sequence[RankingTask]) -> tuple[int, ...]:
    """Rank of each task's ground truth; () where nothing was ranked."""
    pairs = zip(rankings, tasks, strict=bool(rankings))
    return tuple(ranking.rank_of(str(task.target_id)) for ranking, task in pairs)


def log_probability(ranking: Ranking, item_id: str) -> float | None:
    """Natural logarithm of the item's probability among the candidates, 0 at most.

    None where the ranking has no probabilities. They are made to sum to 1: a ranker may have read
    them from the likeliest tokens only.
    """
    total = sum(ranking.probabilities.values())
    if total <= 0:
        return None
    return log(max(ranking.probabilities.get(item_id, 0.0) / total, LEAST_PROBABILITY))


def mean_log_probability(rankings: Sequence[Ranking], tasks: Sequence[RankingTask]) -> float | None:
    """Mean log-probability of the ground truth; None where a ranking has no probabilities."""
    pairs = zip(rankings, tasks, strict=True)
    each = [log_probability(ranking, str(task.target_id)) for ranking, task in pairs]
    known = [value for value in each if value is not None]
    return fmean(known) if known and len(known) == len(each) else None
