import asyncio
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from langgraph.cache.memory import InMemoryCache
from langgraph.cache.sqlite import SqliteCache

from lrgd.agents.endpoint.budget import Budget
from lrgd.agents.endpoint.client import EndpointSettings, connect
from lrgd.agents.endpoint.replies import asked
from lrgd.agents.generator import Generator
from lrgd.agents.prompts import RankingContext
from lrgd.agents.ranking.choices import SystemOne
from lrgd.agents.ranking.heats import ChoiceRanker
from lrgd.core.errors import BudgetSpent, EndpointUnavailable
from tests.loopback import Answer, LoopbackModel, sensible
from tests.scripted import CONTEXT, task

CANDIDATES = task().candidates


def settings(server: LoopbackModel, **changes: Any) -> EndpointSettings:
    return EndpointSettings(server.url, "m", **{"max_retries": 0, **changes})


async def test_the_same_request_is_paid_once_even_over_restarts(tmp_path: Path) -> None:
    rankings = []
    for _ in range(2):
        cache = SqliteCache[bytes](path=str(tmp_path / "answers.sqlite"))
        with LoopbackModel() as server:  # on another port each time
            async with connect(settings(server), cache=cache) as endpoint:
                ranker = ChoiceRanker(SystemOne(endpoint), 50)
                rankings += [await ranker.rank(CONTEXT, CANDIDATES) for _ in range(3)]
                rankings.append(
                    await ranker.rank(RankingContext("OTHER STATE", "NOTHING"), CANDIDATES)
                )
                paid = endpoint.meter.calls, endpoint.meter.prompt_tokens, endpoint.meter.repeated
        assert len(server.requests) == paid[0]
        assert paid in [(2, 14, 2), (0, 0, 4)]
    assert paid == (0, 0, 4)
    assert rankings[:4] == rankings[4:]
    # What a call would have cost is told all the same: records do not depend on luck.
    assert rankings[1].usage.calls == 1


async def test_two_equal_requests_under_way_are_one() -> None:
    go = threading.Event()

    def slowly(path: str, body: dict[str, Any]) -> Answer:
        go.wait(5)
        return sensible(path, body)

    with LoopbackModel(slowly) as server:
        async with connect(settings(server), cache=InMemoryCache()) as endpoint:
            ranker = ChoiceRanker(SystemOne(endpoint), 50)
            asked = [asyncio.create_task(ranker.rank(CONTEXT, CANDIDATES)) for _ in range(5)]
            await asyncio.sleep(0.1)
            go.set()
            answers = await asyncio.gather(*asked)
    assert len(server.requests) == 1
    assert all(answer == answers[0] for answer in answers)


async def test_equal_requests_are_one_also_where_the_first_is_asked_again() -> None:
    # It fails, the second is then asked, and the first comes again while that is under way.
    failures = [(503, {}, {"Retry-After-Ms": "20"})]

    def slowly(path: str, body: dict[str, Any]) -> Answer:
        if failures:
            return failures.pop()
        time.sleep(0.2)
        return sensible(path, body)

    with LoopbackModel(slowly) as server:
        async with connect(settings(server, max_retries=2), cache=InMemoryCache()) as endpoint:
            ranker = ChoiceRanker(SystemOne(endpoint), 50)
            await asyncio.gather(*(ranker.rank(CONTEXT, CANDIDATES) for _ in range(2)))
            assert endpoint.meter.calls == 1
    assert len(server.requests) == 2


async def test_an_answer_that_nobody_read_and_nobody_can_read_is_asked_for_again() -> None:
    answers: list[Answer] = [(200, {"right": 1}, {}), (200, {"wrong": 1}, {})]
    with LoopbackModel(lambda path, body: answers.pop()) as server:
        async with connect(settings(server), cache=InMemoryCache()) as endpoint:
            await asked(endpoint.client, "/rerank", {"query": "q"})  # the run ended here
            for _ in range(2):
                assert await endpoint.ask("/rerank", {"query": "q"}, lambda got: got["right"]) == 1
            assert (endpoint.meter.calls, endpoint.meter.repeated) == (2, 2)


async def test_without_a_cache_every_request_is_paid() -> None:
    with LoopbackModel() as server:
        async with connect(settings(server)) as endpoint:
            for _ in range(3):
                await ChoiceRanker(SystemOne(endpoint), 50).rank(CONTEXT, CANDIDATES)
            assert endpoint.meter.calls == len(server.requests) == 3


async def test_a_failed_request_is_neither_paid_nor_kept() -> None:
    answers = [(503, {}, {})]
    with LoopbackModel(lambda p, b: answers.pop() if answers else sensible(p, b)) as server:
        async with connect(settings(server), cache=InMemoryCache()) as endpoint:
            ranker = ChoiceRanker(SystemOne(endpoint), 50)
            with pytest.raises(EndpointUnavailable):
                await ranker.rank(CONTEXT, CANDIDATES)
            await ranker.rank(CONTEXT, CANDIDATES)
            assert (endpoint.meter.calls, len(server.requests)) == (1, 2)


@pytest.mark.parametrize("budget", [Budget(calls=2), Budget(tokens=7 + 211)])
async def test_a_spent_budget_asks_nothing_more_and_does_not_retry(budget: Budget) -> None:
    with LoopbackModel() as server:
        async with connect(settings(server, max_retries=2), budget=budget) as endpoint:
            ranker = ChoiceRanker(SystemOne(endpoint), 50)
            for _ in range(2):
                await ranker.rank(CONTEXT, CANDIDATES)
            with pytest.raises(BudgetSpent, match=r"the budget of .* is spent"):
                await ranker.rank(CONTEXT, CANDIDATES)
            writer = Generator(endpoint.chat_model(temperature=0.0, max_tokens=5))
            with pytest.raises(BudgetSpent):
                await writer.write(task(), seed=1)
    assert len(server.requests) == 2
