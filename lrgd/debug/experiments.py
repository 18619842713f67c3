"""One thing changed and ranked again: another text, a setting, an injected demonstration, a part
that is left out.

Leaving parts out (/why) works on any endpoint: a ranking without each sentence (of a single
sentence: each clause), without the whole demonstration, and without each bought thing. It does not
show what two parts do together. Where the model's weights are here, `lrgd.theory` adds what each
word does.
"""

import asyncio
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import log
from typing import Literal

from lrgd.agents.generator import Draft
from lrgd.agents.values import Item, Ranking, RankingTask, Usage, usage_of_all
from lrgd.core.errors import InputError, LrgdError
from lrgd.debug.case import moves_between, places_of
from lrgd.debug.equipment import Equipment
from lrgd.debug.state import Ranked, SessionState, settings_of, tasks_on, turn_of, turn_state
from lrgd.debug.steps import difference
from lrgd.debug.views import ComparisonView, PartEffect, Place, WhyView, WordShift
from lrgd.graphs.state import PathState


def compare(
    equipment: Equipment, state: SessionState, change: str, before: Ranked, after: Ranked
) -> ComparisonView:
    """Two rankings side by side."""
    return ComparisonView(
        change=change,
        before=before,
        after=after,
        moves=moves_between(state, before, after),
        places=places_of(state, after),
        similarity=equipment.similarity(before.text, after.text),
        changes=difference(before.text, after.text),
    )


async def rank_again(
    equipment: Equipment, state: SessionState, hand: Ranked
) -> tuple[Ranked, Usage]:
    """The text in hand, ranked again under the settings of this state, and what that cost."""
    again, used = await equipment.rank(state, hand.text, hand.author, hand.path)
    edit = "" if hand.ranking_edited else hand.edit
    return replace(again, round=hand.round, perturbed_by=hand.perturbed_by, edit=edit), used


async def perturb(
    equipment: Equipment, state: SessionState, from_path: int, path: int | None
) -> tuple[Ranked, Usage]:
    """What a path writes with another one's latest demonstration injected, ranked.

    Args:
        path: who writes; None for the path in hand.

    Returns:
        The new text's ranking, with the path that wrote, and what it cost.

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
    written = await equipment.path_nodes(state).generate(turn_state(state, turn))
    draft = usable(written["turn"]["draft"])
    hand, used = await equipment.rank(state, draft.text, "perturbation", on)
    return replace(hand, perturbed_by=injected.id), used + written["usage"]


def usable(draft: Draft) -> Draft:
    """The draft. Raises InputError where there is nothing in it to rank with."""
    if draft.verdict not in ("usable", "names_target"):
        verdict = draft.verdict.replace("_", " ")
        raise InputError(f"the model wrote nothing usable ({verdict}): try again, or another path")
    return draft


def as_it_is(hand: Ranked) -> Ranked:
    """What is in hand. Raises InputError where its prompt was edited: no other ranking is of it."""
    if hand.ranking_edited:
        raise InputError(
            "this was ranked with an edited prompt: /task, or another text, ranks anew"
        )
    return hand


async def why(
    equipment: Equipment, state: SessionState, hand: Ranked, item: Item, rival: Item | None
) -> tuple[WhyView, Usage]:
    """Leave out every part of what is in hand, one at a time, and rank again.

    Args:
        item: whose place is to be explained.
        rival: the item that it is compared with; None for the best ranked other one.

    Raises:
        InputError: what is in hand was ranked with an edited prompt.
    """
    places = {place.item_id: place for place in places_of(state, as_it_is(hand))}
    other = rival.id if rival else next(i for i in hand.ranking.order if i != item.id)
    left_out = _parts(tasks_on(state, hand.split)[0], hand.text)
    rankings = await asyncio.gather(
        *(equipment.rank_task(state, one.task, one.text) for one in left_out)
    )
    effects = [
        _effect(one, hand.ranking, ranking, item.id, other)
        for one, ranking in zip(left_out, rankings, strict=True)
    ]
    words, note = await _words(equipment, state, hand, places[item.id], places[other])
    view = WhyView(
        places[item.id],
        places[other],
        hand.text,
        tuple(effects),
        tuple(words),
        note,
        hand.split,
        gap=_advantage(hand.ranking, item.id, other),
    )
    return view, usage_of_all(rankings)


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


@dataclass(frozen=True, slots=True)
class _Without:
    """A ranking to make, and what it leaves out."""

    kind: Literal["demonstration", "sentence", "history"]
    left_out: str
    task: RankingTask
    text: str


def _parts(task: RankingTask, text: str) -> list[_Without]:
    pieces = _pieces(text)
    parts = [_Without("demonstration", text, task, "")] if text else []
    if len(pieces) > 1:
        for n, piece in enumerate(pieces):
            rest = " ".join(other for i, other in enumerate(pieces) if i != n)
            parts.append(_Without("sentence", piece, task, rest))
    if len(task.history) > 1:
        parts += [
            _Without("history", bought.title, _without_item(task, n), text)
            for n, bought in enumerate(task.history)
        ]
    return parts


def _pieces(text: str) -> list[str]:
    """Its sentences; of a single sentence, its clauses."""
    sentences = [part for part in re.split(r"(?<=[.!?])\s+", text.strip()) if part]
    if len(sentences) > 1:
        return sentences
    return [part for part in re.split(r"(?<=[,;:])\s+", text.strip()) if part]


def _without_item(task: RankingTask, position: int) -> RankingTask:
    """The task with one item of the history left out."""
    kept = tuple(item for n, item in enumerate(task.history) if n != position)
    return replace(task, history=kept)


def _effect(one: _Without, before: Ranking, after: Ranking, item: str, other: str) -> PartEffect:
    was, is_ = _advantage(before, item, other), _advantage(after, item, other)
    shift = was - is_ if was is not None and is_ is not None else None
    return PartEffect(one.kind, one.left_out, after.rank_of(item), shift)


def _advantage(ranking: Ranking, item: str, other: str) -> float | None:
    """log p(item) - log p(other); None where one of them has no probability."""
    p, q = ranking.probabilities.get(item, 0.0), ranking.probabilities.get(other, 0.0)
    return log(p) - log(q) if p > 0 and q > 0 else None


async def _words(
    equipment: Equipment, state: SessionState, hand: Ranked, item: Place, rival: Place
) -> tuple[Sequence[WordShift], str]:
    """What each word does; where that cannot be said, none, and a line that says why."""
    if not hand.text:
        return (), ""
    if equipment.attribution is None:
        return (), "word by word: only where the model's weights are here"
    task, settings = tasks_on(state, hand.split)[0], settings_of(state)
    try:
        words = await asyncio.to_thread(
            equipment.attribution, task, hand, item.item_id, rival.item_id, settings
        )
    except LrgdError as error:  # the rankings above hold all the same
        return (), f"word by word: {error}"
    return words, ""
