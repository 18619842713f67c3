"""What comes next, from the state alone; and the edges of the graph that follows it."""

import pytest

from lrgd.graphs import LoopSettings, build_graph
from lrgd.graphs.optimization import turn_on
from lrgd.graphs.routing import Step, next_steps, writing_paths
from lrgd.graphs.state import LoopState, PathState, Trial
from lrgd.memory import Demonstration, DemonstrationMemory
from tests.scripted import ScriptedChat, WordRanker, task

SETTINGS = LoopSettings(paths=3, rounds=2)


def path(index: int, *ranks: int) -> PathState:
    """A path that wrote once a round, with these ranks."""
    written = (Demonstration("u1", f"{n}", index, n, (r,)) for n, r in enumerate(ranks, 1))
    return PathState(index, tuple(Trial(d, "usable") for d in written))


def state(round_: int, *paths: PathState) -> LoopState:
    known = {path.index: path for path in paths}
    return {"task": task(), "remembered": [], "round": round_, "paths": known}


def test_a_run_begins_and_then_every_path_writes() -> None:
    assert next_steps({"task": task()}, SETTINGS) == [Step("begin")]
    begun: LoopState = {"task": task(), "remembered": []}
    assert next_steps(begun, SETTINGS) == [Step("generator", n) for n in range(3)]


def test_a_turn_goes_from_the_generator_over_the_recommender_to_the_evaluator() -> None:
    begun: LoopState = {"task": task(), "remembered": []}
    written = turn_on(begun, 2)
    assert next_steps(begun, SETTINGS, written) == [Step("recommender", 2)]
    assert next_steps(begun, SETTINGS, {**written, "rankings": []}) == [Step("evaluator", 2)]


def test_the_guard_is_due_when_no_path_is_left_to_write() -> None:
    assert next_steps(state(0, path(0, 2), path(1, 3)), SETTINGS) == [Step("generator", 2)]
    assert next_steps(state(0, path(0, 2), path(1, 3), path(2, 9)), SETTINGS) == [
        Step("collapse_guard")
    ]


def test_a_solved_path_rests_and_when_all_do_the_choice_is_due() -> None:
    second = state(1, path(0, 2), path(1, 1), path(2, 9))
    assert next_steps(second, SETTINGS) == [Step("generator", 0), Step("generator", 2)]
    assert next_steps(state(1, *(path(n, 1) for n in range(3))), SETTINGS) == [Step("choose")]


@pytest.mark.parametrize("ranks", [(2, 2), (1,)])
def test_after_the_last_round_nobody_writes(ranks: tuple[int, ...]) -> None:
    over = state(2, *(path(n, *ranks) for n in range(3)))
    assert writing_paths(over, SETTINGS) == []
    assert next_steps(over, SETTINGS) == [Step("choose")]
    assert next_steps({**over, "stopped_by": "rounds"}, SETTINGS) == []


async def test_the_graph_shows_every_edge(memory: DemonstrationMemory) -> None:
    graph = build_graph(model=ScriptedChat(replies=[]), ranker=WordRanker(), memory=memory)
    assert {(edge.source, edge.target) for edge in graph.get_graph().edges} == {
        ("__start__", "begin"),
        ("begin", "generator"),
        ("generator", "recommender"),
        ("recommender", "evaluator"),
        ("evaluator", "collapse_guard"),
        ("collapse_guard", "generator"),
        ("collapse_guard", "choose"),
        ("choose", "__end__"),
    }
