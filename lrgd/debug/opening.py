"""Begins a session on a user's case, with what a run did for the user behind it, or takes it up."""

from pathlib import Path
from typing import Any

from langgraph.checkpoint.base import BaseCheckpointSaver

from lrgd.agents.values import RankingTask
from lrgd.core.errors import InputError
from lrgd.debug.equipment import EquipmentSource
from lrgd.debug.graph import build_session_graph
from lrgd.debug.past import Past, retrace
from lrgd.debug.session import Session
from lrgd.debug.thread import Thread
from lrgd.graphs.checkpoints import session_thread_of
from lrgd.graphs.settings import LoopSettings


async def open_session(
    *,
    task: RankingTask,
    checkpointer: BaseCheckpointSaver[Any],
    lock: Path,
    source: EquipmentSource,
    settings: LoopSettings | None = None,
    earlier: tuple[RankingTask, ...] = (),
    test: RankingTask | None = None,
    past: Past | None = None,
) -> Session:
    """Begin a session on a case, or take up the one that was left. Starts no model.

    Args:
        task: the validation task; its target must be known.
        checkpointer: keeps the thread, which is the user's own of this data set.
        lock: a file of this thread's own, in a folder that is there; says whose turn it is.
        source: opens model, ranker and memory when they are first needed.
        settings: of a session that begins; one that was left keeps its own.
        earlier: further validation tasks, the latest first.
        test: the user's test task, for /task test.
        past: what a run did for the user; a session that begins has it behind it.

    Raises:
        InputError: the target is not known, or the thread holds another case.
    """
    settings = settings or LoopSettings()
    if any(t is not None and t.target is None for t in (task, *earlier, test)):
        raise InputError(f"user {task.user_id!r}: a session needs a known next item")
    name = session_thread_of(settings.dataset, task.user_id, len(past.trials) if past else 0)
    thread = Thread(build_session_graph(source, checkpointer), name, lock)
    session = Session(thread, source)
    values = (await thread.look()).values
    if values and values["task"] != task:
        raise InputError(f"{name}: this thread is of another case; name another --run")
    # Killed while it retraced the run, it begins anew.
    if not values or len(await session.history.checkpoints()) <= values.get("run_steps", 0):
        async with thread.turn():
            await checkpointer.adelete_thread(name)
            await thread.record(
                "",
                task=task,
                earlier=list(earlier),
                settings=settings.model_dump(),
                choices=await source.choices(),
                **({"test": test} if test else {}),
                **({"origin": past.words, "run_steps": len(past.steps)} if past else {}),
            )
            if past:
                await retrace(thread, past)
    return session
