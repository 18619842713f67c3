"""The optimisation graph with a scripted model: what must hold whatever the model writes."""

import json
import re
from collections.abc import Sequence
from dataclasses import asdict, replace
from math import log
from typing import Any

import pytest
from pydantic import ValidationError

from lrgd.agents.endpoint.client import EndpointSettings, connect
from lrgd.agents.evaluator import effect
from lrgd.agents.prompts import RankingContext
from lrgd.agents.ranking.choices import SystemOne
from lrgd.agents.ranking.heats import ChoiceRanker
from lrgd.agents.recommender import ShuffledRanker
from lrgd.agents.values import Item, Ranking, RankingTask
from lrgd.core.errors import EndpointUnavailable
from lrgd.graphs import LoopSettings, build_graph
from lrgd.memory import DemonstrationMemory
from tests.loopback import Answer, LoopbackModel, sensible
from tests.scripted import ScriptedChat, WordRanker, task

# With WordRanker, a word of the target (c1, "blue boat") puts it first; a word of another
# candidate puts that one before it; neither leaves candidate order: rank 2.
MISS, HIT, WORSE = "likes puzzles", "wants something blue", "old green lamps and a train"


async def run(
    memory: DemonstrationMemory, replies: list[Any], **settings: Any
) -> tuple[dict[str, Any], ScriptedChat, WordRanker]:
    chat, ranker = ScriptedChat(replies=list(replies)), WordRanker()
    graph = build_graph(model=chat, ranker=ranker, memory=memory, settings=LoopSettings(**settings))
    state = await graph.ainvoke({"task": task()}, {"max_concurrency": 1})
    return state, chat, ranker


async def test_the_best_demonstration_is_chosen_and_remembered(
    memory: DemonstrationMemory,
) -> None:
    state, _, _ = await run(memory, [MISS, HIT], paths=1, rounds=4)
    assert state["chosen"].text == HIT
    assert state["chosen"].effect == 1.0
    assert state["stopped_by"] == "solved"
    assert state["round"] == 2
    (best, *_) = await memory.recall("u1")
    assert best == state["chosen"]


async def test_it_stops_after_its_rounds_and_ties_go_to_the_later_one(
    memory: DemonstrationMemory,
) -> None:
    state, chat, _ = await run(memory, [MISS, "likes games", WORSE], paths=1, rounds=3)
    assert (state["stopped_by"], state["round"], len(chat.replies)) == ("rounds", 3, 0)
    assert state["chosen"].text == "likes games"


async def test_ties_are_settled_over_shuffled_candidates(memory: DemonstrationMemory) -> None:
    _, _, ranker = await run(memory, [MISS, "likes games"], paths=1, rounds=2, tie_shuffles=3)
    # Two rounds, then three shuffles for each of the two tied texts.
    assert len(ranker.asked) == 2 + 2 * 3


LIKELY, LIKELIER = "likes red", "blue and red kites or a red kite and a green train"


async def test_ties_of_rank_are_settled_by_probability_without_a_further_question(
    memory: DemonstrationMemory,
) -> None:
    # Both leave the target second: one at 1 / (1 + 1 + 1 + 1), one at 1 / (2 + 1 + 1 + 1).
    state, _, ranker = await run(memory, [MISS, LIKELY], paths=1, rounds=2)
    assert [t.rank for t in state["paths"][0].trials] == [2, 2]
    found = [t.log_probability for t in state["paths"][0].trials]
    assert found == pytest.approx([log(1 / 4), log(1 / 5)])
    assert state["chosen"].text == MISS
    assert len(ranker.asked) == 2


@pytest.mark.parametrize(("judge", "chosen"), [("rank", LIKELY), ("probability", LIKELIER)])
async def test_the_judge_chooses_by_rank_or_by_probability(
    memory: DemonstrationMemory, judge: str, chosen: str
) -> None:
    # Second at 1 / (2 + 1 + 1 + 1) against third at 2 / (3 + 2 + 3 + 1).
    state, _, _ = await run(memory, [LIKELY, LIKELIER], paths=1, rounds=2, judge=judge)
    first, second = state["paths"][0].trials
    assert (first.rank, second.rank) == (2, 3)
    assert first.log_probability < second.log_probability
    assert state["chosen"].text == chosen
    assert state["chosen"].effect == effect(2 if judge == "rank" else 3)


class RankOnly(WordRanker):
    """Tells no probabilities, as a written list."""

    async def rank(self, context: RankingContext, candidates: Sequence[Item]) -> Ranking:
        return replace(await super().rank(context, candidates), probabilities={})


