"""Paired comparisons: how sure a difference between two methods is."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import scipy
from numpy.typing import NDArray

RESAMPLES = 9_999


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean with its 95 % confidence interval."""

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
    return mean_interval(_difference(scores, reference), seed=seed)


def mean_interval(values: NDArray[np.float64], *, seed: int = 0) -> Interval:
    """The mean of two or more values (users,), with a percentile bootstrap interval."""
    if np.all(values == values[0]):
        # Every resample is the same: scipy would return nan.
        return Interval(*3 * [float(values[0])])
    found = scipy.stats.bootstrap(
        (values,), np.mean, n_resamples=RESAMPLES, method="percentile", rng=seed
    ).confidence_interval
    return Interval(float(values.mean()), float(found.low), float(found.high))


def sign_flip_p(
    scores: NDArray[np.float64], reference: NDArray[np.float64], *, seed: int = 0
) -> float:
    """Two-sided p-value of the mean paired difference, by flipping signs.

    Were the two methods alike, each user's difference would be as likely with the other sign. Of
    the mean itself, as the interval is: a test of ranks answers another question, and did not
    agree with it. All sign patterns for up to 13 users, 9,999 random ones beyond.

    Raises:
        ValueError: shapes differ, or fewer than two users.
    """
    difference = _difference(scores, reference)
    if not difference.any():
        return 1.0
    found = scipy.stats.permutation_test(
        (difference,),
        lambda rows, axis: np.mean(rows, axis=axis),
        permutation_type="samples",
        vectorized=True,
        n_resamples=RESAMPLES,
        batch=1_000,
        rng=seed,
    )
    return float(found.pvalue)


def holm(p_values: Mapping[str, float]) -> dict[str, float]:
    """p-values adjusted for several comparisons at once (Holm 1979), under the same names."""
    adjusted, least = {}, 0.0
    for done, name in enumerate(sorted(p_values, key=lambda n: p_values[n])):
        least = max(least, min(1.0, p_values[name] * (len(p_values) - done)))
        adjusted[name] = least
    return {name: adjusted[name] for name in p_values}


def p_text(p: float) -> str:
    """A p-value to three places, never "0.000"."""
    return f"{p:.3f}" if p >= 0.001 else "<0.001"


def _difference(scores: NDArray[np.float64], reference: NDArray[np.float64]) -> NDArray[np.float64]:
    if scores.shape != reference.shape or scores.ndim != 1 or len(scores) < 2:
        raise ValueError(
            f"a paired difference needs two vectors of 2 or more users, "
            f"got shapes {scores.shape} and {reference.shape}"
        )
    return scores - reference
