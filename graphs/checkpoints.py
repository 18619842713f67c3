"""SQLite checkpoints that know the project's own values."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiosqlite
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver

from agents.endpoint import Usage
from agents.generator import Draft
from agents.guard import Judgement
from agents.values import Item, Ranking, RankingAudit, RankingTask
from graphs.session.state import Turn
from graphs.session.views import Ranked
from graphs.state import PathState, Trial
from memory import Demonstration

VALUES = (
    Demonstration,
    Draft,
    Item,
    Judgement,
    PathState,
    Ranked,
    Ranking,
    RankingAudit,
    RankingTask,
    Trial,
    Turn,
    Usage,
)
"""The only classes that a checkpoint may bring back to life."""


@asynccontextmanager
async def open_checkpoints(path: Path) -> AsyncIterator[AsyncSqliteSaver]:
    """A checkpointer over the SQLite file at `path`, made if it is not there."""
    allowed = [(value.__module__, value.__name__) for value in VALUES]
    serde = JsonPlusSerializer(allowed_msgpack_modules=allowed)
    async with aiosqlite.connect(path) as connection:
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
