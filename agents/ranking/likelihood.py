"""Ranks by how likely each title is as the model's whole answer.

    score(i) = log p(title_i, end of turn | prompt)
               - alpha * log p(title_i, end of turn | the same prompt, nothing about the shopper)

Plain likelihood favours short and frequent titles: the second term takes away what the model would
say of anybody (domain-conditional pointwise mutual information, Holtzman et al., arXiv 2104.08315;
alpha below 1 keeps a part of the prior). No letters, no positions, no limit of candidates; any
server whose /v1/completions can `echo` a prompt's log-probabilities, as for lm-evaluation-harness.
"""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from math import exp, isfinite
from typing import Any, Generic, Literal, TypeVar

from lrgd.agents.endpoint.client import Endpoint
from lrgd.agents.endpoint.replies import usage_in
from lrgd.agents.prompts import RankingContext, sanitized, title_prompt
from lrgd.agents.ranking.frame import ChatFrame, Tokenizer
from lrgd.agents.ranking.probabilities import log_probability
from lrgd.agents.values import Item, Ranking, Usage, ranking_by
from lrgd.core.errors import EndpointError

ALPHA = 0.8
"""nDCG@10 0.321 against 0.288 with alpha 1 and 0.22 with 0: SmolLM2-135M, 80 validation users of
Amazon Games, 50 uniform candidates."""

K = TypeVar("K")
V = TypeVar("V")


class Once(Generic[K, V]):
    """Answers that are asked for once; who comes while one is under way waits for it."""

    def __init__(self, ask: Callable[[K], Awaitable[V]]) -> None:
        self._ask = ask
        self._known: dict[K, V] = {}
        self._under_way: defaultdict[K, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def __call__(self, key: K) -> V:
        if key not in self._known:
            async with self._under_way[key]:
                if key not in self._known:
                    self._known[key] = await self._ask(key)
            self._under_way.pop(key, None)
        return self._known[key]


class Likelihoods:
    """Log-probabilities of whole answers, read from a server that echoes prompts.

    Args:
        frame: what the chat template puts around question and answer.
        generated: tokens that the server insists on writing after a prompt.
    """

    def __init__(self, endpoint: Endpoint, frame: ChatFrame, generated: Literal[0, 1] = 0) -> None:
        self.frame = frame
        self._endpoint = endpoint
        self._generated = generated
        self._tokenizer = Tokenizer(endpoint)
        self._answers = Once[str, list[int]](
            lambda text: self._tokenizer.tokens(frame.answer(text))
        )

    async def of(self, question: str, answers: Sequence[str]) -> tuple[list[float], Usage]:
        """log p(answer, end of turn | question), in nats, for each answer; one request.

        Raises:
            EndpointError: the server does not tell them all.
        """
        prompt, *ends = await asyncio.gather(
            self._tokenizer.tokens(self.frame.prompt(question)), *map(self._answers, answers)
        )
        body = {
            "model": self._endpoint.settings.model,
            "prompt": [[*prompt, *end] for end in ends],
            "max_tokens": self._generated,
            "temperature": 0.0,
            "echo": True,
            "logprobs": 1,
            # SGLang's name: what stands before need not be told. Others tell it all.
            "logprob_start_len": len(prompt),
        }

        def read(answer: Any) -> tuple[list[float], Usage]:
            choices = {choice["index"]: choice for choice in answer["choices"]}
            given = [choices[n]["logprobs"]["token_logprobs"] for n in range(len(ends))]
            sums = [self._sum(g, len(e), len(prompt)) for g, e in zip(given, ends, strict=True)]
            return sums, usage_in(answer)

        return await self._endpoint.ask("/completions", body, read)

    def _sum(self, given: Sequence[float | None], count: int, before: int) -> float:
        """The last `count` of a prompt's log-probabilities, added up."""
        whole = (count, before + count)
        # What had to be generated comes last, and is told of by most servers.
        end = len(given) - (self._generated if len(given) not in whole else 0)
        told = [log_probability(p) for p in given[max(0, end - count) : end] if p is not None]
        own = [p for p in told if isfinite(p)]
        # Behind a null that stands for what was not told (SGLang).
        padded = end == count + 1 and given[0] is None
        if len(own) < count or not (end in whole or padded) or not isfinite(sum(own)):
            raise EndpointError(
                f"{self._endpoint.name}: wanted {count} log-probabilities at the end of a prompt "
                f"of {before + count} tokens from /v1/completions, got {len(own)} of "
                f"{len(given)}; try another --ranking"
            )
        return sum(own)


class LikelihoodRanker:
    """Ranks by the likelihood of each title against its likelihood for anybody.

    The second term is asked for once: it depends on the candidates alone, in one request for all
    of them whatever their order, so that the answers' cache finds it again in a later process.
    (Asking only for titles not met before would make a request of what else was ranked before,
    and with it the last digits: models round differently in other company.)

    Args:
        alpha: weight of the second term.
        temperature: divides the scores where probabilities are made of them, by a softmax.
    """

    def __init__(
        self, likelihoods: Likelihoods, *, alpha: float = ALPHA, temperature: float = 1.0
    ) -> None:
        self.likelihoods = likelihoods
        self._alpha = alpha
        self._temperature = temperature
        self._anybody = Once[tuple[str, tuple[str, ...]], tuple[list[float], Usage]](
            lambda asked: likelihoods.of(*asked)
        )

    async def rank(self, context: RankingContext, candidates: Sequence[Item]) -> Ranking:
        """Raises EndpointError where the server does not answer in this way."""
        titles = tuple(sorted({sanitized(item.title) for item in candidates}))
        (here, used), (anybody, more) = await asyncio.gather(
            self.likelihoods.of(title_prompt(context.text), titles),
            self._anybody((title_prompt(context.content_free), titles)),
        )
        scores = [h - self._alpha * a for h, a in zip(here, anybody, strict=True)]
        of_title = dict(zip(titles, scores, strict=True))
        by_item = {item.id: of_title[sanitized(item.title)] for item in candidates}
        probabilities = softmax(by_item, self._temperature)
        # Told each time, as an answer from the cache is: records do not depend on who came first.
        return ranking_by(by_item, candidates, probabilities, used + more)


def softmax(scores: Mapping[str, float], temperature: float) -> dict[str, float]:
    """Scores as probabilities, which sum to 1."""
    # The largest score is subtracted first: exp of the others cannot overflow.
    most = max(scores.values())
    weights = {name: exp((score - most) / temperature) for name, score in scores.items()}
    total = sum(weights.values())
    return {name: weight / total for name, weight in weights.items()}
