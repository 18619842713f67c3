"""Tries each ranking mode that a server can do on tasks whose next item is known."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from time import perf_counter
from typing import get_args

from lrgd.agents.endpoint.client import EndpointSettings, connect
from lrgd.agents.prompts import ranking_context
from lrgd.agents.ranking.modes import RankingMode, ranker_for
from lrgd.agents.recommender import Ranker
from lrgd.agents.values import RankingTask
from lrgd.core.errors import EndpointError
from lrgd.evals.metrics import Scores, ndcg_at
from lrgd.evals.statistics import Interval, mean_interval
from lrgd.workbench import Survey


@dataclass(frozen=True, slots=True)
class Trial:
    """One mode on all tasks, without a demonstration."""

    mode: RankingMode
    tasks: int
    ndcg_10: Interval
    tokens: int
    """Prompt and completion, a task."""
    seconds: float
    """A task, others beside it."""


async def tried(
    settings: EndpointSettings, survey: Survey, tasks: Sequence[RankingTask]
) -> list[Trial]:
    """One trial for each mode that the server can do, in the order of `RankingMode`."""
    trials = []
    for mode in get_args(RankingMode):
        async with connect(replace(settings, thinking=survey.abilities.thinking)) as endpoint:
            try:
                ranker = ranker_for(endpoint, mode, survey.abilities)
            except EndpointError:
                continue  # it can not
            began = perf_counter()
            gains = await _gains(ranker, tasks)
            seconds = perf_counter() - began
            spent = endpoint.meter.prompt_tokens + endpoint.meter.completion_tokens
        each = len(tasks)
        trials.append(Trial(mode, each, mean_interval(gains), spent // each, seconds / each))
    return trials


async def _gains(ranker: Ranker, tasks: Sequence[RankingTask]) -> Scores:
    """nDCG@10 of each task."""
    asked = (ranker.rank(ranking_context(task, None), task.candidates) for task in tasks)
    answers = await asyncio.gather(*asked)
    ranks = [r.rank_of(str(t.target_id)) for (r, _), t in zip(answers, tasks, strict=True)]
    return ndcg_at(10, ranks)
