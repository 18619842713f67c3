"""Client overhead: this process's CPU for a model call, against an endpoint that answers at once.

    python -m benchmarks.client_overhead

The endpoint is another process on loopback and the embedding a hash of words. What is left is the
graph, the model clients, the meter, ChromaDB and the checkpoints. Prints one JSON object:
milliseconds of one core a call, without and with checkpoints and with the cache of answers;
memory with 1,000 users under way; memory after 5,000 calls and after 20,000.
"""

import asyncio
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from langgraph.cache.sqlite import SqliteCache

from agents.choices import SystemOne
from agents.endpoint import Endpoint, EndpointSettings, connect
from agents.heats import ChoiceRanker
from agents.values import RankingTask
from evals.protocol import freeze
from evals.sample import sample_world
from graphs import LoopSettings, build_graph, open_checkpoints
from memory import DemonstrationMemory
from tests.scripted import hashed_words

SERVER = """
import sys
from tests.loopback import LoopbackModel
with LoopbackModel() as server:
    server.requests = type("Forgetful", (), {"append": lambda self, request: None})()
    print(server.url, flush=True)
    sys.stdin.read()
"""
USERS = 60


async def optimise(
    tasks: Sequence[RankingTask],
    endpoint: Endpoint,
    folder: Path,
    *,
    checkpoints: bool,
    at_once: int,
) -> int:
    """Optimise all tasks; returns the model calls."""
    async with AsyncExitStack() as stack:
        opened = open_checkpoints(folder / "checkpoints.sqlite")
        graph = build_graph(
            model=endpoint.chat_model(temperature=0.8, max_tokens=64),
            ranker=ChoiceRanker(SystemOne(endpoint), 255),
            memory=DemonstrationMemory.at(folder / "memory", hashed_words),
            settings=LoopSettings(paths=3, rounds=3),
            checkpointer=await stack.enter_async_context(opened) if checkpoints else None,
        )
        how: dict[str, Any] = {"durability": "async"} if checkpoints else {}
        gate = asyncio.Semaphore(at_once)

        async def one(number: int, task: RankingTask) -> int:
            config = {"configurable": {"thread_id": str(number)}}
            async with gate:
                state = await graph.ainvoke({"task": task}, config, **how)
            return int(state["usage"].calls)

        return sum(await asyncio.gather(*(one(n, t) for n, t in enumerate(tasks))))


async def measured(
    tasks: Sequence[RankingTask],
    url: str,
    *,
    checkpoints: bool = False,
    cache: bool = False,
    at_once: int = 16,
) -> tuple[int, float]:
    """Model calls, and milliseconds of CPU for each."""
    with tempfile.TemporaryDirectory() as folder:
        answers = SqliteCache[bytes](path=f"{folder}/answers.sqlite") if cache else None
        async with connect(EndpointSettings(url, "m"), cache=answers) as endpoint:
            begin = time.process_time()
            calls = await optimise(
                tasks, endpoint, Path(folder), checkpoints=checkpoints, at_once=at_once
            )
            return calls, 1000 * (time.process_time() - begin) / calls


def peak_mib() -> float:
    """Highest memory of this process so far, MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def figures(url: str) -> dict[str, float]:
    """All that the page docs/performance.md states."""
    bundle = freeze(sample_world(), users=200, candidates=50, history=20, seed=1)
    every = [bundle.task(user, "validation") for user in bundle.users]
    asyncio.run(measured(every[:5], url, checkpoints=True, cache=True))  # imports
    found = {
        "ms_a_call": asyncio.run(measured(every[:USERS], url))[1],
        "ms_with_checkpoints": asyncio.run(measured(every[:USERS], url, checkpoints=True))[1],
        "ms_with_both": asyncio.run(measured(every[:USERS], url, checkpoints=True, cache=True))[1],
        "mib_before": peak_mib(),
    }
    users = 0
    for thousand_calls in (5, 20):
        while users * 18 < thousand_calls * 1000:
            users += USERS
            asyncio.run(measured(every[:USERS], url, checkpoints=True, cache=True))
        found[f"mib_after_{thousand_calls}000_calls"] = peak_mib()
    asyncio.run(measured([every[n % 200] for n in range(1000)], url, at_once=1000))
    found["mib_with_1000_users_under_way"] = peak_mib()
    return {key: round(value, 2) for key, value in found.items()}


def main() -> None:
    """Start the endpoint, measure, print."""
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
