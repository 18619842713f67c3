"""Probe: what a model server can do, found by asking it.

Every question is one short request. What a server refuses it cannot do; only a server that does
not answer at all, or does not know the model, is an error.
"""

import json
from collections.abc import Awaitable, Callable
from typing import Literal

from lrgd.agents.endpoint.client import Endpoint, translated_errors
from lrgd.agents.endpoint.inquiry import spoken_dialect, thinking
from lrgd.agents.prompts import LETTERS, RankingContext, choice_prompt
from lrgd.agents.ranking.choices import (
    Chooser,
    Decisions,
    Logprobs,
    SystemOne,
    letter_probabilities,
)
from lrgd.agents.ranking.frame import ChatFrame, Tokenizer, chat_frame
from lrgd.agents.ranking.likelihood import LikelihoodRanker, Likelihoods
from lrgd.agents.ranking.listwise import ranking_schema
from lrgd.agents.ranking.modes import Abilities
from lrgd.agents.ranking.rerank import RerankRanker
from lrgd.agents.recommender import Ranker
from lrgd.agents.values import Item, Ranking
from lrgd.core.errors import EndpointError

OPTION_COUNTS = (255, 128, 64, 52, 26, 2)
TOP_COUNTS = (64, 52, 26, 20, 10, 5)
PROBED = ["a red kite", "a blue boat", "an old lamp"]


async def probe(endpoint: Endpoint) -> Abilities:
    """Ask a server what it can do.

    Raises:
        EndpointError: it has no such model; EndpointUnavailable: it gives no answer.
    """
    dialect = await spoken_dialect(endpoint)
    endpoint = endpoint.with_dialect(dialect)
    thought = await thinking(endpoint)
    endpoint = endpoint.with_thinking(thought).impatient()  # a refusal is an answer here
    top, share = await _alternatives(endpoint)
    frame = await _frame(endpoint)
    echo_tokens = await _echo_tokens(endpoint, frame) if frame else None
    reranked = await _ranked(RerankRanker(endpoint))
    return Abilities(
        systemone=await _largest(OPTION_COUNTS, lambda n: _answers(SystemOne(endpoint), n)),
        decisions=await _largest(OPTION_COUNTS[:1], lambda n: _answers(Decisions(endpoint), n)),
        top_logprobs=top,
        letter_share=share if top else 1.0,
        letters=await _letters(endpoint) if top else 0,
        json_schema=await _holds_to_schema(endpoint),
        rerank=reranked is not None,
        rerank_shares=reranked is not None and bool(reranked.probabilities),
        echo=echo_tokens is not None,
        echo_tokens=echo_tokens or 0,
        thinking=thought,
        dialect=dialect,
        frame=frame,
    )


async def _largest(counts: tuple[int, ...], works: Callable[[int], Awaitable[bool]]) -> int:
    for count in counts:
        if await works(count):
            return count
    return 0


async def _answers(chooser: Chooser, options: int) -> bool:
    names = [f"{n}" for n in range(options)]
    try:
        probabilities, _ = await chooser.choose("Which number?", [names])
    except EndpointError:
        return False
    return len(probabilities[0]) == options


async def _alternatives(endpoint: Endpoint) -> tuple[int, float]:
    """How many alternatives of a token the server gives, and how much of the probability is the
    options' letters'; nothing where no letter is among them."""
    for top in TOP_COUNTS:
        prompt = choice_prompt("A shopper.", PROBED)
        try:
            given, _ = await Logprobs(endpoint, top).alternatives(prompt)
        except EndpointError:
            continue
        of_letter = letter_probabilities(given)
        asked = [of_letter[letter] for letter in LETTERS[: len(PROBED)] if letter in of_letter]
        # A server may cut the number down without a word.
        if len(given) >= top and asked:
            return top, round(min(sum(asked), 1.0), 6)
    return 0, 0.0


async def _letters(endpoint: Endpoint) -> int:
    """52, or 26 where the tokenizer does not tell small letters from capitals.

    The server's /tokenize says so. Where it has none, 52 is assumed: a letter that cannot be
    answered shows in the audit, as missing.
    """
    upper, lower = ([f"\n{letter}: " for letter in case] for case in (LETTERS[:26], LETTERS[26:]))
    tokenizer = Tokenizer(endpoint)
    try:
        alike = await tokenizer.tokens("".join(upper)) == await tokenizer.tokens("".join(lower))
    except EndpointError:
        return len(LETTERS)
    return 26 if alike else len(LETTERS)


async def _frame(endpoint: Endpoint) -> ChatFrame | None:
    try:
        return await chat_frame(Tokenizer(endpoint))
    except EndpointError:
        return None


async def _echo_tokens(endpoint: Endpoint, frame: ChatFrame) -> Literal[0, 1] | None:
    """Tokens that it must write to echo a prompt, none if it can be; None where it does not."""
    counts: tuple[Literal[0, 1], ...] = (0, 1)
    for count in counts:
        if await _ranked(LikelihoodRanker(Likelihoods(endpoint, frame, count))):
            return count
    return None


async def _ranked(ranker: Ranker) -> Ranking | None:
    """A ranking, where the server answers what this ranker asks."""
    candidates = [Item(title, title) for title in PROBED]
    try:
        return await ranker.rank(RankingContext("A shopper.", "N/A"), candidates)
    except EndpointError:
        return None


async def _holds_to_schema(endpoint: Endpoint) -> bool:
    model = endpoint.chat_model(temperature=0.0, max_tokens=64)
    try:
        with translated_errors(endpoint.name):
            answer = await model.ainvoke("Say hello.", response_format=ranking_schema(PROBED, 2))
            written = json.loads(str(answer.text))
            return set(written["ranking"]) <= set(PROBED) and len(written["ranking"]) == 2
    except EndpointError:
        return False
