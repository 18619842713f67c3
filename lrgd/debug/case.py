"""What a session's state holds for a person: the case, rankings with titles, what can be kept."""

from lrgd.agents.evaluator import effect
from lrgd.agents.values import Item, RankingTask
from lrgd.core.errors import InputError
from lrgd.debug.state import (
    Ranked,
    SessionState,
    next_node,
    settings_of,
    similarities,
    split_of,
    tasks_on,
)
from lrgd.debug.views import (
    CaseView,
    Move,
    PathView,
    Place,
    RevealView,
    node_words,
)
from lrgd.graphs.state import PathState
from lrgd.memory import Demonstration

A_PERSON = "person"
"""Stands where a demonstration's model is named, if a person wrote it."""


def case_view(state: SessionState) -> CaseView:
    """The case, and where the session stands in it."""
    split, settings, hand = split_of(state), settings_of(state), state.get("in_hand")
    task = tasks_on(state, split)[0]
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
        places=places_of(state, hand) if hand else (),
        next=node_words(node, path),
        next_node=node,
        next_path=path,
        settings=_settings(state),
        split=split,
        origin=state.get("origin", ""),
    )


def reveal_view(state: SessionState) -> RevealView:
    """The true next item."""
    split, hand = split_of(state), state.get("in_hand")
    task = tasks_on(state, split)[0]
    assert isinstance(task.target, Item)  # checked when the session was opened
    return RevealView(task.target, hand.rank if hand else None, len(task.candidates), split)


def places_of(state: SessionState, hand: Ranked) -> tuple[Place, ...]:
    """A ranking with titles, best first; the true next item is marked once it is revealed."""
    task, ranking = tasks_on(state, hand.split)[0], hand.ranking
    items = {item.id: item for item in task.candidates}
    marked = task.target_id if state.get("revealed") else None
    return tuple(
        Place(rank, i, items[i].title, ranking.probabilities.get(i), i == marked)
        for rank, i in enumerate(ranking.order, 1)
    )


def moves_between(state: SessionState, before: Ranked, after: Ranked) -> tuple[Move, ...]:
    """The items whose rank changed. What changed most first, by the discount of nDCG: from 3 to 1
    is more than from 40 to 20. None where two tasks were ranked: they have other candidates."""
    if before.split != after.split:
        return ()
    moves = [
        Move(p.item_id, p.title, before.ranking.rank_of(p.item_id), p.rank, p.is_target)
        for p in places_of(state, after)
    ]
    return tuple(sorted((m for m in moves if m.gain), key=lambda m: (-_weight(m), m.after)))


def find_item(task: RankingTask, wanted: str) -> Item:
    """A candidate by its id, its title, or a part of its title that no other has.

    Raises:
        InputError: there is none, or there are several; names those.
    """
    wanted = " ".join(wanted.split())
    by_id = [item for item in task.candidates if item.id == wanted]
    exact = by_id or [item for item in task.candidates if item.title == wanted]
    if len(exact) == 1:
        return exact[0]
    alike = [i for i in task.candidates if wanted and wanted.casefold() in i.title.casefold()]
    if len(alike) == 1:
        return alike[0]
    some = ", ".join(f"{i.title} ({i.id})" for i in alike or task.candidates[:3])
    if alike:
        raise InputError(f"{len(alike)} candidates have {wanted!r} in their title: {some}")
    raise InputError(f"no candidate {wanted!r}; give an id or a part of a title, as in {some}")


def keepable(state: SessionState) -> tuple[Ranked, Demonstration]:
    """What is in hand, and the same as memory keeps it.

    Raises:
        InputError: nothing is in hand, it gives the true next item away, or it was judged on the
            test task.
    """
    hand, settings = state.get("in_hand"), settings_of(state)
    if hand is None or not hand.text:
        raise InputError("nothing to keep: write a demonstration, or /step until one is ranked")
    if hand.verdict != "usable":
        raise InputError("it names the true next item: memory takes no demonstration that does")
    if hand.ranking_edited:
        raise InputError("it was ranked with an edited prompt: memory takes no such rank")
    if hand.split == "test":
        raise InputError("memory takes what was ranked on the validation task: /task validation")
    return hand, Demonstration(
        user_id=state["task"].user_id,
        text=hand.text,
        path=hand.path or 0,
        round=hand.round,
        ranks=hand.ranks,
        perturbed_by=hand.perturbed_by,
        dataset=settings.dataset,
        model=A_PERSON if hand.author == "person" else settings.model,
    )


def _weight(move: Move) -> float:
    return abs(effect(move.before) - effect(move.after))


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
