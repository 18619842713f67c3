"""Ranks over /v1/rerank: a query, documents, a score for each document.

The form that vLLM, Jina and Cohere share, for cross-encoders and for language models whose
attention is read (serving/embedded). `baseline_query` is an extension of the embedded server: the
query without content, whose attention is subtracted; other servers ignore it.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isclose, isfinite, log
from typing import Any

from lrgd.agents.endpoint.client import Endpoint
from lrgd.agents.endpoint.replies import usage_in
from lrgd.agents.prompts import RankingContext, option_names, rerank_query
from lrgd.agents.ranking.likelihood import softmax
from lrgd.agents.values import Item, Ranking, Usage, ranking_by
from lrgd.core.errors import EndpointError

TOLERANCE = 1e-3
"""By how much the sum of probabilities may differ from 1."""
NOTE_WEIGHT = 0.5
"""Of a demonstration that is read apart, against history's 1. Picked by hand, no difference of its
trial is clear of 0: docs/models.md, "A demonstration is read apart"."""
LEAST = 1e-30
"""A probability that rounds to 0 has this logarithm."""


@dataclass(frozen=True, slots=True)
class RerankRanker:
    """Ranks by the relevance of each title to what is known of the shopper.

    Where the server's scores are probabilities, a demonstration may be asked apart: the ranking's
    are then p(title | history) p(title | demonstration)^note_weight, normalised. Attention is a
    mean over a query's tokens, and few of them are the demonstration's.
    """

    endpoint: Endpoint
    note_weight: float | None = None
    """None: the demonstration is part of the one query."""

    async def rank(self, context: RankingContext, candidates: Sequence[Item]) -> Ranking:
        """Scores that are no probabilities (logits, sigmoids) rank all the same.

        Raises:
            EndpointError: the server does not score every document by a number.
        """
        if self.note_weight is None or not context.note_alone:
            scores, used = await self._scores(context.text, context, candidates)
            return ranking_by(scores, candidates, _probabilities(scores), used)
        (known, used), (noted, more) = await asyncio.gather(
            self._scores(context.without_note, context, candidates),
            self._scores(context.note_alone, context, candidates),
        )
        pooled = {
            item: log(max(known[item], LEAST)) + self.note_weight * log(max(noted[item], LEAST))
            for item in known
        }
        return ranking_by(pooled, candidates, softmax(pooled, 1.0), used + more)

    async def _scores(
        self, text: str, context: RankingContext, candidates: Sequence[Item]
    ) -> tuple[dict[str, float], Usage]:
        """Item id -> relevance to a text."""
        names = option_names(candidates)
        body = {
            "model": self.endpoint.settings.model,
            "query": rerank_query(text),
            "documents": list(names),
            "top_n": len(names),
            "baseline_query": rerank_query(context.content_free),
        }

        def read(answer: Any) -> tuple[dict[str, float], Usage]:
            given = [(r["index"], float(r["relevance_score"])) for r in answer["results"]]
            scores = self._by_document(given, len(names))
            return dict(zip(names.values(), scores, strict=True)), usage_in(answer)

        return await self.endpoint.ask("/rerank", body, read)

    def _by_document(self, given: Sequence[tuple[int, float]], count: int) -> list[float]:
        scores = {index: score for index, score in given if isfinite(score)}
        if len(given) != count or scores.keys() != set(range(count)):
            raise EndpointError(
                f"{self.endpoint.name}: wanted a finite score for each of {count} documents from "
                f"/v1/rerank, got {str(given)[:200]}; try another --ranking"
            )
        return [scores[n] for n in range(count)]


def _probabilities(scores: Mapping[str, float]) -> Mapping[str, float]:
    """The scores themselves where they are probabilities over the documents, else none."""
    total = sum(scores.values())
    if min(scores.values()) >= 0 and isclose(total, 1.0, abs_tol=TOLERANCE):
        return scores
    return {}
