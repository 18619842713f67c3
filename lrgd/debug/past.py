"""What a run did for a user, and a session's thread that begins with it.

The run's own LangGraph thread keeps everything, also of a run that was killed: each turn's draft,
what was recalled, and its rankings are in the `Send` to its evaluator. Where the checkpoints were
deleted, the run's journal has texts, ranks and the guard's numbers, but no rankings. Both are only
read.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, cast

from langgraph.checkpoint.base import BaseCheckpointSaver, CheckpointTuple
from langgraph.constants import TASKS

from lrgd.agents.generator import Draft
from lrgd.agents.values import Usage, usage_of_all
from lrgd.debug.equipment import ranked, ranked_turn
from lrgd.debug.state import Ranked, SessionState, Turn, turn_of
from lrgd.debug.steps import Update, begun, chose, evaluated, guarded, ranked_with, wrote
from lrgd.debug.thread import Thread
from lrgd.evals.runs.folder import UserRecord
from lrgd.graphs.checkpoints import thread_of
from lrgd.graphs.optimization import perturbed
from lrgd.graphs.routing import Node
from lrgd.graphs.state import LoopState, PathTurn, Trial
from lrgd.memory import Demonstration


class Done(NamedTuple):
    """A node of the run, as a session steps."""

    node: Node
    round: int = 0
    path: int = 0


@dataclass(frozen=True, slots=True)
class Past:
    """What a run did for a user, as far as it is kept."""

    reached: LoopState
    """Where the run stands, or ended."""
    turns: Mapping[tuple[int, int], PathTurn]
    """By round and path, those whose rankings are kept; none where only the journal is."""

    @property
    def trials(self) -> dict[tuple[int, int], Trial]:
        """All that was judged, by round and path."""
        trials = [trial for path in self.reached["paths"].values() for trial in path.trials]
        return {(t.demonstration.round, t.demonstration.path): t for t in trials}

    @property
    def steps(self) -> list[Done]:
        """The nodes of the run, in a session's order: path by path within a round."""
        steps = [Done("begin")]
        trials = self.trials
        for round_ in sorted({round_ for round_, _ in trials}):
            for key in sorted(key for key in trials if key[0] == round_):
                ranked = key in self.turns and self.turns[key]["rankings"]
                nodes: tuple[Node, ...] = ("generator", "recommender", "evaluator")
                steps += [Done(node, *key) for node in nodes if node != nodes[1] or ranked]
            if round_ <= self.reached.get("round", 0):
                steps.append(Done("collapse_guard", round_))
        return [*steps, Done("choose")] if "stopped_by" in self.reached else steps

    @property
    def words(self) -> str:
        """What is shown, for a person."""
        ended = self.reached.get("stopped_by")
        state = f"ended: {ended}" if ended else "not at its end"
        kept = "" if self.turns else "; of its rankings only the ranks are kept"
        return f"the run's own steps (rounds: {self.reached.get('round', 0)}; {state}{kept})"


async def thread_past(checkpointer: BaseCheckpointSaver[Any], user_id: str) -> Past | None:
    """What the run's own thread keeps of a user; None where nothing was judged yet."""
    saved = [one async for one in checkpointer.alist(thread_of(user_id))]  # the latest first
    if not saved or not saved[0].checkpoint["channel_values"].get("paths"):
        return None
    turns = {(t["round"], t["path"].index): t for one in saved for t in _judged_next(one)}
    return Past(cast(LoopState, saved[0].checkpoint["channel_values"]), turns)


def journal_past(record: UserRecord) -> Past:
    """What a run's journal keeps of a user."""
    rounds = [t.demonstration.round for path in record.paths for t in path.trials]
    reached: LoopState = {
        "remembered": [],
        "round": max(rounds, default=0),
        "paths": {path.index: path for path in record.paths},
        "judgements": list(record.judgements),
        "stopped_by": record.stopped_by,
        "chosen": record.chosen,
    }
    return Past(reached, {})


async def retrace(thread: Thread, past: Past) -> None:
    """Write on a thread that has begun what stepping through the run would have written."""
    state = cast(SessionState, (await thread.latest()).values)
    for done in past.steps:
        state = cast(SessionState, (await thread.write(_update(state, past, done))).values)


def _judged_next(saved: CheckpointTuple) -> Iterator[PathTurn]:
    """The turns that an evaluator is about to judge."""
    for send in saved.checkpoint["channel_values"].get(TASKS, ()):
        if send.node == "evaluator":
            yield send.arg


def _update(state: SessionState, past: Past, done: Done) -> Update:
    """What a node of the run wrote."""
    key = (done.round, done.path)
    match done.node:
        case "begin":
            return begun(past.reached["remembered"])
        case "generator":
            turn = _written(state, past, done)
            assert turn.draft is not None
            return {"usage": turn.draft.usage, **wrote(turn)}
        case "recommender":
            rankings = tuple(past.turns[key]["rankings"])
            turn = replace(state["turns"][done.path], rankings=rankings)
            hand = ranked_turn(state, turn)
            return {"usage": usage_of_all(rankings), **ranked_with(state, turn, hand)}
        case "evaluator":
            turn = state["turns"][done.path]
            return evaluated(state, turn, turn.path.with_trial(past.trials[key]))
        case "collapse_guard":
            judged = [j for j in past.reached["judgements"] if j.round == done.round]
            paths = perturbed(state["paths"], judged)
            return guarded(state, done.round, judged, paths)
        case "choose":
            chosen = past.reached["chosen"]
            before = _ranked_before(state, past, chosen) if chosen else None
            return chose(state, chosen, past.reached["stopped_by"], before)


def _written(state: SessionState, past: Past, done: Done) -> Turn:
    """The turn when its draft was there."""
    turn, trial = turn_of(state, done.path), past.trials[done.round, done.path]
    if kept := past.turns.get((done.round, done.path)):
        return replace(turn, recalled=kept["recalled"], draft=kept["draft"])
    known = {t.demonstration.id: t.demonstration for t in past.trials.values()}
    # Its parents are the path's last demonstration and what was recalled.
    recalled = trial.demonstration.parents[bool(turn.path.demonstrations) :]
    return replace(
        turn,
        recalled=tuple(known[i] for i in recalled if i in known),
        draft=Draft(trial.demonstration.text, trial.verdict, Usage()),
    )


def _ranked_before(state: SessionState, past: Past, chosen: Demonstration) -> Ranked | None:
    """The chosen text with the rankings that it gave in its round."""
    kept = past.turns.get((chosen.round, chosen.path))
    return ranked(state, chosen.text, "path", chosen.path, kept["rankings"]) if kept else None
