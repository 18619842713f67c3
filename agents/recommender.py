"""Recommender: ranks the candidates of a task. Stage 2 of LRGD (arXiv 2504.04386).

Two modes behind one interface. `decision` reads a probability for each candidate from one
forward pass; `listwise` has the model write the list, as in the paper, and parses it. Both return
a permutation of the candidates, whatever the model did.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from langchain_core.language_models import BaseChatModel

from agents.endpoint import Endpoint, Usage, translated_errors, usage_of
from agents.listwise import parse_list
from agents.prompts import RANKING_QUESTION, listwise_prompt, option_names
from agents.values import Item, Ranking, RankingAudit
from memory.errors import EndpointError


class Ranker(Protocol):
    """Ranks candidates, given the text that the model reads before them."""

    async def rank(self, state: str, candidates: Sequence[Item]) -> tuple[Ranking, Usage]: ...


@dataclass(frozen=True, slots=True)
class DecisionRanker:
    """One typed `choice` question over `/v1/systemone`, its options the candidates."""

    endpoint: Endpoint

    async def rank(self, state: str, candidates: Sequence[Item]) -> tuple[Ranking, Usage]:
        """Raises EndpointError where the server does not speak System One."""
        names = option_names(candidates)
        question = {
            "type": "choice",
            "instructions": RANKING_QUESTION,
            "criteria": dict.fromkeys(names),
        }
        body = {
            "model": self.endpoint.settings.model,
            "state": state,
            "questions": {"next": question},
        }
        with translated_errors(self.endpoint.name):
            answer = await self.endpoint.client.post(
                "/systemone", body=body, cast_to=dict[str, Any]
            )
        probabilities = self._probabilities(answer, names)
        tokens = answer.get("usage", {}).get("input_tokens", 0)
        return ranking_from(probabilities, candidates), Usage(1, tokens, 0)

    def _probabilities(self, answer: dict[str, Any], names: dict[str, str]) -> dict[str, float]:
        try:
            by_name = answer["answers"]["next"]["probabilities"]
            return {item_id: float(by_name[name]) for name, item_id in names.items()}
        except (KeyError, TypeError, ValueError) as error:
            raise EndpointError(
                f"{self.endpoint.name}: wanted a probability for each of {len(names)} options "
                f"from /v1/systemone, got {str(answer)[:200]}; try --ranking listwise"
            ) from error


@dataclass(frozen=True, slots=True)
class ListwiseRanker:
    """The paper's protocol: the model writes the ranked titles, one a line."""

    model: BaseChatModel
    name: str = "the chat model"
    length: int = 10
    """Titles to ask for."""

    async def rank(self, state: str, candidates: Sequence[Item]) -> tuple[Ranking, Usage]:
        names = option_names(candidates)
        prompt = listwise_prompt(state, list(names), min(self.length, len(names)))
        messages = [{"role": "user", "content": prompt}]
        with translated_errors(self.name):
            answer = await self.model.ainvoke(messages)
        truncated = answer.response_metadata.get("finish_reason") == "length"
        return parse_list(str(answer.text), candidates, truncated=truncated), usage_of(answer)


def ranking_from(probabilities: dict[str, float], candidates: Sequence[Item]) -> Ranking:
    """Candidates by falling probability; equal ones keep the candidate order."""
    order = sorted((c.id for c in candidates), key=lambda item_id: -probabilities[item_id])
    return Ranking(tuple(order), RankingAudit(named=len(order)), probabilities)
