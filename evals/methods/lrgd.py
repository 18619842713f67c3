"""LRGD: the demonstration that was chosen on the validation task."""

from agents.values import RankingTask
from evals.journal import UserRecord
from evals.methods.base import Result, Tools, with_demonstration


async def lrgd(tools: Tools, task: RankingTask, record: UserRecord) -> Result:
    """Rank with the record's chosen demonstration."""
    return await with_demonstration(tools, task, record.chosen)
