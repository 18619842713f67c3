"""A debugging session without a face, over a scripted model: what each command does."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from lrgd.agents.evaluator import effect
from lrgd.core.errors import EndpointUnavailable, InputError
from lrgd.debug import ModelText, NodeDone, NodeStarted, dispatch
from lrgd.debug.settings import (
    candidate_orders,
    prompt_order,
    ranking_mode,
    regularisation,
)
from lrgd.debug.state import CHECKPOINTED
from lrgd.debug.views import StepsView
from lrgd.graphs import LoopSettings, build_graph, open_checkpoints
from lrgd.memory import Demonstration, DemonstrationMemory
from tests.lrgd.debug.session_desk import HIT, MISS, WORSE, Room
from tests.scripted import ScriptedChat, WordRanker, task


@pytest.fixture
async def room(tmp_path: Path) -> AsyncIterator[Room]:
    async with open_checkpoints(tmp_path / "checkpoints.sqlite", CHECKPOINTED) as checkpointer:
        yield Room(tmp_path, checkpointer, [MISS, "likes games", WORSE, HIT])


async def test_a_new_session_shows_the_case_and_hides_the_target(room: Room) -> None:
    session = await room.session()
    case = await session.case()
    assert (case.user_id, case.round, case.next) == ("u1", 0, "begin")
    assert [i.title for i in case.history] == ["wooden puzzle", "paper kite"]
    assert case.target is None
    assert case.in_hand is None


async def test_steps_are_nodes_in_the_order_of_the_paths(room: Room) -> None:
    session = await room.session()
    done = [await session.advance() for _ in range(5)]
    assert [(s.node, s.path) for (s,) in done] == [
        ("begin", None),
        ("generator", 0),
        ("recommender", 0),
        ("evaluator", 0),
        ("generator", 1),
    ]
    assert done[1][0].text == MISS
    assert (done[3][0].score.rank, done[3][0].score.effects) == (2, (effect(2),))
    assert (await session.case()).next == "recommender of path 1"


async def test_a_run_ends_as_the_optimisation_graph_does(
    room: Room, tmp_path_factory: pytest.TempPathFactory
) -> None:
    memory = DemonstrationMemory.at(tmp_path_factory.mktemp("other"), room.memory.embed)
    settings = LoopSettings(paths=2, rounds=2, dataset="toys")
    whole = await build_graph(
        model=ScriptedChat(replies=[MISS, "likes games", WORSE, HIT]),
        ranker=WordRanker(),
        memory=memory,
        settings=settings,
    ).ainvoke({"task": task()}, {"max_concurrency": 1})
    session = await room.session()
    steps = await session.advance("run")
    state = await session.state()
    assert steps[-1].node == "choose"
    assert steps[-1].stopped_by == whole["stopped_by"] == "rounds"
    for key in ("paths", "judgements", "chosen", "round"):
        assert state[key] == whole[key]  # type: ignore[literal-required]
    assert (await session.case()).next == ""
    with pytest.raises(InputError, match="at its end"):
        await session.advance()


async def test_stepping_leaves_memory_alone(room: Room) -> None:
    session = await room.session()
    await session.advance("run")
    assert await room.memory.recall("u1", dataset="toys") == []


async def test_a_round_ends_with_the_guard_and_its_numbers(room: Room) -> None:
    session = await room.session()
    steps = await session.advance("round")
    assert [s.node for s in steps].count("generator") == 2
    assert [j.path for j in steps[-1].guard.judgements] == [0, 1]
    (await session.advance("round"))
    last = (await session.history.entries())[-1].view
    assert last.guard.judgements[0].similarity == pytest.approx(0.0, abs=0.1)
    assert last.guard.threshold == 0.85
    paths = (await session.case()).paths
    assert [p.similarities for p in paths] == list(last.guard.similarities)
    assert [len(p.effects) for p in paths] == [2, 2]


async def test_the_diff_is_to_the_paths_last_demonstration(room: Room) -> None:
    session = await room.session()
    await session.advance("round")
    (step,) = await session.advance()
    assert step.text == WORSE
    assert [(c.kind, c.text) for c in step.writing.changes] == [("removed", MISS), ("added", WORSE)]


async def test_events_come_as_nodes_start_write_and_end(room: Room) -> None:
    session = await room.session()
    await session.advance()
    events = [event async for event in session.stream("step")]
    assert events[0] == NodeStarted("generator", 0)
    assert events[1] == ModelText("generator", 0, MISS)
    assert isinstance(events[2], NodeDone)


async def test_what_memory_recalls_is_shown_and_told_to_the_generator(room: Room) -> None:
    known = Demonstration("u1", "once wanted blue things", 0, 1, ranks=(1,), dataset="toys")
    await room.memory.remember(known)
    session = await room.session()
    (begun,) = await session.advance()
    (written,) = await session.advance()
    assert begun.recalled == written.recalled == (known.text,)
    assert known.text in room.chat.asked[0]


async def test_a_written_text_is_ranked_beside_what_is_in_hand(room: Room) -> None:
    session = await room.session()
    first = await session.write(WORSE)
    assert (first.before.author, first.before.text, first.before.rank) == ("nobody", "", 2)
    assert (first.after.rank, first.after.effect) == (4, effect(4))
    second = await session.write(HIT)
    assert second.before == first.after
    assert second.after.rank == 1
    assert {(m.item_id, m.before, m.after) for m in second.moves} >= {("c1", 4, 1)}
    assert not any(m.is_target for m in second.moves)


async def test_what_is_kept_is_marked_as_written_by_a_person(room: Room) -> None:
    session = await room.session()
    with pytest.raises(InputError, match="nothing to keep"):
        await session.keep()
    await session.write(HIT)
    kept = await session.keep()
    (remembered,) = await room.memory.recall("u1", dataset="toys")
    assert (remembered.text, remembered.model, remembered.effect) == (HIT, "person", 1.0)
    assert remembered.id == kept.id
    await session.advance()
    (written,) = await session.advance()
    assert written.recalled == (HIT,)


async def test_what_names_the_true_next_item_is_ranked_and_not_kept(room: Room) -> None:
    session = await room.session()
    found = await session.write("buys the Blue Boat")
    assert found.after.verdict == "names_target"
    with pytest.raises(InputError, match="names the true next item"):
        await session.keep()


async def test_reveal_shows_the_item_its_rank_and_marks_it_from_then_on(room: Room) -> None:
    session = await room.session()
    await session.write(WORSE)
    revealed = await session.reveal()
    assert (revealed.item.title, revealed.rank) == ("blue boat", 4)
    case = await session.case()
    assert case.target == revealed.item
    assert [p.item_id for p in case.places if p.is_target] == ["c1"]


async def test_a_perturbation_injects_another_paths_text_and_leaves_the_path(room: Room) -> None:
    session = await room.session()
    with pytest.raises(InputError, match="nothing yet"):
        await session.perturb(1)
    await session.advance("round")
    paths = (await session.state())["paths"]
    found = await session.perturb(0)
    assert found.change == "path 1 perturbed from path 0"
    assert f"another point of view: {MISS}" in room.chat.asked[-1]
    assert (found.after.text, found.after.author) == (WORSE, "perturbation")
    assert (await session.state())["paths"] == paths
    with pytest.raises(InputError, match="cannot perturb itself"):
        await session.perturb(1, 1)
    with pytest.raises(InputError, match="no path 7: this session has 0 to 1"):
        await session.perturb(7)


async def test_settings_change_one_thing_and_stay(room: Room) -> None:
    session = await room.session()
    await session.write(MISS)
    asked = room.ranker.asked
    await session.change(prompt_order("demonstration-first"))
    assert asked[-1].startswith("Note on the shopper")
    found = await session.change(regularisation("Be brief."))
    assert "Be brief." in asked[-1]
    assert asked[-1].startswith("Note on the shopper")
    assert found.before.text == found.after.text == MISS
    before = len(asked)
    await session.change(candidate_orders(3))
    assert len(asked) == before + 3
    await session.change(candidate_orders(1))
    assert len(asked) == before + 4
    await session.change(ranking_mode("listwise"))
    assert dict((await session.case()).settings)["mode"] == "listwise"
    await session.advance()
    await session.advance()
    assert "Be brief." in room.chat.asked[0]
    with pytest.raises(InputError, match="prompt_order"):
        await session.change(prompt_order("backwards"))
    with pytest.raises(InputError, match="1 to 64"):
        await session.change(candidate_orders(0))


async def test_why_leaves_out_sentences_and_bought_things(room: Room) -> None:
    session = await room.session()
    await session.write("Wants something blue. Likes puzzles.")
    found = await session.why("blue boat", over="red kite")
    assert (found.item.rank, found.rival.item_id) == (1, "c0")
    shifts = {(p.kind, p.text): (p.rank_without, p.shift) for p in found.parts}
    # "blue" doubles the boat's weight: log 2 goes with its sentence, nothing with the other.
    assert shifts["sentence", "Wants something blue."] == (2, pytest.approx(0.6931, abs=1e-4))
    assert shifts["sentence", "Likes puzzles."] == (1, pytest.approx(0.0))
    assert [p.text for p in found.parts if p.kind == "history"] == ["wooden puzzle", "paper kite"]
    assert "- paper kite" in room.ranker.asked[-2]
    assert "- wooden puzzle" not in room.ranker.asked[-2]


async def test_items_are_found_by_id_title_or_part_of_it(room: Room) -> None:
    session = await room.session()
    await session.write(MISS)
    for name in ("c2", "green train", "GREEN"):
        assert (await session.why(name)).item.item_id == "c2"
    with pytest.raises(InputError, match="2 candidates have 'l'"):
        await session.why("l")
    with pytest.raises(InputError, match="no candidate 'yacht'"):
        await session.why("yacht")


async def test_prompts_are_the_ones_that_were_sent(room: Room) -> None:
    session = await room.session()
    await session.advance("round")
    for path in (0, 1):
        view = await dispatch(session, f"/prompt generator {path}")
        assert view.messages[0][1] == room.chat.asked[path]
        ranked = await dispatch(session, f"/prompt recommender {path}")
        assert ranked.messages[0][1].startswith(room.ranker.asked[path])
    assert view.shared_with == "generator of path 0, round 1"
    assert view.shared == view.total  # nothing told them apart yet
    await session.write(HIT)
    hand = await dispatch(session, "/prompt")
    assert HIT in hand.messages[0][1]
    assert [p.name for p in hand.parts] == [
        "instruction",
        "history",
        "demonstration",
        "question and candidates",
    ]
    assert 0 < hand.shared < hand.total
    assert hand.unit == "characters"


async def test_history_forks_and_compares(room: Room) -> None:
    session = await room.session()
    await session.write(WORSE)
    await session.write(HIT)
    before = (await session.history.view()).checkpoints
    assert [c.did for c in before] == ["begun", WORSE, HIT]
    assert [c.current for c in before] == [False, False, True]
    case = await session.fork(2)
    assert case.in_hand is not None
    assert case.in_hand.text == WORSE
    await session.write(MISS)
    after = (await session.history.view()).checkpoints
    assert [(c.n, c.parent) for c in after] == [(1, None), (2, 1), (3, 2), (4, 2), (5, 4)]
    found = await dispatch(session, "/compare 3 5")
    assert (found.before.text, found.after.text) == (HIT, MISS)
    assert [e.line for e in await session.history.entries()] == ["", WORSE, "/fork 2", MISS]
    with pytest.raises(InputError, match="no checkpoint 9: /history lists 1 to 5"):
        await session.fork(9)
    with pytest.raises(InputError, match="nothing had been ranked at checkpoint 1"):
        await dispatch(session, "/compare 1 2")


async def test_a_fork_runs_on_from_there(room: Room) -> None:
    session = await room.session()
    await session.advance("round")
    await session.fork(2)
    (step,) = await session.advance()
    assert (step.node, step.path, step.text) == ("generator", 0, WORSE)


async def test_an_endpoint_that_goes_in_mid_step_leaves_the_session_standing(room: Room) -> None:
    gone = EndpointUnavailable("no answer from m at nowhere")
    room.chat.replies[:0] = [gone]
    session = await room.session()
    await session.advance()
    with pytest.raises(EndpointUnavailable, match="no answer"):
        await session.advance()
    assert (await session.case()).next == "generator of path 0"
    (step,) = await session.advance()
    assert (step.node, step.text) == ("generator", MISS)


async def test_an_unusable_draft_is_not_ranked(room: Room) -> None:
    room.chat.replies[0] = "wants the Blue Boat"
    session = await room.session()
    steps = await session.advance("round")
    assert [s.node for s in steps[1:3]] == ["generator", "evaluator"]
    assert steps[1].writing.verdict == "names_target"


async def test_dispatch_speaks_the_command_language(room: Room) -> None:
    session = await room.session()
    told: list[object] = []
    steps = await dispatch(session, "/round", told.append)
    assert isinstance(steps, StepsView)
    assert len([e for e in told if isinstance(e, NodeDone)]) == len(steps.steps)
    assert (await dispatch(session, HIT)).after.rank == 1
    assert (await dispatch(session, "/perturb from 0")).after.path == 1
    assert (await dispatch(session, "/prompt generator 1")).path == 1
    assert (await dispatch(session, "/prompt 1")).call == "recommender"
    assert (await dispatch(session, "/why blue over red kite")).rival.title == "red kite"
    assert (await dispatch(session, '/regularise ""')).after.text
    with pytest.raises(InputError, match="for a desk or a face"):
        await dispatch(session, "/users")
