import json
import re
from collections.abc import Sequence
from dataclasses import dataclass

import pytest

from lrgd.agents.endpoint.client import EndpointSettings, connect
from lrgd.agents.prompts import RankingContext
from lrgd.agents.ranking.listwise import ListwiseRanker
from lrgd.agents.recommender import ShuffledRanker, answer_of, as_ranking, averaged
from lrgd.agents.values import Item, Ranking, RankingAudit, Usage, ranking_from
from lrgd.core.errors import InputError
from lrgd.evals.methods import METHODS, Question, Resources
from lrgd.graphs import LoopSettings, build_graph, build_recommendation_graph
from lrgd.memory import DemonstrationMemory
from tests.loopback import LoopbackModel, Sensible
from tests.scripted import CONTEXT, ScriptedChat, hashed_words, task

CANDIDATES = task().candidates


@dataclass
class FirstComesFirst:
    """Believes in positions alone, or in nothing but the title."""

    fair: bool

    async def rank(self, context: RankingContext, candidates: Sequence[Item]) -> Ranking:
        order = sorted(candidates, key=lambda c: c.title) if self.fair else candidates
        total = sum(range(1, len(order) + 1))
        falling = {c.id: (len(order) - n) / total for n, c in enumerate(order)}
        return ranking_from(falling, candidates, Usage(1, 10, 1))


async def test_shuffles_tell_how_far_positions_alone_moved_a_ranking() -> None:
    biased = await ShuffledRanker(FirstComesFirst(fair=False), 200).rank(CONTEXT, CANDIDATES)
    # Each rank 1 to 4 comes equally often: the standard deviation of a uniform draw from them.
    assert biased.audit.position_sd == pytest.approx((15 / 12) ** 0.5, abs=0.05)
    assert max(biased.probabilities.values()) - min(biased.probabilities.values()) < 0.1
    assert biased.usage == Usage(200, 2000, 200)
    fair = await ShuffledRanker(FirstComesFirst(fair=True), 5).rank(CONTEXT, CANDIDATES)
    assert fair.audit.position_sd == 0.0
    assert fair.order == tuple(c.id for c in sorted(CANDIDATES, key=lambda c: c.title))


async def test_the_shuffles_are_the_same_every_time() -> None:
    ranker = ShuffledRanker(FirstComesFirst(fair=False), 3)
    assert await ranker.rank(CONTEXT, CANDIDATES) == await ranker.rank(CONTEXT, CANDIDATES)


def test_written_lists_are_averaged_by_rank() -> None:
    def written(order: str, *, strict: str) -> Ranking:
        ids = tuple(f"c{n}" for n in order)
        return Ranking(ids, RankingAudit(2, 1, 0, 2), strict=tuple(f"c{n}" for n in strict))

    both = averaged([written("1023", strict="1"), written("1302", strict="13")], CANDIDATES)
    assert both.order == ("c1", "c0", "c3", "c2")
    assert both.strict == ("c1", "c3")
    assert (both.audit.named, both.audit.duplicates, both.audit.missing) == (4, 2, 4)


async def test_a_list_is_asked_for_as_json_only_where_the_server_holds_to_it() -> None:
    with LoopbackModel(Sensible(schema=True)) as server:
        async with connect(EndpointSettings(server.url, "m")) as endpoint:
            model = endpoint.chat_model(temperature=0.0, max_tokens=99)
            ranking = await ListwiseRanker(model, length=3, as_json=True).rank(CONTEXT, CANDIDATES)
    request = server.requests[0][1]
    schema = request["response_format"]["json_schema"]["schema"]["properties"]["ranking"]
    assert schema["items"]["enum"] == [c.title for c in CANDIDATES]
    assert "Answer with JSON only" in json.dumps(request["messages"])
    assert (ranking.audit.named, ranking.audit.missing, ranking.audit.out_of_set) == (3, 0, 0)


async def test_in_lines_it_asks_for_as_many_titles_as_there_are() -> None:
    chat = ScriptedChat(replies=["1. old lamp"])
    ranking = await ListwiseRanker(chat).rank(CONTEXT, CANDIDATES)
    assert "Answer with 4 titles only" in chat.asked[0]
    assert ranking.audit.missing == 3


