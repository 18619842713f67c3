"""Recommender: ranks the candidates of a task. Stage 2 of LRGD (arXiv 2504.04386).

A file in `agents/ranking/` for each way of asking a model. A ranker of a user's own may answer with
a `Ranking` or with the candidates' ids in order; `ranking_of` asks either kind, and always returns
a permutation of the candidates:

    class Alphabetical:
        async def rank(self, context, candidates):
            return [item.id for item in sorted(candidates, key=lambda item: item.title)]
"""

import asyncio
import random
from collections.abc import Awaitable, Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean, pstdev
from typing import Protocol, TypeVar

from lrgd.agents.prior import posterior
from lrgd.agents.prompts import RankingContext
from lrgd.agents.values import (
    Item,
    Ranking,
    RankingAudit,
    RankingTask,
    Usage,
    total,
    usage_of_all,
)
from lrgd.core.errors import InputError, RankingFailed

T = TypeVar("T")


class Ranker(Protocol):
    """Ranks candidates, given what the model reads before them.

    Example:
        >>> import asyncio, lrgd
        >>> from langchain_core.language_models import FakeListChatModel
        >>> chat = FakeListChatModel(responses=["1. Wool Socks"])
        >>> ranker: lrgd.Ranker = lrgd.ListwiseRanker(chat)
        >>> context = lrgd.RankingContext("Bought so far: a scarf.", "Bought so far: nothing.")
        >>> shown = [lrgd.Item("1", "Garden Hose"), lrgd.Item("2", "Wool Socks")]
        >>> asyncio.run(ranker.rank(context, shown)).order
        ('2', '1')
    """

    async def rank(self, context: RankingContext, candidates: Sequence[Item]) -> Ranking: ...


class CustomRanker(Protocol):
    """A ranker as a user may write it: it returns a `Ranking`, or ids in order, best first.

    Example:
        >>> import asyncio, lrgd
        >>> from langchain_core.language_models import FakeListChatModel
        >>> class BySharedWords:
        ...     async def rank(self, context, candidates):
        ...         words = set(context.text.lower().split())
        ...         shared = {c.id: len(words & set(c.title.lower().split())) for c in candidates}
        ...         return sorted(shared, key=shared.get, reverse=True)
        >>> notes = FakeListChatModel(responses=["Ann looks for garden things."])
        >>> ann = {"user_id": "ann", "history": ["Garden Gloves"], "target_id": "Garden Hose",
        ...        "candidates": ["Wool Socks", "Garden Hose"]}
        >>> found = asyncio.run(lrgd.optimize([ann], model=notes, ranker=BySharedWords()))
        >>> found.ranks("ann")
        [[1], [1], [1]]
    """

    async def rank(
        self, context: RankingContext, candidates: Sequence[Item]
    ) -> Ranking | Sequence[str]: ...


async def asked_all(
    asked: Iterable[Awaitable[T]],
) -> tuple[list[T], list[RankingFailed]]:
    """What was asked side by side: the answers, and the failures; all of them are over then.

    Raises the first of any other exceptions.
    """
    found = await asyncio.gather(*asked, return_exceptions=True)
    answers, failed = [], []
    for one in found:
        if isinstance(one, RankingFailed):
            failed.append(one)
        elif isinstance(one, BaseException):
            raise one
        else:
            answers.append(one)
    return answers, failed


def together(failed: Sequence[RankingFailed], paid: Usage) -> RankingFailed:
    """Several failures as one, with what else was paid beside them."""
    used = sum((Usage(*one.paid) for one in failed), paid)
    return RankingFailed(str(failed[0]), failed[0].kind, used.counts)


async def ranking_of(ranker: CustomRanker, context: RankingContext, task: RankingTask) -> Ranking:
    """Rank a task's candidates: what the ranker says, with the task's prior added.

    Raises: as `answer_of`.
    """
    answer = await answer_of(ranker, context, task.candidates)
    return posterior(answer, task.prior, task.candidates) if task.prior else answer


