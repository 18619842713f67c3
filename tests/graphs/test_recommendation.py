from dataclasses import replace

from lrgd.graphs import build_recommendation_graph
from lrgd.memory import Demonstration, DemonstrationMemory
from tests.scripted import WordRanker, task

OWN = Demonstration("u1", "wants something blue", path=0, round=1, ranks=(3,), chosen=True)


async def recommend(memory: DemonstrationMemory):  # type: ignore[no-untyped-def]
    graph = build_recommendation_graph(ranker=WordRanker(), memory=memory)
    return await graph.ainvoke({"task": task()})


async def test_a_users_best_demonstration_is_recalled_and_ranked_with(
    memory: DemonstrationMemory,
) -> None:
    await memory.remember(replace(OWN, text="old lamp", round=2, ranks=(1,), chosen=False))
    await memory.remember(OWN)
    state = await recommend(memory)
    assert (state["source"], state["demonstrations"]) == ("own", [OWN])
    assert state["ranking"].order[0] == "c1"
    assert state["usage"].calls == 1


async def test_a_new_user_borrows_from_the_most_similar_users(memory: DemonstrationMemory) -> None:
    for n, text in enumerate(["a wooden puzzle kite", "green train", "paper boats"]):
        await memory.remember(replace(OWN, user_id=f"other{n}", text=text))
    state = await recommend(memory)
    assert state["source"] == "similar users"
    assert [d.text for d in state["demonstrations"]] == ["a wooden puzzle kite", "paper boats"]


async def test_without_any_memory_it_ranks_without_a_demonstration(
    memory: DemonstrationMemory,
) -> None:
    state = await recommend(memory)
    assert (state["source"], state["demonstrations"]) == ("none", [])
    assert state["ranking"].order == ("c0", "c1", "c2", "c3")


async def test_the_target_may_be_unknown(memory: DemonstrationMemory) -> None:
    graph = build_recommendation_graph(ranker=WordRanker(), memory=memory)
    state = await graph.ainvoke({"task": replace(task(), target_id=None)})
    assert len(state["ranking"].order) == 4
