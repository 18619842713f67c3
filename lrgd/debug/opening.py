"""Opens a session: a new one, or the one that was left."""

from pathlib import Path
from typing import Any

from langgraph.checkpoint.base import BaseCheckpointSaver

from lrgd.agents.values import RankingTask
from lrgd.core.errors import InputError
from lrgd.debug.actors import build_session_graph
from lrgd.debug.ranking import Tools
from lrgd.debug.session import Session
from lrgd.debug.thread import Thread
from lrgd.graphs.settings import LoopSettings


async def open_session(
    *,
    task: RankingTask,
    checkpointer: BaseCheckpointSaver[Any],
    lock: Path,
    tools: Tools,
    settings: LoopSettings | None = None,
    earlier: tuple[RankingTask, ...] = (),
    thread_id: str | None = None,
    opening: str = "",
) -> Session:
    """Begin a session on a case, or take up the one that was left.

    Args:
        task: the validation task; its target must be known.
        checkpointer: keeps the thread.
        lock: a file of this thread's own, in a folder that is there; says whose turn it is.
        tools: model, ranker, memory, and what else is there.
        settings: of a session that begins; one that was left keeps its own.
        earlier: further validation tasks, the latest first.
        opening: a Python expression that opens the desk again, for `Session.export_script`.
        thread_id: None for the user's own thread of this data set.

    Raises:
        InputError: the target is not known, or the thread holds another case.
    """
    settings = settings or LoopSettings()
    if any(t.target is None for t in (task, *earlier)):
        raise InputError(f"user {task.user_id!r}: a session needs a known next item")
    name = thread_id or f"debug-{settings.dataset}-{task.user_id}"
    thread = Thread(build_session_graph(tools, checkpointer), name, lock)
    snapshot = await thread.look()
    if not snapshot.values:
        async with thread.turn():
            await thread.record(
                "",
                task=task,
                earlier=list(earlier),
                settings=settings.model_dump(),
                choices={"mode": tools.mode, "shuffles": tools.shuffles},
            )
    elif snapshot.values["task"] != task:
        raise InputError(f"{name}: this thread is of another case; name another --run")
    return Session(thread, tools, opening)