async def answer_of(
    ranker: CustomRanker, context: RankingContext, candidates: Sequence[Item]
) -> Ranking:
    """Ask a ranker, and nothing else.

    Raises:
        InputError: it returned neither a `Ranking` of these candidates nor a sequence of ids.
        RankingFailed: there was no answer to rank by.
    """
    return as_ranking(await ranker.rank(context, candidates), candidates)


def as_ranking(answer: Ranking | Sequence[str], candidates: Sequence[Item]) -> Ranking:
    """A ranker's answer as a permutation of the candidates.

    Of ids in order each counts once. Candidates that are not named follow in candidate order; the
    audit counts them, repeated ids, and ids of no candidate.

    Raises:
        InputError: it is no sequence of ids, or a `Ranking` that is no permutation.
    """
    ids = dict.fromkeys(c.id for c in candidates)
    if isinstance(answer, Ranking):
        if len(answer.order) != len(ids) or ids.keys() != set(answer.order):
            raise InputError(
                f"a Ranking orders every candidate once, got {len(answer.order)} ids for "
                f"{len(ids)} candidates: return a list of ids to have it completed"
            )
        return answer
    if (
        not isinstance(answer, Sequence)
        or isinstance(answer, str)
        or not all(isinstance(item_id, str) for item_id in answer)
    ):
        raise InputError(
            "a ranker returns a Ranking or a list of the candidates' ids (str), best first, "
            f"got {' '.join(repr(answer).split())[:80]}"
        )
    known = [item_id for item_id in answer if item_id in ids]
    named = dict.fromkeys(known)
    audit = RankingAudit(
        named=len(named),
        duplicates=len(known) - len(named),
        out_of_set=len(answer) - len(known),
        missing=len(ids) - len(named),
    )
    return Ranking(tuple({**named, **ids}), audit)


@dataclass(frozen=True, slots=True)
class ShuffledRanker:
    """Averages a ranker over several candidate orders, so that positions matter less.

    The orders are the given one and seeded shuffles of it. Where there are probabilities they are
    averaged, otherwise ranks are.

    Example:
        >>> import asyncio, lrgd
        >>> from langchain_core.language_models import FakeListChatModel
        >>> one = lrgd.ListwiseRanker(FakeListChatModel(responses=["1. Wool Socks"]))
        >>> context = lrgd.RankingContext("Bought so far: a scarf.", "Bought so far: nothing.")
        >>> shown = [lrgd.Item("1", "Garden Hose"), lrgd.Item("2", "Wool Socks")]
        >>> ranking = asyncio.run(lrgd.ShuffledRanker(one, shuffles=4).rank(context, shown))
        >>> ranking.order, ranking.usage.calls
        (('2', '1'), 4)
    """

    ranker: CustomRanker
    shuffles: int
    """Orders in all, 1 or more."""

    async def rank(self, context: RankingContext, candidates: Sequence[Item]) -> Ranking:
        orders = [list(candidates)]
        for n in range(1, self.shuffles):
            order = list(candidates)
            random.Random(n).shuffle(order)
            orders.append(order)
        asked = (answer_of(self.ranker, context, order) for order in orders)
        rankings, failed = await asked_all(asked)
        if failed:
            raise together(failed, usage_of_all(rankings))
        return averaged(rankings, candidates)


def averaged(rankings: Sequence[Ranking], candidates: Sequence[Item]) -> Ranking:
    """One ranking from several of the same candidates, with how much they differ.

    The audit's counts and the usage are sums. Of written lists, the strict reading keeps what at
    least half of them name letter for letter.
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
    return Ranking(
        tuple(order),
        total([r.audit for r in rankings], position_sd=fmean(map(pstdev, ranks.values()))),
        probabilities,
        tuple(strict) if lists else None,
        usage_of_all(rankings),
    )
