"""Three ways to ask for a probability for each option, behind one interface.

* `SystemOne`: typed questions over `/v1/systemone` (vLLM, transformers serve).
* `Decisions`: the same over `/v1/decisions` (OpenAI).
* `Logprobs`: one token over chat completions, read from its alternatives' log-probabilities.

Each puts several questions about one state at once: the heats of one ranking (`heats`).
"""

import asyncio
import re
from collections.abc import Sequence
from dataclasses import dataclass
from math import exp
from typing import Any, Protocol

from openai.types.decision_create_params import QuestionQuestionParamChoice

from lrgd.agents.endpoint.client import Endpoint, Usage, translated_errors
from lrgd.agents.prompts import LETTERS, RANKING_QUESTION, choice_prompt
from lrgd.core.errors import EndpointError

Probabilities = dict[str, float]
"""Option -> probability; an option that the model gave none is absent."""


class Chooser(Protocol):
    """Asks which option comes next, once for each list of options, all over one state."""

    async def choose(
        self, state: str, questions: Sequence[Sequence[str]]
    ) -> tuple[list[Probabilities], Usage]: ...


@dataclass(frozen=True, slots=True)
class SystemOne:
    """Typed `choice` questions over `/v1/systemone`: one request, one forward pass a question."""

    endpoint: Endpoint

    async def choose(
        self, state: str, questions: Sequence[Sequence[str]]
    ) -> tuple[list[Probabilities], Usage]:
        """Raises EndpointError where the server does not speak System One."""
        asked = {str(n): _system_one_question(options) for n, options in enumerate(questions, 1)}
        body = {"model": self.endpoint.settings.model, "state": state, "questions": asked}
        with translated_errors(self.endpoint.name):
            answer = await self.endpoint.client.post(
                "/systemone", body=body, cast_to=dict[str, Any]
            )
        try:
            answers = [answer["answers"][n]["probabilities"] for n in asked]
            found = [
                {option: float(given[option]) for option in options}
                for options, given in zip(questions, answers, strict=True)
            ]
        except (KeyError, TypeError, ValueError) as error:
            raise EndpointError(
                f"{self.endpoint.name}: wanted a probability for each of {len(questions[0])} "
                f"options from /v1/systemone, got {str(answer)[:200]}; try --ranking listwise"
            ) from error
        used = answer.get("usage") or {}
        return found, Usage(1, used.get("input_tokens", 0), used.get("output_tokens", 0))


@dataclass(frozen=True, slots=True)
class Decisions:
    """Typed `choice` questions over OpenAI's `/v1/decisions`, in one request."""

    endpoint: Endpoint

    async def choose(
        self, state: str, questions: Sequence[Sequence[str]]
    ) -> tuple[list[Probabilities], Usage]:
        """A question that the model refuses has no probabilities. Raises EndpointError."""
        asked = [_decisions_question(options) for options in questions]
        with translated_errors(self.endpoint.name):
            answer = await self.endpoint.client.decisions.create(
                model=self.endpoint.settings.model, input=state, questions=asked
            )
            found = [
                {str(p.value): p.probability for p in a.probabilities} if a.type == "choice" else {}
                for _, a in zip(questions, answer.answers, strict=True)
            ]
            used = Usage(1, answer.usage.input_tokens, answer.usage.output_tokens)
        return found, used


@dataclass(frozen=True, slots=True)
class Logprobs:
    """One token a question over chat completions; its options stand behind letters.

    A letter among the `top` likeliest tokens gives its option that token's probability; an
    option whose letter is not among them has none.
    """

    endpoint: Endpoint
    top: int
    """Alternatives to ask for, at most what the server gives."""

    async def choose(
        self, state: str, questions: Sequence[Sequence[str]]
    ) -> tuple[list[Probabilities], Usage]:
        """Raises EndpointError where the server gives no log-probabilities."""
        answers = await asyncio.gather(*(self._ask(state, options) for options in questions))
        return [found for found, _ in answers], sum((used for _, used in answers), Usage())

    async def _ask(self, state: str, options: Sequence[str]) -> tuple[Probabilities, Usage]:
        tokens, used = await self.alternatives(choice_prompt(state, options))
        letters = letter_probabilities(tokens)
        found = {
            option: letters[letter]
            for letter, option in zip(LETTERS, options, strict=False)
            if letter in letters
        }
        return found, used

    async def alternatives(self, prompt: str) -> tuple[list[tuple[str, float]], Usage]:
        """The likeliest first tokens of an answer, each with its log-probability.

        Raises EndpointError where the server tells none.
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
        with translated_errors(self.endpoint.name):
            # As JSON: the client's own types would make an object of each alternative.
            answer = await self.endpoint.client.post(
                "/chat/completions", body=body, cast_to=dict[str, Any]
            )
            given = (answer["choices"][0].get("logprobs") or {}).get("content")
            if not given:
                raise EndpointError(
                    f"{self.endpoint.name} gives no log-probabilities; try --ranking listwise"
                )
            tokens = [(str(t["token"]), float(t["logprob"])) for t in given[0]["top_logprobs"]]
            used = answer.get("usage") or {}
        counts = used.get("prompt_tokens", 0), used.get("completion_tokens", 0)
        return tokens, Usage(1, *counts)


def letter_probabilities(tokens: Sequence[tuple[str, float]]) -> Probabilities:
    """Letter -> probability of the tokens that are this letter, with or without blanks and
    signs around it (" A", "A:")."""
    found: Probabilities = {}
    for token, logprob in tokens:
        letter = re.sub(r"[\W_]+", "", token)
        if len(letter) == 1 and letter in LETTERS:
            found[letter] = found.get(letter, 0.0) + exp(logprob)
    return found


def _system_one_question(options: Sequence[str]) -> dict[str, Any]:
    criteria = dict.fromkeys(options)
    return {"type": "choice", "instructions": RANKING_QUESTION, "criteria": criteria}


def _decisions_question(options: Sequence[str]) -> QuestionQuestionParamChoice:
    choices = [{"value": option} for option in options]
    return {"type": "choice", "instructions": RANKING_QUESTION, "choices": choices}  # type: ignore[typeddict-item]
