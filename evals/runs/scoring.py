"""Scores methods on the test tasks of a run's users."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from time import perf_counter

from lrgd.core.errors import RankingFailed
from lrgd.evals.data.bundle import Bundle
from lrgd.evals.methods import Question, Resources
from lrgd.evals.runs.evaluation import SeededMethod
from lrgd.evals.runs.folder import FailedCall, Lines, Score, UserRecord


async def score_users(
    bundle: Bundle,
    methods: Sequence[SeededMethod],
    resources: Resources,
    scores: Lines[Score],
    *,
    at_once: int,
    failed: Lines[FailedCall] | None = None,
    report: Callable[[Score], None] = lambda score: None,
) -> list[Score]:
    """Rank every user's test task with every method; what is scored already is not asked again.

    A ranking that got no answer has no score, and is asked for again the next time.

    Args:
        failed: where such rankings are noted.
        resources: the methods' own settings replace its settings.
        report: told of every score, those of an earlier start too.

    Returns:
        A score for each method, seed and user, failed rankings left out.
    """
    known = {(s.method, s.seed, s.user_id): s for s in scores.read()}
    gate = asyncio.Semaphore(at_once)

    async def one(seeded: SeededMethod, record: UserRecord) -> Score | None:
        score = known.get((seeded.method.name, seeded.seed, record.user_id))
        if score is None:
            own = replace(resources, settings=seeded.settings)
            try:
                async with gate:
                    score = await _score(bundle, seeded, record, own)
            except RankingFailed as error:
                _note(failed, seeded, record, error)
                return None
            await scores.add(score)
        report(score)
        return score

    # A user's rankings follow one another: what their prompts share is then still in the server's
    # cache, whatever it holds.
    asked = [(seeded, record) for seeded in methods for record in seeded.records]
    async with asyncio.TaskGroup() as group:
        tasks = {
            (id(seeded), record.user_id): group.create_task(one(seeded, record))
            for seeded, record in sorted(asked, key=lambda pair: pair[1].user_id)
        }
    results = [tasks[id(seeded), record.user_id].result() for seeded, record in asked]
    return [score for score in results if score is not None]


def _note(
    failed: Lines[FailedCall] | None, seeded: SeededMethod, record: UserRecord, error: RankingFailed
) -> None:
    if failed is not None:
        call = FailedCall(record.user_id, seeded.method.name, error.kind, str(error), seeded.seed)
        failed.append(call)


async def _score(
    bundle: Bundle, seeded: SeededMethod, record: UserRecord, resources: Resources
) -> Score:
    task = bundle.task(record.user_id, "test")
    began = perf_counter()
    ranking = await seeded.method.rank(resources, Question.of(task), record)
    target = str(task.target_id)
    return Score(
        method=seeded.method.name,
        user_id=record.user_id,
        rank=ranking.rank_of(target),
        strict_rank=ranking.strict_rank_of(target),
        audit=ranking.audit,
        usage=ranking.usage,
        seconds=perf_counter() - began,
        seed=seeded.seed,
    )
