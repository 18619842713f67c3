"""Floors by meaning: cosine of titles in MiniLM's space, to the last title or the last three."""

import asyncio

from lrgd.agents.endpoint.client import Usage
from lrgd.agents.values import RankingTask, ranking_from
from lrgd.evals.methods.base import Method, Result, Tools
from lrgd.evals.runs.folder import UserRecord

RECENT_TITLES = 3


async def last_item(tools: Tools, task: RankingTask, record: UserRecord) -> Result:
    """Cosine of each candidate's title to the last title of the history."""
    return await _by_cosine(tools, task, 1)


async def minilm(tools: Tools, task: RankingTask, record: UserRecord) -> Result:
    """Cosine of each candidate's title to the mean of the last three."""
    return await _by_cosine(tools, task, RECENT_TITLES)


async def _by_cosine(tools: Tools, task: RankingTask, last: int) -> Result:
    recent = [item.title for item in task.history[-last:]]
    titles = [c.title for c in task.candidates]
    rows = await asyncio.to_thread(tools.embed, [*titles, *recent])
    cosines = rows[: len(titles)] @ rows[len(titles) :].mean(axis=0)
    scores = {c.id: float(x) for c, x in zip(task.candidates, cosines, strict=True)}
    return ranking_from(scores, task.candidates), Usage()


LAST_ITEM = Method("last item", "floor", last_item)
MINILM = Method("MiniLM cosine", "floor", minilm)
