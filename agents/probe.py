"""Probe: what a model server can do, found by asking it, and which ranking mode follows.

Every question is one short request. What a server refuses it cannot do; only a server that does
not answer at all, or does not know the model, is an error.
"""

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Literal

from agents.choices import Chooser, Decisions, Logprobs, SystemOne, letter_probabilities
from agents.endpoint import Endpoint, thinking, translated_errors
from agents.frame import ChatFrame, Tokenizer, chat_frame
from agents.heats import ChoiceRanker
from agents.likelihood import LikelihoodRanker, Likelihoods
from agents.prompts import LETTERS, RankingContext, choice_prompt
from agents.reasoning import Thinking
from agents.recommender import ListwiseRanker, Ranker, ranking_schema
from agents.rerank import NOTE_WEIGHT, RerankRanker
from agents.values import Item, Ranking
from memory.errors import EndpointError

RankingMode = Literal["decision", "logprobs", "likelihood", "rerank", "listwise"]

OPTION_COUNTS = (255, 128, 64, 52, 26, 2)
TOP_COUNTS = (64, 52, 26, 20, 10, 5)
PROBED = ["a red kite", "a blue boat", "an old lamp"]
LISTWISE_TOKENS = 512
"""Bound on a written ranking: ten long titles."""
THINKING_TOKENS = 4_096
"""Room for the thoughts of a model that can not be kept from thinking."""


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
    rerank: bool = False
    """Whether it scores documents over /v1/rerank."""
    rerank_shares: bool = False
    """Whether those scores are probabilities over the documents."""
    echo: bool = False
    """Whether it tells a prompt's log-probabilities over /v1/completions."""
    echo_tokens: Literal[0, 1] = 0
    """Tokens that it insists on writing after such a prompt."""
    thinking: Thinking = "none"
    """Whether the model thinks before it answers, and whether it can be kept from it."""
    frame: ChatFrame | None = None
    """What stands around question and answer there; None where it has no tokenizer to ask."""

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
    thought = await thinking(endpoint)
    endpoint = endpoint.with_thinking(thought).impatient()  # a refusal is an answer here
    top = await _largest(TOP_COUNTS, lambda n: _gives_logprobs(endpoint, n))
    frame = await _frame(endpoint)
    echo_tokens = await _echo_tokens(endpoint, frame) if frame else None
    reranked = await _ranked(RerankRanker(endpoint))
    return Abilities(
        systemone=await _largest(OPTION_COUNTS, lambda n: _answers(SystemOne(endpoint), n)),
        decisions=await _largest(OPTION_COUNTS[:1], lambda n: _answers(Decisions(endpoint), n)),
        top_logprobs=top,
        letters=await _letters(endpoint) if top else 0,
        json_schema=await _holds_to_schema(endpoint),
        rerank=reranked is not None,
        rerank_shares=reranked is not None and bool(reranked.probabilities),
        echo=echo_tokens is not None,
        echo_tokens=echo_tokens or 0,
        thinking=thought,
        frame=frame,
    )


def choose_mode(abilities: Abilities) -> tuple[RankingMode, str]:
    """The mode that `auto` takes, and why: what was made for ranking; then the mode whose
    questions may have the most options; then what ranks without questions."""
    if abilities.rerank:
        return "rerank", "it scores documents itself, by attention or as a reranker (/v1/rerank)"
    typed, lettered = abilities.typed, abilities.lettered
    if typed >= max(2, lettered):
        return "decision", f"it answers typed questions of up to {typed} options"
    if lettered >= 2:
        instead = f"{typed} in a typed question" if typed else "no typed questions"
        return "logprobs", f"one token chooses among {lettered} letters ({instead})"
    if abilities.echo:
        return "likelihood", "it tells how likely each title is as an answer"
    return "listwise", "it gives no probabilities: the model writes the list"


def thinking_room(abilities: Abilities) -> int:
    """Tokens that an answer needs beside its own."""
    return THINKING_TOKENS if abilities.thinking == "always on" else 0


def ranker_for(endpoint: Endpoint, mode: RankingMode, abilities: Abilities) -> Ranker:
    """The ranker of a mode.

    Raises:
        EndpointError: the server cannot rank so.
    """
    if mode == "listwise":
        # Greedy: a ranking should not change from call to call.
        room = LISTWISE_TOKENS + thinking_room(abilities)
        model = endpoint.chat_model(temperature=0.0, max_tokens=room)
        return ListwiseRanker(model, endpoint.name, as_json=abilities.json_schema)
    if mode == "rerank" and abilities.rerank:
        return RerankRanker(endpoint, NOTE_WEIGHT if abilities.rerank_shares else None)
    if mode == "likelihood" and abilities.echo and abilities.frame:
        return LikelihoodRanker(Likelihoods(endpoint, abilities.frame, abilities.echo_tokens))
    return ChoiceRanker(*chooser_for(endpoint, mode, abilities))


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
        ranking, _ = await ranker.rank(RankingContext("A shopper.", "N/A"), candidates)
    except EndpointError:
        return None
    return ranking


async def _holds_to_schema(endpoint: Endpoint) -> bool:
    model = endpoint.chat_model(temperature=0.0, max_tokens=64)
    try:
        with translated_errors(endpoint.name):
            answer = await model.ainvoke("Say hello.", response_format=ranking_schema(PROBED, 2))
            written = json.loads(str(answer.text))
            return set(written["ranking"]) <= set(PROBED) and len(written["ranking"]) == 2
    except EndpointError:
        return False
