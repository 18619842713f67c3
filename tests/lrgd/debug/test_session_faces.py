"""Two faces on one thread: the second sees the first one's steps, and nothing is lost."""

import asyncio
from pathlib import Path

import pytest

from lrgd.core.errors import InputError, SessionConflict
from lrgd.debug import Session
from lrgd.debug.settings import prompt_order
from lrgd.debug.state import CHECKPOINTED
from lrgd.graphs import open_checkpoints
from tests.lrgd.debug.session_desk import HIT, MISS, WORSE, Room
from tests.scripted import WordRanker, task


class SlowRanker(WordRanker):
    """Waits for a word before it answers."""

    def __init__(self) -> None:
        super().__init__()
        self.asked_once, self.go = asyncio.Event(), asyncio.Event()

    async def rank(self, context, candidates):  # type: ignore[no-untyped-def]
        self.asked_once.set()
        await self.go.wait()
        return await super().rank(context, candidates)


async def other(room: Room, checkpointer: object) -> Session:
    """The same session in another face, with a model and a connection of its own."""
    return await Room(room.folder, checkpointer, []).session()


async def test_what_is_left_in_one_face_is_taken_up_in_the_other(tmp_path: Path) -> None:
    path = tmp_path / "checkpoints.sqlite"
    async with open_checkpoints(path, CHECKPOINTED) as checkpointer:
        first = await Room(tmp_path, checkpointer, [MISS]).session()
        await first.advance()
        await first.advance()
        await first.write(HIT)
        await first.change(prompt_order("demonstration-first"))
        left = await first.case()
    async with open_checkpoints(path, CHECKPOINTED) as checkpointer:
        # Opened with other settings: the thread keeps its own.
        second = await Room(tmp_path, checkpointer, []).session(paths=3, rounds=9)
        assert await second.case() == left
        assert (await second.advance())[0].text == MISS


async def test_a_step_on_an_outdated_view_is_refused_once_and_nothing_is_lost(
    tmp_path: Path,
) -> None:
    path = tmp_path / "checkpoints.sqlite"
    async with (
        open_checkpoints(path, CHECKPOINTED) as here,
        open_checkpoints(path, CHECKPOINTED) as there,
    ):
        room = Room(tmp_path, here, [MISS])
        first = await room.session()
        second = await other(room, there)
        await first.write(WORSE)
        with pytest.raises(SessionConflict, match=f"went on elsewhere .*{WORSE}"):
            await second.write(HIT)
        assert (await second.case()).in_hand.text == WORSE  # type: ignore[union-attr]
        found = await second.write(HIT)
        assert found.before.text == WORSE
        assert [e.line for e in await first.history.news()] == [HIT]
        assert [e.line for e in await first.history.news()] == []
        assert [e.line for e in await first.history.entries()] == ["", WORSE, HIT]


async def test_while_one_face_works_the_other_is_told_and_may_look(tmp_path: Path) -> None:
    path = tmp_path / "checkpoints.sqlite"
    async with (
        open_checkpoints(path, CHECKPOINTED) as here,
        open_checkpoints(path, CHECKPOINTED) as there,
    ):
        room = Room(tmp_path, here, [])
        room.ranker = SlowRanker()
        first = await room.session()
        second = await other(room, there)
        working = asyncio.create_task(first.write(WORSE))
        await room.ranker.asked_once.wait()
        with pytest.raises(SessionConflict, match="under way"):
            await second.write(HIT)
        assert (await second.case()).in_hand is None
        room.ranker.go.set()
        await working
        assert [e.line for e in await second.history.news()] == [WORSE]
        await second.write(HIT)


async def test_a_face_that_dies_in_mid_step_leaves_the_thread_free(tmp_path: Path) -> None:
    path = tmp_path / "checkpoints.sqlite"
    async with open_checkpoints(path, CHECKPOINTED) as here:
        room = Room(tmp_path, here, [])
        room.ranker = SlowRanker()
        session = await room.session()
        working = asyncio.create_task(session.write(WORSE))
        await room.ranker.asked_once.wait()
        working.cancel()
        with pytest.raises(asyncio.CancelledError):
            await working
        room.ranker.go.set()
        assert (await session.write(HIT)).before.text == ""


async def test_a_thread_of_another_case_is_refused(tmp_path: Path) -> None:
    async with open_checkpoints(tmp_path / "checkpoints.sqlite", CHECKPOINTED) as checkpointer:
        room = Room(tmp_path, checkpointer, [])
        await room.session()
        room.task = task(["red kite", "blue boat"])
        with pytest.raises(InputError, match="of another case"):
            await room.session()
