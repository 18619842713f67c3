"""The methods that are compared: each ranks a user's test task in its own way."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from agents.endpoint import Usage
from agents.prompts import ranking_state
from agents.recommender import Ranker
from agents.values import Ranking, RankingTask, ranking_from
from evals.draws import generator, shuffled
from evals.journal import UserRecord
from graphs.settings import LoopSettings
from memory import Demonstration, Embed

RECENT_TITLES = 3


@dataclass(frozen=True, slots=True)
class Tools:
    """What a method may use."""

    ranker: Ranker
    embed: Embed
    settings: LoopSettings


Method = Callable[[Tools, RankingTask, UserRecord], Awaitable[tuple[Ranking, Usage]]]


async def zero_shot(tools: Tools, task: RankingTask, record: UserRecord) -> tuple[Ranking, Usage]:
    """The model with no demonstration."""
    return await _with_demonstration(tools, task, None)


async def icl(tools: Tools, task: RankingTask, record: UserRecord) -> tuple[Ranking, Usage]:
    """The model with the first demonstration it wrote, never optimised."""
    return await _with_demonstration(tools, task, record.first)


async def lrgd(tools: Tools, task: RankingTask, record: UserRecord) -> tuple[Ranking, Usage]:
    """The model with the demonstration that was chosen on the validation task."""
    return await _with_demonstration(tools, task, record.chosen)


async def random_floor(
    tools: Tools, task: RankingTask, record: UserRecord
) -> tuple[Ranking, Usage]:
    """A random order, the same in every run."""
    rng = generator(tools.settings.seed, task.user_id, "random floor")
    order = shuffled(rng, [c.id for c in task.candidates])
    falling = {item_id: 1.0 / rank for rank, item_id in enumerate(order, start=1)}
    return ranking_from(falling, task.candidates), Usage()


async def minilm_floor(
    tools: Tools, task: RankingTask, record: UserRecord
) -> tuple[Ranking, Usage]:
    """Cosine of each candidate's title to the mean of the last titles, in MiniLM's space."""
    recent = [item.title for item in task.history[-RECENT_TITLES:]]
    titles = [c.title for c in task.candidates]
    rows = await asyncio.to_thread(tools.embed, [*titles, *recent])
    cosines = rows[: len(titles)] @ rows[len(titles) :].mean(axis=0)
    scores = {c.id: float(x) for c, x in zip(task.candidates, cosines, strict=True)}
    return ranking_from(scores, task.candidates), Usage()


METHODS: dict[str, Method] = {
    "random": random_floor,
    "MiniLM cosine": minilm_floor,
    "zero-shot": zero_shot,
    "ICL": icl,
    "LRGD": lrgd,
}
"""In the order in which they are shown."""

REFERENCE = "zero-shot"


async def _with_demonstration(
    tools: Tools, task: RankingTask, demonstration: Demonstration | None
) -> tuple[Ranking, Usage]:
    state = ranking_state(
        task,
        demonstration.text if demonstration else None,
        regularisation=tools.settings.regularisation,
        order=tools.settings.prompt_order,
    )
    return await tools.ranker.rank(state, task.candidates)
