import asyncio
from collections.abc import Callable, Sequence
from math import exp, nan
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from langgraph.cache.memory import InMemoryCache

from lrgd.agents.endpoint.budget import Budget
from lrgd.agents.endpoint.client import Endpoint, EndpointSettings, connect
from lrgd.agents.prompts import RankingContext
from lrgd.agents.ranking.frame import ChatFrame
from lrgd.agents.ranking.likelihood import LikelihoodRanker, Likelihoods
from lrgd.agents.values import Item, Ranking
from lrgd.core.errors import BudgetSpent, EndpointError
from tests.loopback import Answer, LoopbackModel, Sensible, echoed, sensible
from tests.scripted import CONTEXT, task

CANDIDATES = task().candidates
FRAME = ChatFrame("<user>", "<end><model>", "<end>")
ECHO = Sensible(uncased=False, echo_tokens=0)
KITES = RankingContext("kites: yes", "kites: N/A")


def by_character(before: list[int], token: int) -> float:
    """-1 a character, but half of that for "k" where the prompt says yes to kites."""
    likes = "yes" in "".join(map(chr, before))
    return -0.5 if likes and token == ord("k") else -1.0


def tokenizes(path: str, body: dict[str, Any]) -> Answer | None:
    return ECHO(path, body) if "tokenize" in path else None


def echoing(
    logprob: Callable[[list[int], int], float],
) -> Callable[[str, dict[str, Any]], Answer]:
    return lambda path, body: tokenizes(path, body) or (200, echoed(body, logprob), {})


def likelihoods(endpoint: Endpoint, generated: Any = 0) -> Likelihoods:
    return Likelihoods(endpoint, FRAME, generated)


def settings(server: LoopbackModel) -> EndpointSettings:
    return EndpointSettings(server.url, "m", max_retries=0)


def asked(server: LoopbackModel) -> list[dict[str, Any]]:
    """The requests that a model must run for."""
    return [body for path, body, _ in server.requests if path == "/v1/completions"]


def texts(body: dict[str, Any]) -> list[str]:
    return ["".join(map(chr, prompt)) for prompt in body["prompt"]]


@pytest.mark.parametrize("generated", [0, 1])
async def test_a_score_is_what_the_shopper_adds_to_the_titles_likelihood(generated: int) -> None:
    with LoopbackModel(echoing(by_character)) as server:
        async with connect(settings(server)) as endpoint:
            ranker = LikelihoodRanker(likelihoods(endpoint, generated), alpha=0.8)
            ranking = await ranker.rank(KITES, CANDIDATES)
    # A title's end of turn is five characters more. Only "red kite" has a "k".
    length = {c.id: len(c.title) + len("<end>") for c in CANDIDATES}
    scores = {i: -n + 0.8 * n + (0.5 if i == "c0" else 0.0) for i, n in length.items()}
    weights = {i: exp(score) for i, score in scores.items()}
    for i, weight in weights.items():
        assert ranking.probabilities[i] == pytest.approx(weight / sum(weights.values()))
    assert ranking.order == tuple(sorted(scores, key=lambda i: -scores[i]))
    assert (ranking.audit.named, ranking.audit.missing) == (4, 0)
    assert (ranking.usage.calls, ranking.usage.completion_tokens) == (2, 0)
    sent = [prompt for body in asked(server) for prompt in body["prompt"]]
    assert ranking.usage.prompt_tokens == sum(map(len, sent))


async def test_without_a_second_term_short_titles_win_and_temperature_keeps_the_order() -> None:
    with LoopbackModel(echoing(by_character)) as server:
        async with connect(settings(server)) as endpoint:
            sharp = LikelihoodRanker(likelihoods(endpoint), alpha=0.0)
            flat = LikelihoodRanker(likelihoods(endpoint), alpha=0.0, temperature=1000.0)
            rankings = [await r.rank(CONTEXT, CANDIDATES) for r in (sharp, flat)]
    assert rankings[0].order == rankings[1].order == ("c0", "c3", "c1", "c2")
    assert max(rankings[1].probabilities.values()) == pytest.approx(1 / 4, abs=0.01)


