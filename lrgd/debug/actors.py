"""The session's graph: the actors of the optimisation graph, one node at a time.

    begin -> (generator -> recommender -> evaluator) of each path -> collapse_guard -> ... -> choose

Paths take their turns one after the other, so that each step has one answer. Since paths know
nothing of each other within a round, the outcome is the optimisation graph's. Memory is read, not
written: what goes there a person decides.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, get_args

from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.graph import END, START, StateGraph

from lrgd.agents.endpoint.client import Usage
from lrgd.debug.entries import entry_to_json
from lrgd.debug.ranking import Tools, places_of, ranked
from lrgd.debug.state import (
    Node,
    SessionState,
    Turn,
    next_node,
    next_path,
    settings_of,
    similarities,
    turn_of,
    turn_state,
    under_way,
)
from lrgd.debug.views import StepView
from lrgd.debug.words import difference
from lrgd.graphs.path import RETRY

PERSON = "person"
"""The node in whose name a person's commands are written."""


@dataclass(frozen=True)
class Actors:
    """The nodes, each a thin dress over the optimisation graph's own."""

    tools: Tools

    async def begin(self, state: SessionState) -> dict[str, Any]:
        found = await self.tools.loop_nodes(state).begin(state)
        recalled = tuple(d.text for d in found["remembered"])
        return {**found, **_entry(StepView("begin", None, 1, recalled=recalled))}

    async def generator(self, state: SessionState) -> dict[str, Any]:
        path = next_path(state)
        assert path is not None
        turn = turn_of(state, path)
        found = await self.tools.path_nodes(state).generate(turn_state(state, turn))
        turn = replace(turn, recalled=found["recalled"], draft=found["draft"])
        view = _turn_view(state, "generator", turn, found["usage"])
        return {"turns": {path: turn}, "latest": path, "usage": found["usage"], **_entry(view)}

    async def recommender(self, state: SessionState) -> dict[str, Any]:
        turn = _turn(state)
        found = await self.tools.path_nodes(state).recommend(turn_state(state, turn))
        turn = replace(turn, rankings=tuple(found["rankings"]))
        assert turn.draft is not None
        assert turn.rankings
        hand = ranked(state, turn.draft.text, "path", turn.path.index, turn.rankings)
        view = replace(
            _turn_view(state, "recommender", turn, found["usage"]),
            effect=hand.effect,
            rank=hand.rank,
            places=places_of(state, hand.ranking),
        )
        usage = found["usage"]
        return {"turns": {turn.path.index: turn}, "usage": usage, "in_hand": hand, **_entry(view)}

    async def evaluator(self, state: SessionState) -> dict[str, Any]:
        turn = _turn(state)
        paths = self.tools.path_nodes(state).evaluate(turn_state(state, turn))["paths"]
        path = paths[turn.path.index]
        trial = path.trials[-1]
        view = replace(
            _turn_view(state, "evaluator", turn, Usage()),
            effect=trial.demonstration.effect,
            rank=trial.rank,
            effects=tuple(t.demonstration.effect for t in path.trials),
        )
        turns = {turn.path.index: replace(turn, done=True)}
        return {"turns": turns, "paths": paths, **_entry(view)}

    async def collapse_guard(self, state: SessionState) -> dict[str, Any]:
        found = self.tools.loop_nodes(state).guard(state)
        so_far = [*state.get("judgements", []), *found["judgements"]]
        view = StepView(
            "collapse_guard",
            None,
            found["round"],
            judgements=tuple(found["judgements"]),
            similarities=tuple(similarities(so_far, j.path) for j in found["judgements"]),
            similarity_threshold=settings_of(state).similarity_threshold,
        )
        return {**found, **_entry(view)}

    async def choose(self, state: SessionState) -> dict[str, Any]:
        found, _ = await self.tools.loop_nodes(state).choice(state)
        chosen, usage, view = found["chosen"], found["usage"], StepView("choose", None, 0)
        if chosen is None:
            return {**found, **_entry(replace(view, stopped_by=found["stopped_by"]))}
        hand, used = await self.tools.rank(state, chosen.text, "path", chosen.path)
        hand = replace(hand, round=chosen.round)
        view = StepView(
            "choose",
            chosen.path,
            chosen.round,
            text=chosen.text,
            effect=hand.effect,
            rank=hand.rank,
            effects=(chosen.effect,),
            candidates=len(state["task"].candidates),
            places=places_of(state, hand.ranking),
            calls=(usage + used).calls,
            stopped_by=found["stopped_by"],
        )
        return {**found, "usage": usage + used, "in_hand": hand, **_entry(view)}

    async def person(self, state: SessionState) -> dict[str, Any]:
        """Never run: a person's updates are written in its name."""
        return {}


def build_session_graph(tools: Tools, checkpointer: BaseCheckpointSaver[Any]) -> Any:
    """The compiled graph over `SessionState`; one `astream(None, ...)` runs one node."""
    actors, graph = Actors(tools), StateGraph(SessionState)
    names = get_args(Node)
    ends = {**{name: name for name in names}, END: END}
    for name in (*names, PERSON):
        action: Callable[..., Any] = getattr(actors, name)
        graph.add_node(name, action, retry_policy=RETRY)
        graph.add_conditional_edges(name, _route, ends)
    graph.add_conditional_edges(START, _route, ends)
    return graph.compile(checkpointer=checkpointer, interrupt_after=list(names), name="session")


def _route(state: SessionState) -> str:
    found = next_node(state)
    return found[0] if found else END


def _turn(state: SessionState) -> Turn:
    turn = under_way(state)
    assert turn is not None
    return turn


def _entry(view: StepView) -> dict[str, Any]:
    return {"entry": entry_to_json("/step", view)}


def _turn_view(state: SessionState, node: str, turn: Turn, usage: Usage) -> StepView:
    """What any node of a turn can show."""
    assert turn.draft is not None
    written = turn.path.demonstrations
    return StepView(
        node,
        turn.path.index,
        turn.round,
        text=turn.draft.text,
        diff=difference(written[-1].text if written else "", turn.draft.text),
        verdict=turn.draft.verdict,
        candidates=len(state["task"].candidates),
        effects=tuple(t.demonstration.effect for t in turn.path.trials),
        recalled=tuple(d.text for d in turn.recalled),
        perturbed_by=turn.path.perturbation.text if turn.path.perturbation else "",
        calls=usage.calls,
    )
