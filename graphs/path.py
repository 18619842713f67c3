"""One round on one path: generator -> recommender -> evaluator.

Nodes of the loop's own graph: each takes a path's turn and returns it for the next. A subgraph a
turn would cost more than all else between two calls (docs/performance.md). A node asks once:
repeating a request is the endpoint's (`lrgd.agents.endpoint.client`).
"""

import hashlib
from dataclasses import dataclass, replace
from statistics import fmean
from typing import Any

from lrgd.agents.evaluator import mean_effect, mean_log_probability, ranks_of
from lrgd.agents.generator import Generator
from lrgd.agents.prompts import Attempt, Told
from lrgd.agents.recommender import CustomRanker, asked_all, ranking_of, together
from lrgd.agents.values import Ranking, RankingTask, Usage, failure, total, usage_of_all
from lrgd.core.errors import RankingFailed
from lrgd.graphs.settings import LoopSettings
from lrgd.graphs.state import PathTurn, Trial, TurnUpdate
from lrgd.memory import Demonstration, best_first


@dataclass(frozen=True)
class PathNodes:
    """The actors of a path, over their dependencies."""

    generator: Generator
    ranker: CustomRanker
    settings: LoopSettings

    async def generate(self, state: PathTurn) -> TurnUpdate:
        """Write a demonstration from the path's own experience, and D_per where injected."""
        path, s = state["path"], self.settings
        task, recalled = self.task_shown(state), self.recalled(state)
        draft = await self.generator.write(
            task,
            seed=call_seed(s.seed, task.user_id, path.index, state["round"]),
            targets=[t.target for t in state["tasks"] if t.target],
            told=self.told(state),
        )
        return {"usage": draft.usage, "turn": {**state, "draft": draft, "recalled": recalled}}

    async def recommend(self, state: PathTurn) -> TurnUpdate:
        """Rank each task's candidates with the demonstration in the prompt.

        An unusable draft is not ranked with, but passes through: paths keep in step. So does one
        whose ranking failed: no Effect_D stands for it.
        """
        try:
            return await self.ranked(state)
        except RankingFailed as failed:
            draft = replace(state["draft"], verdict="unranked")
            turn: PathTurn = {**state, "draft": draft, "rankings": [], "failed": failure(failed)}
            return {"usage": Usage(*failed.paid), "turn": turn}

    async def ranked(self, state: PathTurn) -> TurnUpdate:
        """As `recommend`. Raises RankingFailed where a ranking got no answer."""
        draft, tasks = state["draft"], state["tasks"]
        asked = (self._rank(task, draft.text) for task in tasks if draft.verdict == "usable")
        rankings, failed = await asked_all(asked)
        if failed:
            raise together(failed, usage_of_all(rankings))
        return {"usage": usage_of_all(rankings), "turn": {**state, "rankings": rankings}}

    async def evaluate(self, state: PathTurn) -> dict[str, Any]:
        """Score the demonstration, and hand the path back to the loop."""
        path = state["path"]
        return {"paths": {path.index: path.with_trial(self._trial(state))}}

    def task_shown(self, turn: PathTurn) -> RankingTask:
        """The earliest task: what is shown must lie before every target that it is judged by."""
        return turn["tasks"][-1]

    def recalled(self, turn: PathTurn) -> tuple[Demonstration, ...]:
        """The path's effective demonstrations that its generator is shown, best first."""
        path, s = turn["path"], self.settings
        last = path.demonstrations[-1] if path.demonstrations else None
        known = [*path.effective(s.effective_rank), *turn["remembered"]]
        others = (d for d in known if d.rank and (last is None or d.id != last.id))
        return tuple(best_first(others)[: s.recalled])

    def told(self, turn: PathTurn) -> Told:
        """What the generator is told beside the task."""
        path, task = turn["path"], self.task_shown(turn)
        last = path.demonstrations[-1] if path.demonstrations else None
        return {
            "last": _attempt(last, task) if last else None,
            "effective": [_attempt(d, task) for d in self.recalled(turn)],
            "perturbation": path.perturbation.text if path.perturbation else None,
        }

    async def _rank(self, task: RankingTask, text: str) -> Ranking:
        context = self.settings.ranking_context(task, text)
        return await ranking_of(self.ranker, context, task)

    def _trial(self, turn: PathTurn) -> Trial:
        verdict, rankings, tasks = turn["draft"].verdict, turn["rankings"], turn["tasks"]
        demonstration = self._demonstration(turn)
        if not rankings:
            return Trial(demonstration, verdict, turn.get("failed"))
        audit = total([r.audit for r in rankings])
        return Trial(demonstration, verdict, audit, mean_log_probability(rankings, tasks))

    def _demonstration(self, turn: PathTurn) -> Demonstration:
        path, tasks, rankings = turn["path"], turn["tasks"], turn["rankings"]
        ranks = ranks_of(rankings, tasks)
        scores = [self.settings.effect(r, t) for r, t in zip(rankings, tasks, strict=bool(ranks))]
        worth = fmean(scores) if scores else 0.0
        parents = [*path.demonstrations[-1:], *turn["recalled"]]
        return Demonstration(
            user_id=tasks[0].user_id,
            text=turn["draft"].text,
            path=path.index,
            round=turn["round"],
            ranks=ranks,
            parents=tuple(d.id for d in parents),
            perturbed_by=path.perturbation.id if path.perturbation else None,
            dataset=self.settings.dataset,
            model=self.settings.model,
            worth=None if worth == mean_effect(ranks) else worth,
        )


def call_seed(*parts: object) -> int:
    """A 31-bit seed that depends on the parts alone, never on Python's hash seed."""
    return int.from_bytes(hashlib.sha256(repr(parts).encode()).digest()[:4]) >> 1


def _attempt(d: Demonstration, task: RankingTask) -> Attempt:
    assert d.rank is not None  # only what was ranked with is shown
    return Attempt(d.text, d.rank, len(task.candidates))
