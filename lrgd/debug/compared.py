"""One thing changed, ranked again: comparisons, perturbations, what goes to memory."""

from dataclasses import replace

from lrgd.agents.endpoint.client import Usage
from lrgd.core.errors import InputError
from lrgd.debug.ranking import Tools, moves_between, places_of
from lrgd.debug.state import SessionState, settings_of, turn_of, turn_state
from lrgd.debug.views import Comparison, KeptView, Ranked
from lrgd.graphs.state import PathState
from lrgd.memory import Demonstration

PERSON = "person"
"""Stands where a demonstration's model is named, if a person wrote it."""


def compared(
    tools: Tools, state: SessionState, change: str, before: Ranked, after: Ranked
) -> Comparison:
    """Two rankings side by side, as the state's task shows them."""
    return Comparison(
        change=change,
        before=before,
        after=after,
        moves=moves_between(state, before.ranking, after.ranking),
        places=places_of(state, after.ranking),
        similarity=tools.similarity(before.text, after.text),
    )


async def changed(tools: Tools, state: SessionState, hand: Ranked) -> tuple[Ranked, Usage]:
    """The text in hand, ranked again under the settings of this state."""
    again, used = await tools.rank(state, hand.text, hand.author, hand.path)
    return replace(again, round=hand.round, perturbed_by=hand.perturbed_by), used


async def perturbed(
    tools: Tools, state: SessionState, from_path: int, path: int | None
) -> tuple[Ranked, Usage, int]:
    """What a path writes with another one's latest demonstration injected, ranked.

    Returns:
        The new text's ranking, what was paid, and the path that wrote.

    Raises:
        InputError: no such path, the same path, or nothing to inject or to rank.
    """
    source = _path(state, from_path)
    if not source.demonstrations:
        raise InputError(f"path {from_path} has written nothing yet: /step or /round first")
    on = _path(state, path if path is not None else _other(state, from_path)).index
    if on == from_path:
        raise InputError(f"path {on} cannot perturb itself: name another after `from`")
    turn = turn_of(state, on)
    injected = source.demonstrations[-1]
    turn = replace(turn, path=replace(turn.path, perturbation=injected))
    written = await tools.path_nodes(state).generate(turn_state(state, turn))
    draft = written["draft"]
    if draft.verdict in ("empty", "cut_off", "refused"):
        said = draft.verdict.replace("_", " ")
        raise InputError(f"the model wrote nothing usable ({said}): try again, or another path")
    hand, used = await tools.rank(state, draft.text, "perturbation", on)
    return replace(hand, perturbed_by=injected.id), used + written["usage"], on


def kept(state: SessionState) -> tuple[Demonstration, KeptView]:
    """What is in hand, as memory keeps it.

    Raises:
        InputError: nothing is in hand, or it gives the true next item away.
    """
    hand = state.get("in_hand")
    if hand is None or not hand.text:
        raise InputError("nothing to keep: write a demonstration, or /step until one is ranked")
    if hand.verdict != "usable":
        raise InputError("it names the true next item: memory takes no demonstration that does")
    s = settings_of(state)
    demonstration = Demonstration(
        user_id=state["task"].user_id,
        text=hand.text,
        path=hand.path or 0,
        round=hand.round,
        effect=hand.effect,
        perturbed_by=hand.perturbed_by,
        dataset=s.dataset,
        model=PERSON if hand.author == "person" else s.model,
    )
    return demonstration, KeptView(hand.text, hand.author, hand.effect, demonstration.id)


def _path(state: SessionState, index: int) -> PathState:
    paths = settings_of(state).paths
    if not 0 <= index < paths:
        raise InputError(f"no path {index}: this session has 0 to {paths - 1}")
    return state.get("paths", {}).get(index, PathState(index))


def _other(state: SessionState, index: int) -> int:
    """The path in hand; where that is `index` itself, the first other one."""
    hand = state.get("in_hand")
    if hand is not None and hand.path is not None and hand.path != index:
        return hand.path
    others = [i for i in range(settings_of(state).paths) if i != index]
    if not others:
        raise InputError("one path only: there is no other to perturb it from")
    return others[0]
