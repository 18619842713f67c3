"""LRGD: recommend with a language model whose prompt, not its weights, is optimised.

    from lrgd import build_graph, open_workbench

Names are imported when they are first used, so that the command line can say in one line that
another package stands where `agents` should.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from agents.choices import Decisions, Logprobs, SystemOne
    from agents.endpoint import EndpointSettings
    from agents.heats import ChoiceRanker
    from agents.likelihood import LikelihoodRanker
    from agents.prompts import RankingContext
    from agents.recommender import ListwiseRanker, Ranker, ShuffledRanker
    from agents.rerank import RerankRanker
    from agents.values import Item, Ranking, RankingTask
    from graphs import LoopSettings, build_graph, build_recommendation_graph, open_checkpoints
    from graphs.session import Session, dispatch, open_session
    from lrgd.desk import open_desk
    from lrgd.workbench import ModelChoice, Workbench, open_workbench
    from memory import Demonstration, DemonstrationMemory, load_minilm
    from memory.errors import LrgdError

_HOMES = {
    "agents.endpoint": ("EndpointSettings",),
    "agents.choices": ("Decisions", "Logprobs", "SystemOne"),
    "agents.heats": ("ChoiceRanker",),
    "agents.likelihood": ("LikelihoodRanker",),
    "agents.prompts": ("RankingContext",),
    "agents.recommender": ("ListwiseRanker", "Ranker", "ShuffledRanker"),
    "agents.rerank": ("RerankRanker",),
    "agents.values": ("Item", "Ranking", "RankingTask"),
    "graphs": ("LoopSettings", "build_graph", "build_recommendation_graph", "open_checkpoints"),
    "graphs.session": ("Session", "dispatch", "open_session"),
    "lrgd.desk": ("open_desk",),
    "lrgd.workbench": ("ModelChoice", "Workbench", "open_workbench"),
    "memory": ("Demonstration", "DemonstrationMemory", "load_minilm"),
    "memory.errors": ("LrgdError",),
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
