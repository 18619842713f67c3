"""LRGD: recommend with a language model whose prompt, not its weights, is optimised.

    from lrgd import build_graph, open_workbench

Names are imported when they are first used, so that the command line can say in one line that
another package stands where `agents` should.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lrgd.agents.endpoint.client import EndpointSettings
    from lrgd.agents.prompts import RankingContext
    from lrgd.agents.ranking.choices import Decisions, Logprobs, SystemOne
    from lrgd.agents.ranking.heats import ChoiceRanker
    from lrgd.agents.ranking.likelihood import LikelihoodRanker
    from lrgd.agents.ranking.listwise import ListwiseRanker
    from lrgd.agents.ranking.rerank import RerankRanker
    from lrgd.agents.recommender import Ranker, ShuffledRanker
    from lrgd.agents.values import Item, Ranking, RankingTask
    from lrgd.core.errors import LrgdError
    from lrgd.debug import Session, dispatch, open_session
    from lrgd.debug.desk import open_desk
    from lrgd.graphs import LoopSettings, build_graph, build_recommendation_graph, open_checkpoints
    from lrgd.memory import Demonstration, DemonstrationMemory, load_minilm
    from lrgd.workbench import ModelChoice, Workbench, open_workbench

_HOMES = {
    "lrgd.agents.endpoint.client": ("EndpointSettings",),
    "lrgd.agents.ranking.choices": ("Decisions", "Logprobs", "SystemOne"),
    "lrgd.agents.ranking.heats": ("ChoiceRanker",),
    "lrgd.agents.ranking.likelihood": ("LikelihoodRanker",),
    "lrgd.agents.prompts": ("RankingContext",),
    "lrgd.agents.ranking.listwise": ("ListwiseRanker",),
    "lrgd.agents.recommender": ("Ranker", "ShuffledRanker"),
    "lrgd.agents.ranking.rerank": ("RerankRanker",),
    "lrgd.agents.values": ("Item", "Ranking", "RankingTask"),
    "lrgd.graphs": (
        "LoopSettings",
        "build_graph",
        "build_recommendation_graph",
        "open_checkpoints",
    ),
    "lrgd.debug": ("Session", "dispatch", "open_session"),
    "lrgd.debug.desk": ("open_desk",),
    "lrgd.workbench": ("ModelChoice", "Workbench", "open_workbench"),
    "lrgd.memory": ("Demonstration", "DemonstrationMemory", "load_minilm"),
    "lrgd.core.errors": ("LrgdError",),
}

__all__ = [
    "ChoiceRanker",
    "Decisions",
    "Demonstration",
    "DemonstrationMemory",
    "EndpointSettings",
    "Item",
    "LikelihoodRanker",
    "ListwiseRanker",
    "Logprobs",
    "LoopSettings",
    "LrgdError",
    "ModelChoice",
    "Ranker",
    "Ranking",
    "RankingContext",
    "RankingTask",
    "RerankRanker",
    "Session",
    "ShuffledRanker",
    "SystemOne",
    "Workbench",
    "build_graph",
    "build_recommendation_graph",
    "dispatch",
    "load_minilm",
    "open_checkpoints",
    "open_desk",
    "open_session",
    "open_workbench",
]


def __getattr__(name: str) -> Any:
    for home, names in _HOMES.items():
        if name in names:
            return getattr(import_module(home), name)
    raise AttributeError(f"module 'lrgd' has no attribute {name!r}")
