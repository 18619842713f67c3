"""The model endpoint: one OpenAI-compatible server, one model, one pool of connections.

All goes through one OpenAI client, whose are the retries with jitter, Retry-After and the timeout
of a request. It sends by the `Meter`, whose pool's size is the limit on concurrent requests.
"""

from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing, asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import httpx2
from langchain_core.messages import AIMessage
from langgraph.cache.base import BaseCache
from openai import (
    APIConnectionError,
    APIStatusError,
    AsyncOpenAI,
    InternalServerError,
    OpenAIError,
    RateLimitError,
)

from lrgd.agents.endpoint.chat import EndpointChatModel
from lrgd.agents.endpoint.meter import BUDGET_SPENT, Budget, Meter
from lrgd.agents.endpoint.reasoning import CHAT_OPTIONS, Thinking
from lrgd.core.errors import BudgetSpent, EndpointError, EndpointUnavailable

LOOPBACK = ("127.0.0.1", "localhost", "::1")
"""Hosts that are asked directly, whatever proxy the environment names."""
NO_KEY = "none"
"""Sent where no key is set: local servers ask for none, the client insists on one."""

SIMPLE_QUESTION = "What is 2 + 3? Answer with the number only."
THOUGHT_TOKENS = 512
"""Bound on the answer to it: models that think about it need some hundred."""


@dataclass(frozen=True, slots=True)
class EndpointSettings:
    """Where the model is, and how hard to ask it."""

    base_url: str
    model: str
    api_key: str = field(default=NO_KEY, repr=False)
    concurrency: int = 8
    """Requests under way at once."""
    timeout_s: float = 120.0
    """For one request; waiting for a free connection does not count."""
    max_retries: int = 2
    thinking: Thinking = "none"
    """How the model thinks, see `thinking`; "turned off" asks its chat template not to."""


@dataclass(frozen=True, slots=True)
class Usage:
    """Calls and tokens, as the server counted them."""

    calls: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0

    def __add__(self, other: "Usage") -> "Usage":
        return Usage(
            self.calls + other.calls,
            self.prompt_tokens + other.prompt_tokens,
            self.completion_tokens + other.completion_tokens,
        )

    @property
    def tokens(self) -> int:
        """Prompt and completion together."""
        return self.prompt_tokens + self.completion_tokens

    def scaled(self, factor: float) -> "Usage":
        """Each count times a factor, rounded."""
        counts = (self.calls, self.prompt_tokens, self.completion_tokens)
        return Usage(*(round(count * factor) for count in counts))


def usage_of(answer: AIMessage) -> Usage:
    """One call, and the tokens that the server reported (0 where it reports none)."""
    counted = answer.usage_metadata
    if counted is None:
        return Usage(calls=1)
    return Usage(1, counted["input_tokens"], counted["output_tokens"])


class Endpoint:
    """The clients of one endpoint. Made by `connect`, which closes them."""

    def __init__(self, settings: EndpointSettings, meter: Meter) -> None:
        self.settings = settings
        self.meter = meter
        self.client = AsyncOpenAI(
            base_url=settings.base_url,
            api_key=settings.api_key,
            http_client=meter,
            max_retries=settings.max_retries,
        )

    @property
    def name(self) -> str:
        """For messages: what was asked, where."""
        return f"{self.settings.model} at {self.settings.base_url}"

    def chat_model(self, *, temperature: float, max_tokens: int) -> EndpointChatModel:
        """A LangChain chat model on this endpoint. `max_tokens` bounds one answer."""
        return EndpointChatModel(
            client=self.client,
            model=self.settings.model,
            temperature=temperature,
            max_tokens=max_tokens,
            thinking=self.settings.thinking,
        )

    @property
    def chat_options(self) -> dict[str, Any]:
        """What belongs into every chat completion's request; `chat_model` sends it by itself."""
        return CHAT_OPTIONS[self.settings.thinking]

    async def check(self) -> None:
        """Ask for one token. Raises EndpointError if the server or the model is not there."""
        with translated_errors(self.name):
            await self.client.chat.completions.create(
                model=self.settings.model,
                messages=[{"role": "user", "content": "Hello"}],
                max_completion_tokens=1,
            )

    def impatient(self) -> "Endpoint":
        """The same endpoint, asked once and never again where it fails."""
        return self._with(max_retries=0)

    def with_thinking(self, thinking: Thinking) -> "Endpoint":
        """The same endpoint, its model known to think in this way."""
        return self._with(thinking=thinking)

    def _with(self, **settings: Any) -> "Endpoint":
        return Endpoint(replace(self.settings, **settings), self.meter)


@asynccontextmanager
async def connect(
    settings: EndpointSettings,
    *,
    cache: BaseCache[bytes] | None = None,
    budget: Budget | None = None,
) -> AsyncIterator[Endpoint]:
    """The endpoint's clients, closed at the end.

    Args:
        cache: answers that were paid for already, see `Meter`; None asks every time.
        budget: what may be spent; None for no bound.

    Proxies are the environment's (HTTPS_PROXY, NO_PROXY), but for a server on this machine.
    """
    meter = Meter(
        limits=httpx2.Limits(max_connections=settings.concurrency),
        timeout=httpx2.Timeout(settings.timeout_s, pool=None),
        trust_env=httpx2.URL(settings.base_url).host not in LOOPBACK,
        cache=cache,
        budget=budget or Budget(),
    )
    async with aclosing(meter):
        yield Endpoint(settings, meter)


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


@contextmanager
def translated_errors(endpoint: str) -> Iterator[None]:
    """Turn the client's errors into ours, which name the endpoint and never the key."""
    try:
        yield
    except (APIConnectionError, RateLimitError, InternalServerError) as error:
        raise EndpointUnavailable(f"no answer from {endpoint}: {_reason(error)}") from error
    except OpenAIError as error:
        if isinstance(error, APIStatusError) and BUDGET_SPENT in error.response.headers:
            raise BudgetSpent(error.response.headers[BUDGET_SPENT]) from error
        raise EndpointError(f"{endpoint} refused the request: {_reason(error)}") from error
    except (ValueError, TypeError, LookupError, AttributeError) as error:
        # The clients' own words for an answer that is no JSON, or JSON of another shape.
        raise EndpointError(f"{endpoint} gave no answer of the protocol: {error}") from error


def _reason(error: OpenAIError) -> str:
    if isinstance(error, APIStatusError):
        # The body says more than the client's message, which may be a bare status.
        return f"HTTP {error.status_code} {' '.join(error.response.text.split())[:300]}"
    return " ".join(str(error.__cause__ or error).split())[:300]
