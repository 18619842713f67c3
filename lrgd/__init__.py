"""LRGD: recommend with a language model whose prompt, not its weights, is optimised.

from lrgd import build_graph, open_workbench
"""

from agents.endpoint import EndpointSettings
from agents.recommender import DecisionRanker, ListwiseRanker, Ranker
from agents.values import Item, Ranking, RankingTask
from graphs import LoopSettings, build_graph, build_recommendation_graph, open_checkpoints
from lrgd.workbench import ModelChoice, Workbench, open_workbench
from memory import Demonstration, DemonstrationMemory, load_minilm
from memory.errors import LrgdError

__all__ = [
    "DecisionRanker",
    "Demonstration",
    "DemonstrationMemory",
    "EndpointSettings",
    "Item",
    "ListwiseRanker",
    "LoopSettings",
    "LrgdError",
    "ModelChoice",
    "Ranker",
    "Ranking",
    "RankingTask",
    "Workbench",
    "build_graph",
    "build_recommendation_graph",
    "load_minilm",
    "open_checkpoints",
    "open_workbench",
]