async def test_one_request_holds_every_title_in_the_models_own_frame() -> None:
    with LoopbackModel(ECHO) as server:
        async with connect(settings(server)) as endpoint:
            await LikelihoodRanker(likelihoods(endpoint)).rank(CONTEXT, CANDIDATES)
    question = "Which item does the shopper buy next? Answer with its title."
    for body in asked(server):
        state = "STATE" if "STATE" in texts(body)[0] else "NOTHING"
        before = f"<user>{state}\n\n{question}<end><model>"
        assert texts(body) == sorted(f"{before}{c.title}<end>" for c in CANDIDATES)
        assert body["logprob_start_len"] == len(before)
        assert (body["max_tokens"], body["echo"]) == (0, True)
    assert len(asked(server)) == 2


async def test_what_anybody_would_say_is_asked_for_once() -> None:
    with LoopbackModel(ECHO) as server:
        async with connect(settings(server)) as endpoint:
            ranker = LikelihoodRanker(likelihoods(endpoint))
            notes = [RankingContext(f"STATE {n}", "NOTHING") for n in range(5)]
            told = await asyncio.gather(*(ranker.rank(n, CANDIDATES) for n in notes))
            told.append(await ranker.rank(notes[0], CANDIDATES[::-1]))
    free = [body for body in asked(server) if "NOTHING" in texts(body)[0]]
    assert (len(free), len(asked(server))) == (1, 1 + 6)
    assert sum(path == "/tokenize" for path, *_ in server.requests) == len(CANDIDATES) + 1 + 6
    # Records do not depend on who came first, nor a ranking on the candidates' order.
    assert len({ranking.usage for ranking in told}) == 1
    assert told[0].order == told[-1].order


async def test_what_failed_is_asked_for_again() -> None:
    failures = [(400, {}, {})] * 2

    def respond(path: str, body: dict[str, Any]) -> Answer:
        return tokenizes(path, body) or (failures.pop() if failures else ECHO(path, body))

    with LoopbackModel(respond) as server:
        async with connect(settings(server)) as endpoint:
            ranker = LikelihoodRanker(likelihoods(endpoint))
            with pytest.raises(EndpointError):
                await ranker.rank(CONTEXT, CANDIDATES)
            await asyncio.sleep(0.2)  # the other request of the two fails, too
            ranking = await ranker.rank(CONTEXT, CANDIDATES)
    assert sorted(ranking.order) == sorted(c.id for c in CANDIDATES)


async def test_a_later_process_pays_nothing_again_and_tokenizing_is_never_paid() -> None:
    cache = InMemoryCache[bytes]()
    rankings = []
    for paid, repeated in ((2, 0), (0, 2)):
        with LoopbackModel(ECHO) as server:
            async with connect(settings(server), cache=cache) as endpoint:
                ranker = LikelihoodRanker(likelihoods(endpoint))
                rankings.append(await ranker.rank(CONTEXT, CANDIDATES))
                assert (endpoint.meter.calls, endpoint.meter.repeated) == (paid, repeated)
        assert len(server.requests) == (2 + 2 + len(CANDIDATES) if paid else 0)
    assert rankings[0] == rankings[1]


async def test_a_spent_budget_still_tokenizes() -> None:
    with LoopbackModel(ECHO) as server:
        async with connect(settings(server), budget=Budget(calls=2)) as endpoint:
            ranker = LikelihoodRanker(likelihoods(endpoint))
            await ranker.rank(CONTEXT, CANDIDATES)
            with pytest.raises(BudgetSpent):
                await ranker.rank(RankingContext("OTHER", "NOTHING"), CANDIDATES)
    assert len(asked(server)) == 2
    assert "OTHER" in server.requests[-1][1]["prompt"]


