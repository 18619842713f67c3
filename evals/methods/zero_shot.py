"""The model with no demonstration."""

from agents.values import RankingTask
from evals.journal import UserRecord
from evals.methods.base import Result, Tools, with_demonstration


async def zero_shot(tools: Tools, task: RankingTask, record: UserRecord) -> Result:
    """Rank without a demonstration."""
    return await with_demonstration(tools, task, None)
