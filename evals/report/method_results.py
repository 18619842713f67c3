"""Each method's numbers: its means, its difference to the reference, and what it cost."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean, stdev
from typing import TypeVar

import numpy as np

from lrgd.agents.values import Usage
from lrgd.core.errors import InputError
from lrgd.evals.metrics import MAIN_METRIC, METRICS
from lrgd.evals.report.audit import AuditRates, audit_rates
from lrgd.evals.runs.evaluation import SeededMethod
from lrgd.evals.runs.folder import Score, UserRecord
from lrgd.evals.statistics import (
    Interval,
    Values,
    Verdict,
    holm,
    paired_difference,
    sign_flip_p,
    verdict,
)

R = TypeVar("R", Score, UserRecord)


@dataclass(frozen=True, slots=True)
class MethodResult:
    """A method's row in the tables. With several seeds, a user's value is the mean over them."""

    method: str
    n: int
    """Users."""
    left_out: int
    """Users whose calls failed in this row or in another: they are in none."""
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
    verdict: Verdict | None
    """Whether its nDCG@10 can be told from the reference's; None for the reference itself."""
    test: Usage
    """What the test rankings cost, all seeds."""
    seconds: float
    """Mean time of a test ranking, others under way beside it."""
    optimization: Usage | None
    """What the optimisation that it reads cost, all seeds; None where it reads none."""
    audit: AuditRates
    """What the model did with the lists that it was asked for."""


ByMetric = dict[str, Values]
"""Metric -> one value a user."""


@dataclass(frozen=True, slots=True)
class MethodScores:
    """One method's scores on the users, in the order of their ids."""

    methods: Sequence[SeededMethod]
    """The method under each seed."""
    scores: Sequence[Sequence[Score]]
    """One row for each of them, the same users in each."""

    @property
    def users(self) -> list[str]:
        return [score.user_id for score in self.scores[0]]

    @property
    def seed_values(self) -> list[ByMetric]:
        """Metric -> one value a user, for each seed."""
        ranks = [np.array([score.rank for score in row]) for row in self.scores]
        return [{name: metric(r) for name, metric in METRICS.items()} for r in ranks]

    @property
    def values(self) -> ByMetric:
        """Metric -> one value a user, the mean over seeds."""
        seeds = self.seed_values
        return {name: np.mean([values[name] for values in seeds], axis=0) for name in METRICS}


def scores_by_method(
    scores: Sequence[Score], methods: Sequence[SeededMethod], left_out: Collection[str] = ()
) -> dict[str, MethodScores]:
    """Method -> its scores, in the order of the methods.

    Args:
        scores: of these methods, and perhaps of others.
        left_out: users whose calls failed somewhere: no row is to hold them.

    Raises:
        InputError: the methods were scored on different users, so nothing can be paired.
    """
    rows: dict[tuple[str, int | None], list[Score]] = {}
    kept = [replace(seeded, records=_without(left_out, seeded.records)) for seeded in methods]
    for score in _without(left_out, sorted(scores, key=lambda s: s.user_id)):
        rows.setdefault((score.method, score.seed), []).append(score)
    found = [rows.get((seeded.method.name, seeded.seed), []) for seeded in kept]
    users = [[score.user_id for score in row] for row in found]
    if len(users[0]) < 2 or any(other != users[0] for other in users):
        raise InputError("methods need the same users, 2 or more: run `lrgd evaluate` again")
    pairs = list(zip(kept, found, strict=True))
    names = dict.fromkeys(seeded.method.name for seeded in methods)
    mine = {n: [(seeded, row) for seeded, row in pairs if seeded.method.name == n] for n in names}
    return {n: MethodScores([one for one, _ in p], [row for _, row in p]) for n, p in mine.items()}


def _without(users: Collection[str], rows: Sequence[R]) -> list[R]:
    return [row for row in rows if row.user_id not in users]


def method_results(
    scores: Mapping[str, MethodScores], reference: str, left_out: int = 0
) -> list[MethodResult]:
    """One result a method.

    Args:
        scores: from `scores_by_method`.
        reference: the method that all others are paired with.
        left_out: how many users are in none of them.
    """
    against = scores[reference].values
    others = {name: method.values for name, method in scores.items() if name != reference}
    adjusted = {
        metric: holm({m: sign_flip_p(v[metric], against[metric]) for m, v in others.items()})
        for metric in METRICS
    }
    rows = []
    for name, method in scores.items():
        compared, values = METRICS if name != reference else (), method.values
        differences = {m: paired_difference(values[m], against[m]) for m in compared}
        p_values = {m: adjusted[m][name] for m in compared}
        row = _row(name, method, differences, p_values, len(others))
        rows.append(replace(row, left_out=left_out))
    return rows


def _row(
    name: str,
    method: MethodScores,
    differences: dict[str, Interval],
    p_values: dict[str, float],
    comparisons: int,
) -> MethodResult:
    scores = [score for row in method.scores for score in row]
    seeds, n = method.seed_values, len(method.users)
    means = {m: [float(values[m].mean()) for values in seeds] for m in METRICS}
    read = [record.usage for seeded in method.methods for record in seeded.records]
    difference = differences.get(MAIN_METRIC)
    return MethodResult(
        method=name,
        n=n,
        left_out=0,
        seeds=len(seeds),
        means={m: fmean(of_seeds) for m, of_seeds in means.items()},
        seed_sd={m: stdev(of_seeds) for m, of_seeds in means.items()} if len(seeds) > 1 else {},
        differences=differences,
        p_values=p_values,
        verdict=verdict(difference, p_values[MAIN_METRIC], n, comparisons) if difference else None,
        test=sum((s.usage for s in scores), Usage()),
        seconds=fmean(s.seconds for s in scores),
        optimization=sum(read, Usage()) if method.methods[0].method.pick else None,
        audit=audit_rates([s.audit for s in scores if s.audit], [s.strict_rank for s in scores]),
    )
