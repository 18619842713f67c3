"""The model with no demonstration."""

from lrgd.agents.values import RankingTask
from lrgd.evals.methods.base import Method, Result, Tools, with_demonstration
from lrgd.evals.runs.folder import UserRecord


async def rank(tools: Tools, task: RankingTask, record: UserRecord) -> Result:
    """Rank without a demonstration."""
    return await with_demonstration(tools, task, None)


ZERO_SHOT = Method("zero-shot", "model", rank)
