"""Paired comparisons: how sure a difference between two methods is, for few users too.

The rule for a verdict: a difference is "clear of 0" only where its interval and its test agree, so
only if the 95 % interval excludes 0 and p < 0.05. Fewer users than `least_users` say nothing,
whatever the numbers: no p-value of theirs can be below 0.05.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import scipy
from numpy.typing import NDArray

Values = NDArray[np.float64]
Verdict = Literal["clear of 0", "not clear of 0", "too few to tell"]

LEVEL = 0.05
"""A p-value below this is called significant."""

RESAMPLES = 9_999
"""Of a bootstrap, and of a permutation test that cannot go through all patterns."""

FEW = 100
"""Up to so many pairs, the p-value of a rank correlation is a permutation test's."""

LEAST_PAIRS = 5
"""Of 4! = 24 orders, the most extreme and its reverse make 2 / 24 > 0.05; of 5!, 2 / 120."""


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean with its 95 % confidence interval; the mean lies in it."""

    mean: float
    low: float
    high: float


def paired_difference(scores: Values, reference: Values, *, seed: int = 0) -> Interval:
    """Mean of scores - reference, with a percentile bootstrap interval over users.

    Args:
        scores, reference: shape (users,), the same users in the same order.

    Raises:
        ValueError: shapes differ, fewer than two users, or a value that is not finite.
    """
    return mean_interval(_difference(scores, reference), seed=seed)


def mean_interval(values: Values, *, seed: int = 0) -> Interval:
    """The mean of two or more values (users,), with a percentile bootstrap interval.

    Raises:
        ValueError: fewer than two values, or one that is not finite.
    """
    if values.ndim != 1 or len(values) < 2 or not np.isfinite(values).all():
        raise ValueError(f"a mean's interval needs 2 or more finite values, got {values}")
    if np.all(values == values[0]):
        # Every resample is the same: scipy would return nan.
        return Interval(*3 * [float(values[0])])
    bounds = scipy.stats.bootstrap(
        (values,), np.mean, n_resamples=RESAMPLES, method="percentile", rng=seed
    ).confidence_interval
    mean = float(values.mean())
    # Where values differ by rounding errors only, so may the mean and the bounds.
    return Interval(mean, min(mean, float(bounds.low)), max(mean, float(bounds.high)))


def normal_interval(estimate: float, standard_error: float) -> Interval:
    """An estimate with the 95 % interval of a normal distribution."""
    half = 1.959964 * standard_error
    return Interval(estimate, estimate - half, estimate + half)


def sign_flip_p(scores: Values, reference: Values, *, seed: int = 0) -> float:
    """Two-sided p-value of the mean paired difference, by flipping signs; in (0, 1].

    Were the two methods alike, each user's difference would be as likely with the other sign. Of
    the mean itself, as the interval is: a test of ranks answers another question, and did not
    agree with it. All 2^n sign patterns for up to 13 users: exact. 9,999 random ones beyond, the
    observed one counted with them.

    Raises:
        ValueError: shapes differ, fewer than two users, or a value that is not finite.
    """
    difference = _difference(scores, reference)
    if not difference.any():
        return 1.0
    return _permutation_p(
        difference, lambda rows, axis: np.mean(rows, axis=axis), "samples", seed=seed
    )


def least_users(comparisons: int = 1) -> int:
    """The fewest users of which a sign-flip test can tell anything, p < 0.05.

    If all differences have one sign, 2 of the 2^n patterns are as extreme: p is 2 / 2^n at least,
    which n = 6 brings below 0.05. Holm's adjustment multiplies the smallest p-value by the number
    of comparisons: 8 of them need 9 users.
    """
    users = 1
    while comparisons * 2 / 2**users >= LEVEL:
        users += 1
    return users


def verdict(difference: Interval, p: float, users: int, comparisons: int = 1) -> Verdict:
    """Whether a mean difference can be told from 0: see the rule at the top.

    Args:
        p: as the reader is shown it, adjusted where it is one of several.
        comparisons: how many it was adjusted for.
    """
    if users < least_users(comparisons):
        return "too few to tell"
    excluded = difference.low > 0 or difference.high < 0
    return "clear of 0" if excluded and p < LEVEL else "not clear of 0"


def holm(p_values: Mapping[str, float]) -> dict[str, float]:
    """p-values adjusted for several comparisons at once (Holm 1979), under the same names."""
    adjusted, least = {}, 0.0
    for done, name in enumerate(sorted(p_values, key=lambda n: p_values[n])):
        least = max(least, min(1.0, p_values[name] * (len(p_values) - done)))
        adjusted[name] = least
    return {name: adjusted[name] for name in p_values}


def spearman(x: Values, y: Values, *, seed: int = 0) -> tuple[float, float]:
    """Spearman's rank correlation and its two-sided p-value.

    p is of all n! orders for up to 7 pairs: exact. Of 9,999 random orders up to 100 pairs, the
    observed one counted with them; of Student's t, which then differs little, beyond.

    Raises:
        ValueError: shapes differ, fewer than three pairs, a value that is not finite, or values
            that are all the same.
    """
    if x.shape != y.shape or x.ndim != 1 or len(x) < 3 or not np.isfinite([x, y]).all():
        raise ValueError(
            f"a rank correlation needs two vectors of 3 or more finite values, got {x} and {y}"
        )
    if np.ptp(x) == 0 or np.ptp(y) == 0:
        raise ValueError("a rank correlation needs values that differ")
    known = scipy.stats.spearmanr(x, y)
    if len(x) > FEW:
        return float(known.statistic), float(known.pvalue)
    ranks, others = scipy.stats.rankdata(x), scipy.stats.rankdata(y)
    centred = others - others.mean()

    def covariance(rows: Values, axis: int) -> Values:
        """Grows with the correlation: variances of ranks stay as they are in any order."""
        return np.asarray((rows * centred).sum(axis=axis))

    return float(known.statistic), _permutation_p(ranks, covariance, "pairings", seed=seed)


def interval_text(interval: Interval, form: str = "+.4f") -> str:
    """A mean and its interval: "+0.0760 [+0.0071, +0.1601]".

    Args:
        form: of each number, as in `format`.
    """
    mean, low, high = (format(v, form) for v in (interval.mean, interval.low, interval.high))
    return f"{mean} [{low}, {high}]"


def p_text(p: float, *, enough: bool = True) -> str:
    """A p-value to three places, never "0.000"; "too few" where so few can reach no 0.05."""
    if not enough:
        return "too few"
    return f"{p:.3f}" if p >= 0.001 else "<0.001"


def _permutation_p(
    values: Values,
    statistic: Callable[..., Any],
    permuted: Literal["samples", "pairings"],
    *,
    seed: int,
) -> float:
    """Two-sided; scipy goes through all permutations where there are no more than RESAMPLES."""
    result = scipy.stats.permutation_test(
        (values,),
        statistic,
        permutation_type=permuted,
        vectorized=True,
        n_resamples=RESAMPLES,
        batch=1_000,
        rng=seed,
    )
    return float(result.pvalue)


def _difference(scores: Values, reference: Values) -> Values:
    if scores.shape != reference.shape or scores.ndim != 1 or len(scores) < 2:
        raise ValueError(
            f"a paired difference needs two vectors of 2 or more users, "
            f"got shapes {scores.shape} and {reference.shape}"
        )
    if not np.isfinite([scores, reference]).all():
        raise ValueError(f"a paired difference needs finite values, got {scores} and {reference}")
    return scores - reference
