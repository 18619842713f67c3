"""The popularity floor: what is bought most, whoever asks."""

from agents.endpoint import Usage
from agents.values import RankingTask, ranking_from
from evals.journal import UserRecord
from evals.methods.base import Method, Result, Tools


async def rank(tools: Tools, task: RankingTask, record: UserRecord) -> Result:
    """By the number of interactions; equals in candidate order."""
    scores = {c.id: float(tools.popularity.get(c.id, 0)) for c in task.candidates}
    return ranking_from(scores, task.candidates), Usage()


POPULARITY = Method("popularity", "floor", rank)
