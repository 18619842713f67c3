"""The session's graph: the actors of the optimisation graph, one node at a time.

    begin -> (generator -> recommender -> evaluator) of each path -> collapse_guard -> ... -> choose

Paths take their turns one after the other, so that each step has one answer. Within a round they
know nothing of each other, so a run ends where the optimisation graph ends. Memory is read, not
written: a person decides what goes there.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, get_args

from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.graph import END, START, StateGraph

from lrgd.debug.equipment import EquipmentSource, ranked_turn
from lrgd.debug.state import SessionState, Turn, next_node, turn_of, turn_state, under_way
from lrgd.debug.steps import Update, begun, chose, evaluated, guarded, ranked_with, wrote
from lrgd.graphs.routing import Node

PERSON = "person"
"""The node in whose name a person's commands are written."""


def build_session_graph(source: EquipmentSource, checkpointer: BaseCheckpointSaver[Any]) -> Any:
    """The compiled graph over `SessionState`; one `astream(None, ...)` runs one node."""
    actors, graph = Actors(source), StateGraph(SessionState)
    names = get_args(Node)
    ends = {**{name: name for name in names}, END: END}
    for name in (*names, PERSON):
        action: Callable[..., Any] = getattr(actors, name)
        graph.add_node(name, action)
        graph.add_conditional_edges(name, _route, ends)
    graph.add_conditional_edges(START, _route, ends)
    return graph.compile(checkpointer=checkpointer, interrupt_after=list(names), name="session")


@dataclass(frozen=True)
class Actors:
    """The nodes: each does what the optimisation graph's node does, and notes what to show."""

    source: EquipmentSource

    async def begin(self, state: SessionState) -> Update:
        equipment = await self.source.open()
        update = await equipment.loop_nodes(state).begin(state)
        return {**update, **begun(update["remembered"])}

    async def generator(self, state: SessionState) -> Update:
        coming = next_node(state)
        assert coming is not None
        assert coming.path is not None
        turn = turn_of(state, coming.path)
        equipment = await self.source.open()
        update = await equipment.path_nodes(state).generate(turn_state(state, turn))
        written = update["turn"]
        turn = replace(turn, recalled=written["recalled"], draft=written["draft"])
        return {"usage": update["usage"], **wrote(turn)}

    async def recommender(self, state: SessionState) -> Update:
        turn = _turn(state)
        equipment = await self.source.open()
        update = await equipment.path_nodes(state).ranked(turn_state(state, turn))
        turn = replace(turn, rankings=tuple(update["turn"]["rankings"]))
        return {"usage": update["usage"], **ranked_with(state, turn, ranked_turn(state, turn))}

    async def evaluator(self, state: SessionState) -> Update:
        turn = _turn(state)
        equipment = await self.source.open()
        update = await equipment.path_nodes(state).evaluate(turn_state(state, turn))
        return evaluated(state, turn, update["paths"][turn.path.index])

    async def collapse_guard(self, state: SessionState) -> Update:
        equipment = await self.source.open()
        update = equipment.loop_nodes(state).guard(state)
        return guarded(state, update["round"], update["judgements"], update["paths"])

    async def choose(self, state: SessionState) -> Update:
        equipment = await self.source.open()
        update, _ = await equipment.loop_nodes(state).choice(state)
        chosen, usage, hand = update["chosen"], update["usage"], None
        if chosen is not None:
            hand, used = await equipment.rank(state, chosen.text, "path", chosen.path)
            usage += used
        return {"usage": usage, **chose(state, chosen, update["stopped_by"], hand)}

    async def person(self, state: SessionState) -> Update:
        """Never run: a person's updates are written in its name."""
        return {}


def _route(state: SessionState) -> str:
    coming = next_node(state)
    return coming.node if coming else END


def _turn(state: SessionState) -> Turn:
    turn = under_way(state)
    assert turn is not None
    return turn
