"""A job on a run: opens the run's model and memory, does it, says what it paid."""

import asyncio
import gc
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, TypeVar

from langgraph.cache.sqlite import SqliteCache

from lrgd.agents.endpoint.budget import Budget
from lrgd.agents.endpoint.meter import Meter
from lrgd.core.machine import machine_errors
from lrgd.evals.runs.folder import RunFolder
from lrgd.runs import Run
from lrgd.workbench import Workbench, open_workbench

T = TypeVar("T")

COLLECT_AFTER = 5_000
"""New objects after which Python looks for garbage cycles. An event loop makes many objects and few
cycles: looking after every 700 costs a twentieth of the client's time."""


def with_workbench(
    run: Run,
    job: Callable[[Workbench], Coroutine[Any, Any, T]],
    budget: Budget | None = None,
    *,
    cache: bool = True,
    memory: Path | None = None,
) -> T:
    """Do a job with the run's model and memory (or another one); say what it paid."""

    async def opened() -> T:
        answers = open_answers(run.folder) if cache else None
        async with open_workbench(
            memory or run.folder.memory, run.choice, cache=answers, budget=budget
        ) as bench:
            try:
                return await job(bench)
            finally:
                print(paid_line(bench.meter), file=sys.stderr)

    gc.set_threshold(COLLECT_AFTER)
    return asyncio.run(opened())


def open_answers(folder: RunFolder) -> SqliteCache[bytes]:
    """The answers that a run paid for. Raises MachineError where they cannot be opened."""
    with machine_errors(folder.answers):
        return SqliteCache[bytes](path=str(folder.answers))


def paid_line(meter: Meter) -> str:
    """What a command paid, in one sentence."""
    return (
        f"Paid: {meter.calls} calls, {meter.prompt_tokens} prompt and {meter.completion_tokens} "
        f"completion tokens; {meter.repeated} requests were answered before."
        + (
            f" The server did not count the tokens of {meter.unknown} calls."
            if meter.unknown
            else ""
        )
        + (f" {meter.lost} more got no reply and may have been paid, too." if meter.lost else "")
        + "".join(f" Noticed: {n} {what}." for what, n in meter.notices.counts.items())
    )
