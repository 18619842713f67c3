"""The meter below the model's client: counts what is paid, bounds it, and never pays twice.

The HTTP client that the OpenAI client sends by: it sees every request in its final form. The
cache's key is the SHA-256 of path and body, which hold everything that changes an answer (model,
prompt, seed, temperature, schema), but not of the port. Only whole, successful answers are kept.
"""

import asyncio
import hashlib
import json
from collections.abc import Awaitable, Callable
from typing import Any
from weakref import WeakValueDictionary

import aiohttp
import httpx2
from langgraph.cache.base import BaseCache
from openai import DefaultAioHttpClient

from lrgd.agents.endpoint.address import proofs
from lrgd.agents.endpoint.budget import Account, Budget, most_tokens
from lrgd.agents.endpoint.notices import Notices
from lrgd.agents.endpoint.replies import UNREADABLE, Reply, as_failure, body_reply, usage_in
from lrgd.agents.values import Usage
from lrgd.core.errors import BudgetSpent

BUDGET_SPENT = "x-lrgd-budget"
"""Header of the refusal (HTTP 402) that stands in for the server once the budget is spent."""
KEPT = "x-lrgd-kept"
"""Header of an answer that comes from the cache."""
NAMESPACE = ("answers",)
NOT_SENT = (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError)
"""What aiohttp raises where no connection came about: the request never left this machine."""
FREE = ("/tokenize", "/detokenize")
"""Paths at which no model runs: kept as all answers are, but neither counted nor bounded."""
LEAST_PROOF = 12
"""Characters of a key or password that no answer holds by chance."""
REPEATED = "it holds the key or password that was sent with the request, and is not kept"

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
        self.unknown = 0
        """Calls whose tokens the server did not count."""
        self.notices = Notices()
        """What a person should know of the server."""
        self.repeated = 0
        """Requests that the cache answered."""
        self.lost = 0
        """Requests that were sent and got no reply: they may have been paid."""
        self.account = Account(budget)
        self._cache = cache
        # A lock is there as long as anybody asks or waits for it.
        self._under_way = WeakValueDictionary[str, asyncio.Lock]()
        self._kept: set[asyncio.Task[httpx2.Response]] = set()

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

    def _over(self, task: asyncio.Task[httpx2.Response]) -> None:
        self._kept.discard(task)
        # Whoever was cancelled meanwhile does not ask how it ended, and asyncio would complain.
        if not task.cancelled():
            task.exception()

    async def aclose(self) -> None:
        # Whoever asked has been told of a failure, or has ended; what failed is not in the cache.
        await asyncio.gather(*self._kept, return_exceptions=True)
        await super().aclose()

    async def _metered(self, request: httpx2.Request, options: dict[str, Any]) -> httpx2.Response:
        if self._cache is None or request.method != "POST":
            return await self._pay(request, options)
        key = _key(request, await request.aread())
        # The second of two equal requests waits for the first one's answer.
        async with self._under_way.setdefault(key, asyncio.Lock()):
            return await self._answer(request, options, key, self._cache)

    async def _answer(
        self, request: httpx2.Request, options: dict[str, Any], key: str, cache: BaseCache[bytes]
    ) -> httpx2.Response:
        place = (NAMESPACE, key)
        known = (await cache.aget([place])).get(place)
        # Earlier versions kept whatever came with status 200.
        if known and body_reply(request.url.path, known).kind == "answer":
            self.repeated += not _free(request)
            headers = {"content-type": _JSON, KEPT: "1"}
            return httpx2.Response(200, content=known, headers=headers, request=request)
        return await self._pay(request, options, lambda answer: cache.aset({place: (answer, None)}))

    async def forget(self, request: httpx2.Request) -> None:
        """Have a request asked anew next time: whoever asked could not read its answer."""
        if self._cache is not None:
            place = (NAMESPACE, _key(request, await request.aread()))
            await self._cache.aset({place: (b"", None)})

    async def _pay(
        self, request: httpx2.Request, options: dict[str, Any], keep: Keep | None = None
    ) -> httpx2.Response:
        free = _free(request)
        most = 0 if free else most_tokens(await request.aread())
        try:
            if not free:
                await self.account.reserve(most)
        except BudgetSpent as spent:
            return httpx2.Response(402, headers={BUDGET_SPENT: str(spent)}, request=request)
        response = await self._sent(request, options, most)
        if response.is_success and request.method == "POST":
            # What is paid is kept, also when the run ends while it is being read.
            task = asyncio.create_task(self._receive(response, keep, most))
            self._kept.add(task)
            task.add_done_callback(self._over)
            return await asyncio.shield(task)
        if not free:
            self.account.settle(most, calls=0, tokens=0)
        return response

    async def _sent(
        self, request: httpx2.Request, options: dict[str, Any], most: int
    ) -> httpx2.Response:
        """The server's reply; without one the reservation is settled."""
        try:
            return await super().send(request, stream=True, **options)
        except BaseException as error:
            if not _free(request):
                lost = not isinstance(error.__cause__, NOT_SENT)
                self.lost += lost
                self.account.settle(most, calls=int(lost), tokens=most * lost)
            raise

    async def _receive(
        self, response: httpx2.Response, keep: Keep | None, most: int
    ) -> httpx2.Response:
        """Counts a reply, keeps an answer; returns what the client is handed for it."""
        used = Usage(calls=1, unknown=1)
        try:
            if response.headers.get("content-type", "").startswith("text/event-stream"):
                return response  # its usage, if any, comes last
            content = await response.aread()
            used = _usage(content)
            reply = body_reply(response.request.url.path, content)
            if reply.kind == "answer" and _repeats_proof(response.request, content):
                reply = Reply("error", reason=REPEATED, status=400)  # 400: not asked again
            if keep and reply.kind == "answer":
                await keep(content)
            return as_failure(response, reply)
        finally:
            if not _free(response.request):
                self._count(used, most)

    def _count(self, used: Usage, most: int) -> None:
        self.calls += 1
        self.prompt_tokens += used.prompt_tokens
        self.completion_tokens += used.completion_tokens
        self.unknown += used.unknown
        self.account.settle(most, calls=1, tokens=most if used.unknown else used.tokens)


_JSON = "application/json"


def _repeats_proof(request: httpx2.Request, content: bytes) -> bool:
    long_ones = (proof.encode() for proof in proofs(request) if len(proof) >= LEAST_PROOF)
    return any(proof in content for proof in long_ones)


def _free(request: httpx2.Request) -> bool:
    return request.method != "POST" or request.url.path.endswith(FREE)


def _usage(content: bytes) -> Usage:
    try:
        return usage_in(json.loads(content))
    except UNREADABLE:  # no JSON object; what it is instead is sorted elsewhere
        return Usage(calls=1, unknown=1)


def _key(request: httpx2.Request, body: bytes) -> str:
    return hashlib.sha256(b"\n".join([request.url.path.encode(), body])).hexdigest()