async def test_without_probabilities_the_rank_chooses_under_either_judge(
    memory: DemonstrationMemory,
) -> None:
    graph = build_graph(
        model=ScriptedChat(replies=[LIKELY, LIKELIER]),
        ranker=RankOnly(),
        memory=memory,
        settings=LoopSettings(paths=1, rounds=2, judge="probability"),
    )
    state = await graph.ainvoke({"task": task()})
    assert [t.log_probability for t in state["paths"][0].trials] == [None, None]
    assert state["chosen"].text == LIKELY


async def test_the_generator_is_told_the_rank_and_never_the_target(
    memory: DemonstrationMemory,
) -> None:
    _, chat, _ = await run(memory, [WORSE, MISS, MISS], paths=1, rounds=3)
    assert "ranked 4th of 4): old green lamps" in chat.asked[1]
    assert not any("blue boat" in prompt for prompt in chat.asked)


async def test_a_demonstration_that_names_the_target_is_rejected_and_counted(
    memory: DemonstrationMemory,
) -> None:
    state, chat, ranker = await run(memory, ["buys the Blue Boat", "", MISS], paths=1, rounds=3)
    trials = state["paths"][0].trials
    assert [t.verdict for t in trials] == ["names_target", "empty", "usable"]
    assert [t.demonstration.effect for t in trials[:2]] == [0.0, 0.0]
    assert len(ranker.asked) == 1
    assert state["chosen"].text == MISS
    assert "Blue Boat" not in chat.asked[1]
    # The guard has nothing to say of a round without a demonstration.
    assert [j.round for j in state["judgements"]] == [3]


async def test_a_user_without_any_usable_demonstration_ends_without_a_choice(
    memory: DemonstrationMemory,
) -> None:
    state, _, _ = await run(memory, ["", ""], paths=1, rounds=2)
    assert state["chosen"] is None
    assert await memory.recall("u1") == []


def word_by_path(chat: ScriptedChat) -> list[str]:
    """Which path's word each later prompt shows."""
    return [",".join(sorted(set(re.findall(r"path\w", p)))) for p in chat.asked]


async def test_paths_never_see_each_other_before_a_perturbation(
    memory: DemonstrationMemory,
) -> None:
    replies = [f"{word} note {n}" for n in range(3) for word in ("patha", "pathb", "pathc")]
    state, chat, _ = await run(memory, replies, paths=3, rounds=3, similarity_threshold=1.0)
    assert word_by_path(chat) == ["", "", ""] + ["patha", "pathb", "pathc"] * 2
    for index, path in state["paths"].items():
        parents = {p for t in path.trials for p in t.demonstration.parents}
        own = {t.demonstration.id for t in path.trials}
        assert parents <= own, f"path {index} descends from another path"


async def test_on_collapse_the_least_similar_other_path_is_injected(
    memory: DemonstrationMemory,
) -> None:
    # Path 0 repeats itself without gain; path 1 is near it, path 2 far from it.
    repeat, near, far = "likes paper things", "likes paper things {}", "{} music {} jazz {}"
    replies = []
    for n in range(4):
        replies += [repeat, near.format(f"x{n} y{n} z{n} w{n}"), far.format(n, n * 7, n * 11)]
    state, chat, _ = await run(memory, replies, paths=3, rounds=4)
    collapsed = [j for j in state["judgements"] if j.collapsed and j.path == 0]
    assert [j.round for j in collapsed] == [3, 4]
    assert collapsed[0].source == 2
    injected = state["paths"][2].trials[2].demonstration
    perturbed = state["paths"][0].trials[3].demonstration
    assert perturbed.perturbed_by == injected.id
    assert f"another point of view: {injected.text}" in chat.asked[9]


@pytest.mark.parametrize("patience", [LoopSettings().patience, 1])
async def test_a_path_that_repeats_itself_is_perturbed_as_soon_as_its_patience_allows(
    memory: DemonstrationMemory, patience: int
) -> None:
    first = LoopSettings(patience=patience).first_perturbed
    assert first <= LoopSettings().rounds  # the demo's too
    settings: dict[str, Any] = {"paths": 2, "rounds": first, "patience": patience}
    state, chat, _ = await run(memory, [MISS, "likes music"] * first, **settings)
    perturbed = [t.demonstration.perturbed_by for t in state["paths"][0].trials]
    injected = state["paths"][1].trials[first - 2].demonstration.id
    assert perturbed == [None] * (first - 1) + [injected]
    assert "point of view" in chat.asked[-1]


