"""Inquiry: how a server wants to be asked, and how its model thinks, found by asking it."""

from dataclasses import replace
from typing import Any

from langchain_core.messages import AIMessage
from openai import APIStatusError, AsyncOpenAI, OpenAIError

from lrgd.agents.endpoint.address import V1
from lrgd.agents.endpoint.client import Endpoint, sorted_out, translated_errors
from lrgd.agents.endpoint.dialect import DIALECTS, LIMIT, Dialect
from lrgd.agents.endpoint.reasoning import Thinking
from lrgd.agents.endpoint.replies import CHAT, asked, chat_reply, least_tokens, usage_in
from lrgd.core.errors import EndpointError

NOT_THERE = (404, 405)
"""HTTP status of a server that has no such path, or no such model."""
REFUSED = (400, 422)
"""HTTP status of a server that does not want a parameter; some mean the path."""
LONG_QUESTION = "Count from 1 to 99."
PROBED_TOKENS = 16
"""Bound on the answer to it. OpenAI's reasoning models refuse to begin on fewer."""
SIMPLE_QUESTION = "What is 2 + 3? Answer with the number only."
THOUGHT_TOKENS = 512
"""Bound on the answer to it: models that think about it need some hundred."""


async def spoken_dialect(endpoint: Endpoint) -> Dialect:
    """How the server wants chat completions asked, found by asking as a run will: with a seed, a
    temperature and a token limit; what it refuses is renamed or left out, one after the other.

    Raises:
        EndpointError: no dialect is answered, or there is no such model; EndpointUnavailable: no
            answer.
    """
    client = endpoint.client.with_options(max_retries=min(2, endpoint.settings.max_retries))
    with translated_errors(endpoint.name):
        try:
            return await _dialect(client, endpoint)
        except APIStatusError as error:
            v1 = not endpoint.settings.url.endswith(V1)
            elsewhere = (*NOT_THERE, *REFUSED) if v1 else NOT_THERE
            if not (error.status_code in elsewhere or sorted_out(error)):
                raise
            moved = endpoint.with_dialect(Dialect(v1=v1))
            try:
                found = await _dialect(moved.client.with_options(max_retries=0), moved)
            except OpenAIError:
                raise error from None  # where the person said, it is another fault
    return replace(found, v1=v1)


async def _dialect(client: AsyncOpenAI, endpoint: Endpoint) -> Dialect:
    refused: OpenAIError | None = None
    over: Dialect | None = None
    for dialect in DIALECTS:
        if over and (dialect.left_out != over.left_out or dialect.limit == over.limit):
            continue
        try:
            response = await asked(client, CHAT, dialect.spoken(_question(endpoint)))
        except APIStatusError as error:
            if error.status_code not in REFUSED or sorted_out(error):
                raise
            refused = refused or error
            continue
        answer = response.json()
        if least_tokens(usage_in(answer), chat_reply(answer).text) <= 2 * PROBED_TOKENS:
            return dialect
        over = over or dialect
    if over:
        return replace(over, limit_ignored=True)
    assert refused is not None
    raise refused


def _question(endpoint: Endpoint) -> dict[str, Any]:
    """As a run asks, for an answer that the limit must end."""
    return {
        "model": endpoint.settings.model,
        "messages": [{"role": "user", "content": LONG_QUESTION}],
        "temperature": 0.0,
        LIMIT: PROBED_TOKENS,
        "seed": 0,
    }


async def thinking(endpoint: Endpoint) -> Thinking:
    """How the model thinks: asked one short question, and once more with thinking turned off if
    there was reasoning, or no end.

    Raises:
        EndpointError: the first question got no answer.
    """
    first = await _answered(endpoint, "none")
    thought = first.response_metadata["reasoning_chars"] > 0
    # No end and no tag: it may think in a way that shows by its end only, or be talkative.
    if not thought and first.response_metadata.get("finish_reason") != "length":
        return "none"
    try:
        second = await _answered(endpoint, "turned off")
    except EndpointError:  # it knows no `chat_template_kwargs`
        return "always on" if thought else "none"
    ended = second.response_metadata.get("finish_reason") != "length"
    if second.text and ended and not second.response_metadata["reasoning_chars"]:
        return "turned off"
    return "always on" if thought else "none"


async def _answered(endpoint: Endpoint, thinking: Thinking) -> AIMessage:
    asked = endpoint.with_thinking(thinking)
    with translated_errors(endpoint.name):
        model = asked.chat_model(temperature=0.0, max_tokens=THOUGHT_TOKENS)
        return await model.ainvoke(SIMPLE_QUESTION)
