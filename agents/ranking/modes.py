"""The ranking modes: which a server can do, which suits it, and the ranker of each.

A new mode is a ranker in a file of its own, an ability that the probe finds, and a line here.
"""

from dataclasses import dataclass, replace
from typing import Literal

from lrgd.agents.endpoint.client import Endpoint, EndpointSettings
from lrgd.agents.endpoint.dialect import STANDARD, Dialect
from lrgd.agents.endpoint.reasoning import Thinking
from lrgd.agents.ranking.choices import Chooser, Decisions, Logprobs, SystemOne
from lrgd.agents.ranking.frame import ChatFrame
from lrgd.agents.ranking.heats import ChoiceRanker
from lrgd.agents.ranking.likelihood import LikelihoodRanker, Likelihoods
from lrgd.agents.ranking.listwise import ListwiseRanker
from lrgd.agents.ranking.probabilities import GOOD_SHARE, LEAST_SHARE
from lrgd.agents.ranking.rerank import NOTE_WEIGHT, RerankRanker
from lrgd.agents.recommender import Ranker
from lrgd.agents.values import RankingMode
from lrgd.core.errors import EndpointError

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
    letter_share: float = 1.0
    """Of an answer's first token, the probability that is the options' letters'."""
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
    dialect: Dialect = STANDARD
    """How it wants chat completions asked."""
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

    def known(self, settings: EndpointSettings) -> EndpointSettings:
        """Settings of this server, with what was found out about how to ask it."""
        return replace(settings, thinking=self.thinking, dialect=self.dialect)


def choose_mode(abilities: Abilities) -> tuple[RankingMode, str]:
    """The mode that `auto` takes, and why: what was made for ranking; then the mode whose
    questions may have the most options; then what ranks without questions."""
    if abilities.rerank:
        return "rerank", "it scores documents itself, by attention or as a reranker (/v1/rerank)"
    typed, lettered = abilities.typed, abilities.lettered
    if typed >= max(2, lettered):
        return "decision", f"it answers typed questions of up to {typed} options"
    unsure = lettered >= 2 and abilities.letter_share < GOOD_SHARE
    if lettered >= 2 and not unsure:
        instead = f"{typed} in a typed question" if typed else "no typed questions"
        return "logprobs", f"one token chooses among {lettered} letters ({instead})"
    if abilities.echo:
        return "likelihood", "it tells how likely each title is as an answer"
    if unsure:
        share = f"{abilities.letter_share:.2%}"
        return (
            "listwise",
            f"the model writes the list; it answers with a letter in {share} of cases",
        )
    return "listwise", "it gives no probabilities: the model writes the list"


def thinking_room(abilities: Abilities) -> int:
    """Tokens that an answer needs beside its own."""
    return THINKING_TOKENS if abilities.thinking == "always on" else 0


def ranker_for(
    endpoint: Endpoint,
    mode: RankingMode,
    abilities: Abilities,
    tokens: int = LISTWISE_TOKENS,
) -> Ranker:
    """The ranker of a mode.

    Args:
        tokens: bound on a written ranking.

    Raises:
        EndpointError: the server cannot rank so.
    """
    if mode == "listwise":
        # Greedy: a ranking should not change from call to call.
        room = tokens + thinking_room(abilities)
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
    best, reason = choose_mode(abilities)
    if mode == "logprobs" and abilities.lettered >= 2:
        if abilities.letter_share < LEAST_SHARE:
            raise EndpointError(
                f"{endpoint.name} cannot rank by logprobs: its options' letters hold "
                f"{abilities.letter_share:.2%} of the probability, {LEAST_SHARE:.0%} are wanted; "
                f"try --ranking {best}"
            )
        return Logprobs(endpoint, abilities.top_logprobs), abilities.lettered
    if mode == "decision" and abilities.typed >= 2:
        typed = SystemOne if abilities.systemone >= abilities.decisions else Decisions
        return typed(endpoint), abilities.typed
    raise EndpointError(f"{endpoint.name} cannot rank by {mode}: try --ranking {best}; {reason}")
