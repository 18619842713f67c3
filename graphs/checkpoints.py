"""SQLite checkpoints that know the project's own values, and the names of their threads."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import aiosqlite
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer
from langgraph.checkpoint.serde.types import ERROR
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver

from lrgd.agents.generator import Draft
from lrgd.agents.guard import Judgement
from lrgd.agents.values import Item, Ranking, RankingAudit, RankingTask, Usage
from lrgd.core.errors import InputError
from lrgd.core.machine import machine_errors
from lrgd.graphs.state import PathState, Trial
from lrgd.memory import Demonstration

VALUES = (
    Demonstration,
    Draft,
    Item,
    Judgement,
    PathState,
    Ranking,
    RankingAudit,
    RankingTask,
    Trial,
    Usage,
)
"""The only classes that a checkpoint of the graphs may bring back to life."""

FORMAT = 2
"""Of the classes in checkpoints, their names and fields; 0 where none was noted."""


def thread_of(user_id: str) -> RunnableConfig:
    """The thread on which a run optimises a user."""
    return thread_config(user_id)


def session_thread_of(dataset: str, user_id: str, turns: int = 0) -> str:
    """Name of the thread of a user's debugging session.

    Args:
        turns: turns of a run that the session begins with. A run that went on since is begun with
            anew.
    """
    return f"debug{turns or ''}-{dataset}-{user_id}"


def thread_config(name: str) -> RunnableConfig:
    """A thread's name as LangGraph takes it."""
    return {"configurable": {"thread_id": name}}


class Checkpoints(AsyncSqliteSaver):
    """SQLite checkpoints in which a task is done or not, never half done.

    Of a task that was cancelled between its node and the route behind it, LangGraph (1.2) hands
    over the node's writes beside the error. Kept, they make the task look done to a resumed run,
    which then never takes the route: a path is lost.
    """

    async def aput_writes(
        self,
        config: RunnableConfig,
        writes: Sequence[tuple[str, Any]],
        task_id: str,
        task_path: str = "",
    ) -> None:
        failed = [write for write in writes if write[0] == ERROR]
        await super().aput_writes(config, failed or writes, task_id, task_path)


@asynccontextmanager
async def open_checkpoints(
    path: Path, values: Sequence[type] = ()
) -> AsyncIterator[AsyncSqliteSaver]:
    """A checkpointer over the SQLite file at `path`, made if it is not there.

    Args:
        values: classes that it may bring back to life beside the graphs' own.

    Raises:
        InputError: checkpoints of an earlier version, which named the classes otherwise.
        MachineError: the file cannot be opened, or is no database.

    Example:
        >>> import asyncio, lrgd
        >>> from pathlib import Path
        >>> async def threads():
        ...     async with lrgd.open_checkpoints(Path("checkpoints.sqlite")) as checkpointer:
        ...         return [c async for c in checkpointer.alist(None)]  # build_graph takes it
        >>> asyncio.run(threads())
        []
    """
    allowed = [(value.__module__, value.__name__) for value in (*VALUES, *values)]
    serde = JsonPlusSerializer(allowed_msgpack_modules=allowed)
    async with AsyncExitStack() as stack:
        with machine_errors(path):
            connection = await stack.enter_async_context(aiosqlite.connect(path))
            await _check_format(connection, path)
            # In a write-ahead log a commit survives the end of the process without being synced;
            # the end of the machine may cost the last ones, and leaves a whole file.
            await connection.execute("PRAGMA synchronous=NORMAL")
        saver = Checkpoints(connection, serde=serde)
        try:
            yield saver
        finally:
            # A path that was cancelled may have a write under way: closed before its commit,
            # it would leave the file locked for as long as this process lives.
            async with saver.lock:
                await connection.close()


async def _check_format(connection: aiosqlite.Connection, path: Path) -> None:
    async with connection.execute(
        "SELECT user_version, (SELECT count(*) FROM sqlite_master) FROM pragma_user_version"
    ) as rows:
        [(version, tables)] = await rows.fetchall()
    if tables and version != FORMAT:
        raise InputError(
            f"{path} is of another version of lrgd: users that are done need it no more; delete "
            "it, and those under way begin anew"
        )
    await connection.execute(f"PRAGMA user_version={FORMAT}")
