"""State of the optimisation graph. Each field says who writes it and when."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from operator import add
from typing import Annotated, Any, Literal, TypedDict

from pydantic import TypeAdapter

from lrgd.agents.generator import Draft, Verdict
from lrgd.agents.guard import Judgement
from lrgd.agents.values import Ranking, RankingAudit, RankingTask, Usage
from lrgd.core.frozen import as_tuples
from lrgd.memory import Demonstration

StopReason = Literal["rounds", "solved"]


@dataclass(frozen=True, slots=True)
class Trial:
    """One round on one path: what was written, and what it did."""

    demonstration: Demonstration
    verdict: Verdict
    """Only a "usable" demonstration was ranked with; any other has effect 0."""
    audit: RankingAudit | None = None
    """Of its rankings; of an "unranked" one, why they failed."""
    log_probability: float | None = None
    """Natural logarithm of the ground truth's probability, mean over the tasks; None where the
    ranker gives none."""

    @property
    def rank(self) -> int | None:
        """Of the ground truth, see `Demonstration.rank`."""
        return self.demonstration.rank

    @property
    def call_failed(self) -> str | None:
        """What came instead of an answer, where a call failed; None where the model answered,
        however badly."""
        if self.verdict == "unranked":
            return next(iter(self.audit.failed), "error") if self.audit else "error"
        nothing = self.verdict in ("empty", "cut_off") and not self.demonstration.text
        return self.verdict if nothing or self.verdict in ("refused", "reasoning") else None


@dataclass(frozen=True, slots=True)
class PathState:
    """One optimisation path."""

    index: int
    trials: tuple[Trial, ...] = ()
    """Oldest first. Written by the path's evaluator."""
    perturbation: Demonstration | None = None
    """D_per for the next round. Written by the guard, cleared by the evaluator."""

    def __post_init__(self) -> None:
        as_tuples(self, "trials")

    @property
    def demonstrations(self) -> list[Demonstration]:
        """The usable ones, oldest first."""
        return [t.demonstration for t in self.trials if t.verdict == "usable"]

    def effective(self, worst_rank: int) -> list[Demonstration]:
        """Those that ranked the ground truth at least this high, oldest first."""
        return [t.demonstration for t in self.trials if t.rank and t.rank <= worst_rank]

    @property
    def best_effect(self) -> float:
        """Highest Effect_D so far; 0 before the first usable demonstration."""
        return max((d.effect for d in self.demonstrations), default=0.0)

    @property
    def solved(self) -> bool:
        """Whether a demonstration put the ground truth first: nothing is left to gain."""
        return self.best_effect >= 1.0

    def wrote_in(self, round_: int) -> bool:
        """Whether it wrote a usable demonstration in this round."""
        return any(d.round == round_ for d in self.demonstrations)

    def tried_in(self, round_: int) -> bool:
        """Whether it had its turn in this round, whatever it wrote."""
        return any(t.demonstration.round == round_ for t in self.trials)

    def with_trial(self, trial: Trial) -> "PathState":
        return replace(self, trials=(*self.trials, trial), perturbation=None)


def merge_paths(
    old: dict[int, PathState] | None, new: dict[int, PathState]
) -> dict[int, PathState]:
    """Reducer: results of paths that ran side by side, in order of their index."""
    return dict(sorted({**(old or {}), **new}.items()))


def as_task(task: RankingTask | Mapping[str, Any]) -> RankingTask:
    """The task, also where it came as JSON: from LangGraph's server, say.

    Raises:
        ValidationError: it is no task (pydantic's; names the field).
    """
    return _TASK.validate_python(task)


_TASK = TypeAdapter(RankingTask)


def tasks_of(state: "LoopState") -> list[RankingTask]:
    """All validation tasks, the latest first."""
    return [state["task"], *state.get("earlier", [])]


class LoopState(TypedDict, total=False):
    """State of one user's optimisation."""

    task: RankingTask
    """The validation task. Given by the caller, as a value or as JSON; checked by `begin`."""
    earlier: list[RankingTask]
    """The user's earlier validation tasks, the latest first: Effect_D is the mean over all, and
    the generator is shown the history of the earliest. Given by the caller, if there are any."""
    remembered: list[Demonstration]
    """The user's effective demonstrations of earlier runs. Written by `begin`."""
    round: int
    """Completed rounds. Written by the collapse guard only."""
    paths: Annotated[dict[int, PathState], merge_paths]
    """One entry a path. Each path writes its own entry; the guard sets perturbations."""
    judgements: Annotated[list[Judgement], add]
    """Every decision of the guard with its numbers. Written by the guard."""
    usage: Annotated[Usage, add]
    """Calls and tokens so far. Paths and `choose` add theirs."""
    stopped_by: StopReason
    """Written by `choose`."""
    chosen: Demonstration | None
    """The best demonstration, None if no path wrote a usable one. Written by `choose`."""


class PathTurn(TypedDict, total=False):
    """One round on one path: what `Send` carries from node to node of the path."""

    tasks: list[RankingTask]
    """All validation tasks, the latest first. There from the beginning."""
    round: int
    """The round under way, 1-based. There from the beginning."""
    path: PathState
    """The path before this round. There from the beginning."""
    remembered: list[Demonstration]
    """The path's effective demonstrations of earlier runs. There from the beginning."""
    recalled: tuple[Demonstration, ...]
    """The path's effective demonstrations that were shown. Written by the generator."""
    draft: Draft
    """Written by the generator."""
    rankings: list[Ranking]
    """One a task; none for an unusable draft, or where one failed. Written by the recommender."""
    failed: RankingAudit
    """What a ranking that failed got instead of an answer. Written by the recommender."""


class TurnUpdate(TypedDict):
    """What generator and recommender return."""

    usage: Usage
    """Goes into the loop's state."""
    turn: PathTurn
    """Goes on to the path's next node: no part of the loop's state, LangGraph hands it to the
    edge alone."""
