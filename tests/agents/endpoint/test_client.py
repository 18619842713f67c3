import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from lrgd.agents.endpoint.client import (
    Endpoint,
    EndpointSettings,
    connect,
)
from lrgd.agents.endpoint.inquiry import spoken_dialect, thinking
from lrgd.agents.ranking.choices import SystemOne
from lrgd.agents.ranking.heats import ChoiceRanker
from lrgd.agents.ranking.listwise import ListwiseRanker
from lrgd.agents.values import Usage
from lrgd.core.errors import EndpointError, EndpointUnavailable
from tests.loopback import Answer, LoopbackModel, completion
from tests.scripted import CONTEXT, task

CANDIDATES = task().candidates


def decision(endpoint: Endpoint) -> ChoiceRanker:
    return ChoiceRanker(SystemOne(endpoint), limit=50)


def settings(url: str, **changes: Any) -> EndpointSettings:
    return EndpointSettings(url, "m", api_key="secret", **{"max_retries": 0, **changes})


def always(*answer: Any) -> Callable[[str, dict[str, Any]], Answer]:
    status, body, *headers = answer
    return lambda path, request: (status, body, headers[0] if headers else {})


async def test_a_decision_ranks_by_probability() -> None:
    names = [c.title for c in CANDIDATES]
    probabilities = dict(zip(names, [0.1, 0.4, 0.4, 0.1], strict=True))
    body = {"answers": {"1": {"probabilities": probabilities}}, "usage": {"input_tokens": 9}}
    with LoopbackModel(always(200, body)) as server:
        async with connect(settings(server.url)) as endpoint:
            ranking = await decision(endpoint).rank(CONTEXT, CANDIDATES)
    path, request, authorization = server.requests[0]
    assert path == "/v1/systemone"
    assert request["state"] == "STATE"
    assert list(request["questions"]["1"]["criteria"]) == names
    assert authorization == "Bearer secret"
    # Ties keep the candidate order.
    assert ranking.order == ("c1", "c2", "c0", "c3")
    assert ranking.probabilities["c1"] == 0.4
    assert ranking.usage == Usage(1, 9, 0)


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ({}, "--ranking listwise"),
        ({"answers": {"1": {"probabilities": {"red kite": 1.0}}}}, "--ranking listwise"),
        ([], "wanted an object, got"),
        ("no", "wanted an object, got no"),
    ],
)
async def test_an_answer_without_a_probability_for_each_option_is_refused(
    body: Any, told: str
) -> None:
    with LoopbackModel(always(200, body)) as server:
        async with connect(settings(server.url)) as endpoint:
            with pytest.raises(EndpointError, match=told):
                await decision(endpoint).rank(CONTEXT, CANDIDATES)


async def test_listwise_asks_the_chat_model_and_parses_its_list() -> None:
    with LoopbackModel(always(200, completion("1. old lamp\n2. red kite"))) as server:
        async with connect(settings(server.url)) as endpoint:
            model = endpoint.chat_model(temperature=0.0, max_tokens=9)
            ranking = await ListwiseRanker(model).rank(CONTEXT, CANDIDATES)
    assert ranking.order == ("c3", "c0", "c1", "c2")
    assert ranking.audit.missing == 2
    assert ranking.usage == Usage(1, 5, 3)


async def test_an_unreachable_server_is_told_in_one_line_without_the_key() -> None:
    async with connect(settings("http://127.0.0.1:9/v1")) as endpoint:
        with pytest.raises(EndpointUnavailable, match=r"no answer from m at http://127") as caught:
            await spoken_dialect(endpoint)
    assert "secret" not in str(caught.value)
    assert "secret" not in repr(endpoint.settings)


async def test_a_wrong_model_name_is_the_servers_refusal() -> None:
    with LoopbackModel(always(404, {"error": {"message": "no such model"}})) as server:
        async with connect(settings(server.url)) as endpoint:
            with pytest.raises(EndpointError, match="no such model"):
                await spoken_dialect(endpoint)


async def test_a_server_that_comes_back_is_used_again() -> None:
    answers = [(503, {}, {}), (429, {}, {"Retry-After": "0"}), (200, completion("x"), {})]
    with LoopbackModel(lambda path, body: answers.pop(0)) as server:
        async with connect(settings(server.url, max_retries=2)) as endpoint:
            await spoken_dialect(endpoint)
    assert len(server.requests) == 3


