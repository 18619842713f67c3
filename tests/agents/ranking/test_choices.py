from math import log
from typing import Any

import pytest

from lrgd.agents.endpoint.client import Endpoint, EndpointSettings, connect
from lrgd.agents.prompts import choice_prompt
from lrgd.agents.ranking.choices import (
    Chooser,
    Decisions,
    Logprobs,
    SystemOne,
    letter_probabilities,
)
from lrgd.agents.values import Usage
from lrgd.core.errors import EndpointError, RankingFailed
from tests.loopback import Answer, LoopbackModel, Sensible, completion

NAMELESS_TOKEN = {"choices": [{"logprobs": {"content": [{"top_logprobs": [{}]}]}}]}
HEATS = [["kite", "boat"], ["lamp", "train", "doll"]]


def settings(url: str) -> EndpointSettings:
    return EndpointSettings(url, "m", max_retries=0)


@pytest.mark.parametrize(
    ("kind", "requests"),
    [
        (lambda endpoint: SystemOne(endpoint), 1),
        (lambda endpoint: Decisions(endpoint), 1),
        (lambda endpoint: Logprobs(endpoint, 20), 2),
    ],
)
async def test_every_way_gives_each_option_a_probability(kind: Any, requests: int) -> None:
    with LoopbackModel(Sensible(decisions=True, top=20)) as server:
        async with connect(settings(server.url)) as endpoint:
            chooser: Chooser = kind(endpoint)
            found, usage = await chooser.choose("STATE", HEATS)
    assert [list(heat) for heat in found] == HEATS
    assert all(sum(heat.values()) == pytest.approx(1.0) for heat in found)
    assert usage.calls == len(server.requests) == requests


async def test_a_letters_prompt_is_the_one_that_vllm_makes() -> None:
    with LoopbackModel(Sensible(top=20)) as server:
        async with connect(settings(server.url)) as endpoint:
            await Logprobs(endpoint, 20).choose("STATE", HEATS[:1])
    request = server.requests[0][1]
    assert request["messages"][0]["content"] == choice_prompt("STATE", HEATS[0])
    assert (request["max_completion_tokens"], request["top_logprobs"]) == (1, 20)


def test_a_letter_counts_with_blanks_and_signs_around_it_and_nothing_else_does() -> None:
    tokens = [
        (token, log(p))
        for token, p in [(" A", 0.3), ("A", 0.2), ("\nB: ", 0.1), ("b", 0.05), ("An", 0.1)]
    ]
    found = letter_probabilities(tokens)
    assert found == pytest.approx({"A": 0.5, "B": 0.1, "b": 0.05})


async def test_an_option_whose_letter_is_not_among_the_alternatives_has_none() -> None:
    with LoopbackModel(Sensible(top=5)) as server:
        async with connect(settings(server.url)) as endpoint:
            found, _ = await Logprobs(endpoint, 5).choose("STATE", [[str(n) for n in range(9)]])
    assert len(found[0]) == 5


async def ask(kind: type[Decisions] | Any, answer: Any) -> Any:
    def respond(path: str, body: dict[str, Any]) -> Answer:
        return 200, answer, {}

    with LoopbackModel(respond) as server:
        async with connect(settings(server.url)) as endpoint:
            return (await kind(endpoint).choose("STATE", HEATS[:1]))[0]


async def test_a_refused_decision_is_a_failed_ranking() -> None:
    refusal = {"answers": [{"type": "refusal"}], "model": "m"}
    usage = {"input_tokens": 1, "output_tokens": 0}
    with pytest.raises(RankingFailed, match="answered a question by a refusal") as caught:
        await ask(Decisions, {**refusal, "usage": usage})
    assert (caught.value.kind, caught.value.paid) == ("refused", Usage(1, 1).counts)


@pytest.mark.parametrize("kind", [SystemOne, Decisions, lambda e: Logprobs(e, 20)])
@pytest.mark.parametrize(
    "answer", [b"<html>busy</html>", [], {}, completion("A"), b"", NAMELESS_TOKEN]
)
async def test_what_is_no_answer_is_one_error(kind: Any, answer: Any) -> None:
    with pytest.raises(EndpointError):
        await ask(kind, answer)


def test_an_endpoint_is_named_without_its_key() -> None:
    assert "secret" not in repr(EndpointSettings("http://x/v1", "m", api_key="secret"))
    assert Endpoint.name
