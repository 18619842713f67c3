"""The optimisation graph: m paths write, rank and score side by side, round after round.

    START -> begin =Send x m=> generator =Send=> recommender =Send=> evaluator -> collapse_guard
    collapse_guard =Send x m=> generator | choose -> END

Source: LRGD (arXiv 2504.04386), m-PDO with collapse-triggered perturbation.
"""

import random
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import product
from math import inf
from statistics import fmean
from typing import Any, cast

from langchain_core.language_models import BaseChatModel
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.graph import END, START, StateGraph
from langgraph.graph.state import CompiledStateGraph
from langgraph.types import Send

from lrgd.agents.generator import Generator
from lrgd.agents.guard import CollapseGuard, Judgement
from lrgd.agents.recommender import CustomRanker, ranking_of
from lrgd.agents.values import Ranking, RankingTask, Usage, usage_of_all
from lrgd.core.errors import RankingFailed
from lrgd.graphs.path import PathNodes, call_seed
from lrgd.graphs.routing import next_steps, round_under_way
from lrgd.graphs.settings import LoopSettings
from lrgd.graphs.state import LoopState, PathState, PathTurn, StopReason, Trial, as_task, tasks_of
from lrgd.memory import Demonstration, DemonstrationMemory

OptimizationGraph = CompiledStateGraph[LoopState, None, LoopState, LoopState]


def build_graph(
    *,
    model: BaseChatModel,
    ranker: CustomRanker,
    memory: DemonstrationMemory,
    settings: LoopSettings | None = None,
    checkpointer: BaseCheckpointSaver[Any] | None = None,
) -> OptimizationGraph:
    """The compiled optimisation graph; run it with `await graph.ainvoke({"task": task}, config)`,
    or with {"task": task, "earlier": [...]} for an Effect_D over several targets.

    Args:
        model: writes demonstrations.
        ranker: ranks candidates, see `lrgd.agents.ranking.modes.ranker_for`; one of your own may
            return the candidates' ids in order, see `lrgd.agents.recommender`.
        memory: keeps effective demonstrations, and embeds texts for the guard.
        settings: paths, rounds, guard and prompts.
        checkpointer: makes a run resumable by its `thread_id`; None for none.

    Returns:
        A LangGraph graph over `LoopState`.

    Example:
        >>> import asyncio, lrgd
        >>> from pathlib import Path
        >>> shown = (lrgd.Item("2", "Wool Socks"), lrgd.Item("3", "Super Mario Odyssey"))
        >>> task = lrgd.RankingTask("ann", (lrgd.Item("1", "Mario Kart 8"),), shown, target_id="3")
        >>> async def nodes():
        ...     choice = lrgd.ModelChoice("http://127.0.0.1:8000/v1")
        ...     async with lrgd.open_workbench(Path("runs/graph"), choice) as bench:
        ...         parts = {"model": bench.model, "ranker": bench.ranker, "memory": bench.memory}
        ...         graph = lrgd.build_graph(**parts, settings=lrgd.LoopSettings(paths=1, rounds=1))
        ...         steps = graph.astream({"task": task}, stream_mode="updates")
        ...         return [list(update) async for update in steps]
        >>> print(*asyncio.run(nodes()))
        ['begin'] ['generator'] ['recommender'] ['evaluator'] ['collapse_guard'] ['choose']
    """
    settings = settings or LoopSettings()
    path = PathNodes(Generator(model, settings.generation_messages), ranker, settings)
    loop = LoopNodes(ranker, memory, settings)

    graph = StateGraph(LoopState)
    graph.add_node("begin", loop.begin)
    graph.add_node("generator", path.generate)
    graph.add_node("recommender", path.recommend)
    graph.add_node("evaluator", path.evaluate)
    graph.add_node("collapse_guard", loop.guard)
    graph.add_node("choose", loop.choose)

    graph.add_edge(START, "begin")
    graph.add_conditional_edges("begin", loop.route, ["generator"])
    graph.add_conditional_edges("generator", loop.route, ["recommender"])
    graph.add_conditional_edges("recommender", loop.route, ["evaluator"])
    graph.add_edge("evaluator", "collapse_guard")  # once, when every path's turn is over
    graph.add_conditional_edges("collapse_guard", loop.route, ["generator", "choose"])
    graph.add_edge("choose", END)
    return graph.compile(checkpointer=checkpointer, name="optimization")


