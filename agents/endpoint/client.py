"""The model endpoint: one OpenAI-compatible server, one model, one pool of connections.

All goes through one OpenAI client. It alone repeats what failed, up to `max_retries` times, with
jitter and after the server's Retry-After; the HTTP client below it and the graphs above it ask
once. It sends by the `Meter`, whose pool's size is the limit on concurrent requests, and which has
every reply sorted (`replies`).
"""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import aclosing, asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar
from urllib.parse import quote

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

from lrgd.agents.endpoint.address import address_of, proofs
from lrgd.agents.endpoint.budget import Budget
from lrgd.agents.endpoint.chat import EndpointChatModel
from lrgd.agents.endpoint.dialect import STANDARD, Dialect
from lrgd.agents.endpoint.meter import BUDGET_SPENT, KEPT, Meter
from lrgd.agents.endpoint.reasoning import CHAT_OPTIONS, Thinking
from lrgd.agents.endpoint.replies import (
    CHAT,
    REASON,
    SORTED,
    UNREADABLE,
    asked,
)
from lrgd.agents.values import Usage
from lrgd.core.errors import BudgetSpent, EndpointError, EndpointUnavailable

T = TypeVar("T")

LOOPBACK = ("127.0.0.1", "localhost", "::1")
"""Hosts that are asked directly, whatever proxy the environment names."""
LONGEST_WORD = 5
"""Characters that a secret has more than: what is shorter may stand in any message."""
NO_KEY = "none"
"""Sent where no key is set: local servers ask for none, the client insists on one."""


@dataclass(frozen=True, slots=True)
class EndpointSettings:
    """Where the model is, and how hard to ask it."""

    base_url: str = field(repr=False)
    """With /v1 or without; a user, a password and a query in it are used and never shown."""
    model: str
    api_key: str = field(default=NO_KEY, repr=False)
    concurrency: int = 8
    """Requests under way at once."""
    timeout_s: float = 120.0
    """For one request; waiting for a free connection does not count."""
    max_retries: int = 4
    """Further attempts at a request that got no answer, or "later": within about 8 seconds."""
    thinking: Thinking = "none"
    """How the model thinks, see `inquiry`; "turned off" asks its chat template not to."""
    dialect: Dialect = STANDARD
    """How the server wants to be asked, see `inquiry`."""

    @property
    def url(self) -> str:
        """The base URL that is asked, as it may be shown."""
        return address_of(self.base_url, self.dialect.v1).url


def usage_of(answer: AIMessage) -> Usage:
    """One call, and the tokens that the server reported (0 where it reports none)."""
    counted = answer.usage_metadata
    if counted is None:
        return Usage(calls=1, unknown=1)
    return Usage(1, counted["input_tokens"], counted["output_tokens"])


class Endpoint:
    """The clients of one endpoint. Made by `connect`, which closes them."""

    def __init__(self, settings: EndpointSettings, meter: Meter) -> None:
        self.settings = settings
        self.meter = meter
        address = address_of(settings.base_url, settings.dialect.v1)
        self.client = AsyncOpenAI(
            base_url=address.url,
            api_key=settings.api_key,
            http_client=meter,
            max_retries=settings.max_retries,
            default_query=address.query,
            default_headers=address.headers,
        )

    @property
    def name(self) -> str:
        """For messages: what was asked, where."""
        return f"{self.settings.model} at {self.settings.url}"

    def chat_model(self, *, temperature: float, max_tokens: int) -> EndpointChatModel:
        """A LangChain chat model on this endpoint. `max_tokens` bounds one answer."""
        return EndpointChatModel(
            client=self.client,
            model=self.settings.model,
            temperature=temperature,
            max_tokens=max_tokens,
            thinking=self.settings.thinking,
            dialect=self.settings.dialect,
            notices=self.meter.notices,
        )

    async def ask(self, path: str, body: dict[str, Any], read: Callable[[Any], T]) -> T:
        """What a reply to a request says; chat completions are asked in the server's dialect.

        Args:
            path: below the base URL, or a whole URL.
            read: reads the reply's JSON. What it cannot read is not kept.

        Raises:
            EndpointError: a refusal, an error in place of an answer, or an answer of another
                shape; EndpointUnavailable: no answer.
        """
        said = self.settings.dialect.spoken(body) if path == CHAT else body
        with translated_errors(self.name):
            while True:
                response = await asked(self.client, path, said)
                try:
                    return read(response.json())
                except Exception:
                    await self.meter.forget(response.request)
                    # A run that ended before it read an answer has kept it: asked anew.
                    if KEPT not in response.headers:
                        raise

    @property
    def chat_options(self) -> dict[str, Any]:
        """What belongs into every chat completion's request; `chat_model` sends it by itself."""
        return CHAT_OPTIONS[self.settings.thinking]

    def impatient(self) -> "Endpoint":
        """The same endpoint, asked once and never again where it fails."""
        return self._with(max_retries=0)

    def with_thinking(self, thinking: Thinking) -> "Endpoint":
        """The same endpoint, its model known to think in this way."""
        return self._with(thinking=thinking)

    def with_dialect(self, dialect: Dialect) -> "Endpoint":
        """The same endpoint, asked in this dialect."""
        return self._with(dialect=dialect)

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

    Raises:
        InputError: the base URL is none.
    """
    host = httpx2.URL(address_of(settings.base_url).url).host
    meter = Meter(
        limits=httpx2.Limits(max_connections=settings.concurrency),
        timeout=httpx2.Timeout(settings.timeout_s, pool=None),
        trust_env=host not in LOOPBACK,
        cache=cache,
        budget=budget or Budget(),
    )
    async with aclosing(meter):
        yield Endpoint(settings, meter)


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
        said = "gave no answer" if sorted_out(error) else "refused the request"
        raise EndpointError(f"{endpoint} {said}: {_reason(error)}") from error
    except UNREADABLE as error:
        # The clients' own words for an answer that is no JSON, or JSON of another shape.
        raise EndpointError(f"{endpoint} gave no answer of the protocol: {error}") from error


def sorted_out(error: OpenAIError) -> bool:
    """Whether the server said 200, and what came was no answer."""
    return isinstance(error, APIStatusError) and SORTED in error.response.headers


def _reason(error: OpenAIError) -> str:
    if not isinstance(error, APIStatusError):
        return " ".join(str(error.__cause__ or error).split())[:300]
    if sorted_out(error):
        reason = error.response.headers.get(REASON) or "an empty answer"
        return f"HTTP 200, but {_without_secrets(error, reason)}"
    # The body says more than the client's message, which may be a bare status.
    text = _without_secrets(error, " ".join(error.response.text.split())[:300])
    return f"HTTP {error.status_code} {text}"


def _without_secrets(error: APIStatusError, text: str) -> str:
    """A text without what the request proved itself by, should the server repeat it."""
    request = error.response.request
    given = [*proofs(request), *request.url.params.values()]
    for secret in sorted({form for s in given for form in (s, quote(s), quote(s, "")) if s}):
        if len(secret) > LONGEST_WORD:
            text = text.replace(secret, "***")
    return text
