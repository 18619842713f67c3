"""Optimises the users of a bundle side by side, each on its own thread of the graph."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from time import perf_counter
from typing import Any

from lrgd.evals.data.bundle import Bundle
from lrgd.evals.runs.folder import Lines, UserRecord


@dataclass(frozen=True, slots=True)
class Progress:
    """What has happened since the last report: calls answered, a user done."""

    calls: int = 0
    done: UserRecord | None = None


async def optimize_users(
    bundle: Bundle,
    users: Sequence[str],
    graph: Any,
    records: Lines[UserRecord],
    *,
    at_once: int,
    report: Callable[[Progress], None] = lambda progress: None,
) -> list[UserRecord]:
    """Optimise every user that has no record yet; append each record as it is done.

    Args:
        graph: from `build_graph`, with a checkpointer: a user under way goes on where it was.
        at_once: users under way at a time.
        report: told of calls and of users done, those of an earlier start first.

    Returns:
        One record a user, in the order of `users`.
    """
    known = {record.user_id: record for record in records.read()}
    for record in known.values():
        report(Progress(calls=record.usage.calls, done=record))
    gate = asyncio.Semaphore(at_once)

    async def one(user_id: str) -> UserRecord:
        if user_id in known:
            return known[user_id]
        async with gate:
            began = perf_counter()
            record = await _optimize_user(bundle, user_id, graph, report)
            record = replace(record, seconds=perf_counter() - began)
        records.append(record)
        report(Progress(done=record))
        return record

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(one(user_id)) for user_id in users]
    return [task.result() for task in tasks]


async def _optimize_user(
    bundle: Bundle, user_id: str, graph: Any, report: Callable[[Progress], None]
) -> UserRecord:
    config = {"configurable": {"thread_id": user_id}}
    begun = (await graph.aget_state(config)).values
    tasks = {"task": bundle.task(user_id, "validation"), "earlier": bundle.earlier_tasks(user_id)}
    start = None if begun else tasks
    if begun:
        report(Progress(calls=begun["usage"].calls if "usage" in begun else 0))
    async for update in graph.astream(start, config, stream_mode="updates", durability="async"):
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


def _calls(update: dict[str, Any]) -> int:
    """Model calls behind an update of some nodes."""
    told = [out for out in update.values() if isinstance(out, dict)]
    return sum(out["usage"].calls for out in told if "usage" in out)
