"""Recommender: ranks the candidates of a task. Stage 2 of LRGD (arXiv 2504.04386).

One interface, `Ranker`, and a file in `agents/ranking/` for each way of asking. All return a
permutation of the candidates, whatever the model did.
"""

import asyncio
import random
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, pstdev
from typing import Protocol

from lrgd.agents.endpoint.client import Usage
from lrgd.agents.prompts import RankingContext
from lrgd.agents.values import Item, Ranking, total


class Ranker(Protocol):
    """Ranks candidates, given what the model reads before them."""

    async def rank(
        self, context: RankingContext, candidates: Sequence[Item]
    ) -> tuple[Ranking, Usage]: ...


@dataclass(frozen=True, slots=True)
class ShuffledRanker:
    """Averages a ranker over several candidate orders, so that positions matter less.

    The orders are the given one and seeded shuffles of it. Where there are probabilities they are
    averaged, otherwise ranks are.
    """

    ranker: Ranker
    shuffles: int
    """Orders in all, 1 or more."""

    async def rank(
        self, context: RankingContext, candidates: Sequence[Item]
    ) -> tuple[Ranking, Usage]:
        orders = [list(candidates)]
        for n in range(1, self.shuffles):
            order = list(candidates)
            random.Random(n).shuffle(order)
            orders.append(order)
        answers = await asyncio.gather(*(self.ranker.rank(context, order) for order in orders))
        usage = sum((used for _, used in answers), Usage())
        return averaged([ranking for ranking, _ in answers], candidates), usage


def averaged(rankings: Sequence[Ranking], candidates: Sequence[Item]) -> Ranking:
    """One ranking from several of the same candidates, with how much they differ.

    The audit's counts are sums. Of written lists, the strict reading keeps what at least half of
    them name letter for letter.
    """
    ids = [c.id for c in candidates]
    places = [{item: rank for rank, item in enumerate(r.order, 1)} for r in rankings]
    ranks = {i: [place[i] for place in places] for i in ids}
    probabilities = {}
    if all(r.probabilities for r in rankings):
        probabilities = {i: fmean(r.probabilities.get(i, 0.0) for r in rankings) for i in ids}
    order = sorted(ids, key=lambda i: (-probabilities.get(i, 0.0), fmean(ranks[i])))
    lists = [r.strict for r in rankings if r.strict is not None]
    strict = [i for i in order if 2 * sum(i in one for one in lists) >= len(lists)]
    moved = fmean(pstdev(of_item) for of_item in ranks.values())
    audit = total([r.audit for r in rankings], position_sd=moved)
    return Ranking(tuple(order), audit, probabilities, tuple(strict) if lists else None)
