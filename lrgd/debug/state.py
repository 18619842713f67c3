"""State of a debugging session: the optimisation graph's own, one path under way at a time.

Which node comes next follows from the state alone, so that a person's step (a text, a setting, a
fork) can stand between any two nodes and change nothing of what comes next.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypedDict

from lrgd.agents.generator import Draft
from lrgd.agents.guard import Judgement
from lrgd.agents.values import Ranking
from lrgd.core.frozen import as_tuples
from lrgd.debug.views import Ranked
from lrgd.graphs.settings import LoopSettings
from lrgd.graphs.state import LoopState, PathState, PathTurn
from lrgd.memory import Demonstration

Node = Literal["begin", "generator", "recommender", "evaluator", "collapse_guard", "choose"]


@dataclass(frozen=True, slots=True)
class Turn:
    """One round on one path, as far as it has come."""

    path: PathState
    """The path before this round."""
    round: int
    recalled: tuple[Demonstration, ...] = ()
    draft: Draft | None = None
    rankings: tuple[Ranking, ...] | None = None
    """One a task. None until ranked; empty for an unusable draft."""
    done: bool = False
    """Whether the evaluator has judged it."""

    def __post_init__(self) -> None:
        as_tuples(self, "recalled")
        if self.rankings is not None:
            as_tuples(self, "rankings")


class Choices(TypedDict):
    """How rankings are made in this session, beside the loop's settings."""

    mode: str
    """Ranking mode."""
    shuffles: int
    """Candidate orders to average over, 1 or more."""


def merge_turns(old: dict[int, Turn] | None, new: dict[int, Turn]) -> dict[int, Turn]:
    """Reducer: each path's latest turn."""
    return {**(old or {}), **new}


class SessionState(LoopState, total=False):
    """State of a session's thread."""

    settings: dict[str, Any]
    """`LoopSettings`, as JSON. Written when the thread begins, and by /order and /regularise."""
    choices: Choices
    """Written when the thread begins, and by /mode and /shuffle."""
    turns: Annotated[dict[int, Turn], merge_turns]
    """Path -> its latest turn. Written by generator, recommender and evaluator."""
    latest: int | None
    """The path whose turn is the latest. Written by the generator."""
    in_hand: Ranked | None
    """What was ranked last. Written by the evaluator, by `choose` and by a person's commands."""
    revealed: bool
    """Whether the true next item is shown. Written by /reveal."""
    entry: dict[str, str]
    """What made this checkpoint, see `lrgd.debug.entries`. Written by every node."""


def settings_of(state: SessionState) -> LoopSettings:
    """The loop's settings as they now are."""
    return LoopSettings.model_validate(state["settings"])


def similarities(judgements: Sequence[Judgement], path: int) -> tuple[float, ...]:
    """Cosine of each of a path's demonstrations and the one before it, oldest first."""
    return tuple(j.similarity for j in judgements if j.path == path and j.similarity is not None)


def under_way(state: SessionState) -> Turn | None:
    """The turn that is begun and not judged."""
    latest = state.get("latest")
    turn = state.get("turns", {}).get(latest) if latest is not None else None
    return turn if turn and not turn.done else None


def next_node(state: SessionState) -> tuple[Node, int | None] | None:
    """What comes next, and on which path; None at the end."""
    if "remembered" not in state:
        return "begin", None
    if "stopped_by" in state:
        return None
    if turn := under_way(state):
        ranked = turn.rankings is not None or (turn.draft and turn.draft.verdict != "usable")
        return "evaluator" if ranked else "recommender", turn.path.index
    if (path := next_path(state)) is not None:
        return "generator", path
    return ("collapse_guard" if _wrote(state) else "choose"), None


def next_path(state: SessionState) -> int | None:
    """The path that writes next in the round under way; None if there is none."""
    settings, round_ = settings_of(state), state.get("round", 0) + 1
    if round_ > settings.rounds:
        return None
    known = state.get("paths", {})
    paths = [known.get(i, PathState(i)) for i in range(settings.paths)]
    return next((p.index for p in paths if not p.solved and not _in_round(p, round_)), None)


def turn_state(state: SessionState, turn: Turn) -> PathTurn:
    """A turn as the path's own nodes take it."""
    found: PathTurn = {
        "tasks": [state["task"], *state.get("earlier", [])],
        "round": turn.round,
        "path": turn.path,
        "remembered": [d for d in state["remembered"] if d.path == turn.path.index],
        "recalled": turn.recalled,
    }
    if turn.draft is not None:
        found["draft"] = turn.draft
    if turn.rankings is not None:
        found["rankings"] = list(turn.rankings)
    return found


def turn_of(state: SessionState, path: int) -> Turn:
    """A new turn on a path, not begun."""
    known: Mapping[int, PathState] = state.get("paths", {})
    return Turn(known.get(path, PathState(path)), state.get("round", 0) + 1)


def _wrote(state: SessionState) -> bool:
    """Whether a path has had its turn in the round under way: then the guard is due."""
    round_ = state.get("round", 0) + 1
    return any(_in_round(path, round_) for path in state.get("paths", {}).values())


def _in_round(path: PathState, round_: int) -> bool:
    return any(trial.demonstration.round == round_ for trial in path.trials)


CHECKPOINTED = (Ranked, Turn)
"""What a session's checkpoints hold beside the values of the graphs."""
