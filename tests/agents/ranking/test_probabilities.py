"""Numbers that a ranking is made of are probabilities, or an error that says so."""

import json
from contextlib import suppress
from math import exp, inf, log, nan
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from langgraph.cache.memory import InMemoryCache

from lrgd.agents.endpoint.client import EndpointSettings, connect
from lrgd.agents.ranking.choices import Decisions, Logprobs, SystemOne, letter_probabilities
from lrgd.agents.ranking.heats import ChoiceRanker
from lrgd.agents.ranking.modes import Abilities, choose_mode, ranker_for
from lrgd.agents.ranking.probabilities import decoded, log_probability, probability
from lrgd.agents.ranking.rerank import RerankRanker
from lrgd.core.errors import EndpointError, RankingFailed
from tests.loopback import Answer, LoopbackModel, completion
from tests.scripted import CONTEXT, task

CANDIDATES = task().candidates
NAMES = [c.title for c in CANDIDATES]


@pytest.mark.parametrize("value", [nan, inf, -inf, -0.1, 1.5, 1e308, None, True, [], "much"])
def test_what_is_no_probability_is_refused(value: Any) -> None:
    with pytest.raises(ValueError, match=r"wanted a probability|could not convert"):
        probability(value)


@pytest.mark.parametrize("value", [nan, inf, 0.5, 900.0, None, False, {}, "much"])
def test_what_is_no_log_probability_is_refused(value: Any) -> None:
    with pytest.raises(ValueError, match=r"wanted a log-probability|could not convert"):
        log_probability(value)


def test_rounding_is_forgiven_and_minus_infinity_is_no_chance() -> None:
    assert probability(1.0001) == pytest.approx(1.0, abs=1e-3)
    assert log_probability(1e-7) == 0.0
    assert exp(log_probability(-inf)) == 0.0


@pytest.mark.parametrize(
    "token", ["A", " A", "ĠA", "▁A", "Ġ A", "▁ A", "ĊA", "<0x41>", "A:", "(A)"]
)
def test_a_letter_is_known_in_every_tokenizers_form(token: str) -> None:
    assert letter_probabilities([(token, log(0.5))]) == pytest.approx({"A": 0.5})


def test_tokens_are_decoded_as_their_tokenizers_do() -> None:
    assert decoded("Ġred") == decoded("▁red") == " red"
    assert letter_probabilities([("ĠAn", 0.0), ("Ä", 0.0), ("<think>", 0.0)]) == {}


def alternatives(*given: tuple[str, Any]) -> dict[str, Any]:
    answer = completion("A")
    tokens = [{"token": token, "logprob": p} for token, p in given]
    answer["choices"][0]["logprobs"] = {"content": [{"top_logprobs": tokens}]}
    return answer


async def ranked(respond: Any, kind: Any = lambda e: ChoiceRanker(Logprobs(e, 20), 20)) -> Any:
    answer = respond if callable(respond) else (lambda path, body: (200, respond, {}))
    with LoopbackModel(answer) as server:
        async with connect(EndpointSettings(server.url, "m", max_retries=0)) as endpoint:
            return await kind(endpoint).rank(CONTEXT, CANDIDATES)


async def test_the_share_of_the_letters_is_in_the_audit() -> None:
    given = [("B", log(0.5)), ("ĠA", log(0.25)), ("Sure", log(0.125)), ("C", log(0.05))]
    ranking = await ranked(alternatives(*given))
    assert ranking.audit.share == pytest.approx(0.5 + 0.25 + 0.05)
    assert ranking.order == ("c1", "c0", "c2", "c3")


@pytest.mark.parametrize("tail", [log(0.04), -30.0, -inf])
async def test_the_far_tail_is_no_ranking(tail: float) -> None:
    with pytest.raises(RankingFailed, match="too few to rank by") as caught:
        await ranked(alternatives(("<think>", log(0.9)), ("A", tail)))
    assert caught.value.paid == (1, 5, 3, 0)


