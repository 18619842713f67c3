"""The optimisation graph: m paths write, rank and score side by side, round after round.

    START -> begin =Send x m=> generator => recommender => evaluator -> collapse_guard
    collapse_guard =Send x m=> generator | choose -> END

Source: LRGD (arXiv 2504.04386), m-PDO with collapse-triggered perturbation.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product
from math import inf
from statistics import fmean
from typing import Any

from langchain_core.language_models import BaseChatModel
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.graph import END, START, StateGraph
from langgraph.types import Send

from lrgd.agents.endpoint.client import Usage
from lrgd.agents.evaluator import effect
from lrgd.agents.generator import Generator
from lrgd.agents.guard import CollapseGuard, Judgement
from lrgd.agents.recommender import Ranker
from lrgd.agents.values import RankingTask
from lrgd.graphs.path import RETRY, PathNodes, call_seed
from lrgd.graphs.settings import LoopSettings
from lrgd.graphs.state import LoopState, PathState, StopReason, Trial, as_task
from lrgd.memory import Demonstration, DemonstrationMemory


def build_graph(
    *,
    model: BaseChatModel,
    ranker: Ranker,
    memory: DemonstrationMemory,
    settings: LoopSettings | None = None,
    checkpointer: BaseCheckpointSaver[Any] | None = None,
) -> Any:
    """The compiled optimisation graph; run it with `await graph.ainvoke({"task": task}, config)`,
    or with {"task": task, "earlier": [...]} for an Effect_D over several targets.

    Args:
        model: writes demonstrations.
        ranker: ranks candidates, see `lrgd.agents.ranking.probe.ranker_for`.
        memory: keeps effective demonstrations, and embeds texts for the guard.
        settings: paths, rounds, guard and prompts.
        checkpointer: makes a run resumable by its `thread_id`; None for none.

    Returns:
        A LangGraph graph over `LoopState`.
    """
    settings = settings or LoopSettings()
    generator = Generator(model, settings.regularisation, settings.prompt_order)
    paths = PathNodes(generator, ranker, settings)
    nodes = LoopNodes(ranker, memory, settings)
    graph = StateGraph(LoopState)
    graph.add_node("begin", nodes.begin)
    graph.add_node("generator", paths.generator_node, retry_policy=RETRY)
    graph.add_node("recommender", paths.recommender_node, retry_policy=RETRY)
    graph.add_node("evaluator", paths.evaluator_node)
    graph.add_node("collapse_guard", nodes.guard)
    graph.add_node("choose", nodes.choose, retry_policy=RETRY)
    graph.add_edge(START, "begin")
    graph.add_conditional_edges("begin", nodes.begin_round, ["generator"])
    graph.add_edge("evaluator", "collapse_guard")
    graph.add_conditional_edges("collapse_guard", nodes.route_after_guard, ["generator", "choose"])
    graph.add_edge("choose", END)
    return graph.compile(checkpointer=checkpointer, name="optimization")


@dataclass(frozen=True)
class LoopNodes:
    """Nodes and routes of the loop around the paths."""

    ranker: Ranker
    memory: DemonstrationMemory
    settings: LoopSettings

    async def begin(self, state: LoopState) -> dict[str, Any]:
        """Check the tasks, and recall what worked for this user before."""
        task, *earlier = map(as_task, tasks_of(state))
        if any(t.target is None for t in (task, *earlier)):
            raise ValueError(f"user {task.user_id!r}: optimisation needs a known target")
        remembered = await self.memory.recall(task.user_id, dataset=self.settings.dataset)
        return {"task": task, "earlier": earlier, "remembered": remembered}

    async def begin_round(self, state: LoopState) -> list[Send]:
        """Send each path that can still gain into its next round."""
        known = state.get("paths", {})

        def of_path(index: int) -> list[Demonstration]:
            return [d for d in state["remembered"] if d.path == index]

        paths = [known.get(i, PathState(i)) for i in range(self.settings.paths)]
        shared = {"tasks": tasks_of(state), "round": state.get("round", 0) + 1}
        return [
            Send("generator", {**shared, "path": path, "remembered": of_path(path.index)})
            for path in paths
            if not path.solved
        ]

    def guard(self, state: LoopState) -> dict[str, Any]:
        """Judge every path that wrote, and set the perturbations of the next round."""
        round_ = state.get("round", 0) + 1
        paths = state["paths"]
        wrote = [p for p in paths.values() if p.wrote_in(round_)]
        judgements = [self._judge(p, paths, round_, state["task"]) for p in wrote]
        perturbed = {
            j.path: replace(paths[j.path], perturbation=paths[j.source].demonstrations[-1])
            for j in judgements
            if j.source is not None
        }
        return {"round": round_, "judgements": judgements, "paths": perturbed}

    async def route_after_guard(self, state: LoopState) -> list[Send] | str:
        """Another round, or the choice?"""
        return "choose" if self._stop(state) else await self.begin_round(state)

    async def choose(self, state: LoopState) -> dict[str, Any]:
        """The best demonstration, marked as chosen; the effective ones go to memory.

        Highest Effect_D, or under `judge="probability"` the likeliest ground truth; ties are
        settled by the other of the two, then go to the one that holds up over shuffled candidates,
        then to the later one.
        """
        update, effective = await self.choice(state)
        await self.memory.remember(*effective)
        return update

    async def choice(self, state: LoopState) -> tuple[dict[str, Any], list[Demonstration]]:
        """What `choose` writes to the state, and what it puts into memory."""
        tied, tasks = self._best(state), tasks_of(state)
        scored = [(await self._robustness(d, tasks, len(tied)), d) for d in tied]
        usage = sum((u for (_, u), _ in scored), Usage())
        chosen = max(scored, key=lambda s: (s[0][0], _when(s[1])))[1] if scored else None
        chosen = replace(chosen, chosen=True) if chosen else None
        worst = self.settings.effective_rank
        effective = {d.id: d for p in state["paths"].values() for d in p.effective(worst)}
        kept = effective | ({chosen.id: chosen} if chosen else {})
        update = {"chosen": chosen, "usage": usage, "stopped_by": self._stop(state)}
        return update, list(kept.values())

    def _best(self, state: LoopState) -> list[Demonstration]:
        """The best demonstrations by what is known of them, each text once, its latest."""
        trials = [t for p in state["paths"].values() for t in p.trials if t.verdict == "usable"]
        best = max(map(self._worth, trials), default=None)
        tied = [t.demonstration for t in trials if self._worth(t) == best]
        return list({d.text: d for d in sorted(tied, key=_when)}.values())

    def _worth(self, trial: Trial) -> tuple[float, float]:
        worth = trial.demonstration.effect
        probable = -inf if trial.log_probability is None else trial.log_probability
        return (worth, probable) if self.settings.judge == "rank" else (probable, worth)

    def _judge(
        self, path: PathState, paths: dict[int, PathState], round_: int, task: RankingTask
    ) -> Judgement:
        s = self.settings
        # After the last round there is nothing left to perturb.
        enabled = s.perturbation and round_ < s.rounds
        guard = CollapseGuard(
            self.memory.embed, s.similarity_threshold, s.patience, s.policy, enabled
        )
        others = {i: p.demonstrations[-1].text for i, p in paths.items() if p.demonstrations}
        others.pop(path.index)
        return guard.judge(
            path.index,
            round_,
            [d.text for d in path.demonstrations],
            [d.effect for d in path.demonstrations],
            others,
            seed=call_seed(s.seed, task.user_id, path.index, round_),
        )

    def _stop(self, state: LoopState) -> StopReason | None:
        if all(state["paths"][i].solved for i in range(self.settings.paths)):
            return "solved"
        return "rounds" if state["round"] >= self.settings.rounds else None

    async def _robustness(
        self, demonstration: Demonstration, tasks: Sequence[RankingTask], tied: int
    ) -> tuple[float, Usage]:
        """Mean Effect_D over shuffled candidate orders; not asked where nothing is tied."""
        usage, effects = Usage(), [demonstration.effect] * len(tasks)
        orders = range(self.settings.tie_shuffles if tied > 1 else 0)
        for task, shuffle in product(tasks, orders):
            worth, used = await self._shuffled_effect(demonstration, task, shuffle)
            effects.append(worth)
            usage += used
        return fmean(effects), usage

    async def _shuffled_effect(
        self, demonstration: Demonstration, task: RankingTask, shuffle: int
    ) -> tuple[float, Usage]:
        s, candidates = self.settings, list(task.candidates)
        random.Random(call_seed(s.seed, task.user_id, shuffle)).shuffle(candidates)
        context = s.ranking_context(task, demonstration.text)
        ranking, used = await self.ranker.rank(context, candidates)
        return effect(ranking.rank_of(str(task.target_id))), used


def tasks_of(state: LoopState) -> list[RankingTask]:
    """All validation tasks, the latest first."""
    return [state["task"], *state.get("earlier", [])]


def _when(d: Demonstration) -> tuple[int, int]:
    return d.round, d.path
