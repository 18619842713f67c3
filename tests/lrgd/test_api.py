"""`lrgd.optimize` and `lrgd.recommend`: one call on values, and the graphs beneath them."""

import ast
import asyncio
import inspect
from pathlib import Path
from typing import Any

import pytest
from langchain_core.language_models import FakeListChatModel

import lrgd
from lrgd.agents.values import RankingTask
from lrgd.core.errors import EndpointError, InputError
from tests.loopback import LoopbackModel
from tests.scripted import ScriptedChat, WordRanker, hashed_words, task

ANN = {
    "user_id": "ann",
    "history": ["Mario Kart 8", "Nintendo Switch Pro Controller"],
    "candidates": ["Wool Socks", "Super Mario Odyssey", "Garden Hose"],
    "target_id": "Super Mario Odyssey",
}
ONE = lrgd.LoopSettings(paths=1, rounds=2)


def own(**changed: Any) -> dict[str, Any]:
    """What makes a call independent of MiniLM and of a server."""
    return {"ranker": WordRanker(), "embed": hashed_words, "settings": ONE, **changed}


async def test_a_chat_model_a_ranker_and_plain_titles_are_enough() -> None:
    model = ScriptedChat(replies=["wool for winter", "something super, by mario"])
    found = await lrgd.optimize([ANN], model=model, **own())
    assert list(found.users) == ["ann"]
    assert found.ranks("ann") == [[2, 1]]
    assert found["ann"].chosen is not None
    assert found["ann"].chosen.text == "something super, by mario"
    assert found.usage.calls == 2 + 2
    assert "Super Mario Odyssey" not in model.asked[0]
    [best] = await lrgd.recommend([ANN], model=model, memory=found, **own())
    assert (best.source, best.items[0].title) == ("own", "Super Mario Odyssey")
    assert best.demonstrations[0].text == found["ann"].chosen.text


async def test_a_server_is_named_by_its_url_or_by_a_choice() -> None:
    with LoopbackModel() as server:
        by_url = await lrgd.optimize([ANN], model=server.url, embed=hashed_words, settings=ONE)
        choice = lrgd.ModelChoice(server.url, "m")
        by_choice = await lrgd.optimize([ANN], model=choice, embed=hashed_words, settings=ONE)
    assert by_url == by_choice


async def test_it_finds_what_the_graph_finds(memory: lrgd.DemonstrationMemory) -> None:
    replies = ["a red lamp", "a blue boat", "a green train", "a kite"]
    settings = lrgd.LoopSettings(paths=2, rounds=2)
    model = ScriptedChat(replies=list(replies))
    found = await lrgd.optimize([task()], model=model, **own(settings=settings))
    graph = lrgd.build_graph(
        model=ScriptedChat(replies=list(replies)),
        ranker=WordRanker(),
        memory=memory,
        settings=settings,
    )
    state = await graph.ainvoke({"task": task()})
    assert found["u1"].chosen == state["chosen"]
    assert found["u1"].paths == tuple(state["paths"].values())


async def test_several_tasks_of_a_user_are_judged_together_and_users_keep_their_order() -> None:
    tasks = [task(user="b"), task(user="a"), task(user="b", target=0)]
    model = FakeListChatModel(responses=["a red boat"])
    told: list[str] = []
    found = await lrgd.optimize(
        tasks, model=model, report=lambda record: told.append(record.user_id), **own()
    )
    assert list(found.users) == ["b", "a"]
    assert sorted(told) == ["a", "b"]
    first = found["b"].paths[0].trials[0].demonstration
    assert len(first.ranks) == 2
    assert found.usage == sum((r.usage for r in found.users.values()), type(found.usage)())


async def test_a_folder_of_memory_is_kept_and_another_user_borrows(tmp_path: Path) -> None:
    model = FakeListChatModel(responses=["something blue"])
    await lrgd.optimize([task(user="a")], model=model, memory=tmp_path, **own())
    mine, other, none = [
        (await lrgd.recommend([task(user=user)], model=model, memory=where, **own()))[0]
        for user, where in (("a", tmp_path), ("b", str(tmp_path)), ("a", None))
    ]
    assert [mine.source, other.source, none.source] == ["own", "similar users", "none"]
    assert none.demonstrations == ()


