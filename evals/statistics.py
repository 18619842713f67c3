"""Paired comparisons: how sure a difference between two methods is."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import bootstrap

RESAMPLES = 9_999


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean difference with its 95 % confidence interval."""

    mean: float
    low: float
    high: float


def paired_difference(
    scores: NDArray[np.float64], reference: NDArray[np.float64], *, seed: int = 0
) -> Interval:
    """Mean of scores - reference, with a percentile bootstrap interval over users.

    Args:
        scores, reference: shape (users,), the same users in the same order.

    Raises:
        ValueError: shapes differ, or fewer than two users.
    """
    if scores.shape != reference.shape or scores.ndim != 1 or len(scores) < 2:
        raise ValueError(
            f"a paired difference needs two vectors of 2 or more users, "
            f"got shapes {scores.shape} and {reference.shape}"
        )
    difference = scores - reference
    if np.all(difference == difference[0]):
        # Every resample is the same: scipy would return nan.
        return Interval(*3 * [float(difference[0])])
    found = bootstrap(
        (difference,), np.mean, n_resamples=RESAMPLES, method="percentile", rng=seed
    ).confidence_interval
    return Interval(float(difference.mean()), float(found.low), float(found.high))
