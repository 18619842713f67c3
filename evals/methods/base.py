"""What every method takes and gives.

A method is given a `Question`, which has no target, and `Resources`, which hold nothing of other
users' tasks: what it must not know is not there.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from lrgd.agents.recommender import CustomRanker, ranking_of
from lrgd.agents.values import Item, Prior, Ranking, RankingTask, ranking_by
from lrgd.evals.methods.evidence import Evidence, Fused, Part
from lrgd.evals.runs.folder import UserRecord
from lrgd.graphs.settings import LoopSettings
from lrgd.memory import Demonstration, Embed

Kind = Literal["floor", "model", "ablation"]
Need = Literal["training part", "shared texts", "prior"]
"""Of the bundle what a method may learn from; what `optimize --shared` found; `--prior`."""


@dataclass(frozen=True, slots=True)
class Question:
    """A task as a method sees it: everything but the target."""

    user_id: str
    history: tuple[Item, ...]
    candidates: tuple[Item, ...]
    profile: str = ""
    prior: Prior | None = None

    @classmethod
    def of(cls, task: RankingTask) -> "Question":
        """What a task asks."""
        return cls(task.user_id, task.history, task.candidates, task.profile, task.prior)

    @property
    def task(self) -> RankingTask:
        """The same for a ranker, its target unknown."""
        return RankingTask(
            self.user_id, self.history, self.candidates, None, self.profile, self.prior
        )


@dataclass(frozen=True, slots=True)
class Resources:
    """What a method may use."""

    ranker: CustomRanker
    embed: Embed
    settings: LoopSettings
    popularity: Mapping[str, int]
    """Item id -> its interactions, those that are anybody's target left out."""
    evidence: Evidence | None = None
    """What the bundle's training part says; None where it has none."""
    fused: Fused | None = None
    """The same with weights fitted on validation tasks."""
    without: Mapping[Part, Fused] = field(default_factory=dict)
    """Of a run with a prior: part -> the others, with weights fitted without it."""


Rank = Callable[[Resources, Question, UserRecord], Awaitable[Ranking]]
Scores = Callable[[Resources, Question], Mapping[str, float]]
"""Candidate id -> a number that is larger for what is likelier."""
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
    needs: Need | None = None
    """What it is left out without."""


def floor(
    name: str, scores: Scores, *, ties: Scores | None = None, needs: Need | None = None
) -> Method:
    """A method without a language model: candidates by falling score.

    Args:
        ties: orders those whose scores are equal; candidate order without it.
    """

    async def rank(resources: Resources, question: Question, record: UserRecord) -> Ranking:
        candidates = list(question.candidates)
        if ties is not None:
            other = ties(resources, question)
            candidates.sort(key=lambda c: -other[c.id])
        return ranking_by(scores(resources, question), candidates, {})

    return Method(name, "floor", rank, needs=needs)


def prompted(name: str, kind: Kind, pick: Pick, changes: Mapping[str, Any] | None = None) -> Method:
    """A method that has the model rank with one of the user's demonstrations."""

    async def rank(resources: Resources, question: Question, record: UserRecord) -> Ranking:
        return await with_demonstration(resources, question, pick(record))

    return Method(name, kind, rank, pick, changes)


async def with_demonstration(
    resources: Resources, question: Question, demonstration: Demonstration | None
) -> Ranking:
    """The model's ranking, with a demonstration in its prompt or with none."""
    task, text = question.task, demonstration.text if demonstration else None
    context = resources.settings.ranking_context(task, text)
    return await ranking_of(resources.ranker, context, task)