@dataclass(frozen=True)
class LoopNodes:
    """Nodes of the loop around the paths, and the route between them."""

    ranker: CustomRanker
    memory: DemonstrationMemory
    settings: LoopSettings

    async def begin(self, state: LoopState) -> dict[str, Any]:
        """Check the tasks, and recall what worked for this user before."""
        task, *earlier = map(as_task, tasks_of(state))
        if any(t.target is None for t in (task, *earlier)):
            raise ValueError(f"user {task.user_id!r}: optimisation needs a known target")
        remembered = await self.memory.recall(task.user_id, dataset=self.settings.dataset)
        return {"task": task, "earlier": earlier, "remembered": remembered}

    # A mapping, not LoopState: by its type LangGraph would take the turn away.
    async def route(self, state: Mapping[str, Any]) -> list[Send | str]:
        """`next_steps` as LangGraph takes them: a path's turn is sent, other nodes read the state.

        Args:
            state: the loop's; after a path's node with that path's `turn`.
        """
        loop, turn = cast(LoopState, state), cast(PathTurn | None, state.get("turn"))
        steps = next_steps(loop, self.settings, turn)
        return [
            step.node if step.path is None else Send(step.node, turn or turn_on(loop, step.path))
            for step in steps
        ]

    def guard(self, state: LoopState) -> dict[str, Any]:
        """Judge every path that wrote, and set the perturbations of the next round."""
        round_ = round_under_way(state)
        paths = state["paths"]
        wrote = [p for p in paths.values() if p.wrote_in(round_)]
        judgements = [self._judge(p, paths, round_, state["task"]) for p in wrote]
        return {"round": round_, "judgements": judgements, "paths": perturbed(paths, judgements)}

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
        shuffles = self.settings.tie_shuffles if len(tied) > 1 else 0
        tried = [(d, await self._reshuffled(d, tasks, shuffles)) for d in tied]
        usage = sum((usage_of_all(r for r, _ in again) for _, again in tried), Usage())
        robust = [(self._robustness(d, tasks, again), *_when(d), d) for d, again in tried]
        chosen = max(robust, key=lambda scored: scored[:3])[3] if robust else None
        chosen = replace(chosen, chosen=True) if chosen else None
        worst = self.settings.effective_rank
        effective = {d.id: d for p in state["paths"].values() for d in p.effective(worst)}
        kept = effective | ({chosen.id: chosen} if chosen else {})
        update = {"chosen": chosen, "usage": usage, "stopped_by": self._stopped_by(state)}
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

    def _stopped_by(self, state: LoopState) -> StopReason:
        solved = all(state["paths"][i].solved for i in range(self.settings.paths))
        return "solved" if solved else "rounds"

    def _robustness(
        self,
        demonstration: Demonstration,
        tasks: Sequence[RankingTask],
        again: Sequence[tuple[Ranking, RankingTask]],
    ) -> float:
        """Mean Effect_D over the given candidate orders and the shuffled ones."""
        shuffled = [self.settings.effect(ranking, task) for ranking, task in again]
        return fmean([*[demonstration.effect] * len(tasks), *shuffled])

    async def _reshuffled(
        self, demonstration: Demonstration, tasks: Sequence[RankingTask], shuffles: int
    ) -> list[tuple[Ranking, RankingTask]]:
        """Each task ranked again over this many shuffled candidate orders."""
        s, again = self.settings, []
        for task, shuffle in product(tasks, range(shuffles)):
            candidates = list(task.candidates)
            random.Random(call_seed(s.seed, task.user_id, shuffle)).shuffle(candidates)
            shuffled = replace(task, candidates=tuple(candidates))
            context = s.ranking_context(shuffled, demonstration.text)
            with suppress(RankingFailed):  # it is judged by the others
                again.append((await ranking_of(self.ranker, context, shuffled), task))
        return again


def perturbed(
    paths: Mapping[int, PathState], judgements: Sequence[Judgement]
) -> dict[int, PathState]:
    """The paths into whose next round the guard injects another path's latest demonstration."""
    return {
        j.path: replace(paths[j.path], perturbation=paths[j.source].demonstrations[-1])
        for j in judgements
        if j.source is not None
    }


def turn_on(state: LoopState, path: int) -> PathTurn:
    """A new turn on a path, not begun."""
    return {
        "tasks": tasks_of(state),
        "round": round_under_way(state),
        "path": state.get("paths", {}).get(path, PathState(path)),
        "remembered": [d for d in state["remembered"] if d.path == path],
    }


def _when(d: Demonstration) -> tuple[int, int]:
    return d.round, d.path
