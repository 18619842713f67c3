"""The model with no demonstration."""

from agents.values import RankingTask
from evals.journal import UserRecord
from evals.methods.base import Method, Result, Tools, with_demonstration


async def rank(tools: Tools, task: RankingTask, record: UserRecord) -> Result:
    """Rank without a demonstration."""
    return await with_demonstration(tools, task, None)


ZERO_SHOT = Method("zero-shot", "model", rank)
