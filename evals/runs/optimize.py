"""Optimises the users of a bundle side by side, each on its own thread of the graph."""

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from time import perf_counter
from typing import Any

from langgraph.checkpoint.base import BaseCheckpointSaver

from lrgd.evals.data.bundle import Bundle
from lrgd.evals.runs.folder import FailedCall, Lines, UserRecord
from lrgd.graphs.checkpoints import thread_of
from lrgd.graphs.optimization import OptimizationGraph
from lrgd.graphs.state import LoopState

OPTIMIZATION = "optimization"
"""The step of a `FailedCall`."""


@dataclass(frozen=True, slots=True)
class Progress:
    """What has happened since the last report: calls answered, a user done."""

    calls: int = 0
    done: UserRecord | None = None


async def optimize_users(
    bundle: Bundle,
    users: Sequence[str],
    graph: OptimizationGraph,
    records: Lines[UserRecord],
    *,
    at_once: int,
    failed: Lines[FailedCall] | None = None,
    report: Callable[[Progress], None] = lambda progress: None,
) -> list[UserRecord]:
    """Optimise every user that has no record yet; append each record as it is done.

    A user all of whose calls failed gets none, and begins anew the next time.

    Args:
        graph: from `build_graph`, with a checkpointer: a user under way goes on where it was.
        at_once: users under way at a time.
        failed: where users without a record are noted.
        report: told of calls and of users done, those of an earlier start first.

    Returns:
        One record a user, in the order of `users`, those without one left out.
    """
    known = {record.user_id: record for record in records.read()}
    for record in known.values():
        report(Progress(calls=record.usage.calls, done=record))
    gate = asyncio.Semaphore(at_once)

    async def one(user_id: str) -> UserRecord | None:
        if user_id in known:
            return known[user_id]
        async with gate:
            began = perf_counter()
            record = await _optimize_user(bundle, user_id, graph, report)
            record = replace(record, seconds=perf_counter() - began)
        if (kind := _failure(record)) is not None:
            await _forget(graph, user_id)
            if failed is not None:
                failed.append(FailedCall(user_id, OPTIMIZATION, kind))
            return None
        await records.add(record)
        report(Progress(done=record))
        return record

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(one(user_id)) for user_id in users]
    results = [task.result() for task in tasks]
    return [record for record in results if record is not None]


async def _optimize_user(
    bundle: Bundle, user_id: str, graph: OptimizationGraph, report: Callable[[Progress], None]
) -> UserRecord:
    config = thread_of(user_id)
    begun = (await graph.aget_state(config)).values
    task, earlier = bundle.task(user_id, "validation"), bundle.earlier_tasks(user_id)
    start: LoopState | None = None if begun else {"task": task, "earlier": earlier}
    if begun:
        report(Progress(calls=begun["usage"].calls if "usage" in begun else 0))
    # "sync": a step is on disk before the next begins. Otherwise `choose` may have written to the
    # memory what this run found while all checkpoints still wait: killed there, the user would
    # begin anew, and recall it as the work of an earlier run.
    async for update in graph.astream(start, config, stream_mode="updates", durability="sync"):
        report(Progress(calls=_calls(update)))
    return record_of(user_id, (await graph.aget_state(config)).values)


def record_of(user_id: str, state: dict[str, Any]) -> UserRecord:
    """A finished thread's state as a record."""
    return UserRecord(
        user_id=user_id,
        paths=tuple(state["paths"][i] for i in sorted(state["paths"])),
        judgements=tuple(state["judgements"]),
        chosen=state["chosen"],
        stopped_by=state["stopped_by"],
        usage=state["usage"],
    )


def _failure(record: UserRecord) -> str | None:
    """What most calls got instead of an answer, where none got one; else None."""
    kinds = [trial.call_failed for path in record.paths for trial in path.trials]
    counted = Counter(kind for kind in kinds if kind is not None)
    return counted.most_common(1)[0][0] if kinds and counted.total() == len(kinds) else None


async def _forget(graph: OptimizationGraph, user_id: str) -> None:
    """Have a user begin anew."""
    if isinstance(graph.checkpointer, BaseCheckpointSaver):
        thread = thread_of(user_id)["configurable"]["thread_id"]
        await graph.checkpointer.adelete_thread(thread)


def _calls(update: dict[str, Any]) -> int:
    """Model calls behind an update of some nodes."""
    told = [out for out in update.values() if isinstance(out, dict)]
    return sum(out["usage"].calls for out in told if "usage" in out)
