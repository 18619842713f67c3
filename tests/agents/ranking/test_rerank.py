from dataclasses import replace
from math import nan
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from lrgd.agents.endpoint.client import EndpointSettings, connect
from lrgd.agents.ranking.rerank import RerankRanker
from lrgd.agents.values import Item, Ranking, Usage
from lrgd.core.errors import EndpointError
from tests.loopback import LoopbackModel, Sensible, reranked
from tests.scripted import CONTEXT, task

CANDIDATES = task().candidates


async def ranked(respond: Any, candidates: Any = CANDIDATES) -> Ranking:
    with LoopbackModel(respond) as server:
        async with connect(EndpointSettings(server.url, "m", max_retries=0)) as endpoint:
            return await RerankRanker(endpoint).rank(CONTEXT, candidates)


def scoring(*scores: float) -> Any:
    return lambda path, body: (200, reranked(scores), {})


async def test_a_query_asks_for_what_comes_next_and_a_baseline_for_what_would_for_anybody() -> None:
    with LoopbackModel(Sensible(reranks=True)) as server:
        async with connect(EndpointSettings(server.url, "m")) as endpoint:
            ranking = await RerankRanker(endpoint).rank(CONTEXT, CANDIDATES)
    path, body, _ = server.requests[0]
    assert path == "/v1/rerank"
    assert body["query"] == "STATE\n\nThe shopper buys next:"
    assert body["baseline_query"] == "NOTHING\n\nThe shopper buys next:"
    assert body["documents"] == [c.title for c in CANDIDATES]
    assert body["top_n"] == len(CANDIDATES)
    assert sum(ranking.probabilities.values()) == pytest.approx(1.0)
    assert ranking.usage == Usage(1, 9, 0)


async def test_scores_that_are_probabilities_are_kept() -> None:
    ranking = await ranked(scoring(0.1, 0.2, 0.4, 0.3))
    assert ranking.order == ("c2", "c3", "c1", "c0")
    assert ranking.probabilities == {"c0": 0.1, "c1": 0.2, "c2": 0.4, "c3": 0.3}


@pytest.mark.parametrize(
    "scores", [(-3.5, -4.0, 2.5, -3.0), (0.6, 0.5, 0.9, 0.7), (-0.2, -0.3, 1.2, 0.3)]
)
async def test_logits_and_sigmoids_rank_and_are_no_probabilities(scores: tuple[float, ...]) -> None:
    ranking = await ranked(scoring(*scores))
    assert ranking.order == ("c2", "c3", "c0", "c1")
    assert ranking.probabilities == {}
    assert (ranking.audit.named, ranking.audit.missing) == (4, 0)


@pytest.mark.parametrize(
    "answer",
    [
        reranked([0.1, 0.2, 0.7]),
        reranked([0.1, 0.2, 0.3, 0.2, 0.2]),
        reranked([0.1, 0.2, 0.3, nan]),
        {"results": [{"index": 0, "relevance_score": 0.25}] * 4},
        {"results": [{"index": n, "relevance_score": None} for n in range(4)]},
        {"results": [{"index": n, "score": 0.25} for n in range(4)]},
        {"results": [{"index": f"{n}", "relevance_score": 0.25} for n in range(4)]},
        {"results": None},
        {},
        [],
        b"<html>busy</html>",
    ],
)
async def test_a_document_without_a_number_is_one_error_of_one_line(answer: Any) -> None:
    with pytest.raises(EndpointError) as refused:
        await ranked(lambda path, body: (200, answer, {}))
    assert "\n" not in str(refused.value)


@given(st.data(), st.lists(st.text(max_size=9), min_size=2, max_size=9))
@hypothesis_settings(max_examples=25, deadline=None)
async def test_any_titles_and_scores_give_a_permutation(
    data: st.DataObject, titles: list[str]
) -> None:
    numbers = st.floats(-1e30, 1e30)
    scores = data.draw(st.lists(numbers, min_size=len(titles), max_size=len(titles)))
    candidates = [Item(f"i{n}", title) for n, title in enumerate(titles)]
    ranking = await ranked(scoring(*scores), candidates)
    assert sorted(ranking.order) == sorted(c.id for c in candidates)
    by_id = dict(zip([c.id for c in candidates], scores, strict=True))
    assert [by_id[i] for i in ranking.order] == sorted(scores, reverse=True)


async def test_a_demonstration_that_is_asked_apart_counts_as_its_weight_says() -> None:
    shares = {"STATE": (0.1, 0.2, 0.3, 0.4), "NOTE": (0.7, 0.1, 0.1, 0.1)}

    def respond(path: str, body: dict[str, Any]) -> Any:
        return 200, reranked(shares[body["query"].split()[0]]), {}

    context = replace(CONTEXT, text="BOTH", without_note="STATE", note_alone="NOTE")
    with LoopbackModel(respond) as server:
        async with connect(EndpointSettings(server.url, "m")) as endpoint:
            ranking = await RerankRanker(endpoint, 0.5).rank(context, CANDIDATES)
    # 0.1 sqrt(0.7), 0.2 sqrt(0.1), 0.3 sqrt(0.1), 0.4 sqrt(0.1)
    weights = [0.1 * 0.7**0.5, *(p * 0.1**0.5 for p in (0.2, 0.3, 0.4))]
    expected = [w / sum(weights) for w in weights]
    assert [ranking.probabilities[f"c{n}"] for n in range(4)] == pytest.approx(expected)
    assert ranking.order == ("c3", "c2", "c0", "c1")
    assert ranking.usage.calls == 2


async def test_without_a_demonstration_there_is_one_question() -> None:
    with LoopbackModel(Sensible(reranks=True)) as server:
        async with connect(EndpointSettings(server.url, "m")) as endpoint:
            ranking = await RerankRanker(endpoint, 0.5).rank(CONTEXT, CANDIDATES)
    assert (ranking.usage.calls, len(server.requests)) == (1, 1)
