"""The two graphs for LangGraph's own server, named in langgraph.json.

It calls a factory for each run, with the model from LRGD_BASE_URL, LRGD_MODEL and LRGD_API_KEY,
or the embedded model where they are not set. Memory is `runs/studio/memory`.
"""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from lrgd.agents.endpoint.client import NO_KEY
from lrgd.graphs import build_graph, build_recommendation_graph
from lrgd.workbench import ModelChoice, open_workbench

MEMORY = Path("runs/studio/memory")


@asynccontextmanager
async def optimization() -> AsyncIterator[Any]:
    """The optimisation graph; its input is {"task": a RankingTask as JSON}."""
    async with open_workbench(MEMORY, _choice()) as bench:
        yield build_graph(model=bench.model, ranker=bench.ranker, memory=bench.memory)


@asynccontextmanager
async def recommendation() -> AsyncIterator[Any]:
    """The recommendation graph; its input is {"task": a RankingTask as JSON}."""
    async with open_workbench(MEMORY, _choice()) as bench:
        yield build_recommendation_graph(ranker=bench.ranker, memory=bench.memory)


def _choice() -> ModelChoice:
    env = os.environ
    return ModelChoice(
        env.get("LRGD_BASE_URL"), env.get("LRGD_MODEL"), env.get("LRGD_API_KEY", NO_KEY)
    )
