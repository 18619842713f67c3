"""Both of a user's tasks in one session: the test task is looked at, and never enters the loop."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from lrgd.core.errors import InputError
from lrgd.debug import dispatch
from lrgd.debug.regression import case_of
from lrgd.debug.state import CHECKPOINTED
from lrgd.graphs import open_checkpoints
from tests.lrgd.debug.session_desk import HIT, MISS, TEST, WORSE, Room


@pytest.fixture
async def room(tmp_path: Path) -> AsyncIterator[Room]:
    async with open_checkpoints(tmp_path / "checkpoints.sqlite", CHECKPOINTED) as checkpointer:
        yield Room(tmp_path, checkpointer, [MISS, "likes games", WORSE, HIT])


async def test_every_view_says_which_task_it_is_about(room: Room) -> None:
    session = await room.session()
    assert (await session.case()).split == "validation"
    first = await session.write(HIT)
    changed = await dispatch(session, "/task test")
    assert (changed.before, changed.before.split) == (first.after, "validation")
    assert (changed.after.text, changed.after.split) == (HIT, "test")
    assert changed.moves == ()  # other candidates
    case = await session.case()
    assert case.split == "test"
    assert case.candidates == TEST.candidates
    assert [p.title for p in case.places] == [p.title for p in changed.places]
    written = await session.write("a blue yo-yo")
    assert (written.after.split, written.after.rank) == ("test", 3)
    assert (await session.reveal()).item == TEST.target
    why = await session.why("red drum")
    assert (why.split, why.item.rank) == ("test", 3)
    assert (await dispatch(session, "/prompt")).split == "test"
    assert "chess set" in (await dispatch(session, "/prompt")).messages[0][1]
    assert (await dispatch(session, "/prompt generator")).split == "validation"
    case_file = case_of(await session.state())
    assert (case_file.split, case_file.task) == ("test", TEST)


async def test_what_a_gap_is_made_of_adds_up(room: Room) -> None:
    session = await room.session()
    await session.write(HIT)
    view = await session.why("blue")
    carried = sum(p.shift for p in view.parts if p.kind != "sentence")
    assert view.gap is not None
    assert view.left is not None
    assert view.gap == pytest.approx(carried + view.left)


async def test_the_loop_stands_still_while_the_test_task_is_looked_at(room: Room) -> None:
    session = await room.session()
    await session.advance("round")
    await dispatch(session, "/task test")
    for line in ("/step", "/round", "/run", "/perturb from 0"):
        with pytest.raises(InputError, match="/task validation goes back"):
            await dispatch(session, line)
    await session.write(WORSE)
    with pytest.raises(InputError, match="ranked on the validation task"):
        await session.keep()
    await dispatch(session, "/task validation")
    assert (await session.case()).split == "validation"


async def test_a_run_with_looks_at_the_test_task_ends_as_one_without(
    room: Room, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("without")
    async with open_checkpoints(folder / "checkpoints.sqlite", CHECKPOINTED) as checkpointer:
        without = Room(folder, checkpointer, list(room.chat.replies))
        plain = await without.session()
        await plain.advance("run")
        wanted = await plain.state()
    session = await room.session()
    for _ in range(2):
        await session.advance("round")
        for line in ("/task test", "/reveal", "a red drum", "/task validation"):
            await dispatch(session, line)
    await session.advance("run")
    state = await session.state()
    for key in ("paths", "judgements", "chosen", "remembered"):
        assert state[key] == wanted[key]  # type: ignore[literal-required]
    assert room.chat.asked == without.chat.asked
    assert not any(item.title in text for item in TEST.candidates for text in room.chat.asked)


async def test_a_session_of_an_earlier_version_says_that_it_has_no_test_task(room: Room) -> None:
    session = await room.session()
    state = await session.state()
    del state["test"]
    from lrgd.debug.settings import task_shown

    with pytest.raises(InputError, match="without its test task"):
        task_shown("test").applied_to(state)
