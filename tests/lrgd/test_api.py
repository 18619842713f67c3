"""The example of the README: the graphs from Python."""

from pathlib import Path

from lrgd import (
    Item,
    LoopSettings,
    ModelChoice,
    RankingTask,
    build_graph,
    build_recommendation_graph,
    open_workbench,
)
from tests.loopback import LoopbackModel

TASK = RankingTask(
    user_id="ann",
    history=[Item("1", "Mario Kart 8"), Item("2", "Nintendo Switch Pro Controller")],  # type: ignore[arg-type]
    candidates=[Item("3", "Wool Socks"), Item("4", "Super Mario Odyssey")],  # type: ignore[arg-type]
    target_id="4",
)


async def test_from_python_on_any_endpoint(tmp_path: Path) -> None:
    with LoopbackModel() as server:
        choice = ModelChoice(server.url, "m", ranking="decision")
        async with open_workbench(tmp_path, choice) as bench:
            graph = build_graph(
                model=bench.model,
                ranker=bench.ranker,
                memory=bench.memory,
                settings=LoopSettings(rounds=2),
            )
            state = await graph.ainvoke({"task": TASK})
            seen = [set(u) async for u in graph.astream({"task": TASK}, stream_mode="updates")]
            best = await build_recommendation_graph(
                ranker=bench.ranker, memory=bench.memory
            ).ainvoke({"task": TASK})
    assert state["chosen"].user_id == "ann"
    assert seen[0] == {"begin"}
    assert seen[-1] == {"choose"}
    assert best["source"] == "own"
    assert sorted(best["ranking"].order) == ["3", "4"]
    assert all(key == "Bearer none" for _, _, key in server.requests)
