"""A session over scripted objects, and what the tests of sessions share."""

from pathlib import Path
from typing import Any

from lrgd.debug import Equipment, Session, open_session
from lrgd.debug.past import Past
from lrgd.graphs import LoopSettings
from lrgd.memory import DemonstrationMemory
from tests.scripted import ScriptedChat, WordRanker, hashed_words, task

MISS, HIT, WORSE = "likes puzzles", "wants something blue", "old green lamps and a train"
"""With WordRanker: rank 2, rank 1, and the last rank."""
TEST = task(["tin robot", "blue yo-yo", "red drum", "chess set"], target=2)
"""The user's test task; it has other candidates."""


class Room:
    """A folder with checkpoints and memory, in which sessions are opened."""

    def __init__(self, folder: Path, checkpointer: Any, replies: list[Any]) -> None:
        self.folder = folder
        self.checkpointer = checkpointer
        self.chat = ScriptedChat(replies=list(replies))
        self.ranker = WordRanker()
        self.task = task()
        self.memory = DemonstrationMemory.at(folder / "memory", hashed_words)

    async def session(self, past: Past | None = None, **settings: Any) -> Session:
        loop = LoopSettings(**{"paths": 2, "rounds": 2, "dataset": "toys", **settings})
        source = Equipment(self.chat, self.ranker, self.memory, rankers=lambda mode: self.ranker)
        return await open_session(
            task=self.task,
            checkpointer=self.checkpointer,
            lock=self.folder / "turn.lock",
            source=source,
            settings=loop,
            test=TEST,
            past=past,
        )
