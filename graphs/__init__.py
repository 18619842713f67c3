"""LangGraph state and wiring: the optimisation graph and the recommendation graph."""

from graphs.checkpoints import open_checkpoints
from graphs.optimization import build_graph
from graphs.recommendation import build_recommendation_graph
from graphs.settings import LoopSettings

__all__ = ["LoopSettings", "build_graph", "build_recommendation_graph", "open_checkpoints"]
