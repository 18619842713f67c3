"""What every method takes and gives."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from agents.endpoint import Usage
from agents.prompts import ranking_state
from agents.recommender import Ranker
from agents.values import Ranking, RankingTask
from evals.journal import UserRecord
from graphs.settings import LoopSettings
from memory import Demonstration, Embed


@dataclass(frozen=True, slots=True)
class Tools:
    """What a method may use."""

    ranker: Ranker
    embed: Embed
    settings: LoopSettings


Result = tuple[Ranking, Usage]
Method = Callable[[Tools, RankingTask, UserRecord], Awaitable[Result]]


async def with_demonstration(
    tools: Tools, task: RankingTask, demonstration: Demonstration | None
) -> Result:
    """The model's ranking, with a demonstration in its prompt or with none."""
    state = ranking_state(
        task,
        demonstration.text if demonstration else None,
        regularisation=tools.settings.regularisation,
        order=tools.settings.prompt_order,
    )
    return await tools.ranker.rank(state, task.candidates)
