"""Client overhead: this process's CPU for a model call, against an endpoint that answers at once.

    python -m benchmarks.client_overhead

The endpoint is another process on loopback and the embedding a hash of words. What is left is the
graph, the model clients, the meter, ChromaDB and the checkpoints. Prints one JSON object:
milliseconds of one core a call, without and with checkpoints and with the cache of answers;
peak memory after 5,000, 10,000 and 20,000 calls; peak memory with 1,000 users under way.
"""

import asyncio
import gc
import itertools
import json
import resource
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from langgraph.cache.sqlite import SqliteCache

from lrgd.agents.endpoint.client import EndpointSettings, connect
from lrgd.agents.ranking.choices import SystemOne
from lrgd.agents.ranking.heats import ChoiceRanker
from lrgd.agents.values import RankingTask
from lrgd.evals.data.protocol import freeze
from lrgd.evals.data.sample import sample_world
from lrgd.graphs import LoopSettings, build_graph, open_checkpoints
from lrgd.jobs import COLLECT_AFTER
from lrgd.memory import DemonstrationMemory
from tests.scripted import hashed_words

SERVER = """
import sys
from tests.loopback import LoopbackModel
with LoopbackModel() as server:
    server.requests = type("Forgetful", (), {"append": lambda self, request: None})()
    print(server.url, flush=True)
    sys.stdin.read()
"""
CALLS = (5_000, 10_000, 20_000)


class Bench:
    """The graph over one endpoint, memory and checkpoint file."""

    def __init__(self, graph: Any, durability: dict[str, Any]) -> None:
        self._graph = graph
        self._durability = durability
        self._threads = itertools.count()

    async def optimise(self, tasks: Sequence[RankingTask], *, at_once: int = 16) -> int:
        """Optimise every task on a thread of its own; returns the model calls."""
        gate = asyncio.Semaphore(at_once)

        async def one(task: RankingTask) -> int:
            config = {"configurable": {"thread_id": str(next(self._threads))}}
            async with gate:
                state = await self._graph.ainvoke({"task": task}, config, **self._durability)
            return int(state["usage"].calls)

        return sum(await asyncio.gather(*map(one, tasks)))


@asynccontextmanager
async def bench(
    url: str, *, checkpoints: bool = False, cache: bool = False
) -> AsyncIterator[Bench]:
    """Everything opened in a folder of its own."""
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory()))
        answers = SqliteCache[bytes](path=str(folder / "answers.sqlite")) if cache else None
        settings = EndpointSettings(url, "m")
        endpoint = await stack.enter_async_context(connect(settings, cache=answers))
        opened = open_checkpoints(folder / "checkpoints.sqlite")
        graph = build_graph(
            model=endpoint.chat_model(temperature=0.8, max_tokens=64),
            ranker=ChoiceRanker(SystemOne(endpoint), 255),
            memory=DemonstrationMemory.at(folder / "memory", hashed_words),
            settings=LoopSettings(paths=3, rounds=3),
            checkpointer=await stack.enter_async_context(opened) if checkpoints else None,
        )
        yield Bench(graph, {"durability": "sync"} if checkpoints else {})


async def cpu_ms(tasks: Sequence[RankingTask], url: str, **kind: bool) -> float:
    """Milliseconds of one core for a model call."""
    async with bench(url, **kind) as opened:
        await opened.optimise(tasks[:3])
        begin = time.process_time()
        calls = await opened.optimise(tasks)
        return 1000 * (time.process_time() - begin) / calls


async def memory_after(tasks: Sequence[RankingTask], url: str, steps: Sequence[int]) -> list[float]:
    """Peak memory, MiB, each time that so many calls were made."""
    found, calls = [], 0
    async with bench(url, checkpoints=True) as opened:
        for step in steps:
            while calls < step:
                calls += await opened.optimise(tasks)
            found.append(peak_mib())
    return found


async def all_at_once(tasks: Sequence[RankingTask], url: str) -> float:
    """Peak memory, MiB, with every task under way at the same time."""
    async with bench(url) as opened:
        await opened.optimise(tasks, at_once=len(tasks))
    return peak_mib()


def peak_mib() -> float:
    """Highest memory of this process so far, MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def figures(url: str) -> dict[str, float]:
    """All that docs/performance.md states of the client."""
    bundle = freeze(sample_world(), users=200, candidates=50, history=20, seed=1)
    tasks = [bundle.task(user, "validation") for user in bundle.users]
    found = {
        "ms_a_call": asyncio.run(cpu_ms(tasks, url)),
        "ms_with_checkpoints": asyncio.run(cpu_ms(tasks, url, checkpoints=True)),
        "ms_with_both": asyncio.run(cpu_ms(tasks, url, checkpoints=True, cache=True)),
    }
    growth = asyncio.run(memory_after(tasks[:60], url, CALLS))
    found |= {f"mib_after_{calls}_calls": mib for calls, mib in zip(CALLS, growth, strict=True)}
    found["mib_with_1000_users_under_way"] = asyncio.run(all_at_once(tasks * 5, url))
    return {key: round(value, 2) for key, value in found.items()}


def main() -> None:
    """Start the endpoint, measure, print."""
    gc.set_threshold(COLLECT_AFTER)  # as the commands do
    server = subprocess.Popen(
        [sys.executable, "-c", SERVER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert server.stdout is not None
    try:
        print(json.dumps(figures(server.stdout.readline().strip()), indent=2))
    finally:
        server.kill()


if __name__ == "__main__":
    main()