async def test_items_that_share_a_title_share_a_score_and_no_title_is_a_control_token() -> None:
    twins = [Item("a", "old lamp"), Item("b", "<|im_end|>"), Item("c", "old lamp")]
    with LoopbackModel(ECHO) as server:
        async with connect(settings(server)) as endpoint:
            ranking = await LikelihoodRanker(likelihoods(endpoint)).rank(CONTEXT, twins)
    assert ranking.probabilities["a"] == ranking.probabilities["c"]
    assert ranking.rank_of("a") < ranking.rank_of("c")
    assert [len(body["prompt"]) for body in asked(server)] == [2, 2]
    assert not any("<|im_end|>" in text for body in asked(server) for text in texts(body))
    assert any(text.endswith("(|im_end|)<end>") for text in texts(asked(server)[0]))


def changed(change: Callable[[list[Any]], Any]) -> Callable[[str, dict[str, Any]], Answer]:
    """A server that tells the log-probabilities of the last prompt in another way."""

    def respond(path: str, body: dict[str, Any]) -> Answer:
        if found := tokenizes(path, body):
            return found
        answer = echoed(body, by_character)
        logprobs = answer["choices"][0]["logprobs"]
        logprobs["token_logprobs"] = change(logprobs["token_logprobs"])
        return 200, answer, {}

    return respond


@pytest.mark.parametrize(
    "respond",
    [
        changed(lambda told: [*told[:-1], nan]),
        changed(lambda told: [*told[:-1], None]),
        changed(lambda told: told[-3:]),
        changed(lambda told: told[:-1]),  # each would be read as its neighbour's
        changed(lambda told: [*told, -1.0]),  # it has written something all the same
        changed(lambda told: []),
        changed(lambda told: None),
        changed(lambda told: ["?"] * len(told)),
        lambda p, b: tokenizes(p, b) or (200, {"choices": []}, {}),
        lambda p, b: tokenizes(p, b) or (200, {"choices": [{"index": 0, "text": ""}]}, {}),
        lambda p, b: tokenizes(p, b) or (200, b"<html>busy</html>", {}),
        lambda p, b: tokenizes(p, b) or (400, {"error": "prompt too long"}, {}),
        sensible,  # no /tokenize
    ],
)
async def test_too_few_numbers_are_one_error_of_one_line(respond: Any) -> None:
    with LoopbackModel(respond) as server:
        async with connect(settings(server)) as endpoint:
            with pytest.raises(EndpointError) as refused:
                await LikelihoodRanker(likelihoods(endpoint)).rank(CONTEXT, CANDIDATES)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("generated", "told_of", "padding"),
    [(0, False, []), (0, False, [None]), (1, False, []), (1, True, []), (1, True, [None])],
)
async def test_a_server_may_tell_of_the_answer_only(
    generated: int, told_of: bool, padding: list[None]
) -> None:
    """With what it had to generate or without, behind a null (SGLang) or not."""
    rankings: list[Ranking] = []
    for short in (False, True):

        def respond(path: str, body: dict[str, Any], short: bool = short) -> Answer:
            if found := tokenizes(path, body):
                return found
            answer = echoed(body, by_character)
            for choice in answer["choices"] if short else []:
                told = choice["logprobs"]["token_logprobs"]
                written = told[len(told) - generated :] if told_of else []
                own = told[body["logprob_start_len"] : len(told) - generated]
                choice["logprobs"]["token_logprobs"] = [*padding, *own, *written]
            return 200, answer, {}

        with LoopbackModel(respond) as server:
            async with connect(settings(server)) as endpoint:
                ranker = LikelihoodRanker(likelihoods(endpoint, generated))
                rankings.append(await ranker.rank(KITES, CANDIDATES))
    assert rankings[0] == rankings[1]


@given(st.lists(st.text(max_size=12), min_size=2, max_size=8))
@hypothesis_settings(max_examples=12, deadline=None)
async def test_any_titles_come_back_as_a_permutation(titles: Sequence[str]) -> None:
    candidates = [Item(f"i{n}", title) for n, title in enumerate(titles)]
    with LoopbackModel(ECHO) as server:
        async with connect(settings(server)) as endpoint:
            ranking = await LikelihoodRanker(likelihoods(endpoint)).rank(CONTEXT, candidates)
    assert sorted(ranking.order) == sorted(c.id for c in candidates)
    assert sum(ranking.probabilities.values()) == pytest.approx(1.0)
