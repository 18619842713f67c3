"""A session that begins with what a run did: the same checkpoints as stepping through it."""

from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from lrgd.core.errors import InputError
from lrgd.debug import Session, dispatch
from lrgd.debug.past import Past, journal_past, thread_past
from lrgd.debug.state import CHECKPOINTED
from lrgd.evals.runs.optimize import record_of
from lrgd.graphs import LoopSettings, build_graph, open_checkpoints
from lrgd.graphs.checkpoints import thread_of
from lrgd.memory import Demonstration
from tests.lrgd.debug.session_desk import HIT, MISS, WORSE, Room
from tests.scripted import ScriptedChat, task

NOTES = [MISS, WORSE, MISS, WORSE, "the Blue Boat", WORSE, MISS, "wants old things"]
"""Two paths, four rounds: both collapse, one note names the target."""
SETTINGS: dict[str, Any] = {"paths": 2, "rounds": 4, "patience": 1, "tie_shuffles": 0}
KNOWN = Demonstration("u1", "once wanted blue things", 0, 1, ranks=(1,), dataset="toys")
KEPT = ("paths", "judgements", "chosen", "round", "remembered", "stopped_by")


@dataclass
class Ran:
    """A run of one user, in a folder with its checkpoints."""

    room: Room
    end: dict[str, Any]
    """State in which it ended, or was stopped."""

    async def session(self, past: Past, *notes: str, **settings: Any) -> Session:
        self.room.chat.replies[:] = notes
        return await self.room.session(past=past, **{**SETTINGS, **settings})

    async def past(self) -> Past:
        found = await thread_past(self.room.checkpointer, "u1")
        assert found is not None
        return found


async def run(room: Room, notes: list[str], nodes: int = 1000, **settings: Any) -> Ran:
    """The optimisation graph, killed after so many nodes."""
    graph = build_graph(
        model=ScriptedChat(replies=list(notes)),
        ranker=room.ranker,
        memory=room.memory,
        settings=LoopSettings(**{"dataset": "toys", **SETTINGS, **settings}),
        checkpointer=room.checkpointer,
    )
    config: Any = {**thread_of("u1"), "max_concurrency": 1}
    stream = graph.astream({"task": task()}, config, stream_mode="updates", durability="sync")
    async with aclosing(stream) as updates:
        async for _ in updates:
            if (nodes := nodes - 1) == 0:
                break
    return Ran(room, (await graph.aget_state(config)).values)


@asynccontextmanager
async def room_in(folder: Path) -> AsyncIterator[Room]:
    async with open_checkpoints(folder / "checkpoints.sqlite", CHECKPOINTED) as checkpointer:
        room = Room(folder, checkpointer, [])
        await room.memory.remember(KNOWN)
        yield room


@pytest.fixture
async def room(tmp_path: Path) -> AsyncIterator[Room]:
    async with room_in(tmp_path) as found:
        yield found


@pytest.fixture
async def other(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Room]:
    """The same in a folder of its own: a run that ends leaves its notes in memory."""
    async with room_in(tmp_path_factory.mktemp("other")) as found:
        yield found


async def checkpoints(session: Session) -> list[dict[str, Any]]:
    """What each keeps, the run's mark left out."""
    found = [dict(s.values) for s in await session.history.checkpoints()]
    return [{k: v for k, v in c.items() if k not in ("origin", "run_steps")} for c in found]


async def test_the_thread_is_the_one_that_stepping_would_have_left(room: Room, other: Room) -> None:
    other.chat.replies[:] = NOTES
    stepped = await other.session(**SETTINGS)
    await stepped.advance("run")
    wanted = await checkpoints(stepped)
    ran = await run(room, NOTES)
    session = await ran.session(await ran.past())
    found = await checkpoints(session)
    wanted[-1]["usage"] = found[-1]["usage"]  # stepping ranks the chosen one again
    assert found == wanted
    assert any(j.source is not None for j in ran.end["judgements"])  # or it would show nothing
    case = await session.case()
    assert "rounds: 4; ended: rounds" in case.origin
    marks = (await session.history.view()).checkpoints
    assert [c.of_run for c in marks] == [False] + [True] * (len(marks) - 1)


