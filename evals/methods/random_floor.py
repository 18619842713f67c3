"""A random order: what a method must beat to have said anything."""

from lrgd.agents.endpoint.client import Usage
from lrgd.agents.values import RankingTask, ranking_from
from lrgd.evals.data.draws import generator, shuffled
from lrgd.evals.methods.base import Method, Result, Tools
from lrgd.evals.runs.folder import UserRecord


async def rank(tools: Tools, task: RankingTask, record: UserRecord) -> Result:
    """The same random order in every run."""
    rng = generator(tools.settings.seed, task.user_id, "random floor")
    order = shuffled(rng, [c.id for c in task.candidates])
    falling = {item_id: 1.0 / place for place, item_id in enumerate(order, start=1)}
    return ranking_from(falling, task.candidates), Usage()


RANDOM = Method("random", "floor", rank)