@pytest.mark.parametrize("finish", ["content_filter", "refusal"])
async def test_a_refusal_to_choose_is_a_failed_ranking(finish: str) -> None:
    answer = alternatives(("A", -0.1))
    answer["choices"][0]["finish_reason"] = finish
    with pytest.raises(RankingFailed, match="refused to choose"):
        await ranked(answer)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [(float("nan"), "NaN"), (float("inf"), "Infinity"), (2.5, "2.5"), (None, "None"), ("x", "x")],
)
async def test_a_number_that_is_none_is_an_error_that_says_so(wrong: Any, said: str) -> None:
    with pytest.raises(EndpointError, match=said):
        await ranked(alternatives(("A", wrong), ("B", -0.1)))
    typed = {"answers": {"1": {"probabilities": {**dict.fromkeys(NAMES, 0.2), NAMES[0]: wrong}}}}
    if wrong != "x":
        with pytest.raises(EndpointError, match=said):
            await ranked(typed, lambda e: ChoiceRanker(SystemOne(e), 50))


async def test_a_mode_with_little_probability_is_not_picked_and_one_with_none_refused() -> None:
    able = Abilities(top_logprobs=20, letters=52, letter_share=0.4)
    mode, reason = choose_mode(able)
    assert (mode, "40.00% of cases" in reason) == ("listwise", True)
    async with connect(EndpointSettings("http://127.0.0.1:9/v1", "m")) as endpoint:
        assert ranker_for(endpoint, "logprobs", able)
        with pytest.raises(EndpointError, match=r"hold 1\.00% of the probability, 5% are wanted"):
            ranker_for(endpoint, "logprobs", Abilities(0, 0, 20, 0.01, 52))


async def test_an_answer_that_could_not_be_read_is_not_kept() -> None:
    good = dict.fromkeys(NAMES, 0.25)
    answers: list[Any] = [
        {"answers": {"1": {"probabilities": p}}} for p in (good, {**good, NAMES[1]: -1})
    ]
    with LoopbackModel(lambda path, body: (200, answers.pop(), {})) as server:
        asked = EndpointSettings(server.url, "m", max_retries=0)
        async with connect(asked, cache=InMemoryCache()) as endpoint:
            ranker = ChoiceRanker(SystemOne(endpoint), 50)
            with pytest.raises(EndpointError, match="wanted a probability, got -1"):
                await ranker.rank(CONTEXT, CANDIDATES)
            for _ in range(2):
                assert (await ranker.rank(CONTEXT, CANDIDATES)).audit.named == len(NAMES)
    assert len(server.requests) == 2


NUMBERS = st.floats() | st.integers(-3, 3) | st.none() | st.booleans() | st.text(max_size=3)
TOKENS = st.sampled_from(["A", "ĠB", "▁C", "D", "<think>", "", "E"]) | st.text(max_size=3)
ANSWERS: dict[str, st.SearchStrategy[Any]] = {
    "logprobs": st.lists(st.tuples(TOKENS, NUMBERS), max_size=6).map(lambda g: alternatives(*g)),
    "systemone": st.dictionaries(st.sampled_from(NAMES), NUMBERS).map(
        lambda p: {"answers": {"1": {"probabilities": p}}}
    ),
    "decisions": st.lists(st.tuples(st.sampled_from(NAMES), NUMBERS)).map(
        lambda given: {
            "answers": [
                {
                    "type": "choice",
                    "probabilities": [{"value": v, "probability": p} for v, p in given],
                }
            ]
        }
    ),
    "rerank": st.lists(st.tuples(st.integers(0, 3), NUMBERS), max_size=5).map(
        lambda given: {"results": [{"index": n, "relevance_score": p} for n, p in given]}
    ),
}
KINDS: dict[str, Any] = {
    "logprobs": lambda e: ChoiceRanker(Logprobs(e, 20), 20),
    "systemone": lambda e: ChoiceRanker(SystemOne(e), 50),
    "decisions": lambda e: ChoiceRanker(Decisions(e), 50),
    "rerank": RerankRanker,
}


@pytest.mark.parametrize("kind", KINDS)
@given(data=st.data())
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
async def test_random_numbers_are_a_ranking_of_probabilities_or_one_error(
    kind: str, data: st.DataObject
) -> None:
    content = json.dumps(data.draw(ANSWERS[kind])).encode("utf-8", "surrogatepass")

    def respond(path: str, body: dict[str, Any]) -> Answer:
        return 200, content, {}

    with suppress(EndpointError):
        ranking = await ranked(respond, KINDS[kind])
        assert sorted(ranking.order) == sorted(c.id for c in CANDIDATES)
        assert ranking.audit.named > 0
        assert all(0 <= p <= 2 for p in ranking.probabilities.values())
