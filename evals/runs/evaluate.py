"""Scores methods on the test tasks of a run's users."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from time import perf_counter

from lrgd.core.errors import RankingFailed
from lrgd.evals.data.bundle import Bundle
from lrgd.evals.methods import Question, Resources
from lrgd.evals.runs.arms import Arm
from lrgd.evals.runs.folder import FailedCall, Lines, Score, UserRecord


async def score_users(
    bundle: Bundle,
    arms: Sequence[Arm],
    resources: Resources,
    scores: Lines[Score],
    *,
    at_once: int,
    failed: Lines[FailedCall] | None = None,
    report: Callable[[Score], None] = lambda score: None,
) -> list[Score]:
    """Rank every user's test task in every arm; what is scored already is not asked again.

    A ranking that got no answer has no score, and is asked for again the next time.

    Args:
        failed: where such rankings are noted.
        resources: the arms' own settings replace its settings.
        report: told of every score, those of an earlier start too.

    Returns:
        A score for each arm and user, failed rankings left out.
    """
    known = {(s.method, s.seed, s.user_id): s for s in scores.read()}
    gate = asyncio.Semaphore(at_once)

    async def one(arm: Arm, record: UserRecord) -> Score | None:
        score = known.get((arm.method.name, arm.seed, record.user_id))
        if score is None:
            own = replace(resources, settings=arm.settings)
            try:
                async with gate:
                    score = await _score(bundle, arm, record, own)
            except RankingFailed as error:
                _note(failed, arm, record, error)
                return None
            await scores.add(score)
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
    results = [tasks[id(arm), record.user_id].result() for arm, record in asked]
    return [score for score in results if score is not None]


def _note(
    failed: Lines[FailedCall] | None, arm: Arm, record: UserRecord, error: RankingFailed
) -> None:
    if failed is not None:
        call = FailedCall(record.user_id, arm.method.name, error.kind, str(error), arm.seed)
        failed.append(call)


async def _score(bundle: Bundle, arm: Arm, record: UserRecord, resources: Resources) -> Score:
    task = bundle.task(record.user_id, "test")
    began = perf_counter()
    ranking = await arm.method.rank(resources, Question.of(task), record)
    target = str(task.target_id)
    return Score(
        method=arm.method.name,
        user_id=record.user_id,
        rank=ranking.rank_of(target),
        strict_rank=ranking.strict_rank_of(target),
        audit=ranking.audit,
        usage=ranking.usage,
        seconds=perf_counter() - began,
        seed=arm.seed,
    )
