"""Why an item stands where it does: leave one part out, rank again.

Works on any endpoint: a ranking for each sentence (of a single sentence: each clause), for the
whole demonstration, and for each bought thing. What two parts do together does not show. Where the
model's weights are here, theory/ adds what each word does.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from math import log
from typing import Literal

from lrgd.agents.endpoint.client import Usage
from lrgd.agents.values import Item, Ranking, RankingTask
from lrgd.core.errors import LrgdError
from lrgd.debug.ranking import Tools, places_of, without_item
from lrgd.debug.state import SessionState, settings_of
from lrgd.debug.views import PartEffect, Place, Ranked, WhyView, WordShift
from lrgd.debug.words import pieces, without


@dataclass(frozen=True, slots=True)
class _Without:
    """A ranking to make, and what it leaves out."""

    kind: Literal["demonstration", "sentence", "history"]
    left_out: str
    task: RankingTask
    text: str


async def explain(
    tools: Tools, state: SessionState, hand: Ranked, item: Item, rival: Item | None
) -> tuple[WhyView, Usage]:
    """Leave out every part of what is in hand, one at a time.

    Args:
        rival: None for the best ranked other item.
    """
    places = {place.item_id: place for place in places_of(state, hand.ranking)}
    other = rival.id if rival else next(i for i in hand.ranking.order if i != item.id)
    left_out = _parts(state["task"], hand.text)
    answers = await asyncio.gather(
        *(tools.rank_task(state, one.task, one.text) for one in left_out)
    )
    effects = [
        _effect(one, hand.ranking, ranking, item.id, other)
        for one, (ranking, _) in zip(left_out, answers, strict=True)
    ]
    usage = sum((used for _, used in answers), Usage())
    words, note = await _words(tools, state, hand, places[item.id], places[other])
    view = WhyView(places[item.id], places[other], hand.text, tuple(effects), tuple(words), note)
    return view, usage


def _parts(task: RankingTask, text: str) -> list[_Without]:
    parts = pieces(text)
    found = [_Without("demonstration", text, task, "")] if text else []
    if len(parts) > 1:
        found += [_Without("sentence", p, task, without(parts, n)) for n, p in enumerate(parts)]
    if len(task.history) > 1:
        found += [
            _Without("history", bought.title, without_item(task, n), text)
            for n, bought in enumerate(task.history)
        ]
    return found


def _effect(one: _Without, before: Ranking, after: Ranking, item: str, other: str) -> PartEffect:
    was, is_ = _advantage(before, item, other), _advantage(after, item, other)
    shift = was - is_ if was is not None and is_ is not None else None
    return PartEffect(one.kind, one.left_out, after.rank_of(item), shift)


def _advantage(ranking: Ranking, item: str, other: str) -> float | None:
    """log p(item) - log p(other); None where one of them has no probability."""
    p, q = ranking.probabilities.get(item, 0.0), ranking.probabilities.get(other, 0.0)
    return log(p) - log(q) if p > 0 and q > 0 else None


async def _words(
    tools: Tools, state: SessionState, hand: Ranked, item: Place, rival: Place
) -> tuple[Sequence[WordShift], str]:
    """What each word does, and else why nobody can say."""
    if not hand.text:
        return (), ""
    if tools.attribution is None:
        return (), "word by word: only where the model's weights are here"
    task, settings = state["task"], settings_of(state)
    try:
        found = await asyncio.to_thread(
            tools.attribution, task, hand, item.item_id, rival.item_id, settings
        )
    except LrgdError as error:  # the rankings above hold all the same
        return (), f"word by word: {error}"
    return found, ""
