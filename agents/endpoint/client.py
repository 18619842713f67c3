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

from lrgd.agents.endpoint.address import V1, address_of
from lrgd.agents.endpoint.budget import Budget
from lrgd.agents.endpoint.chat import EndpointChatModel
from lrgd.agents.endpoint.dialect import DIALECTS, LIMIT, STANDARD, Dialect
from lrgd.agents.endpoint.meter import BUDGET_SPENT, Meter
from lrgd.agents.endpoint.reasoning import CHAT_OPTIONS, Thinking
from lrgd.agents.endpoint.replies import (
    CHAT,
    REASON,
    SORTED,
    asked,
    chat_reply,
    least_tokens,
    usage_in,
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
    """How the model thinks, see `thinking`; "turned off" asks its chat template not to."""
    dialect: Dialect = STANDARD
    """How the server wants to be asked, see `spoken_dialect`."""

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
            response = await asked(self.client, path, said)
            try:
                return read(response.json())
            except Exception:
                await self.meter.forget(response.request)
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
            if not (error.status_code in elsewhere or _sorted_out(error)):
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
            if error.status_code not in REFUSED or _sorted_out(error):
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
        said = "gave no answer" if _sorted_out(error) else "refused the request"
        raise EndpointError(f"{endpoint} {said}: {_reason(error)}") from error
    except (ValueError, TypeError, LookupError, AttributeError) as error:
        # The clients' own words for an answer that is no JSON, or JSON of another shape.
        raise EndpointError(f"{endpoint} gave no answer of the protocol: {error}") from error


def _sorted_out(error: OpenAIError) -> bool:
    """Whether the server said 200, and what came was no answer."""
    return isinstance(error, APIStatusError) and SORTED in error.response.headers


def _reason(error: OpenAIError) -> str:
    if not isinstance(error, APIStatusError):
        return " ".join(str(error.__cause__ or error).split())[:300]
    if _sorted_out(error):
        reason = error.response.headers.get(REASON) or "an empty answer"
        return f"HTTP 200, but {_without_secrets(error, reason)}"
    # The body says more than the client's message, which may be a bare status.
    text = _without_secrets(error, " ".join(error.response.text.split())[:300])
    return f"HTTP {error.status_code} {text}"


def _without_secrets(error: APIStatusError, text: str) -> str:
    """A text without what the request proved itself by, should the server repeat it."""
    request = error.response.request
    key = request.headers.get("authorization", "").split()[-1:]
    for secret in (*key, *request.url.params.values()):
        if len(secret) > LONGEST_WORD:
            text = text.replace(secret, "***")
    return text
