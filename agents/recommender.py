"""Recommender: ranks the candidates of a task. Stage 2 of LRGD (arXiv 2504.04386).

Five modes behind one interface, `Ranker`. `decision` and `logprobs` read a probability for each
candidate (`agents.heats`, `agents.choices`); `likelihood` scores each title as the answer
(`agents.likelihood`); `rerank` has the server score them (`agents.rerank`); `listwise` has the
model write the list, as in the paper, and parses it. All return a permutation of the candidates,
whatever the model did.
"""

import asyncio
import random
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, pstdev
from typing import Any, Protocol

from langchain_core.language_models import BaseChatModel

from agents.endpoint import Usage, translated_errors, usage_of
from agents.listwise import parse_list
from agents.prompts import RankingContext, listwise_prompt, option_names
from agents.reasoning import separated
from agents.values import Item, Ranking, total


class Ranker(Protocol):
    """Ranks candidates, given what the model reads before them."""

    async def rank(
        self, context: RankingContext, candidates: Sequence[Item]
    ) -> tuple[Ranking, Usage]: ...


@dataclass(frozen=True, slots=True)
class ListwiseRanker:
    """The paper's protocol: the model writes the best titles, in order."""

    model: BaseChatModel
    name: str = "the chat model"
    length: int = 10
    """Titles to ask for."""
    as_json: bool = False
    """Whether to hold the answer to a JSON schema: only for servers that constrain it."""

    async def rank(
        self, context: RankingContext, candidates: Sequence[Item]
    ) -> tuple[Ranking, Usage]:
        names, length = list(option_names(candidates)), min(self.length, len(candidates))
        prompt = listwise_prompt(context.text, names, length, as_json=self.as_json)
        options: dict[str, Any] = {}
        if self.as_json:
            options["response_format"] = ranking_schema(names, length)
        with translated_errors(self.name):
            answer = await self.model.ainvoke([{"role": "user", "content": prompt}], **options)
        truncated = answer.response_metadata.get("finish_reason") == "length"
        # Any LangChain model may be given: ours has taken its thoughts out already.
        text = separated(str(answer.text)).text
        ranking = parse_list(text, candidates, asked=length, truncated=truncated)
        return ranking, usage_of(answer)


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


def ranking_schema(names: Sequence[str], length: int) -> dict[str, Any]:
    """The `response_format` that admits only JSON objects with `length` of the names."""
    titles = {
        "type": "array",
        "items": {"type": "string", "enum": list(names)},
        "minItems": length,
        "maxItems": length,
    }
    schema = {
        "type": "object",
        "properties": {"ranking": titles},
        "required": ["ranking"],
        "additionalProperties": False,
    }
    return {
        "type": "json_schema",
        "json_schema": {"name": "ranking", "schema": schema, "strict": True},
    }
