"""SQLite checkpoints that know the project's own values."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import aiosqlite
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver

from lrgd.agents.endpoint.client import Usage
from lrgd.agents.generator import Draft
from lrgd.agents.guard import Judgement
from lrgd.agents.values import Item, Ranking, RankingAudit, RankingTask
from lrgd.core.errors import InputError
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

FORMAT = 1
"""Of the classes' names in checkpoints; 0 where none was noted."""


@asynccontextmanager
async def open_checkpoints(
    path: Path, values: Sequence[type] = ()
) -> AsyncIterator[AsyncSqliteSaver]:
    """A checkpointer over the SQLite file at `path`, made if it is not there.

    Args:
        values: classes that it may bring back to life beside the graphs' own.

    Raises:
        InputError: checkpoints of an earlier version, which named the classes otherwise.
    """
    allowed = [(value.__module__, value.__name__) for value in (*VALUES, *values)]
    serde = JsonPlusSerializer(allowed_msgpack_modules=allowed)
    async with aiosqlite.connect(path) as connection:
        await _check_format(connection, path)
        # In a write-ahead log a commit survives the end of the process without being synced; the
        # end of the machine may cost the last ones, and leaves a whole file.
        await connection.execute("PRAGMA synchronous=NORMAL")
        saver = AsyncSqliteSaver(connection, serde=serde)
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
    ) as found:
        [(version, tables)] = await found.fetchall()
    if tables and version != FORMAT:
        raise InputError(
            f"{path} is of another version of lrgd: users that are done need it no more; delete "
            "it, and those under way begin anew"
        )
    await connection.execute(f"PRAGMA user_version={FORMAT}")
