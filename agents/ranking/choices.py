"""Three ways to ask for a probability for each option, behind one interface.

* `SystemOne`: typed questions over `/v1/systemone` (vLLM, transformers serve).
* `Decisions`: the same over `/v1/decisions` (OpenAI).
* `Logprobs`: one token over chat completions, read from its alternatives' log-probabilities.

Each puts several questions about one context at once: the heats of one ranking (`heats`).
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import exp
from statistics import fmean
from typing import Any, ClassVar, Protocol, TypeVar

from lrgd.agents.endpoint.client import Endpoint
from lrgd.agents.endpoint.notices import LOW_SHARE
from lrgd.agents.endpoint.replies import CHAT, UNREADABLE, chat_reply, usage_in
from lrgd.agents.prompts import LETTERS, RANKING_QUESTION, choice_prompt
from lrgd.agents.ranking.probabilities import (
    GOOD_SHARE,
    LEAST_SHARE,
    ROUNDING,
    decoded,
    log_probability,
    probability,
)
from lrgd.agents.recommender import asked_all, together
from lrgd.agents.values import Usage
from lrgd.core.errors import EndpointError, RankingFailed

T = TypeVar("T")

Probabilities = dict[str, float]
"""Option -> probability; an option that the model gave none is absent."""


class Chooser(Protocol):
    """Asks which option comes next, once for each list of options, all over one context."""

    open_ended: ClassVar[bool]
    """Whether an answer may be no option at all: a question's probabilities then sum to the
    options' share, else to 1."""

    async def choose(
        self, context: str, questions: Sequence[Sequence[str]]
    ) -> tuple[list[Probabilities], Usage]: ...


@dataclass(frozen=True, slots=True)
class SystemOne:
    """Typed `choice` questions over `/v1/systemone`: one request, one forward pass a question."""

    open_ended: ClassVar[bool] = False

    endpoint: Endpoint

    async def choose(
        self, context: str, questions: Sequence[Sequence[str]]
    ) -> tuple[list[Probabilities], Usage]:
        """Raises EndpointError where the server does not speak System One."""
        asked = {str(n): _system_one_question(options) for n, options in enumerate(questions, 1)}
        body = {"model": self.endpoint.settings.model, "state": context, "questions": asked}

        def read(answer: Any) -> tuple[list[Probabilities], Usage]:
            given = [answer["answers"][n]["probabilities"] for n in asked]
            probabilities = [
                {option: probability(of_option[option]) for option in options}
                for options, of_option in zip(questions, given, strict=True)
            ]
            return probabilities, usage_in(answer)

        wanted = f"a probability for each of {len(questions[0])} options"
        return await self.endpoint.ask("/systemone", body, _or_refused(self.endpoint, wanted, read))


@dataclass(frozen=True, slots=True)
class Decisions:
    """Typed `choice` questions over OpenAI's `/v1/decisions`, in one request."""

    open_ended: ClassVar[bool] = False

    endpoint: Endpoint

    async def choose(
        self, context: str, questions: Sequence[Sequence[str]]
    ) -> tuple[list[Probabilities], Usage]:
        """Raises EndpointError where the server does not answer so; RankingFailed where the model
        refuses a question."""
        asked = [_decisions_question(options) for options in questions]
        body = {"model": self.endpoint.settings.model, "input": context, "questions": asked}

        def read(answer: Any) -> tuple[list[Probabilities], Usage]:
            pairs = zip(questions, answer["answers"], strict=True)
            used = usage_in(answer)
            return [self._read(given, options, used) for options, given in pairs], used

        wanted = f"an answer to each of {len(questions)} questions"
        return await self.endpoint.ask("/decisions", body, _or_refused(self.endpoint, wanted, read))

    def _read(
        self, answer: Mapping[str, Any], options: Sequence[str], used: Usage
    ) -> Probabilities:
        if answer["type"] != "choice":
            raise RankingFailed(
                f"{self.endpoint.name} answered a question by a {str(answer['type'])[:40]}",
                "refused",
                used.counts,
            )
        given = {str(p["value"]): probability(p["probability"]) for p in answer["probabilities"]}
        if len(given) < len(answer["probabilities"]) or not given.keys() <= set(options):
            raise ValueError("an option that was not asked, or one twice")
        return given


