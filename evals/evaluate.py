"""Scores methods on the test tasks of a run's users, and compares them pairwise by user."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evals.audit import AuditRates, rates
from evals.bundle import Bundle
from evals.journal import Lines, Score, UserRecord
from evals.methods import METHODS, REFERENCE, Tools
from evals.metrics import METRICS
from evals.statistics import Interval, holm, paired_difference, signed_rank_p
from memory.errors import InputError


@dataclass(frozen=True, slots=True)
class MethodResult:
    """One row of the table."""

    method: str
    n: int
    means: dict[str, float]
    """Metric -> mean over users."""
    differences: dict[str, Interval]
    """Metric -> difference to the reference, paired by user; empty for the reference itself."""
    p_values: dict[str, float]
    """Metric -> Wilcoxon's signed-rank p against the reference, Holm-adjusted over the methods;
    empty for the reference itself."""
    calls: int
    """Model calls for the test rankings."""
    audit: AuditRates
    """What the model did with the lists that it was asked for."""


async def score_users(
    bundle: Bundle,
    records: Sequence[UserRecord],
    tools: Tools,
    scores: Lines[Score],
    *,
    at_once: int,
    report: Callable[[Score], None] = lambda score: None,
) -> list[Score]:
    """Rank every user's test task by every method; what is scored already is not asked again.

    Returns:
        A score for each method and user.
    """
    known = {(s.method, s.user_id): s for s in scores.read()}
    gate = asyncio.Semaphore(at_once)

    async def one(method: str, record: UserRecord) -> Score:
        if score := known.get((method, record.user_id)):
            return score
        task = bundle.task(record.user_id, "test")
        async with gate:
            ranking, usage = await METHODS[method](tools, task, record)
        target = str(task.target_id)
        score = Score(
            method=method,
            user_id=record.user_id,
            rank=ranking.rank_of(target),
            strict_rank=ranking.strict_rank_of(target),
            audit=ranking.audit,
            usage=usage,
        )
        scores.append(score)
        report(score)
        return score

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(one(m, r)) for m in METHODS for r in records]
    return [task.result() for task in tasks]


def results(scores: Sequence[Score]) -> list[MethodResult]:
    """One row a method, in the registry's order.

    Raises:
        InputError: methods were scored on different users, so nothing can be paired.
    """
    by_method = {m: sorted((s for s in scores if s.method == m), key=_user) for m in METHODS}
    users = [[s.user_id for s in rows] for rows in by_method.values()]
    if len(users[0]) < 2 or any(other != users[0] for other in users):
        raise InputError("methods need the same users, 2 or more: run `lrgd evaluate` again")
    values = {m: _values(rows) for m, rows in by_method.items()}
    adjusted = {name: _p_values(values, name) for name in METRICS}
    return [_result(m, rows, values, adjusted) for m, rows in by_method.items()]


Values = dict[str, NDArray[np.float64]]
"""Metric -> one value a user."""


def _values(rows: Sequence[Score]) -> Values:
    ranks = np.array([score.rank for score in rows])
    return {name: metric(ranks) for name, metric in METRICS.items()}


def _p_values(values: dict[str, Values], metric: str) -> dict[str, float]:
    reference = values[REFERENCE][metric]
    others = (m for m in values if m != REFERENCE)
    return holm({m: signed_rank_p(values[m][metric], reference) for m in others})


def _result(
    method: str,
    rows: Sequence[Score],
    values: dict[str, Values],
    adjusted: dict[str, dict[str, float]],
) -> MethodResult:
    compared = METRICS if method != REFERENCE else ()
    own, reference = values[method], values[REFERENCE]
    differences = {name: paired_difference(own[name], reference[name]) for name in compared}
    audits = [s.audit for s in rows if s.audit is not None]
    return MethodResult(
        method=method,
        n=len(rows),
        means={name: float(v.mean()) for name, v in own.items()},
        differences=differences,
        p_values={name: adjusted[name][method] for name in compared},
        calls=sum(s.usage.calls for s in rows),
        audit=rates(audits, [s.strict_rank for s in rows]),
    )


def _user(score: Score) -> str:
    return score.user_id
