"""Does a demonstration that does well on the validation task do well on the test task?

The paper's second claim, as correlations of validation Effect_D and test nDCG@10.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

import numpy as np
import scipy
from numpy.typing import NDArray

from lrgd.evals.report.results import Scored
from lrgd.evals.runs.arms import Arm

TESTED = "nDCG@10"

EQUAL = 1e-9
"""Values closer than this do not differ: their correlation would be of rounding errors."""

Series = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Point:
    """A demonstration set: one demonstration a user, all written and chosen in the same way."""

    method: str
    seed: int | None
    effect: float
    """Mean validation Effect_D of its demonstrations."""
    ndcg: float
    """Mean nDCG@10 on the test task with them."""


@dataclass(frozen=True, slots=True)
class Correlation:
    """How two series of numbers move together."""

    over: str
    n: int
    pearson: float
    spearman: float
    p: float
    """Two-sided, of Spearman's coefficient."""


def demonstration_sets(found: Mapping[str, Scored]) -> list[Point]:
    """Every arm that ranks with demonstrations: the sets that claim 2 is about."""
    return [
        Point(name, arm.seed, fmean(_effects(arm, scored.users)), float(values[TESTED].mean()))
        for name, scored in found.items()
        for arm, values in zip(scored.arms, scored.seed_values, strict=True)
        if arm.method.pick is not None
    ]


def correlations(found: Mapping[str, Scored]) -> list[Correlation]:
    """By user, by user's gain, and by demonstration set; those with too little to say left out.

    By user, an easy user is easy twice: the gains (LRGD minus ICL on both tasks) are free of that.
    """
    series = {"users, LRGD": (x := _effect_by_user(found["LRGD"]), y := _tested(found["LRGD"]))}
    if "ICL" in found:
        gain = (x - _effect_by_user(found["ICL"]), y - _tested(found["ICL"]))
        series["users, gain of LRGD over ICL"] = gain
    sets = demonstration_sets(found)
    series["demonstration sets"] = (
        np.array([point.effect for point in sets]),
        np.array([point.ndcg for point in sets]),
    )
    return [_correlation(name, x, y) for name, (x, y) in series.items() if _enough(x, y)]


def _tested(scored: Scored) -> Series:
    return np.asarray(scored.values[TESTED])


def _effect_by_user(scored: Scored) -> Series:
    effects = [_effects(arm, scored.users) for arm in scored.arms]
    return np.asarray(np.mean(effects, axis=0))


def _effects(arm: Arm, users: Sequence[str]) -> list[float]:
    """Validation Effect_D of each user's demonstration; 0 where there is none."""
    assert arm.method.pick is not None
    picked = {record.user_id: arm.method.pick(record) for record in arm.records}
    return [d.effect if (d := picked[user]) else 0.0 for user in users]


def _enough(x: Series, y: Series) -> bool:
    return len(x) > 2 and bool(np.ptp(x) > EQUAL and np.ptp(y) > EQUAL)


def _correlation(over: str, x: Series, y: Series) -> Correlation:
    rank = scipy.stats.spearmanr(x, y)
    return Correlation(
        over,
        len(x),
        float(scipy.stats.pearsonr(x, y).statistic),
        float(rank.statistic),
        float(rank.pvalue),
    )
