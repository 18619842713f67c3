import json
from collections.abc import Sequence
from dataclasses import dataclass

import pytest

from lrgd.agents.endpoint.client import EndpointSettings, Usage, connect
from lrgd.agents.prompts import RankingContext
from lrgd.agents.ranking.listwise import ListwiseRanker
from lrgd.agents.recommender import ShuffledRanker, averaged
from lrgd.agents.values import Item, Ranking, RankingAudit, ranking_from
from tests.loopback import LoopbackModel, Sensible
from tests.scripted import CONTEXT, ScriptedChat, task

CANDIDATES = task().candidates


@dataclass
class FirstComesFirst:
    """Believes in positions alone, or in nothing but the title."""

    fair: bool

    async def rank(
        self, context: RankingContext, candidates: Sequence[Item]
    ) -> tuple[Ranking, Usage]:
        order = sorted(candidates, key=lambda c: c.title) if self.fair else candidates
        total = sum(range(1, len(order) + 1))
        falling = {c.id: (len(order) - n) / total for n, c in enumerate(order)}
        return ranking_from(falling, candidates), Usage(1, 10, 1)


async def test_shuffles_tell_how_far_positions_alone_moved_a_ranking() -> None:
    biased, usage = await ShuffledRanker(FirstComesFirst(fair=False), 200).rank(CONTEXT, CANDIDATES)
    # Each rank 1 to 4 comes equally often: the standard deviation of a uniform draw from them.
    assert biased.audit.position_sd == pytest.approx((15 / 12) ** 0.5, abs=0.05)
    assert max(biased.probabilities.values()) - min(biased.probabilities.values()) < 0.1
    assert (usage.calls, usage.prompt_tokens) == (200, 2000)
    fair, _ = await ShuffledRanker(FirstComesFirst(fair=True), 5).rank(CONTEXT, CANDIDATES)
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
            ranking, _ = await ListwiseRanker(model, length=3, as_json=True).rank(
                CONTEXT, CANDIDATES
            )
    request = server.requests[0][1]
    schema = request["response_format"]["json_schema"]["schema"]["properties"]["ranking"]
    assert schema["items"]["enum"] == [c.title for c in CANDIDATES]
    assert "Answer with JSON only" in json.dumps(request["messages"])
    assert (ranking.audit.named, ranking.audit.missing, ranking.audit.out_of_set) == (3, 0, 0)


async def test_in_lines_it_asks_for_as_many_titles_as_there_are() -> None:
    chat = ScriptedChat(replies=["1. old lamp"])
    ranking, _ = await ListwiseRanker(chat).rank(CONTEXT, CANDIDATES)
    assert "Answer with 4 titles only" in chat.asked[0]
    assert ranking.audit.missing == 3
