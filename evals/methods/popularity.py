"""The popularity floor: what is bought most, whoever asks."""

from lrgd.agents.endpoint.client import Usage
from lrgd.agents.values import RankingTask, ranking_from
from lrgd.evals.methods.base import Method, Result, Tools
from lrgd.evals.runs.folder import UserRecord


async def rank(tools: Tools, task: RankingTask, record: UserRecord) -> Result:
    """By the number of interactions; equals in candidate order."""
    scores = {c.id: float(tools.popularity.get(c.id, 0)) for c in task.candidates}
    return ranking_from(scores, task.candidates), Usage()


POPULARITY = Method("popularity", "floor", rank)
