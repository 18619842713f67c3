"""One round on one path: generator -> recommender -> evaluator, as a subgraph."""

import hashlib
from dataclasses import dataclass
from typing import Any, Literal

from langgraph.graph import END, START, StateGraph
from langgraph.types import RetryPolicy

from agents.evaluator import effect, rank_from
from agents.generator import Generator
from agents.prompts import Attempt, ranking_state
from agents.recommender import Ranker
from agents.values import RankingTask
from graphs.settings import LoopSettings
from graphs.state import PathResult, PathTurn, Trial
from memory import Demonstration, best_first
from memory.errors import EndpointUnavailable

RETRY = RetryPolicy(max_attempts=3, retry_on=EndpointUnavailable)


@dataclass(frozen=True)
class PathNodes:
    """The three actors of a path, over their dependencies."""

    generator: Generator
    ranker: Ranker
    settings: LoopSettings

    async def generate(self, state: PathTurn) -> dict[str, Any]:
        """Write a demonstration from the path's own experience, and D_per where injected."""
        task, path, s = state["task"], state["path"], self.settings
        last = path.demonstrations[-1] if path.demonstrations else None
        known = [*path.effective(s.effective_rank), *state["remembered"]]
        shown = tuple(d for d in best_first(known) if last is None or d.id != last.id)[: s.recalled]
        draft = await self.generator.write(
            task,
            seed=call_seed(s.seed, task.user_id, path.index, state["round"]),
            last=_attempt(last, task) if last else None,
            effective=[_attempt(d, task) for d in shown],
            perturbation=path.perturbation.text if path.perturbation else None,
        )
        return {"draft": draft, "recalled": shown, "usage": draft.usage}

    async def recommend(self, state: PathTurn) -> dict[str, Any]:
        """Rank the candidates with the demonstration in the prompt."""
        prompt = ranking_state(
            state["task"],
            state["draft"].text,
            regularisation=self.settings.regularisation,
            order=self.settings.prompt_order,
        )
        ranking, usage = await self.ranker.rank(prompt, state["task"].candidates)
        return {"ranking": ranking, "usage": usage}

    def evaluate(self, state: PathTurn) -> dict[str, Any]:
        """Score the demonstration."""
        path = state["path"]
        return {"paths": {path.index: path.with_trial(self._trial(state))}}

    def _trial(self, state: PathTurn) -> Trial:
        task, path, draft = state["task"], state["path"], state["draft"]
        ranking = state.get("ranking")
        rank = ranking.rank_of(str(task.target_id)) if ranking else None
        parents = [*path.demonstrations[-1:], *state["recalled"]]
        demonstration = Demonstration(
            user_id=task.user_id,
            text=draft.text,
            path=path.index,
            round=state["round"],
            effect=effect(rank),
            parents=tuple(d.id for d in parents),
            perturbed_by=path.perturbation.id if path.perturbation else None,
            dataset=self.settings.dataset,
            model=self.settings.model,
        )
        return Trial(demonstration, draft.verdict, rank, ranking.audit if ranking else None)


def route_after_generator(state: PathTurn) -> Literal["recommender", "evaluator"]:
    """An unusable draft is not ranked with; the evaluator counts it."""
    return "recommender" if state["draft"].verdict == "usable" else "evaluator"


def build_path(nodes: PathNodes) -> Any:
    """The compiled subgraph of one round on one path."""
    graph = StateGraph(PathTurn, output_schema=PathResult)
    graph.add_node("generator", nodes.generate, retry_policy=RETRY)
    graph.add_node("recommender", nodes.recommend, retry_policy=RETRY)
    graph.add_node("evaluator", nodes.evaluate)
    graph.add_edge(START, "generator")
    graph.add_conditional_edges("generator", route_after_generator)
    graph.add_edge("recommender", "evaluator")
    graph.add_edge("evaluator", END)
    return graph.compile()


def call_seed(*parts: object) -> int:
    """A 31-bit seed that depends on the parts alone, never on Python's hash seed."""
    return int.from_bytes(hashlib.sha256(repr(parts).encode()).digest()[:4]) >> 1


def _attempt(d: Demonstration, task: RankingTask) -> Attempt:
    return Attempt(d.text, rank_from(d.effect), len(task.candidates))