# A ranker of your own: anything with such a method. It may return ids in order ...


class SharedWords:
    """The more words a title shares with the prompt, the better."""

    async def rank(self, context: RankingContext, candidates: Sequence[Item]) -> list[str]:
        read = set(re.findall(r"\w+", context.text.lower()))

        def shared(item: Item) -> int:
            return len(read & set(item.title.lower().split()))

        return [item.id for item in sorted(candidates, key=shared, reverse=True)]


# ... or a Ranking, where it knows more: probabilities, what it paid, what it left out.


class Fixed:
    """Knows how likely each item is, whoever asks."""

    def __init__(self, shares: dict[str, float]) -> None:
        self.shares = shares

    async def rank(self, context: RankingContext, candidates: Sequence[Item]) -> Ranking:
        known = {c.id: self.shares[c.id] for c in candidates if c.id in self.shares}
        return ranking_from(known, candidates, Usage(calls=1))


async def test_a_ranker_of_ids_serves_graphs_and_methods(memory: DemonstrationMemory) -> None:
    ranker, settings = SharedWords(), LoopSettings(paths=1, rounds=2)
    chat = ScriptedChat(replies=["likes puzzles", "wants something blue"])
    graph = build_graph(model=chat, ranker=ranker, memory=memory, settings=settings)
    state = await graph.ainvoke({"task": task()})
    # "paper kite" stands in the history: the red kite is first until a note says "blue" as well.
    assert [trial.rank for trial in state["paths"][0].trials] == [2, 2]
    recommended = await build_recommendation_graph(ranker=ranker, memory=memory).ainvoke(
        {"task": task()}
    )
    assert recommended["ranking"].order[:2] == ("c0", "c1")
    resources = Resources(ranker, hashed_words, settings, {})
    record = None  # a method without a demonstration reads none
    zero_shot = await METHODS["zero-shot"].rank(resources, Question.of(task()), record)  # type: ignore[arg-type]
    assert zero_shot.order[0] == "c0"


async def test_a_custom_ranking_carries_what_it_cost() -> None:
    ranking = await answer_of(Fixed({"c2": 0.7, "c1": 0.3}), CONTEXT, CANDIDATES)
    assert ranking.order == ("c2", "c1", "c0", "c3")
    assert (ranking.usage.calls, ranking.audit.missing) == (1, 2)
    both = await ShuffledRanker(Fixed({"c2": 0.7, "c1": 0.3}), 3).rank(CONTEXT, CANDIDATES)
    assert (both.order[:2], both.usage.calls) == (("c2", "c1"), 3)


async def test_ids_may_be_averaged_over_candidate_orders() -> None:
    ranking = await ShuffledRanker(SharedWords(), 5).rank(
        RankingContext("an old lamp", ""), CANDIDATES
    )
    assert ranking.order[0] == "c3"


def test_ids_are_completed_and_counted() -> None:
    ranking = as_ranking(["c3", "c9", "c1", "c3"], CANDIDATES)
    assert ranking.order == ("c3", "c1", "c0", "c2")
    assert ranking.audit == RankingAudit(named=2, duplicates=1, out_of_set=1, missing=2)
    assert as_ranking([], CANDIDATES).order == ("c0", "c1", "c2", "c3")
    assert as_ranking(("c3", "c2", "c1", "c0"), CANDIDATES).audit == RankingAudit(named=4)


@pytest.mark.parametrize(
    "answer",
    [
        "c1",
        [1, 2],
        list(CANDIDATES),
        {"c1": 0.5},
        None,
        Ranking(("c1", "c1", "c0", "c2"), RankingAudit(4)),
        Ranking(("c1",), RankingAudit(1)),
    ],
)
def test_what_is_no_ranking_is_refused_in_one_line(answer: object) -> None:
    with pytest.raises(InputError) as refused:
        as_ranking(answer, CANDIDATES)  # type: ignore[arg-type]
    assert "\n" not in str(refused.value)
