"""What comes next: one function of the state, for the optimisation graph and for the stepped one.

The optimisation graph takes all steps that it is told of side by side, a debugging session the
first. Both end in the same place, since within a round paths know nothing of each other.
"""

from typing import Literal, NamedTuple

from lrgd.graphs.settings import LoopSettings
from lrgd.graphs.state import LoopState, PathState, PathTurn

Node = Literal["begin", "generator", "recommender", "evaluator", "collapse_guard", "choose"]


class Step(NamedTuple):
    """A node, and the path that it is to work on; None for a node that works on all of them."""

    node: Node
    path: int | None = None


def next_steps(
    state: LoopState, settings: LoopSettings, turn: PathTurn | None = None
) -> list[Step]:
    """The steps that come next: one for each path that writes, else a single one; [] at the end.

    Args:
        turn: a path's turn under way, as its last node left it; None between turns.
    """
    if turn is not None:
        return [Step("evaluator" if "rankings" in turn else "recommender", turn["path"].index)]
    if "remembered" not in state:
        return [Step("begin")]
    if "stopped_by" in state:
        return []
    if writing := writing_paths(state, settings):
        return [Step("generator", path.index) for path in writing]
    return [Step("collapse_guard" if _round_is_under_way(state) else "choose")]


def writing_paths(state: LoopState, settings: LoopSettings) -> list[PathState]:
    """The paths that are yet to write in the round under way; a solved one rests."""
    round_ = round_under_way(state)
    if round_ > settings.rounds:
        return []
    known = state.get("paths", {})
    paths = [known.get(i, PathState(i)) for i in range(settings.paths)]
    return [path for path in paths if not path.solved and not path.tried_in(round_)]


def round_under_way(state: LoopState) -> int:
    """1-based; the one after the completed rounds."""
    return state.get("round", 0) + 1


def _round_is_under_way(state: LoopState) -> bool:
    """Whether a path has had its turn in it: then the guard is due."""
    round_ = round_under_way(state)
    return any(path.tried_in(round_) for path in state.get("paths", {}).values())
