"""The meter below the model's client: counts what is paid, bounds it, and never pays twice.

The HTTP client that the OpenAI client sends by: it sees every request in its final form. The
cache's key is the SHA-256 of path and body, which hold everything that changes an answer (model,
prompt, seed, temperature, schema), but not of the port. Only whole, successful answers are kept.
"""

import asyncio
import hashlib
import json
from collections import defaultdict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import httpx2
from langgraph.cache.base import BaseCache
from openai import DefaultAioHttpClient

BUDGET_SPENT = "x-lrgd-budget"
"""Header of the refusal (HTTP 402) that stands in for the server once the budget is spent."""
NAMESPACE = ("answers",)
FREE = ("/tokenize", "/detokenize")
"""Paths at which no model runs: kept as all answers are, but neither counted nor bounded."""


@dataclass(frozen=True, slots=True)
class Budget:
    """What one command may spend; None for no bound."""

    calls: int | None = None
    """Requests that the server answers."""
    tokens: int | None = None
    """Prompt and completion tokens, as the server counts them. Requests under way when the bound
    is reached are still answered."""


Keep = Callable[[bytes], Awaitable[None]]
"""Puts an answer where the same request finds it again."""


class Meter(DefaultAioHttpClient):
    """Counts, caches and bounds the requests that are sent by it; `settings` are httpx's."""

    def __init__(self, *, cache: BaseCache[bytes] | None, budget: Budget, **settings: Any) -> None:
        super().__init__(**settings)
        self.calls = 0
        """Requests that the server answered: what was paid."""
        self.prompt_tokens = 0
        self.completion_tokens = 0
        self.repeated = 0
        """Requests that the cache answered."""
        self._cache = cache
        self._budget = budget
        self._under_way: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._kept: set[asyncio.Task[None]] = set()

    async def send(
        self, request: httpx2.Request, *, stream: bool = False, **options: Any
    ) -> httpx2.Response:
        response = await self._metered(request, options)
        if not stream:
            try:
                await response.aread()
            except BaseException:
                await response.aclose()
                raise
        return response

    async def aclose(self) -> None:
        # Whoever asked has been told of a failure, or has ended; what failed is not in the cache.
        await asyncio.gather(*self._kept, return_exceptions=True)
        await super().aclose()

    async def _metered(self, request: httpx2.Request, options: dict[str, Any]) -> httpx2.Response:
        if self._cache is None or request.method != "POST":
            return await self._pay(request, options)
        key = _key(request, await request.aread())
        # The second of two equal requests waits for the first one's answer.
        lock = self._under_way[key]
        try:
            async with lock:
                return await self._answer(request, options, key, self._cache)
        finally:
            if not lock.locked():
                self._under_way.pop(key, None)

    async def _answer(
        self, request: httpx2.Request, options: dict[str, Any], key: str, cache: BaseCache[bytes]
    ) -> httpx2.Response:
        place = (NAMESPACE, key)
        if known := (await cache.aget([place])).get(place):
            self.repeated += not _free(request)
            headers = {"content-type": _JSON}
            return httpx2.Response(200, content=known, headers=headers, request=request)
        return await self._pay(request, options, lambda answer: cache.aset({place: (answer, None)}))

    async def _pay(
        self, request: httpx2.Request, options: dict[str, Any], keep: Keep | None = None
    ) -> httpx2.Response:
        if (spent := self._spent()) and not _free(request):
            return httpx2.Response(402, headers={BUDGET_SPENT: spent}, request=request)
        response = await super().send(request, stream=True, **options)
        if response.is_success and request.method == "POST":
            self.calls += not _free(request)
            # What is paid is kept, also when the run ends while it is being read.
            task = asyncio.create_task(self._receive(response, keep))
            self._kept.add(task)
            task.add_done_callback(self._kept.discard)
            await asyncio.shield(task)
        return response

    async def _receive(self, response: httpx2.Response, keep: Keep | None) -> None:
        if not _free(response.request):
            await self._count(response)
        if keep and response.headers.get("content-type", "").startswith(_JSON):
            await keep(await response.aread())

    async def _count(self, response: httpx2.Response) -> None:
        if not response.headers.get("content-type", "").startswith(_JSON):
            return  # a stream of events: its usage, if any, comes last
        try:
            used = json.loads(await response.aread())["usage"]
            # A reranker may count its prompts as the total only.
            counted = used.get("input_tokens", used.get("total_tokens", 0))
            self.prompt_tokens += used.get("prompt_tokens", counted)
            self.completion_tokens += used.get("completion_tokens", used.get("output_tokens", 0))
        except (ValueError, LookupError, TypeError, AttributeError):
            return  # no usage in it; whether it is an answer at all is for the client to say

    def _spent(self) -> str | None:
        tokens = self.prompt_tokens + self.completion_tokens
        if self._budget.calls is not None and self.calls >= self._budget.calls:
            return f"the budget of {self._budget.calls} calls is spent"
        if self._budget.tokens is not None and tokens >= self._budget.tokens:
            return f"the budget of {self._budget.tokens} tokens is spent"
        return None


_JSON = "application/json"


def _free(request: httpx2.Request) -> bool:
    return request.url.path.endswith(FREE)


def _key(request: httpx2.Request, body: bytes) -> str:
    return hashlib.sha256(b"\n".join([request.url.path.encode(), body])).hexdigest()
