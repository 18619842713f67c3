"""A prompt changed in place and sent again."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from lrgd.core.errors import InputError
from lrgd.debug import Command, dispatch, parse
from lrgd.debug.regression import case_of
from lrgd.debug.state import CHECKPOINTED
from lrgd.graphs import open_checkpoints
from tests.lrgd.debug.session_desk import HIT, MISS, WORSE, Room


@pytest.fixture
async def room(tmp_path: Path) -> AsyncIterator[Room]:
    async with open_checkpoints(tmp_path / "checkpoints.sqlite", CHECKPOINTED) as checkpointer:
        yield Room(tmp_path, checkpointer, [MISS, "likes games", WORSE, HIT])


async def test_the_generator_is_asked_with_the_changed_prompt(room: Room) -> None:
    session = await room.session()
    await session.advance("round")
    before = (await session.state())["paths"]
    view = await dispatch(session, '/edit generator 1 "wooden puzzle" => "blue bicycle"')
    plain, edited = room.chat.asked[1], room.chat.asked[2]
    assert edited == plain.replace("wooden puzzle", "blue bicycle") != plain
    assert (view.after.text, view.after.path) == (WORSE, 1)
    assert view.after.label == 'path 1, asked with "wooden puzzle" => "blue bicycle"'
    assert view.after.edit in view.change
    assert (await session.state())["paths"] == before
    assert [e.line for e in await session.history.entries()][-1] == view.change
    assert "wooden puzzle" in room.ranker.asked[-1], "it is ranked with the plain prompt"


async def test_the_recommender_ranks_the_text_in_hand_with_the_changed_prompt(room: Room) -> None:
    session = await room.session()
    await session.write(MISS)
    view = await dispatch(session, f'/edit "{MISS}" => "{HIT}"')
    assert (view.after.text, view.after.rank) == (MISS, 1)
    assert view.after.label == f'yours, ranked with "{MISS}" => "{HIT}"'
    for line in ("/keep", "/why blue"):
        with pytest.raises(InputError, match="with an edited prompt"):
            await dispatch(session, line)
    with pytest.raises(InputError, match="with an edited prompt"):
        case_of(await session.state())
    again = await dispatch(session, "/order demonstration-first")
    assert (again.after.rank, again.after.edit) == (2, "")


@pytest.mark.parametrize("call", ["", "generator "])
async def test_words_that_are_not_there_are_refused(room: Room, call: str) -> None:
    session = await room.session()
    with pytest.raises(InputError, match="'no such words'"):
        await dispatch(session, f'/edit {call}"no such words" => "others"')
    assert room.chat.asked == []


@pytest.mark.parametrize(
    ("line", "arguments"),
    [
        ('/edit "a" => "b"', ("", "", "a", "b")),
        ('/edit generator "a" => ""', ("generator", "", "a", "")),
        ('/edit Generator path 2 "a "b"" => "c => d"', ("generator", "2", 'a "b"', "c => d")),
        ('/edit recommender "a"=>"b"', ("recommender", "", "a", "b")),
    ],
)
def test_the_line_is_read(line: str, arguments: tuple[str, ...]) -> None:
    assert parse(line) == Command("edit", arguments)


@pytest.mark.parametrize("line", ["/edit", '/edit "a"', '/edit recommender 1 "a" => "b"'])
def test_a_line_that_is_none_is_refused(line: str) -> None:
    with pytest.raises(InputError, match="wanted /edit"):
        parse(line)
