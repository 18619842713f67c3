"""The table's numbers: each method's means, its difference to the reference, and what it cost."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

import numpy as np
from numpy.typing import NDArray

from lrgd.agents.endpoint.client import Usage
from lrgd.core.errors import InputError
from lrgd.evals.metrics import METRICS
from lrgd.evals.report.audit import AuditRates, rates
from lrgd.evals.runs.arms import Arm
from lrgd.evals.runs.folder import Score
from lrgd.evals.statistics import Interval, holm, paired_difference, sign_flip_p


@dataclass(frozen=True, slots=True)
class MethodResult:
    """One row of the table. Where there are several seeds, a user's value is the mean over them."""

    method: str
    n: int
    """Users."""
    seeds: int
    means: dict[str, float]
    """Metric -> mean over users."""
    seed_sd: dict[str, float]
    """Metric -> standard deviation of the seeds' means; empty for a single seed."""
    differences: dict[str, Interval]
    """Metric -> difference to the reference, paired by user; empty for the reference itself."""
    p_values: dict[str, float]
    """Metric -> p of the sign-flip test against the reference, Holm-adjusted over the methods;
    empty for the reference itself."""
    test: Usage
    """Of the test rankings, all seeds."""
    seconds: float
    """Mean of a test ranking, others under way beside it."""
    optimization: Usage | None
    """Of the optimisation that it reads, all seeds; None where it reads none."""
    audit: AuditRates
    """What the model did with the lists that it was asked for."""


Values = dict[str, NDArray[np.float64]]
"""Metric -> one value a user."""


@dataclass(frozen=True, slots=True)
class Scored:
    """One method's scores on the users, in the order of their ids."""

    arms: Sequence[Arm]
    """One a seed."""
    scores: Sequence[Sequence[Score]]
    """One row an arm, the same users in each."""

    @property
    def users(self) -> list[str]:
        return [score.user_id for score in self.scores[0]]

    @property
    def seed_values(self) -> list[Values]:
        """Metric -> one value a user, for each seed."""
        ranks = [np.array([score.rank for score in row]) for row in self.scores]
        return [{name: metric(r) for name, metric in METRICS.items()} for r in ranks]

    @property
    def values(self) -> Values:
        """Metric -> one value a user, the mean over seeds."""
        seeds = self.seed_values
        return {name: np.mean([values[name] for values in seeds], axis=0) for name in METRICS}


def scored_methods(scores: Sequence[Score], arms: Sequence[Arm]) -> dict[str, Scored]:
    """Method -> its scores, in the order of the arms.

    Args:
        scores: of these arms, and perhaps of others.

    Raises:
        InputError: the arms were scored on different users, so nothing can be paired.
    """
    rows: dict[tuple[str, int | None], list[Score]] = {}
    for score in sorted(scores, key=lambda s: s.user_id):
        rows.setdefault((score.method, score.seed), []).append(score)
    of_arm = [rows.get((arm.method.name, arm.seed), []) for arm in arms]
    users = [[score.user_id for score in row] for row in of_arm]
    if len(users[0]) < 2 or any(other != users[0] for other in users):
        raise InputError("methods need the same users, 2 or more: run `lrgd evaluate` again")
    pairs = list(zip(arms, of_arm, strict=True))
    methods = dict.fromkeys(arm.method.name for arm in arms)
    mine = {m: [(arm, row) for arm, row in pairs if arm.method.name == m] for m in methods}
    return {m: Scored([arm for arm, _ in p], [row for _, row in p]) for m, p in mine.items()}


def results(found: Mapping[str, Scored], reference: str) -> list[MethodResult]:
    """One row a method.

    Args:
        found: from `scored_methods`.
        reference: the method that all others are paired with.
    """
    against = found[reference].values
    others = {name: scored.values for name, scored in found.items() if name != reference}
    adjusted = {
        metric: holm({m: sign_flip_p(v[metric], against[metric]) for m, v in others.items()})
        for metric in METRICS
    }
    rows = []
    for name, scored in found.items():
        compared = METRICS if name != reference else ()
        differences = {m: paired_difference(scored.values[m], against[m]) for m in compared}
        p_values = {m: adjusted[m][name] for m in compared}
        rows.append(_row(name, scored, differences, p_values))
    return rows


def _row(
    name: str, scored: Scored, differences: dict[str, Interval], p_values: dict[str, float]
) -> MethodResult:
    scores = [score for row in scored.scores for score in row]
    seeds = scored.seed_values
    means = {m: [float(values[m].mean()) for values in seeds] for m in METRICS}
    read = [record.usage for arm in scored.arms for record in arm.records]
    return MethodResult(
        method=name,
        n=len(scored.users),
        seeds=len(seeds),
        means={m: fmean(found) for m, found in means.items()},
        seed_sd={m: stdev(found) for m, found in means.items()} if len(seeds) > 1 else {},
        differences=differences,
        p_values=p_values,
        test=sum((s.usage for s in scores), Usage()),
        seconds=fmean(s.seconds for s in scores),
        optimization=sum(read, Usage()) if scored.arms[0].method.pick else None,
        audit=rates([s.audit for s in scores if s.audit], [s.strict_rank for s in scores]),
    )
