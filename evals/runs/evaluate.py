"""Scores methods on the test tasks of a run's users."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from time import perf_counter

from lrgd.evals.runs.arms import Arm
from lrgd.evals.data.bundle import Bundle
from lrgd.evals.runs.folder import (Lines, Score, UserRecord)
from lrgd.evals.methods import Tools


async def score_users(
    bundle: Bundle,
    arms: Sequence[Arm],
    tools: Tools,
    scores: Lines[Score],
    *,
    at_once: int,
    report: Callable[[Score], None] = lambda score: None,
) -> list[Score]:
    """Rank every user's test task in every arm; what is scored already is not asked again.

    Args:
        tools: the arms' own settings replace its settings.
        report: told of every score, those of an earlier start too.

    Returns:
        A score for each arm and user.
    """
    known = {(s.method, s.seed, s.user_id): s for s in scores.read()}
    gate = asyncio.Semaphore(at_once)

    async def one(arm: Arm, record: UserRecord) -> Score:
        score = known.get((arm.method.name, arm.seed, record.user_id))
        if score is None:
            async with gate:
                score = await _score(bundle, arm, record, replace(tools, settings=arm.settings))
            scores.append(score)
        report(score)
        return score

    # A user's rankings follow one another: what their prompts share is then still in the server's
    # cache, whatever it holds.
    asked = [(arm, record) for arm in arms for record in arm.records]
    async with asyncio.TaskGroup() as group:
        tasks = {
            (id(arm), record.user_id): group.create_task(one(arm, record))
            for arm, record in sorted(asked, key=lambda pair: pair[1].user_id)
        }
    return [tasks[id(arm), record.user_id].result() for arm, record in asked]


async def _score(bundle: Bundle, arm: Arm, record: UserRecord, tools: Tools) -> Score:
    task = bundle.task(record.user_id, "test")
    began = perf_counter()
    ranking, usage = await arm.method.rank(tools, task, record)
    target = str(task.target_id)
    return Score(
        method=arm.method.name,
        user_id=record.user_id,
        rank=ranking.rank_of(target),
        strict_rank=ranking.strict_rank_of(target),
        audit=ranking.audit,
        usage=usage,
        seconds=perf_counter() - began,
        seed=arm.seed,
    )
