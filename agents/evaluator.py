"""Evaluator: how good a demonstration is, from the rank it gave to the ground truth."""

from math import log2


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
