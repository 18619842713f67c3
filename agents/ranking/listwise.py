"""Ranking by a written list: the paper's protocol. The model writes the best titles, in order.

Source: LRGD (arXiv 2504.04386), section 4.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from langchain_core.language_models import BaseChatModel

from lrgd.agents.endpoint.client import translated_errors, usage_of
from lrgd.agents.endpoint.replies import Kind, message_reply
from lrgd.agents.prompts import RankingContext, listwise_prompt, option_names
from lrgd.agents.ranking.parser import parse_list
from lrgd.agents.values import Item, Ranking, Usage
from lrgd.core.errors import RankingFailed


@dataclass(frozen=True, slots=True)
class ListwiseRanker:
    """The paper's protocol: the model writes the best titles, in order.

    Example:
        >>> import asyncio, lrgd
        >>> from langchain_core.language_models import FakeListChatModel
        >>> chat = FakeListChatModel(responses=["1. Wool Socks\\n2. Garden Hose"])
        >>> ranker = lrgd.ListwiseRanker(chat)
        >>> context = lrgd.RankingContext("Bought so far: a scarf.", "Bought so far: nothing.")
        >>> shown = [lrgd.Item("1", "Garden Hose"), lrgd.Item("2", "Wool Socks")]
        >>> asyncio.run(ranker.rank(context, shown)).order
        ('2', '1')
    """

    model: BaseChatModel
    name: str = "the chat model"
    length: int = 10
    """Titles to ask for."""
    as_json: bool = False
    """Whether to hold the answer to a JSON schema: only for servers that constrain it."""

    async def rank(self, context: RankingContext, candidates: Sequence[Item]) -> Ranking:
        """Raises EndpointError where there is no reply; RankingFailed where it is no answer, or
        was cut off before it named a candidate."""
        names, length = list(option_names(candidates)), min(self.length, len(candidates))
        prompt = listwise_prompt(context.text, names, length, as_json=self.as_json)
        options: dict[str, Any] = {}
        if self.as_json:
            options["response_format"] = ranking_schema(names, length)
        with translated_errors(self.name):
            answer = await self.model.ainvoke([{"role": "user", "content": prompt}], **options)
        reply, used = message_reply(answer), usage_of(answer)
        if reply.kind != "answer":
            raise self._failed(reply.kind, used)
        ranking = parse_list(reply.text, candidates, asked=length, truncated=reply.truncated)
        if reply.truncated and not ranking.audit.named:
            raise self._failed("cut_off", used)
        return replace(ranking, usage=used)

    def _failed(self, kind: Kind, used: Usage) -> RankingFailed:
        return RankingFailed(f"{self.name} ranked nothing: {_WHY[kind]}", kind, used.counts)


_WHY: dict[Kind, str] = {
    "error": "it told an error",
    "empty": "its answer is empty",
    "refused": "it refused, or a content filter did",
    "reasoning": "it thought and gave no answer; raise --ranking-tokens, or try another --ranking",
    "cut_off": "the token limit came before a title was read; raise --ranking-tokens",
}


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
