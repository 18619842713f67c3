"""What a command pays never exceeds its budget, whatever is under way and whatever fails."""

import asyncio
import json
import random
import time
from collections.abc import Sequence
from threading import Lock
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from langgraph.cache.memory import InMemoryCache

from lrgd.agents.endpoint.budget import Account, Budget, most_tokens
from lrgd.agents.endpoint.client import (
    Endpoint,
    EndpointSettings,
    connect,
    translated_errors,
)
from lrgd.core.errors import BudgetSpent, EndpointError
from tests.loopback import Answer, LoopbackModel, completion

FAULTS = ("none", "none", "none", "slow", "500", "429", "timeout", "null usage", "error", "empty")
TIME_LIMIT_S = 0.1


class Till:
    """Answers with faults, and writes down what each answer costs."""

    def __init__(self, seed: int, faults: Sequence[str]) -> None:
        self.calls = self.tokens = 0
        self._faults, self._random, self._lock = faults, random.Random(seed), Lock()

    def __call__(self, path: str, body: dict[str, Any]) -> Answer:
        with self._lock:
            fault = self._random.choice(self._faults)
            if fault in ("500", "429"):
                return int(fault), {"error": {"message": "later"}}, {"Retry-After": "0.001"}
            # At least four bytes a token, and an answer up to the limit.
            prompt = self._random.randint(1, len(json.dumps(body)) // 4)
            written = self._random.randint(0, body["max_completion_tokens"])
            self.calls += 1
            self.tokens += prompt + written
        if fault in ("slow", "timeout"):
            time.sleep(0.02 if fault == "slow" else 2 * TIME_LIMIT_S)
        answer = completion("" if fault == "empty" else f"answer {self.calls}")
        answer["usage"] = {"prompt_tokens": prompt, "completion_tokens": written}
        if fault == "null usage":
            answer["usage"] = {"prompt_tokens": None, "completion_tokens": None}
        if fault == "error":
            answer = {"error": {"message": "overloaded"}, "usage": answer["usage"]}
        return 200, answer, {}


async def asked(endpoint: Endpoint, questions: int) -> list[str]:
    """How each of so many questions ended, all asked at once."""
    return list(await asyncio.gather(*(ask(endpoint, n) for n in range(questions))))


async def ask(endpoint: Endpoint, n: int) -> str:
    model = endpoint.chat_model(temperature=0.0, max_tokens=20)
    try:
        with translated_errors("m"):
            await model.ainvoke(f"question {n} " + "about kites " * (n % 7))
    except BudgetSpent:
        return "spent"
    except EndpointError:
        return "failed"
    return "answered"


@pytest.mark.parametrize("concurrency", [1, 4, 16])
@pytest.mark.parametrize(("retries", "cached"), [(0, False), (2, True)])
async def test_no_budget_is_exceeded_under_faults(
    concurrency: int, retries: int, cached: bool
) -> None:
    for seed, budget in enumerate(
        [Budget(calls=1), Budget(calls=7), Budget(tokens=600), Budget(tokens=3000), Budget(9, 2500)]
    ):
        till = Till(seed, FAULTS)
        with LoopbackModel(till) as server:
            options = EndpointSettings(
                server.url,
                "m",
                concurrency=concurrency,
                max_retries=retries,
                timeout_s=TIME_LIMIT_S,
            )
            cache = InMemoryCache() if cached else None
            async with connect(options, cache=cache, budget=budget) as endpoint:
                ended = await asked(endpoint, 30)
                left = endpoint.meter.account.left
            paid, lost = endpoint.meter.calls, endpoint.meter.lost
        assert till.calls <= (budget.calls or till.calls), (seed, till.calls)
        assert till.tokens <= (budget.tokens or till.tokens), (seed, till.tokens)
        assert ended.count("answered") <= paid
        assert till.calls <= paid + lost
        assert "spent" in ended or left.calls or left.tokens


async def test_a_budget_is_spent_to_the_last_call() -> None:
    """A reservation that was given back is used by whoever waits for it."""
    till = Till(1, ("none", "500", "slow"))
    with LoopbackModel(till) as server:
        options = EndpointSettings(server.url, "m", concurrency=8, max_retries=0)
        async with connect(options, budget=Budget(calls=10)) as endpoint:
            ended = await asked(endpoint, 60)
    assert till.calls == ended.count("answered") == endpoint.meter.calls == 10
    assert ended.count("spent") > 0


async def test_what_was_under_way_is_kept_before_anybody_is_refused() -> None:
    cache = InMemoryCache[bytes]()
    with LoopbackModel(Till(2, ("slow",))) as server:
        options = EndpointSettings(server.url, "m", max_retries=0)
        async with connect(options, cache=cache, budget=Budget(calls=5)) as endpoint:
            with pytest.raises(ExceptionGroup):
                await _all_or_none(endpoint, 20)
        async with connect(options, cache=cache) as endpoint:
            assert await asked(endpoint, 20) == ["answered"] * 20
    assert endpoint.meter.repeated == 5
    assert len(server.requests) == 20


async def _all_or_none(endpoint: Endpoint, questions: int) -> None:
    """As a run asks: the first that is refused ends them all."""
    async with asyncio.TaskGroup() as group:
        for n in range(questions):
            group.create_task(_or_raise(endpoint, n))


async def _or_raise(endpoint: Endpoint, n: int) -> None:
    if await ask(endpoint, n) == "spent":
        raise BudgetSpent


async def test_a_call_without_a_reply_may_have_been_paid_and_one_not_sent_is_not() -> None:
    with LoopbackModel(Till(3, ("timeout",))) as server:
        options = EndpointSettings(server.url, "m", max_retries=3, timeout_s=TIME_LIMIT_S)
        async with connect(options, budget=Budget(calls=2)) as endpoint:
            assert await asked(endpoint, 1) == ["spent"]  # a retry is a call of its own
            assert (endpoint.meter.calls, endpoint.meter.lost) == (0, 2)
    async with connect(options, budget=Budget(calls=2)) as endpoint:  # nobody listens any more
        assert await asked(endpoint, 1) == ["failed"]
        assert (endpoint.meter.lost, endpoint.meter.account.left) == (0, Budget(calls=2))


async def test_tokens_that_nobody_counted_cost_what_was_reserved() -> None:
    with LoopbackModel(Till(4, ("null usage",))) as server:
        options = EndpointSettings(server.url, "m", max_retries=0)
        async with connect(options, budget=Budget(tokens=1000)) as endpoint:
            ended = await asked(endpoint, 40)
            most = most_tokens(json.dumps(server.requests[0][1]).encode())
    assert ended.count("answered") == endpoint.meter.unknown < 1000 / (most - 20)
    assert endpoint.meter.prompt_tokens == 0
    assert "spent" in ended


@pytest.mark.parametrize(
    ("body", "written"),
    [
        ({"messages": [], "max_completion_tokens": 64}, 64),
        ({"messages": [], "max_tokens": 64, "n": 3}, 3 * 64),
        ({"messages": []}, 4096),
        ({"prompt": [[1, 2], [3]], "max_tokens": 5}, 2 * 5),
        ({"prompt": [1, 2, 3], "max_tokens": 5}, 5),
        ({"prompt": "one text", "max_tokens": 5}, 5),
        ({"query": "q", "documents": ["a", "b"]}, 0),
        ([], 0),
    ],
)
def test_a_request_is_bounded_by_its_bytes_and_its_limit(body: Any, written: int) -> None:
    sent = json.dumps(body).encode()
    assert most_tokens(sent) == len(sent) + written


def test_a_request_that_is_no_json_is_bounded_by_its_bytes() -> None:
    assert most_tokens(b"\xff\x00") == 2


@settings(max_examples=200, deadline=None)
@given(
    calls=st.none() | st.integers(0, 12),
    tokens=st.none() | st.integers(0, 300),
    jobs=st.lists(
        st.tuples(st.integers(0, 90), st.floats(0, 1), st.integers(0, 3), st.booleans()),
        max_size=40,
    ),
)
def test_an_account_is_never_overdrawn_and_nobody_waits_for_ever(
    calls: int | None, tokens: int | None, jobs: list[tuple[int, float, int, bool]]
) -> None:
    account = Account(Budget(calls, tokens))
    refused = []

    async def one(most: int, share: float, turns: int, answered: bool) -> None:
        try:
            await account.reserve(most)
        except BudgetSpent:
            refused.append(most)
            return
        for _ in range(turns):
            await asyncio.sleep(0)
        account.settle(most, calls=int(answered), tokens=int(most * share) * answered)
        assert account.calls <= (account.calls if calls is None else calls)
        assert account.tokens <= (account.tokens if tokens is None else tokens)

    async def all_of_them() -> None:
        async with asyncio.timeout(10):
            await asyncio.gather(*(one(*job) for job in jobs))

    asyncio.run(all_of_them())
    for most in refused:  # nobody is refused what still fits
        assert account.left.calls == 0 or most > (account.left.tokens or 0)
