"""LangGraph state and wiring: the optimisation graph and the recommendation graph."""

from lrgd.graphs.checkpoints import open_checkpoints
from lrgd.graphs.optimization import build_graph
from lrgd.graphs.recommendation import build_recommendation_graph
from lrgd.graphs.settings import LoopSettings

__all__ = ["LoopSettings", "build_graph", "build_recommendation_graph", "open_checkpoints"]
