"""What a run remembers is on disk after the steps that led to it, however slow the disk is."""

import asyncio
from pathlib import Path
from typing import Any

import aiosqlite

from lrgd.evals.runs.folder import RunFolder
from lrgd.evals.runs.optimize import optimize_users
from lrgd.graphs import LoopSettings, build_graph
from lrgd.graphs.checkpoints import Checkpoints, thread_of
from lrgd.memory import Demonstration, DemonstrationMemory
from tests.faulty import shop
from tests.scripted import ScriptedChat, WordRanker, hashed_words

USER = "u1"


class SlowCheckpoints(Checkpoints):
    """Each checkpoint takes its time."""

    async def aput(self, *args: Any) -> Any:
        await asyncio.sleep(0.05)
        return await super().aput(*args)


class Watching(DemonstrationMemory):
    """Notes what the checkpoints say is next, whenever something is remembered."""

    graph: Any = None
    then: list[tuple[str, ...]]

    async def remember(self, *demonstrations: Demonstration) -> None:
        self.then.append((await self.graph.aget_state(thread_of(USER))).next)
        await super().remember(*demonstrations)


async def test_a_user_whose_notes_are_remembered_does_not_begin_anew(tmp_path: Path) -> None:
    bundle = shop(tmp_path / "files")
    memory = Watching.at(tmp_path / "memory", hashed_words)
    assert isinstance(memory, Watching)
    memory.then = []
    async with aiosqlite.connect(tmp_path / "checkpoints.sqlite") as connection:
        graph = memory.graph = build_graph(
            model=ScriptedChat(replies=["kites", "boats"]),
            ranker=WordRanker(),
            memory=memory,
            settings=LoopSettings(paths=1, rounds=2),
            checkpointer=SlowCheckpoints(connection),
        )
        await optimize_users(bundle, [USER], graph, RunFolder(tmp_path).records, at_once=1)
    assert memory.then == [("choose",)]
