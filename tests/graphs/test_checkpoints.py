"""A run that was cancelled at any point goes on as if it had not been."""

import asyncio
import hashlib
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from langgraph.checkpoint.base import empty_checkpoint
from pydantic import PrivateAttr

from lrgd.core.errors import MachineError
from lrgd.graphs import LoopSettings, build_graph, open_checkpoints
from lrgd.graphs.checkpoints import thread_config
from lrgd.memory import DemonstrationMemory
from tests.scripted import WordRanker, hashed_words, task

SETTINGS = LoopSettings(paths=3, rounds=2)
THREAD = thread_config("u1")


class Hashed(BaseChatModel):
    """Answers with words that depend on the request alone, after a turn of the event loop."""

    remaining: int = 0
    """Answers until `enough`."""
    _enough: asyncio.Event = PrivateAttr(default_factory=asyncio.Event)

    @property
    def enough(self) -> asyncio.Event:
        return self._enough

    @property
    def _llm_type(self) -> str:
        return "hashed"

    def _generate(self, *args: Any, **options: Any) -> ChatResult:
        raise NotImplementedError

    async def _agenerate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: Any = None,
        **options: Any,
    ) -> ChatResult:
        await asyncio.sleep(0)
        digest = hashlib.sha256(f"{messages[-1].text}{options.get('seed')}".encode()).digest()
        words = ["kite", "boat", "train", "lamp", "red", "green"]
        said = "likes " + " ".join(words[byte % 6] for byte in digest[:4])
        self.remaining -= 1
        if self.remaining == 0:
            self._enough.set()
        return ChatResult(generations=[ChatGeneration(message=AIMessage(content=said))])


async def run(folder: Path, *, answers: int = 0, turns: int = 0) -> Any:
    """The state at the end; None where it was cancelled.

    Args:
        answers: it is cancelled after so many; 0 for never.
        turns: of the event loop that it has after the last of them.
    """
    model, memory = (
        Hashed(remaining=answers),
        DemonstrationMemory.at(folder / "memory", hashed_words),
    )
    async with open_checkpoints(folder / "checkpoints.sqlite") as checkpointer:
        graph = build_graph(
            model=model,
            ranker=WordRanker(),
            memory=memory,
            settings=SETTINGS,
            checkpointer=checkpointer,
        )
        begun = (await graph.aget_state(THREAD)).values
        start = None if begun else {"task": task()}
        running = asyncio.create_task(graph.ainvoke(start, THREAD, durability="async"))
        if answers:
            await model.enough.wait()
            for _ in range(turns):
                await asyncio.sleep(0)
            running.cancel()
        try:
            return await running
        except asyncio.CancelledError:
            return None


async def test_cancelled_at_any_point_it_ends_as_it_would_have(tmp_path: Path) -> None:
    (tmp_path / "whole").mkdir()
    whole = await run(tmp_path / "whole")
    for answers, turns in product((1, 3, 5), range(9)):
        folder = tmp_path / f"{answers}-{turns}"
        folder.mkdir()
        assert await run(folder, answers=answers, turns=turns) is None
        resumed = await run(folder)
        for value in ("paths", "chosen", "usage", "judgements"):
            assert resumed[value] == whole[value], (answers, turns, value)


async def test_of_a_cancelled_task_only_the_error_is_kept(tmp_path: Path) -> None:
    async with open_checkpoints(tmp_path / "checkpoints.sqlite") as saver:
        config = {"configurable": {"thread_id": "u1", "checkpoint_ns": ""}}
        at = await saver.aput(config, empty_checkpoint(), {}, {})  # type: ignore[arg-type]
        await saver.aput_writes(at, [("usage", 1), ("__error__", "cancelled")], "cut")
        await saver.aput_writes(at, [("usage", 2), ("route", "next")], "done")
        saved = await saver.aget_tuple(at)
    assert saved is not None
    assert sorted(saved.pending_writes or []) == [
        ("cut", "__error__", "cancelled"),
        ("done", "route", "next"),
        ("done", "usage", 2),
    ]


async def test_a_file_that_is_no_database_is_named(tmp_path: Path) -> None:
    file = tmp_path / "checkpoints.sqlite"
    file.write_text("not of SQLite " * 100)
    with pytest.raises(MachineError, match=rf"^{file}: file is not a database: restore it"):
        async with open_checkpoints(file):
            pytest.fail("opened")