@dataclass(frozen=True, slots=True)
class Logprobs:
    """One token a question over chat completions; its options stand behind letters.

    A letter among the `top` likeliest tokens gives its option that token's probability; an
    option whose letter is not among them has none.
    """

    open_ended: ClassVar[bool] = True

    endpoint: Endpoint
    top: int
    """Alternatives to ask for, at most what the server gives."""

    async def choose(
        self, context: str, questions: Sequence[Sequence[str]]
    ) -> tuple[list[Probabilities], Usage]:
        """Raises EndpointError where the server gives no log-probabilities; RankingFailed where it
        refuses, or where the letters hold too little of the probability to say anything."""
        answers, failed = await asked_all(self._ask(context, options) for options in questions)
        used = sum((used for _, used in answers), Usage())
        if failed:
            raise together(failed, used)
        of_each = [of_one for of_one, _ in answers]
        self._check_share(share_of(of_each), used)
        return of_each, used

    async def _ask(self, context: str, options: Sequence[str]) -> tuple[Probabilities, Usage]:
        tokens, used = await self.alternatives(choice_prompt(context, options))
        letters = letter_probabilities(tokens)
        of_option = {
            option: letters[letter]
            for letter, option in zip(LETTERS, options, strict=False)
            if letter in letters
        }
        return of_option, used

    async def alternatives(self, prompt: str) -> tuple[list[tuple[str, float]], Usage]:
        """The likeliest first tokens of an answer, each with its log-probability.

        Raises EndpointError where the server tells none; RankingFailed where it refuses.
        """
        body = {
            "model": self.endpoint.settings.model,
            "messages": [{"role": "user", "content": prompt}],
            "max_completion_tokens": 1,
            "temperature": 0.0,
            "logprobs": True,
            "top_logprobs": self.top,
            **self.endpoint.chat_options,
        }
        return await self.endpoint.ask(CHAT, body, self._read)

    def _read(self, answer: Any) -> tuple[list[tuple[str, float]], Usage]:
        used = usage_in(answer)
        if chat_reply(answer).kind == "refused":
            told = f"{self.endpoint.name} refused to choose, or a content filter did"
            raise RankingFailed(told, "refused", used.counts)
        given = (answer["choices"][0].get("logprobs") or {}).get("content")
        if not given:
            raise EndpointError(
                f"{self.endpoint.name} gives no log-probabilities; try --ranking listwise"
            )
        alternatives = given[0]["top_logprobs"]
        found = [(str(t["token"]), log_probability(t["logprob"])) for t in alternatives]
        if (whole := sum(letter_probabilities(found).values())) > 1 + ROUNDING:
            raise ValueError(f"the letters' probabilities sum to {whole:.2f}")
        return found, used

    def _check_share(self, share: float, used: Usage) -> None:
        said = f"{self.endpoint.settings.model} answers with a letter in {share:.2%} of cases"
        if share < LEAST_SHARE:
            told = f"{said}, too few to rank by (below {LEAST_SHARE:.0%}): try --ranking listwise"
            raise RankingFailed(told, "error", used.counts)
        if share < GOOD_SHARE:
            told = f"{said}: the rest of its probability is ignored; see the share in the report"
            self.endpoint.meter.notices.tell(LOW_SHARE, told)


def share_of(questions: Sequence[Probabilities]) -> float:
    """What the options of a question had of its answer's probability, mean over the questions."""
    return fmean(sum(of_option.values()) for of_option in questions)


def letter_probabilities(tokens: Sequence[tuple[str, float]]) -> Probabilities:
    """Letter -> probability of the tokens that are this letter, with or without blanks and
    signs around it (" A", "A:")."""
    of_letter: Probabilities = {}
    for token, logprob in tokens:
        letter = re.sub(r"[\W_]+", "", decoded(token))
        if len(letter) == 1 and letter in LETTERS:
            of_letter[letter] = of_letter.get(letter, 0.0) + exp(logprob)
    return of_letter


def _or_refused(endpoint: Endpoint, wanted: str, read: Callable[[Any], T]) -> Callable[[Any], T]:
    """A reader whose errors say what was wanted."""

    def checked(answer: Any) -> T:
        try:
            return read(answer)
        except UNREADABLE as error:
            raise EndpointError(
                f"{endpoint.name}: wanted {wanted}, got {str(answer)[:200]} ({error}); "
                "try --ranking listwise"
            ) from error

    return checked


def _system_one_question(options: Sequence[str]) -> dict[str, Any]:
    criteria = dict.fromkeys(options)
    return {"type": "choice", "instructions": RANKING_QUESTION, "criteria": criteria}


def _decisions_question(options: Sequence[str]) -> dict[str, Any]:
    choices = [{"value": option} for option in options]
    return {"type": "choice", "instructions": RANKING_QUESTION, "choices": choices}
