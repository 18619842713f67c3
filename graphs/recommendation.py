"""The recommendation graph: recall the best demonstration, rank with it.

START -> recall -> recommender -> END
"""

from dataclasses import dataclass
from typing import Any, Literal, TypedDict

from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.graph import END, START, StateGraph
from langgraph.graph.state import CompiledStateGraph

from lrgd.agents.recommender import CustomRanker, ranking_of
from lrgd.agents.values import Ranking, RankingTask, Usage
from lrgd.graphs.settings import LoopSettings
from lrgd.graphs.state import as_task
from lrgd.memory import Demonstration, DemonstrationMemory

SIMILAR_USERS = 2

Source = Literal["own", "similar users", "none"]


class RecommendationState(TypedDict, total=False):
    """State of one recommendation."""

    task: RankingTask
    """Given by the caller; its target may be unknown."""
    demonstrations: list[Demonstration]
    """What goes into the prompt. Written by `recall`."""
    source: Source
    """Whose demonstrations they are. Written by `recall`."""
    ranking: Ranking
    """Written by the recommender."""
    usage: Usage
    """Written by the recommender."""


RecommendationGraph = CompiledStateGraph[
    RecommendationState, None, RecommendationState, RecommendationState
]


def build_recommendation_graph(
    *,
    ranker: CustomRanker,
    memory: DemonstrationMemory,
    settings: LoopSettings | None = None,
    checkpointer: BaseCheckpointSaver[Any] | None = None,
) -> RecommendationGraph:
    """The compiled recommendation graph; `await graph.ainvoke({"task": task})`.

    Args: as `build_graph`; of the settings, prompts and data set are read.

    Example:
        >>> import asyncio, lrgd
        >>> from pathlib import Path
        >>> shown = (lrgd.Item("2", "Wool Socks"), lrgd.Item("3", "Super Mario Odyssey"))
        >>> task = lrgd.RankingTask("ann", (lrgd.Item("1", "Mario Kart 8"),), shown)
        >>> async def recommended():
        ...     choice = lrgd.ModelChoice("http://127.0.0.1:8000/v1")
        ...     async with lrgd.open_workbench(Path("runs/nothing-known"), choice) as bench:
        ...         parts = {"ranker": bench.ranker, "memory": bench.memory}
        ...         return await lrgd.build_recommendation_graph(**parts).ainvoke({"task": task})
        >>> state = asyncio.run(recommended())
        >>> state["source"], sorted(state["ranking"].order)
        ('none', ['2', '3'])
    """
    nodes = _Nodes(ranker, memory, settings or LoopSettings())
    graph = StateGraph(RecommendationState)
    graph.add_node("recall", nodes.recall)
    graph.add_node("recommender", nodes.recommend)
    graph.add_edge(START, "recall")
    graph.add_edge("recall", "recommender")
    graph.add_edge("recommender", END)
    return graph.compile(checkpointer=checkpointer, name="recommendation")


@dataclass(frozen=True)
class _Nodes:
    ranker: CustomRanker
    memory: DemonstrationMemory
    settings: LoopSettings

    async def recall(self, state: RecommendationState) -> dict[str, Any]:
        """The user's best demonstration, or those of the most similar users."""
        task, dataset = as_task(state["task"]), self.settings.dataset
        own = await self.memory.recall(task.user_id, dataset=dataset, limit=1)
        if own:
            return {"task": task, "demonstrations": own, "source": "own"}
        taste = "; ".join(item.title for item in task.history)
        near = await self.memory.nearest(taste, dataset=dataset, limit=SIMILAR_USERS)
        source: Source = "similar users" if near else "none"
        return {"task": task, "demonstrations": [d for d, _ in near], "source": source}

    async def recommend(self, state: RecommendationState) -> dict[str, Any]:
        """Rank the candidates with what was recalled in the prompt."""
        text = " ".join(d.text for d in state["demonstrations"])
        context = self.settings.ranking_context(state["task"], text)
        ranking = await ranking_of(self.ranker, context, state["task"])
        return {"ranking": ranking, "usage": ranking.usage}
