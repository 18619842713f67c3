"""What every method takes and gives."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from lrgd.agents.recommender import CustomRanker, ranking_of
from lrgd.agents.values import Ranking, RankingTask
from lrgd.evals.runs.folder import UserRecord
from lrgd.graphs.settings import LoopSettings
from lrgd.memory import Demonstration, Embed

Kind = Literal["floor", "model", "ablation"]


@dataclass(frozen=True, slots=True)
class Resources:
    """What a method may use."""

    ranker: CustomRanker
    embed: Embed
    settings: LoopSettings
    popularity: Mapping[str, int]
    """Item id -> its interactions, those that are anybody's target left out."""


Rank = Callable[[Resources, RankingTask, UserRecord], Awaitable[Ranking]]
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
    shared: bool = False
    """Whether it ranks with the texts that `--shared` found: it is left out where none were."""


def prompted(name: str, kind: Kind, pick: Pick, changes: Mapping[str, Any] | None = None) -> Method:
    """A method that has the model rank with one of the user's demonstrations."""

    async def rank(resources: Resources, task: RankingTask, record: UserRecord) -> Ranking:
        return await with_demonstration(resources, task, pick(record))

    return Method(name, kind, rank, pick, changes)


async def with_demonstration(
    resources: Resources, task: RankingTask, demonstration: Demonstration | None
) -> Ranking:
    """The model's ranking, with a demonstration in its prompt or with none."""
    text = demonstration.text if demonstration else None
    context = resources.settings.ranking_context(task, text)
    return await ranking_of(resources.ranker, context, task)
