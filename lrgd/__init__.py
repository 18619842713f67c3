"""LRGD: recommend with a language model whose prompt, not its weights, is optimised.

    found = await lrgd.optimize(tasks, model="http://127.0.0.1:8000/v1")
    best = await lrgd.recommend(tasks, model="http://127.0.0.1:8000/v1", memory=found)

Names are imported when they are first used: `import lrgd` itself costs nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lrgd.agents.prompts import RankingContext
    from lrgd.agents.ranking.listwise import ListwiseRanker
    from lrgd.agents.recommender import CustomRanker, Ranker, ShuffledRanker
    from lrgd.agents.values import Item, Prior, Ranking, RankingAudit, RankingTask, Usage
    from lrgd.api import Optimization, Recommendation, optimize, recommend
    from lrgd.core.errors import LrgdError
    from lrgd.debug import Session, dispatch
    from lrgd.debug.desk import open_desk
    from lrgd.graphs import LoopSettings, build_graph, build_recommendation_graph, open_checkpoints
    from lrgd.memory import Demonstration, DemonstrationMemory, load_minilm
    from lrgd.workbench import ModelChoice, Workbench, open_workbench

_HOMES = {
    "CustomRanker": "lrgd.agents.recommender",
    "Demonstration": "lrgd.memory",
    "DemonstrationMemory": "lrgd.memory",
    "Item": "lrgd.agents.values",
    "ListwiseRanker": "lrgd.agents.ranking.listwise",
    "LoopSettings": "lrgd.graphs",
    "LrgdError": "lrgd.core.errors",
    "ModelChoice": "lrgd.workbench",
    "Optimization": "lrgd.api",
    "Prior": "lrgd.agents.values",
    "Ranker": "lrgd.agents.recommender",
    "Ranking": "lrgd.agents.values",
    "RankingAudit": "lrgd.agents.values",
    "RankingContext": "lrgd.agents.prompts",
    "RankingTask": "lrgd.agents.values",
    "Recommendation": "lrgd.api",
    "Session": "lrgd.debug",
    "ShuffledRanker": "lrgd.agents.recommender",
    "Usage": "lrgd.agents.values",
    "Workbench": "lrgd.workbench",
    "build_graph": "lrgd.graphs",
    "build_recommendation_graph": "lrgd.graphs",
    "dispatch": "lrgd.debug",
    "load_minilm": "lrgd.memory",
    "open_checkpoints": "lrgd.graphs",
    "open_desk": "lrgd.debug.desk",
    "open_workbench": "lrgd.workbench",
    "optimize": "lrgd.api",
    "recommend": "lrgd.api",
}
"""Public name -> the module that it is imported from."""

__all__ = [
    "CustomRanker",
    "Demonstration",
    "DemonstrationMemory",
    "Item",
    "ListwiseRanker",
    "LoopSettings",
    "LrgdError",
    "ModelChoice",
    "Optimization",
    "Prior",
    "Ranker",
    "Ranking",
    "RankingAudit",
    "RankingContext",
    "RankingTask",
    "Recommendation",
    "Session",
    "ShuffledRanker",
    "Usage",
    "Workbench",
    "build_graph",
    "build_recommendation_graph",
    "dispatch",
    "load_minilm",
    "open_checkpoints",
    "open_desk",
    "open_workbench",
    "optimize",
    "recommend",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'lrgd' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return list(__all__)
