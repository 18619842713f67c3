"""Tries each ranking mode that a server can do on tasks whose next item is known."""

from collections.abc import Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import get_args

from lrgd.agents.endpoint.client import EndpointSettings, connect
from lrgd.agents.prompts import PromptSettings
from lrgd.agents.ranking.modes import ranker_for
from lrgd.agents.recommender import Ranker, asked_all
from lrgd.agents.values import RankingMode, RankingTask
from lrgd.core.errors import EndpointError
from lrgd.core.table import Table
from lrgd.evals.metrics import Scores, ndcg_at
from lrgd.evals.statistics import Interval, interval_text, least_users, mean_interval
from lrgd.workbench import Survey


@dataclass(frozen=True, slots=True)
class Trial:
    """One mode on all tasks, without a demonstration."""

    mode: RankingMode
    tasks: int
    failed: int
    """Tasks that got no answer, left out of the mean."""
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
        async with connect(survey.abilities.known(settings)) as endpoint:
            try:
                ranker = ranker_for(endpoint, mode, survey.abilities)
            except EndpointError:
                continue  # it can not
            began = perf_counter()
            gains = await _gains(ranker, tasks)
            seconds = perf_counter() - began
            spent = endpoint.meter.prompt_tokens + endpoint.meter.completion_tokens
        each = len(tasks)
        if len(gains) > 1:  # one has no interval
            told = mean_interval(gains), spent // each, seconds / each
            trials.append(Trial(mode, each, each - len(gains), *told))
    return trials


def trials_table(trials: Sequence[Trial]) -> Table:
    """One line a mode: how well it ranked, and what a task costs."""
    rows = (
        (
            t.mode,
            interval_text(t.ndcg_10, ".3f"),
            f"{t.tokens}",
            f"{t.seconds:.2f}",
            f"{t.failed}",
        )
        for t in trials
    )
    tasks = trials[0].tasks
    few = f": too few to tell modes apart ({least_users()} are needed)"
    title = f"{tasks} validation tasks, no demonstration{few if tasks < least_users() else ''}"
    head = ("--ranking", "nDCG@10 [95 %]", "tokens a task", "seconds a task", "failed")
    return Table("trials", title, head, tuple(rows))


async def _gains(ranker: Ranker, tasks: Sequence[RankingTask]) -> Scores:
    """nDCG@10 of each task that got an answer."""
    prompts = PromptSettings()

    async def rank_on(task: RankingTask) -> int:
        ranking = await ranker.rank(prompts.ranking_context(task), task.candidates)
        return ranking.rank_of(str(task.target_id))

    ranks, _ = await asked_all(map(rank_on, tasks))
    return ndcg_at(10, ranks)
