import pytest

from lrgd.agents.values import Item, RankingTask
from lrgd.evals.methods import FLOORS, METHODS, Resources
from lrgd.evals.runs.folder import UserRecord
from lrgd.graphs import LoopSettings
from tests.scripted import WordRanker, hashed_words

TASK = RankingTask(
    "u",
    (Item("h1", "Copper Crow Card Game"), Item("h2", "Herb Seeds"), Item("h3", "Viking Card Game")),
    (Item("a", "Merino Wool"), Item("b", "Viking Puzzle"), Item("c", "Herb Seeds by Sunfold")),
    "b",
)
RESOURCES = Resources(WordRanker(), hashed_words, LoopSettings(), {"a": 2, "c": 3})


async def order(method: str, task: RankingTask = TASK) -> list[str]:
    record: UserRecord = None  # type: ignore[assignment]  # floors read none
    ranking = await METHODS[method].rank(RESOURCES, task, record)
    assert ranking.usage.calls == 0
    return list(ranking.order)


async def test_bm25_counts_shared_words() -> None:
    assert await order("BM25") == ["c", "b", "a"]  # two words shared, one, none


async def test_the_last_item_alone_decides_for_the_floor_of_its_name() -> None:
    assert (await order("last item"))[0] == "b"
    assert (await order("MiniLM cosine"))[0] == "c"  # over the last three the seeds weigh more


@pytest.mark.parametrize("method", FLOORS)
async def test_floors_rank_titles_without_words_in_common_or_without_words(method: str) -> None:
    strange = (Item("a", "!!!"), Item("b", "日本語"), Item("c", "a"))
    task = RankingTask("u", (Item("h", "???"),), strange, "b")
    assert sorted(await order(method, task)) == ["a", "b", "c"]


async def test_popularity_is_blind_to_the_history() -> None:
    assert await order("popularity") == ["c", "a", "b"]
