"""Chat templates of the model families: a tiny model of each goes through the whole loop."""

from pathlib import Path
from typing import Any, get_args

import pytest

from lrgd.agents.generator import Verdict
from lrgd.agents.values import RankingMode
from lrgd.core.errors import EndpointError
from lrgd.graphs import LoopSettings, build_graph, build_recommendation_graph
from lrgd.serving.embedded.heads import FILE, RetrievalHeads
from lrgd.serving.server import serve_embedded
from lrgd.workbench import ModelChoice, open_workbench
from tests.families import FAMILIES, make
from tests.scripted import task

MODES: tuple[RankingMode, ...] = ("rerank", "likelihood")
"""What a model of random weights can be asked: it writes no list, and prefers no letter."""


@pytest.mark.parametrize("family", FAMILIES)
async def test_a_model_of_each_family_goes_through_the_whole_loop(
    family: str, tmp_path: Path
) -> None:
    folder = make(family, tmp_path / family)
    heads = RetrievalHeads(model=family, heads=((0, 1), (1, 3)), temperature=1.0, chosen_on={})
    (folder / FILE).write_text(heads.model_dump_json())
    async with serve_embedded(folder, family) as settings:
        for mode in MODES:
            choice = ModelChoice(settings.base_url, family, ranking=mode, max_tokens=8)
            await the_whole_loop(choice, tmp_path / mode)
        letters = ModelChoice(settings.base_url, family, ranking="logprobs", max_tokens=8)
        with pytest.raises(EndpointError, match=r"letters hold|cannot rank by logprobs"):
            await the_whole_loop(letters, tmp_path / "logprobs")


async def the_whole_loop(choice: ModelChoice, memory: Path) -> None:
    loop = LoopSettings(paths=2, rounds=2, tie_shuffles=0)
    async with open_workbench(memory, choice) as bench:
        parts: dict[str, Any] = {"ranker": bench.ranker, "memory": bench.memory}
        graph = build_graph(model=bench.model, settings=loop, **parts)
        state = await graph.ainvoke({"task": task()})
        recommended = await build_recommendation_graph(**parts).ainvoke({"task": task()})
    trials = [t for path in state["paths"].values() for t in path.trials]
    # A path that put the target first rests.
    assert len(trials) >= 2
    # Noise of 8 tokens: cut off as a rule.
    assert {t.verdict for t in trials} <= set(get_args(Verdict))
    assert sorted(recommended["ranking"].order) == ["c0", "c1", "c2", "c3"]