async def test_what_cannot_be_used_is_said_before_a_model_is_asked() -> None:
    model = ScriptedChat(replies=[])
    wrong = {
        "wanted a field 'history'": {"user_id": "ann", "candidates": ["a", "b"]},
        "unexpected keyword argument 'age'": {**ANN, "age": 7},
        "no candidate": {**ANN, "target_id": "Zelda"},
        "no target_id": {**ANN, "target_id": None},
        "2 or more distinct items": {**ANN, "candidates": ["a", "a"]},
    }
    for words, bad in wrong.items():
        with pytest.raises(InputError, match=words) as found:
            await lrgd.optimize([bad], model=model, **own())
        assert "ann" in str(found.value)
        assert "\n" not in str(found.value)


async def test_an_error_comes_as_itself_not_in_a_group() -> None:
    with LoopbackModel(lambda path, body: (400, {"error": {"message": "no"}}, {})) as server:
        choice = lrgd.ModelChoice(server.url, "m", ranking="listwise")
        with pytest.raises(EndpointError):
            await lrgd.optimize([ANN], model=choice, embed=hashed_words)
    model = ScriptedChat(replies=[EndpointError("out of order")])
    with pytest.raises(EndpointError, match="out of order"):
        await lrgd.optimize([ANN], model=model, **own())


async def test_a_cell_of_a_notebook_runs_as_it_stands() -> None:
    """A loop is running, and `await` stands at the top: what IPython does with a cell."""
    cell = compile(
        "found = await lrgd.optimize([ANN], model=model, **own())",
        "<cell>",
        "exec",
        flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT,
    )
    model = FakeListChatModel(responses=["a super mario"])
    names = {"lrgd": lrgd, "ANN": ANN, "own": own, "model": model}
    running = asyncio.get_running_loop()
    await eval(cell, names)
    assert asyncio.get_running_loop() is running
    assert names["found"].ranks("ann") == [[1]]


async def test_a_task_of_any_of_its_forms_is_the_same() -> None:
    items = [{"id": title, "title": title} for title in ANN["candidates"]]
    bought = tuple(lrgd.Item(title, title) for title in ANN["history"])
    forms = [ANN, {**ANN, "candidates": items, "history": bought}]
    forms.append(RankingTask(**{**forms[1], "candidates": tuple(lrgd.Item(**i) for i in items)}))
    best = await lrgd.recommend(forms, model=ScriptedChat(replies=[]), **own())
    assert best[0].task == best[1].task == best[2].task


def test_what_a_person_composes_takes_few_arguments() -> None:
    for call in (lrgd.optimize, lrgd.recommend, lrgd.build_graph, lrgd.open_workbench):
        assert len(inspect.signature(call).parameters) <= 7


async def test_the_graphs_from_python_on_any_endpoint(tmp_path: Path) -> None:
    with LoopbackModel() as server:
        choice = lrgd.ModelChoice(server.url, "m", ranking="decision")
        async with lrgd.open_workbench(tmp_path, choice, embed=hashed_words) as bench:
            parts = {"ranker": bench.ranker, "memory": bench.memory}
            settings = lrgd.LoopSettings(rounds=2)
            graph = lrgd.build_graph(model=bench.model, settings=settings, **parts)
            state = await graph.ainvoke({"task": task()})
            seen = [set(u) async for u in graph.astream({"task": task()}, stream_mode="updates")]
            best = await lrgd.build_recommendation_graph(**parts).ainvoke({"task": task()})
    assert state["chosen"].user_id == "u1"
    assert seen[0] == {"begin"}
    assert seen[-1] == {"choose"}
    assert best["source"] == "own"
    assert sorted(best["ranking"].order) == ["c0", "c1", "c2", "c3"]
    assert all(key == "Bearer none" for _, _, key in server.requests)