@pytest.mark.parametrize(("round_", "path"), [(1, 0), (1, 1), (2, None), (3, 0), (4, 0)])
async def test_a_fork_goes_on_as_the_run_did(room: Room, round_: int, path: int | None) -> None:
    ran = await run(room, NOTES)
    past = await ran.past()
    written = 2 * round_ if path is None else 2 * (round_ - 1) + path + 1
    for kept in (past, journal_past(record_of("u1", ran.end))):
        session = await ran.session(replace(kept, reached={**kept.reached, "remembered": [KNOWN]}))
        line = f"/fork round {round_}" if path is None else f"/fork path {path} round {round_}"
        case = await dispatch(session, line)
        assert sum(len(p.effects) for p in case.paths) == written
        room.chat.replies[:] = NOTES[written:]
        await session.advance("run")
        state = await session.state()
        assert {key: state[key] for key in KEPT} == {key: ran.end[key] for key in KEPT}  # type: ignore[literal-required]


async def test_the_runs_own_records_stay_as_they_are(room: Room) -> None:
    ran = await run(room, NOTES)
    before = [one async for one in room.checkpointer.alist(thread_of("u1"))]
    session = await ran.session(await ran.past(), *NOTES[2:])
    await session.write(HIT)
    await session.fork_after(1)
    await session.advance("run")
    assert [one async for one in room.checkpointer.alist(thread_of("u1"))] == before
    recalled = await room.memory.recall("u1", dataset="toys")
    assert HIT not in {d.text for d in recalled}


@pytest.mark.parametrize("nodes", [8, 10, 13])
async def test_a_killed_run_is_shown_as_far_as_it_came_and_ends_as_it_would_have(
    room: Room, other: Room, nodes: int
) -> None:
    killed = await run(room, NOTES, nodes)
    past = await killed.past()
    session = await killed.session(past, *NOTES[len(past.trials) :])
    assert "not at its end" in (await session.case()).origin
    await session.advance("run")
    state = await session.state()
    whole = await run(other, NOTES)
    assert {key: state[key] for key in KEPT} == {key: whole.end[key] for key in KEPT}  # type: ignore[literal-required]


async def test_more_rounds_go_on_as_a_longer_run(room: Room, other: Room) -> None:
    """The guard of the last round injects nothing; of a longer run it does."""
    short = await run(room, NOTES, rounds=2)
    assert not any(j.source is not None for j in short.end["judgements"])
    session = await short.session(await short.past(), rounds=2)
    with pytest.raises(InputError, match="/more N adds rounds"):
        await session.advance()
    case = await dispatch(session, "/more 2")
    assert (case.round, case.next) == (1, "collapse_guard")
    room.chat.replies[:] = NOTES[4:]
    await session.advance("run")
    state = await session.state()
    long = await run(other, NOTES, rounds=4)
    assert state["paths"] == long.end["paths"]
    assert state["judgements"] == long.end["judgements"]


async def test_of_a_journal_ranks_are_shown_and_the_ranking_is_made_when_it_is_asked_for(
    room: Room,
) -> None:
    ran = await run(room, NOTES)
    session = await ran.session(journal_past(record_of("u1", ran.end)))
    case = await session.case()
    assert "only the ranks are kept" in case.origin
    assert case.in_hand is None
    rows = (await session.paths()).rows
    assert [(r.text, r.verdict) for r in rows[4:6]] == [
        ("the Blue Boat", "names_target"),
        (WORSE, "usable"),
    ]
    assert [r.chosen for r in rows].count(True) == 1
    assert any(r.perturbed_by is not None for r in rows)
    compared = await session.write(HIT)
    assert compared.before.text == ran.end["chosen"].text
    assert compared.before.ranks == ran.end["chosen"].ranks


async def test_a_user_that_the_run_has_not_judged_has_no_past(room: Room) -> None:
    assert await thread_past(room.checkpointer, "u1") is None
    await run(room, NOTES, nodes=1)
    assert await thread_past(room.checkpointer, "u1") is None


async def test_a_session_that_was_killed_while_it_began_begins_anew(room: Room) -> None:
    ran = await run(room, NOTES)
    past = await ran.past()
    session = await ran.session(past)
    every = await session.history.checkpoints()
    assert len(every) == 1 + len(past.steps)
    first = every[7].config["configurable"]
    where = (first["thread_id"], first["checkpoint_id"])
    for table in ("checkpoints", "writes"):
        await room.checkpointer.conn.execute(
            f"DELETE FROM {table} WHERE thread_id = ? AND checkpoint_id >= ?", where
        )
    await room.checkpointer.conn.commit()
    again = await ran.session(past)
    assert len(await again.history.checkpoints()) == len(every)
    assert await again.case() == await session.case()
