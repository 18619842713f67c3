"""One round on one path: generator -> recommender -> evaluator.

Nodes of the loop's own graph: `Send` carries the path's turn from one to the next. A subgraph a
turn would cost more than all else between two calls (docs/performance.md).
"""

import asyncio
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any, Literal, TypedDict

from langgraph.types import Command, RetryPolicy, Send

from lrgd.agents.endpoint.client import Usage
from lrgd.agents.evaluator import effect, log_probability, rank_from
from lrgd.agents.generator import Generator
from lrgd.agents.prompts import Attempt
from lrgd.agents.recommender import Ranker
from lrgd.agents.values import Ranking, RankingTask, total
from lrgd.core.errors import EndpointUnavailable
from lrgd.graphs.settings import LoopSettings
from lrgd.graphs.state import PathTurn, Trial
from lrgd.memory import Demonstration, best_first

RETRY = RetryPolicy(max_attempts=3, retry_on=EndpointUnavailable)


class Told(TypedDict):
    """What a path's generator is told beside the task."""

    last: Attempt | None
    effective: list[Attempt]
    perturbation: str | None


@dataclass(frozen=True)
class PathNodes:
    """The actors of a path, over their dependencies."""

    generator: Generator
    ranker: Ranker
    settings: LoopSettings

    async def generator_node(self, state: PathTurn) -> Command[Literal["recommender"]]:
        """Write, and hand over what was written."""
        return handed("recommender", state, await self.generate(state))

    async def recommender_node(self, state: PathTurn) -> Command[Literal["evaluator"]]:
        """Rank; an unusable draft is not ranked with, but passes through: paths keep in step."""
        found: dict[str, Any] = {"rankings": [], "usage": Usage()}
        if state["draft"].verdict == "usable":
            found = await self.recommend(state)
        return handed("evaluator", state, found)

    async def evaluator_node(self, state: PathTurn) -> dict[str, Any]:
        """Score, and hand the path back to the loop."""
        return self.evaluate(state)

    async def generate(self, state: PathTurn) -> dict[str, Any]:
        """Write a demonstration from the path's own experience, and D_per where injected."""
        path, s = state["path"], self.settings
        task, shown = self.task_shown(state), self.recalled(state)
        draft = await self.generator.write(
            task,
            seed=call_seed(s.seed, task.user_id, path.index, state["round"]),
            targets=[t.target for t in state["tasks"] if t.target],
            **self.told(state),
        )
        return {"draft": draft, "recalled": shown, "usage": draft.usage}

    def task_shown(self, state: PathTurn) -> RankingTask:
        """The earliest task: what is shown must lie before every target that it is judged by."""
        return state["tasks"][-1]

    def recalled(self, state: PathTurn) -> tuple[Demonstration, ...]:
        """The path's effective demonstrations that its generator is shown, best first."""
        path, s = state["path"], self.settings
        last = path.demonstrations[-1] if path.demonstrations else None
        known = [*path.effective(s.effective_rank), *state["remembered"]]
        return tuple(d for d in best_first(known) if last is None or d.id != last.id)[: s.recalled]

    def told(self, state: PathTurn) -> Told:
        """What the generator is told beside the task; `generation_messages` takes the same."""
        path, task = state["path"], self.task_shown(state)
        last = path.demonstrations[-1] if path.demonstrations else None
        return {
            "last": _attempt(last, task) if last else None,
            "effective": [_attempt(d, task) for d in self.recalled(state)],
            "perturbation": path.perturbation.text if path.perturbation else None,
        }

    async def recommend(self, state: PathTurn) -> dict[str, Any]:
        """Rank each task's candidates with the demonstration in the prompt."""
        ranked = [self._rank(task, state["draft"].text) for task in state["tasks"]]
        answers = await asyncio.gather(*ranked)
        usage = sum((used for _, used in answers), Usage())
        return {"rankings": [ranking for ranking, _ in answers], "usage": usage}

    async def _rank(self, task: RankingTask, text: str) -> tuple[Ranking, Usage]:
        context = self.settings.ranking_context(task, text)
        return await self.ranker.rank(context, task.candidates)

    def evaluate(self, state: PathTurn) -> dict[str, Any]:
        """Score the demonstration."""
        path = state["path"]
        return {"paths": {path.index: path.with_trial(self._trial(state))}}

    def _trial(self, state: PathTurn) -> Trial:
        path, draft, tasks = state["path"], state["draft"], state["tasks"]
        rankings = state.get("rankings", [])
        worth = mean_effect(rankings, tasks)
        parents = [*path.demonstrations[-1:], *state["recalled"]]
        demonstration = Demonstration(
            user_id=tasks[0].user_id,
            text=draft.text,
            path=path.index,
            round=state["round"],
            effect=worth,
            parents=tuple(d.id for d in parents),
            perturbed_by=path.perturbation.id if path.perturbation else None,
            dataset=self.settings.dataset,
            model=self.settings.model,
        )
        if not rankings:
            return Trial(demonstration, draft.verdict)
        audit = total([r.audit for r in rankings])
        probable = mean_log_probability(rankings, tasks)
        return Trial(demonstration, draft.verdict, rank_from(worth), audit, probable)


def handed(node: str, turn: PathTurn, found: dict[str, Any]) -> Command[Any]:
    """The turn goes on to the path's next node with what was found; its usage stays in the loop."""
    usage = found.pop("usage")
    return Command(update={"usage": usage}, goto=Send(node, {**turn, **found}))


def mean_effect(rankings: Sequence[Ranking], tasks: Sequence[RankingTask]) -> float:
    """Mean Effect_D of rankings of these tasks; 0 where there is none."""
    pairs = zip(rankings, tasks, strict=False)
    return fmean([effect(r.rank_of(str(t.target_id))) for r, t in pairs] or [0.0])


def mean_log_probability(rankings: Sequence[Ranking], tasks: Sequence[RankingTask]) -> float | None:
    """Mean log-probability of the ground truth; None where a ranking has no probabilities."""
    pairs = zip(rankings, tasks, strict=True)
    found = [log_probability(r, str(t.target_id)) for r, t in pairs]
    known = [value for value in found if value is not None]
    return fmean(known) if known and len(known) == len(found) else None


def call_seed(*parts: object) -> int:
    """A 31-bit seed that depends on the parts alone, never on Python's hash seed."""
    return int.from_bytes(hashlib.sha256(repr(parts).encode()).digest()[:4]) >> 1


def _attempt(d: Demonstration, task: RankingTask) -> Attempt:
    return Attempt(d.text, rank_from(d.effect), len(task.candidates))
