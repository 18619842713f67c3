"""Probe: what a model server can do, found by asking it, and which ranking mode follows.

Every question is one short request. What a server refuses it cannot do; only a server that does
not answer at all, or does not know the model, is an error.
"""

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Literal

import httpx2
from openai import OpenAIError

from agents.choices import Chooser, Decisions, Logprobs, SystemOne, letter_probabilities
from agents.endpoint import Endpoint, translated_errors
from agents.prompts import LETTERS, choice_prompt
from agents.recommender import ranking_schema
from memory.errors import EndpointError

RankingMode = Literal["decision", "logprobs", "listwise"]

OPTION_COUNTS = (255, 128, 64, 52, 26, 2)
TOP_COUNTS = (64, 52, 26, 20, 10, 5)
PROBED = ["a red kite", "a blue boat", "an old lamp"]


@dataclass(frozen=True, slots=True)
class Abilities:
    """What a server can do for ranking."""

    systemone: int = 0
    """Options that a choice over /v1/systemone may have; 0: it does not speak it."""
    decisions: int = 0
    """The same over /v1/decisions."""
    top_logprobs: int = 0
    """Alternatives that it gives for a token; 0: none."""
    letters: int = 0
    """Of LETTERS, how many its tokenizer can tell apart and the model can answer with."""
    json_schema: bool = False
    """Whether it holds an answer to a JSON schema."""

    @property
    def typed(self) -> int:
        """Options of one typed question, over either endpoint."""
        return max(self.systemone, self.decisions)

    @property
    def lettered(self) -> int:
        """Options of one question whose answer is a letter."""
        return min(self.top_logprobs, self.letters)


async def probe(endpoint: Endpoint) -> Abilities:
    """Ask a server what it can do.

    Raises:
        EndpointError: it has no such model; EndpointUnavailable: it gives no answer.
    """
    await endpoint.check()
    endpoint = endpoint.impatient()  # a refusal is an answer here
    top = await _largest(TOP_COUNTS, lambda n: _gives_logprobs(endpoint, n))
    return Abilities(
        systemone=await _largest(OPTION_COUNTS, lambda n: _answers(SystemOne(endpoint), n)),
        decisions=await _largest(OPTION_COUNTS[:1], lambda n: _answers(Decisions(endpoint), n)),
        top_logprobs=top,
        letters=await _letters(endpoint) if top else 0,
        json_schema=await _holds_to_schema(endpoint),
    )


def choose_mode(abilities: Abilities) -> tuple[RankingMode, str]:
    """The mode that `auto` takes, and why: the one whose questions may have the most options."""
    typed, lettered = abilities.typed, abilities.lettered
    if typed >= max(2, lettered):
        return "decision", f"it answers typed questions of up to {typed} options"
    if lettered >= 2:
        instead = f"{typed} in a typed question" if typed else "no typed questions"
        return "logprobs", f"one token chooses among {lettered} letters ({instead})"
    return "listwise", "it gives no probabilities: the model writes the list"


def chooser_for(endpoint: Endpoint, mode: RankingMode, abilities: Abilities) -> tuple[Chooser, int]:
    """How to ask in a mode with probabilities, and the options that a question may have.

    Raises:
        EndpointError: the server cannot do that.
    """
    if mode == "logprobs" and abilities.lettered >= 2:
        return Logprobs(endpoint, abilities.top_logprobs), abilities.lettered
    if mode == "decision" and abilities.typed >= 2:
        typed = SystemOne if abilities.systemone >= abilities.decisions else Decisions
        return typed(endpoint), abilities.typed
    best, reason = choose_mode(abilities)
    raise EndpointError(f"{endpoint.name} cannot rank by {mode}: try --ranking {best}; {reason}")


async def _largest(counts: tuple[int, ...], works: Callable[[int], Awaitable[bool]]) -> int:
    for count in counts:
        if await works(count):
            return count
    return 0


async def _answers(chooser: Chooser, options: int) -> bool:
    names = [f"{n}" for n in range(options)]
    try:
        found, _ = await chooser.choose("Which number?", [names])
    except EndpointError:
        return False
    return len(found[0]) == options


async def _gives_logprobs(endpoint: Endpoint, top: int) -> bool:
    try:
        given, _ = await Logprobs(endpoint, top).alternatives(choice_prompt("A shopper.", PROBED))
    except EndpointError:
        return False
    # A server may cut the number down without a word.
    return len(given) >= top and bool(letter_probabilities(given))


async def _letters(endpoint: Endpoint) -> int:
    """52, or 26 where the tokenizer does not tell small letters from capitals.

    vLLM's /tokenize says so. Where a server has none, 52 is assumed: a letter that cannot be
    answered shows in the audit, as missing.
    """
    upper, lower = ([f"\n{letter}: " for letter in case] for case in (LETTERS[:26], LETTERS[26:]))
    tokens = [await _tokenized(endpoint, "".join(lines)) for lines in (upper, lower)]
    return 26 if tokens[0] is not None and tokens[0] == tokens[1] else len(LETTERS)


async def _tokenized(endpoint: Endpoint, text: str) -> list[int] | None:
    url = httpx2.URL(endpoint.settings.base_url).join("/tokenize")
    body = {"model": endpoint.settings.model, "prompt": text, "add_special_tokens": False}
    try:
        answer = await endpoint.client.post(str(url), body=body, cast_to=dict[str, Any])
        return [int(token) for token in answer["tokens"]]
    except (OpenAIError, LookupError, TypeError, ValueError):
        return None  # only vLLM has it


async def _holds_to_schema(endpoint: Endpoint) -> bool:
    model = endpoint.chat_model(temperature=0.0, max_tokens=64)
    try:
        with translated_errors(endpoint.name):
            answer = await model.ainvoke("Say hello.", response_format=ranking_schema(PROBED, 2))
            written = json.loads(str(answer.text))
            return set(written["ranking"]) <= set(PROBED) and len(written["ranking"]) == 2
    except EndpointError:
        return False
