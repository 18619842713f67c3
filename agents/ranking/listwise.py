"""Ranking by a written list: the paper's protocol. The model writes the best titles, in order.

Source: LRGD (arXiv 2504.04386), section 4.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from langchain_core.language_models import BaseChatModel

from lrgd.agents.endpoint.client import Usage, translated_errors, usage_of
from lrgd.agents.endpoint.reasoning import separated
from lrgd.agents.prompts import RankingContext, listwise_prompt, option_names
from lrgd.agents.ranking.parser import parse_list
from lrgd.agents.values import Item, Ranking


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
