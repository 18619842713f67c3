"""The session's graph: the actors of the optimisation graph, one node at a time.

    begin -> (generator -> recommender -> evaluator) of each path -> collapse_guard -> ... -> choose

Paths take their turns one after the other, so that each step has one answer. Within a round they
know nothing of each other, so a run ends where the optimisation graph ends. Memory is read, not
written: a person decides what goes there.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from difflib import SequenceMatcher
from typing import Any, get_args

from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.graph import END, START, StateGraph

from lrgd.debug.case import places_of
from lrgd.debug.equipment import EquipmentSource, ranked
from lrgd.debug.state import (
    Ranked,
    SessionState,
    Turn,
    next_node,
    settings_of,
    similarities,
    turn_of,
    turn_state,
    under_way,
)
from lrgd.debug.transcript import entry_to_json
from lrgd.debug.views import Change, GuardView, Score, StepView, Writing
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

    async def begin(self, state: SessionState) -> dict[str, Any]:
        equipment = await self.source.open()
        update = await equipment.loop_nodes(state).begin(state)
        recalled = tuple(d.text for d in update["remembered"])
        return {**update, **_entry(StepView("begin", None, 1, recalled=recalled))}

    async def generator(self, state: SessionState) -> dict[str, Any]:
        coming = next_node(state)
        assert coming is not None
        assert coming.path is not None
        turn = turn_of(state, coming.path)
        equipment = await self.source.open()
        update = await equipment.path_nodes(state).generate(turn_state(state, turn))
        written = update["turn"]
        turn = replace(turn, recalled=written["recalled"], draft=written["draft"])
        return {
            "turns": {coming.path: turn},
            "latest": coming.path,
            "usage": update["usage"],
            **_entry(_turn_view("generator", turn)),
        }

    async def recommender(self, state: SessionState) -> dict[str, Any]:
        turn = _turn(state)
        equipment = await self.source.open()
        update = await equipment.path_nodes(state).ranked(turn_state(state, turn))
        turn = replace(turn, rankings=tuple(update["turn"]["rankings"]))
        assert turn.draft is not None
        assert turn.rankings
        hand = ranked(state, turn.draft.text, "path", turn.path.index, turn.rankings)
        view = replace(_turn_view("recommender", turn), score=_score(state, hand))
        return {
            "turns": {turn.path.index: turn},
            "usage": update["usage"],
            "in_hand": hand,
            **_entry(view),
        }

    async def evaluator(self, state: SessionState) -> dict[str, Any]:
        turn = _turn(state)
        equipment = await self.source.open()
        update = await equipment.path_nodes(state).evaluate(turn_state(state, turn))
        path = update["paths"][turn.path.index]
        trial = path.trials[-1]
        score = Score(
            effect=trial.demonstration.effect,
            rank=trial.rank,
            candidates=len(state["task"].candidates),
            effects=tuple(t.demonstration.effect for t in path.trials),
        )
        turns = {turn.path.index: replace(turn, done=True)}
        view = replace(_turn_view("evaluator", turn), score=score)
        return {"turns": turns, "paths": update["paths"], **_entry(view)}

    async def collapse_guard(self, state: SessionState) -> dict[str, Any]:
        equipment = await self.source.open()
        update = equipment.loop_nodes(state).guard(state)
        judged = update["judgements"]
        so_far = [*state.get("judgements", []), *judged]
        guard = GuardView(
            judgements=tuple(judged),
            similarities=tuple(similarities(so_far, j.path) for j in judged),
            threshold=settings_of(state).similarity_threshold,
        )
        view = StepView("collapse_guard", None, update["round"], guard=guard)
        return {**update, **_entry(view)}

    async def choose(self, state: SessionState) -> dict[str, Any]:
        equipment = await self.source.open()
        update, _ = await equipment.loop_nodes(state).choice(state)
        chosen, stopped_by = update["chosen"], update["stopped_by"]
        if chosen is None:
            return {**update, **_entry(StepView("choose", None, 0, stopped_by=stopped_by))}
        hand, used = await equipment.rank(state, chosen.text, "path", chosen.path)
        hand, score = replace(hand, round=chosen.round), _score(state, hand)
        if chosen.effect != hand.effect:  # a person has changed settings since
            score = replace(score, when_written=chosen.effect)
        view = StepView(
            "choose",
            chosen.path,
            chosen.round,
            text=chosen.text,
            score=score,
            stopped_by=stopped_by,
        )
        return {**update, "usage": update["usage"] + used, "in_hand": hand, **_entry(view)}

    async def person(self, state: SessionState) -> dict[str, Any]:
        """Never run: a person's updates are written in its name."""
        return {}


def _route(state: SessionState) -> str:
    coming = next_node(state)
    return coming.node if coming else END


def _turn(state: SessionState) -> Turn:
    turn = under_way(state)
    assert turn is not None
    return turn


def _entry(view: StepView) -> dict[str, Any]:
    return {"entry": entry_to_json("/step", view)}


def _turn_view(node: str, turn: Turn) -> StepView:
    """What every node of a turn shows."""
    assert turn.draft is not None
    before = turn.path.demonstrations[-1].text if turn.path.demonstrations else ""
    injected = turn.path.perturbation.text if turn.path.perturbation else ""
    return StepView(
        node,
        turn.path.index,
        turn.round,
        text=turn.draft.text,
        recalled=tuple(d.text for d in turn.recalled),
        writing=Writing(_difference(before, turn.draft.text), turn.draft.verdict, injected),
    )


def _score(state: SessionState, hand: Ranked) -> Score:
    places = places_of(state, hand.ranking)
    return Score(hand.effect, hand.rank, len(places), places)


def _difference(before: str, after: str) -> tuple[Change, ...]:
    """Which words of two texts are the same, removed or added, in their order."""
    old, new = before.split(), after.split()
    changes: list[Change] = []
    for kind, a, b, c, d in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if kind == "equal":
            changes.append(Change("same", " ".join(old[a:b])))
            continue
        if a < b:
            changes.append(Change("removed", " ".join(old[a:b])))
        if c < d:
            changes.append(Change("added", " ".join(new[c:d])))
    return tuple(changes)
