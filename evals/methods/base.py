"""What every method takes and gives."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from lrgd.agents.endpoint.client import Usage
from lrgd.agents.recommender import Ranker
from lrgd.agents.values import Ranking, RankingTask
from lrgd.evals.runs.folder import UserRecord
from lrgd.graphs.settings import LoopSettings
from lrgd.memory import Demonstration, Embed

Kind = Literal["floor", "model", "ablation"]


@dataclass(frozen=True, slots=True)
class Tools:
    """What a method may use."""

    ranker: Ranker
    embed: Embed
    settings: LoopSettings
    popularity: Mapping[str, int]
    """Item id -> its interactions, those that are anybody's target left out."""


Result = tuple[Ranking, Usage]
Rank = Callable[[Tools, RankingTask, UserRecord], Awaitable[Result]]
Pick = Callable[[UserRecord], Demonstration | None]


@dataclass(frozen=True, slots=True)
class Method:
    """One way to rank a user's test task."""

    name: str
    kind: Kind
    """floor: without a language model. ablation: LRGD with one thing changed."""
    rank: Rank
    pick: Pick | None = None
    """Which of a user's demonstrations it ranks with; None where it needs no optimisation."""
    changes: Mapping[str, Any] | None = None
    """Settings of the optimisation it needs that are not the run's own."""


def prompted(name: str, kind: Kind, pick: Pick, changes: Mapping[str, Any] | None = None) -> Method:
    """A method that has the model rank with one of the user's demonstrations."""

    async def rank(tools: Tools, task: RankingTask, record: UserRecord) -> Result:
        return await with_demonstration(tools, task, pick(record))

    return Method(name, kind, rank, pick, changes)


async def with_demonstration(
    tools: Tools, task: RankingTask, demonstration: Demonstration | None
) -> Result:
    """The model's ranking, with a demonstration in its prompt or with none."""
    text = demonstration.text if demonstration else None
    context = tools.settings.ranking_context(task, text)
    return await tools.ranker.rank(context, task.candidates)
