"""A session's state and checkpoints, as views."""

from collections.abc import Sequence

from langgraph.types import StateSnapshot

from lrgd.agents.values import Item
from lrgd.debug.ranking import places_of
from lrgd.debug.state import SessionState, next_node, settings_of, similarities
from lrgd.debug.thread import entry_of, parent_id, snapshot_id
from lrgd.debug.views import CaseView, CheckpointView, HistoryView, PathView, RevealView, StepView
from lrgd.graphs.state import PathState


def case_view(state: SessionState) -> CaseView:
    """The case, and where the session stands in it."""
    task, settings, hand = state["task"], settings_of(state), state.get("in_hand")
    coming = next_node(state)
    node, path = coming if coming else ("", None)
    known = state.get("paths", {})
    return CaseView(
        user_id=task.user_id,
        profile=task.profile,
        history=task.history,
        candidates=task.candidates,
        target=task.target if state.get("revealed") else None,
        round=state.get("round", 0),
        rounds=settings.rounds,
        paths=tuple(_path_view(state, known.get(i, PathState(i))) for i in range(settings.paths)),
        in_hand=hand,
        places=places_of(state, hand.ranking) if hand else (),
        next=node_words(node, path),
        next_node=node,
        next_path=path,
        settings=_settings(state),
    )


def reveal_view(state: SessionState) -> RevealView:
    """The true next item."""
    target, hand = state["task"].target, state.get("in_hand")
    assert isinstance(target, Item)  # checked when the session was opened
    return RevealView(target, hand.rank if hand else None, len(state["task"].candidates))


def history_view(snapshots: Sequence[StateSnapshot], here: StateSnapshot) -> HistoryView:
    """All checkpoints, the oldest first."""
    numbers = {snapshot_id(snapshot): n for n, snapshot in enumerate(snapshots, 1)}
    return HistoryView(
        tuple(
            CheckpointView(
                n=numbers[snapshot_id(s)],
                parent=numbers.get(parent_id(s)),
                did=_did(s),
                round=s.values.get("round", 0),
                effect=hand.effect if (hand := s.values.get("in_hand")) else None,
                current=snapshot_id(s) == snapshot_id(here),
            )
            for s in snapshots
        )
    )


def node_words(node: str, path: int | None) -> str:
    """A node as a person reads it."""
    return f"{node} of path {path}" if path is not None else node


def _did(snapshot: StateSnapshot) -> str:
    entry = entry_of(snapshot)
    if isinstance(entry.view, StepView):
        return node_words(entry.view.node, entry.view.path)
    return entry.line or "begun"


def _path_view(state: SessionState, path: PathState) -> PathView:
    written = path.demonstrations
    return PathView(
        path.index,
        written[-1].text if written else "",
        tuple(t.demonstration.effect for t in path.trials),
        similarities(state.get("judgements", []), path.index),
        path.solved,
    )


def _settings(state: SessionState) -> tuple[tuple[str, str], ...]:
    s, choices = settings_of(state), state["choices"]
    return (
        ("mode", choices["mode"]),
        ("candidate orders", str(choices["shuffles"])),
        ("prompt order", s.prompt_order.replace("_", "-")),
        ("regularisation", s.regularisation or "none"),
    )
