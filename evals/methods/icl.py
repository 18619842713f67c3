"""In-context learning: the first demonstration that the model wrote, never optimised."""

from agents.values import RankingTask
from evals.journal import UserRecord
from evals.methods.base import Result, Tools, with_demonstration


async def icl(tools: Tools, task: RankingTask, record: UserRecord) -> Result:
    """Rank with the record's first demonstration."""
    return await with_demonstration(tools, task, record.first)
