"""Does a demonstration that does well on the validation task do well on the test task?

The paper's second claim, as correlations of validation Effect_D and test nDCG@10.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

import numpy as np
import scipy

from lrgd.evals.metrics import MAIN_METRIC
from lrgd.evals.report.method_results import MethodScores
from lrgd.evals.runs.evaluation import SeededMethod
from lrgd.evals.statistics import LEAST_PAIRS, Values, spearman

EQUAL = 1e-9
"""Values closer than this do not differ: their correlation would be of rounding errors."""


@dataclass(frozen=True, slots=True)
class DemonstrationSet:
    """One demonstration a user, all written and chosen in the same way."""

    method: str
    seed: int | None
    effect: float
    """Mean validation Effect_D of its demonstrations."""
    ndcg: float
    """Mean nDCG@10 on the test task with them."""


@dataclass(frozen=True, slots=True)
class Correlation:
    """How validation Effect_D and test nDCG@10 move together."""

    over: str
    """What the pairs are of."""
    n: int
    """Pairs."""
    pearson: float
    spearman: float
    p: float
    """Two-sided, of Spearman's coefficient; exact or a permutation test's for few pairs."""

    @property
    def enough(self) -> bool:
        """Whether so many pairs can reach p < 0.05 at all."""
        return self.n >= LEAST_PAIRS


def demonstration_sets(scores: Mapping[str, MethodScores]) -> list[DemonstrationSet]:
    """Every method and seed that ranks with demonstrations: the sets that claim 2 is about."""
    return [
        DemonstrationSet(
            name,
            seeded.seed,
            fmean(_effects(seeded, method.users)),
            float(values[MAIN_METRIC].mean()),
        )
        for name, method in scores.items()
        for seeded, values in zip(method.methods, method.seed_values, strict=True)
        if seeded.method.pick is not None
    ]


def correlations(scores: Mapping[str, MethodScores]) -> list[Correlation]:
    """Over users, over users' gains, and over demonstration sets.

    Left out: what has fewer than three pairs, or values that do not differ. Over users, one who is
    easy is easy twice; their gains (LRGD minus ICL on both tasks) are free of that.
    """
    effect, ndcg = _effect_by_user(scores["LRGD"]), _ndcg_by_user(scores["LRGD"])
    pairs = {"users, LRGD": (effect, ndcg)}
    if "ICL" in scores:
        pairs["users, gain of LRGD over ICL"] = (
            effect - _effect_by_user(scores["ICL"]),
            ndcg - _ndcg_by_user(scores["ICL"]),
        )
    sets = demonstration_sets(scores)
    pairs["demonstration sets"] = (
        np.array([s.effect for s in sets]),
        np.array([s.ndcg for s in sets]),
    )
    return [_correlation(over, x, y) for over, (x, y) in pairs.items() if _differ(x, y)]


def _ndcg_by_user(method: MethodScores) -> Values:
    return np.asarray(method.values[MAIN_METRIC])


def _effect_by_user(method: MethodScores) -> Values:
    effects = [_effects(seeded, method.users) for seeded in method.methods]
    return np.asarray(np.mean(effects, axis=0))


def _effects(seeded: SeededMethod, users: Sequence[str]) -> list[float]:
    """Validation Effect_D of each user's demonstration; 0 where there is none."""
    assert seeded.method.pick is not None
    picked = {record.user_id: seeded.method.pick(record) for record in seeded.records}
    return [d.effect if (d := picked[user]) else 0.0 for user in users]


def _differ(x: Values, y: Values) -> bool:
    return len(x) > 2 and bool(np.ptp(x) > EQUAL and np.ptp(y) > EQUAL)


def _correlation(over: str, x: Values, y: Values) -> Correlation:
    return Correlation(over, len(x), float(scipy.stats.pearsonr(x, y).statistic), *spearman(x, y))