async def test_without_perturbation_collapse_is_noted_and_nothing_injected(
    memory: DemonstrationMemory,
) -> None:
    state, chat, _ = await run(memory, [MISS] * 8, paths=2, rounds=4, perturbation=False)
    assert any(j.collapsed for j in state["judgements"])
    assert not any("point of view" in prompt for prompt in chat.asked)


async def test_a_solved_path_rests(memory: DemonstrationMemory) -> None:
    state, _, _ = await run(memory, [HIT, MISS, MISS, MISS], paths=2, rounds=3)
    assert [len(state["paths"][i].trials) for i in (0, 1)] == [1, 3]


async def test_prompt_order_and_regularisation_reach_both_stages(
    memory: DemonstrationMemory,
) -> None:
    _, chat, ranker = await run(
        memory,
        [MISS, MISS],
        paths=1,
        rounds=2,
        prompt_order="demonstration_first",
        regularisation="Be brief.",
    )
    assert chat.asked[1].startswith(("The last note", "A note that worked"))
    assert ranker.asked[0].startswith("Note on the shopper")
    assert "Be brief." in chat.asked[0]
    assert "Be brief." in ranker.asked[0]


@pytest.mark.parametrize("failing", ["/v1/chat/completions", "/v1/systemone"])
async def test_a_request_is_repeated_by_the_endpoint_and_by_nobody_else(
    memory: DemonstrationMemory, failing: str
) -> None:
    def respond(path: str, body: dict[str, Any]) -> Answer:
        return (503, {}, {"retry-after-ms": "1"}) if path == failing else sensible(path, body)

    with LoopbackModel(respond) as server:
        async with connect(EndpointSettings(server.url, "m", max_retries=3)) as endpoint:
            graph = build_graph(
                model=endpoint.chat_model(temperature=0.8, max_tokens=64),
                ranker=ShuffledRanker(ChoiceRanker(SystemOne(endpoint), 50), 1),
                memory=memory,
                settings=LoopSettings(paths=1, rounds=1),
            )
            with pytest.raises(EndpointUnavailable, match="HTTP 503"):
                await graph.ainvoke({"task": task()})
    assert [path for path, *_ in server.requests].count(failing) == 1 + 3


async def test_optimisation_needs_a_known_target(memory: DemonstrationMemory) -> None:
    graph = build_graph(model=ScriptedChat(replies=[]), ranker=WordRanker(), memory=memory)
    unknown = task().__class__("u1", task().history, task().candidates)
    with pytest.raises(ValueError, match="a known target"):
        await graph.ainvoke({"task": unknown})


async def test_a_task_may_come_as_json(memory: DemonstrationMemory) -> None:
    graph = build_graph(model=ScriptedChat(replies=[HIT] * 3), ranker=WordRanker(), memory=memory)
    state = await graph.ainvoke({"task": json.loads(json.dumps(asdict(task())))})
    assert state["task"] == task()
    assert state["stopped_by"] == "solved"
    with pytest.raises(ValidationError, match="user_id"):
        await graph.ainvoke({"task": {"history": []}})


async def test_over_several_tasks_effect_d_is_the_mean_and_the_writer_sees_the_earliest_history(
    memory: DemonstrationMemory,
) -> None:
    latest = RankingTask(
        "u1",
        (Item("h1", "wooden puzzle"), Item("c0", "red kite")),
        (Item("x", "blue boat"), Item("y", "green train")),
        "x",
    )
    earlier = RankingTask(
        "u1",
        (Item("h1", "wooden puzzle"),),
        (Item("c0", "red kite"), Item("y", "green train")),
        "c0",
    )
    chat, ranker = (
        ScriptedChat(replies=["wants the red kite", "likes green and blue"]),
        WordRanker(),
    )
    graph = build_graph(
        model=chat, ranker=ranker, memory=memory, settings=LoopSettings(paths=1, rounds=2)
    )
    state = await graph.ainvoke({"task": latest, "earlier": [earlier]})
    assert "red kite" not in chat.asked[0]
    first, second = state["paths"][0].trials
    assert first.verdict == "names_target"
    # One word shared with each candidate of the latest: its order decides, rank 1. In the
    # earlier one "green" puts the train first, rank 2.
    assert second.demonstration.effect == (effect(1) + effect(2)) / 2
    assert second.log_probability == pytest.approx((log(2 / 4) + log(1 / 3)) / 2)
    assert ["red kite" in asked for asked in ranker.asked] == [True, False]
