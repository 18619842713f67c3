"""State of a debugging session: the optimisation graph's own, one path under way at a time.

Which node comes next follows from the state alone, so that a person's step (a text, a setting, a
fork) can stand between any two nodes and change nothing of what comes next.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypedDict

from lrgd.agents.generator import Draft, Verdict
from lrgd.agents.guard import Judgement
from lrgd.agents.values import Ranking, RankingTask
from lrgd.core.errors import InputError
from lrgd.core.frozen import as_tuples
from lrgd.evals.data.bundle import Split
from lrgd.graphs.optimization import turn_on
from lrgd.graphs.routing import Step, next_steps
from lrgd.graphs.settings import LoopSettings
from lrgd.graphs.state import LoopState, PathState, PathTurn, tasks_of
from lrgd.memory import Demonstration

Author = Literal["path", "person", "perturbation", "edited", "nobody"]
"""edited: a path's generator, asked with a prompt that a person changed."""


@dataclass(frozen=True, slots=True)
class Ranked:
    """A demonstration and the ranking it gives."""

    text: str
    """Empty: ranked without a demonstration (zero-shot)."""
    author: Author
    path: int | None
    """The path that wrote it, or that it was written beside."""
    round: int
    """Round in which it came up, 1-based; 0 before the first."""
    ranking: Ranking
    """Of the task; over several validation tasks, of the latest."""
    effect: float
    """Effect_D, the mean over the tasks."""
    rank: int
    """Of the true next item in `ranking`."""
    ranks: tuple[int, ...] = ()
    """Of the true next item in each of the tasks, the latest first."""
    verdict: Verdict = "usable"
    perturbed_by: str | None = None
    """Id of the demonstration that was injected when it was written."""
    split: Split = "validation"
    """Which task was ranked: the one that the loop works on, or the one that reports show."""
    edit: str = ""
    """What a person changed in the prompt that wrote it (author "edited"), or that ranked it."""

    def __post_init__(self) -> None:
        as_tuples(self, "ranks")

    @property
    def label(self) -> str:
        """Who wrote it, in words."""
        whose = {
            "path": f"path {self.path}, round {self.round}",
            "person": "yours",
            "perturbation": f"path {self.path}, perturbed",
            "edited": f"path {self.path}, asked with {self.edit}",
            "nobody": "no demonstration",
        }[self.author]
        return f"{whose}, ranked with {self.edit}" if self.ranking_edited else whose

    @property
    def ranking_edited(self) -> bool:
        """Whether the ranking is of a prompt that a person changed."""
        return bool(self.edit) and self.author != "edited"


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
    test: RankingTask
    """The task that reports show. No node reads it. Written when the thread begins."""
    split: Split
    """The task that a person looks at; validation before the first /task. Written by /task."""
    origin: str
    """What the run had done that the session began with, in words. Written when it began."""
    run_steps: int
    """Checkpoints after the first that show the run. Written when the thread begins."""
    entry: dict[str, str]
    """What made this checkpoint, see `lrgd.debug.transcript`. Written by every node."""


def settings_of(state: SessionState) -> LoopSettings:
    """The loop's settings as they now are."""
    return LoopSettings.model_validate(state["settings"])


def split_of(state: SessionState) -> Split:
    """Which task a person looks at."""
    return state.get("split", "validation")


def tasks_on(state: SessionState, split: Split) -> list[RankingTask]:
    """What is ranked: all validation tasks, the latest first, or the test task.

    Raises:
        InputError: a session of an earlier version, which kept no test task.
    """
    if split == "validation":
        return tasks_of(state)
    if "test" not in state:
        raise InputError("this session was begun without its test task: name another --run")
    return [state["test"]]


def similarities(judgements: Sequence[Judgement], path: int) -> tuple[float, ...]:
    """Cosine of each of a path's demonstrations and the one before it, oldest first."""
    return tuple(j.similarity for j in judgements if j.path == path and j.similarity is not None)


def under_way(state: SessionState) -> Turn | None:
    """The turn that is begun and not judged."""
    latest = state.get("latest")
    turn = state.get("turns", {}).get(latest) if latest is not None else None
    return turn if turn and not turn.done else None


def next_node(state: SessionState) -> Step | None:
    """What comes next, and on which path; None at the end. Paths take their turns one by one."""
    turn = under_way(state)
    steps = next_steps(state, settings_of(state), turn_state(state, turn) if turn else None)
    return steps[0] if steps else None


def turn_state(state: SessionState, turn: Turn) -> PathTurn:
    """A turn as the path's own nodes take it."""
    taken: PathTurn = {
        "tasks": tasks_of(state),
        "round": turn.round,
        "path": turn.path,
        "remembered": [d for d in state["remembered"] if d.path == turn.path.index],
        "recalled": turn.recalled,
    }
    if turn.draft is not None:
        taken["draft"] = turn.draft
        if turn.draft.verdict != "usable":  # nothing to rank with: no step of its own
            taken["rankings"] = []
    if turn.rankings is not None:
        taken["rankings"] = list(turn.rankings)
    return taken


def turn_of(state: SessionState, path: int) -> Turn:
    """A new turn on a path, not begun."""
    begun = turn_on(state, path)
    return Turn(begun["path"], begun["round"])


CHECKPOINTED = (Ranked, Turn)
"""What a session's checkpoints hold beside the values of the graphs."""
