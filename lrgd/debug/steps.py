"""What each node of a session writes and shows, given what its actor did.

The session's graph calls these after its actors; a run that is shown again (`lrgd.debug.past`) with
what the run kept. So both leave the same checkpoints.
"""

from collections.abc import Sequence
from dataclasses import replace
from difflib import SequenceMatcher
from typing import Any

from lrgd.agents.guard import Judgement
from lrgd.debug.case import places_of
from lrgd.debug.state import Ranked, SessionState, Turn, settings_of, similarities
from lrgd.debug.transcript import entry_to_json
from lrgd.debug.views import Change, GuardView, Score, StepView, Writing
from lrgd.graphs.state import PathState
from lrgd.memory import Demonstration

Update = dict[str, Any]
"""Of a session's state."""


def begun(remembered: Sequence[Demonstration]) -> Update:
    """What `begin` recalled from memory."""
    view = StepView("begin", None, 1, recalled=tuple(d.text for d in remembered))
    return {"remembered": list(remembered), **_entry(view)}


def wrote(turn: Turn) -> Update:
    """The turn's draft is there."""
    path = turn.path.index
    return {"turns": {path: turn}, "latest": path, **_entry(_turn_view("generator", turn))}


def ranked_with(state: SessionState, turn: Turn, hand: Ranked) -> Update:
    """The turn's rankings are there; `hand` holds them."""
    view = replace(_turn_view("recommender", turn), score=_score(state, hand))
    return {"turns": {turn.path.index: turn}, "in_hand": hand, **_entry(view)}


def evaluated(state: SessionState, turn: Turn, path: PathState) -> Update:
    """The turn is judged; `path` is the path after it."""
    trial = path.trials[-1]
    score = Score(
        effect=trial.demonstration.effect,
        rank=trial.rank,
        candidates=len(state["task"].candidates),
        effects=tuple(t.demonstration.effect for t in path.trials),
    )
    turns = {path.index: replace(turn, done=True)}
    view = replace(_turn_view("evaluator", turn), score=score)
    return {"turns": turns, "paths": {path.index: path}, **_entry(view)}


def guarded(
    state: SessionState, round_: int, judged: Sequence[Judgement], paths: dict[int, PathState]
) -> Update:
    """The guard has judged a round; `paths` are those that it perturbs."""
    so_far = [*state.get("judgements", []), *judged]
    guard = GuardView(
        judgements=tuple(judged),
        similarities=tuple(similarities(so_far, j.path) for j in judged),
        threshold=settings_of(state).similarity_threshold,
    )
    view = StepView("collapse_guard", None, round_, guard=guard)
    return {"round": round_, "judgements": list(judged), "paths": paths, **_entry(view)}


def chose(
    state: SessionState, chosen: Demonstration | None, stopped_by: str, hand: Ranked | None
) -> Update:
    """The end.

    Args:
        hand: what the chosen text ranks like; None where nothing was usable, or nobody knows.
    """
    update: Update = {"chosen": chosen, "stopped_by": stopped_by}
    if chosen is None:
        return {**update, **_entry(StepView("choose", None, 0, stopped_by=stopped_by))}
    score = Score(chosen.effect, chosen.rank, len(state["task"].candidates))
    if hand is not None:
        hand, score = replace(hand, round=chosen.round), _score(state, hand)
        update["in_hand"] = hand
        if chosen.effect != hand.effect:  # a person has changed settings since
            score = replace(score, when_written=chosen.effect)
    view = StepView(
        "choose", chosen.path, chosen.round, text=chosen.text, score=score, stopped_by=stopped_by
    )
    return {**update, **_entry(view)}


def _entry(view: StepView) -> Update:
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
        writing=Writing(difference(before, turn.draft.text), turn.draft.verdict, injected),
    )


def _score(state: SessionState, hand: Ranked) -> Score:
    places = places_of(state, hand)
    return Score(hand.effect, hand.rank, len(places), places)


def difference(before: str, after: str) -> tuple[Change, ...]:
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