async def test_an_error_page_is_an_error_and_no_crash() -> None:
    with LoopbackModel(always(200, b"<html>busy</html>")) as server:
        async with connect(settings(server.url)) as endpoint:
            with pytest.raises(EndpointError):
                await decision(endpoint).rank(CONTEXT, CANDIDATES)


async def test_a_request_that_takes_too_long_is_given_up() -> None:
    go = threading.Event()

    def never(path: str, body: dict[str, Any]) -> Answer:
        go.wait(10)
        return 200, completion("x"), {}

    with LoopbackModel(never) as server:
        async with connect(settings(server.url, timeout_s=0.2)) as endpoint:
            with pytest.raises(EndpointUnavailable, match="no answer"):
                await spoken_dialect(endpoint)
            go.set()


async def test_no_more_requests_are_under_way_than_were_allowed() -> None:
    lock, under_way, most = threading.Lock(), 0, 0

    def counted(path: str, body: dict[str, Any]) -> Answer:
        nonlocal under_way, most
        with lock:
            under_way += 1
            most = max(most, under_way)
        time.sleep(0.02)
        with lock:
            under_way -= 1
        return 200, completion("x"), {}

    with LoopbackModel(counted) as server:
        # Waiting for a free connection is no fault, however short the timeout.
        async with connect(settings(server.url, concurrency=3, timeout_s=5.0)) as endpoint:
            await asyncio.gather(*(spoken_dialect(endpoint) for _ in range(20)))
    assert most == 3
    assert len(server.requests) == 20


async def test_a_proxy_of_the_environment_is_used_but_not_for_this_machine(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    with LoopbackModel() as local, LoopbackModel() as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        monkeypatch.setenv("http_proxy", proxy.url)
        for url in (local.url, "http://models.invalid/v1"):
            async with connect(settings(url)) as endpoint:
                await spoken_dialect(endpoint)
    assert [path for path, *_ in local.requests] == ["/v1/chat/completions"]
    assert [path for path, *_ in proxy.requests] == ["http://models.invalid/v1/chat/completions"]


@pytest.fixture(scope="module")
def server() -> Iterator[LoopbackModel]:
    with LoopbackModel() as server:
        yield server


@dataclass(frozen=True)
class Thinker:
    """Answers as a thinking model does."""

    thoughts: str = "<think>2 + 3?</think>"
    obeys: bool = True
    """Whether its chat template knows `enable_thinking`."""
    refuses: bool = False
    """Whether its server knows no `chat_template_kwargs`."""
    beside: bool = False
    """Whether its server takes all for thoughts once thinking is off."""
    ends: bool = True

    def __call__(self, path: str, body: dict[str, Any]) -> Answer:
        off = "chat_template_kwargs" in body
        if off and self.refuses:
            return 400, {"error": {"message": "unknown parameter"}}, {}
        answer = completion("5" if off and self.obeys else f"{self.thoughts}5")
        if not (self.ends or (off and self.obeys)):
            answer["choices"][0]["finish_reason"] = "length"
        if off and self.beside:
            answer["choices"][0]["message"] = {"content": None, "reasoning_content": "5"}
        return 200, answer, {}


@pytest.mark.parametrize(
    ("model", "found", "calls"),
    [
        (Thinker(thoughts=""), "none", 1),
        (Thinker(thoughts="<think>\n\n</think>\n"), "none", 1),
        (Thinker(), "turned off", 2),
        (Thinker(obeys=False), "always on", 2),
        (Thinker(refuses=True), "always on", 2),
        (Thinker(beside=True), "always on", 2),
        # Thoughts that its template opened, and that did not end.
        (Thinker(thoughts="Two and three", ends=False), "turned off", 2),
        (Thinker(thoughts="Two and three", ends=False, obeys=False), "none", 2),
        (Thinker(thoughts="Two and three", ends=False, refuses=True), "none", 2),
    ],
)
async def test_how_a_model_thinks_is_found_by_asking(
    server: LoopbackModel, model: Thinker, found: str, calls: int
) -> None:
    server.respond = model
    server.requests.clear()
    async with connect(settings(server.url)) as endpoint:
        assert await thinking(endpoint) == found
    assert len(server.requests) == calls


async def test_a_model_that_is_not_there_does_not_think_but_fails() -> None:
    with LoopbackModel(always(404, {"error": {"message": "no such model"}})) as server:
        async with connect(settings(server.url)) as endpoint:
            with pytest.raises(EndpointError, match="no such model"):
                await thinking(endpoint)
