"""Chat templates of the model families: a tiny model of each goes through the whole loop."""

import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest

from agents.probe import RankingMode
from graphs import LoopSettings, build_graph, build_recommendation_graph
from lrgd.workbench import ModelChoice, open_workbench
from serving.server import ENVIRONMENT
from tests.families import FAMILIES, make
from tests.scripted import task


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """One `transformers serve` without a model of its own: it loads what a request names."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "serving.leash", "serve", "--host", "127.0.0.1"]
    process = subprocess.Popen(
        [*command, "--port", str(port), "--device", "cpu", "--dtype", "float32"],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, **ENVIRONMENT},
    )
    try:
        for _ in range(600):
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/health")
                break
            except OSError:
                assert process.poll() is None
                time.sleep(0.2)
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        process.kill()
        process.wait()


@pytest.mark.parametrize("family", FAMILIES)
async def test_a_model_of_each_family_goes_through_the_whole_loop(
    family: str, url: str, tmp_path: Path
) -> None:
    folder = make(family, tmp_path / family)
    modes: tuple[RankingMode, ...] = get_args(RankingMode)
    loop = LoopSettings(paths=2, rounds=2, tie_shuffles=0)
    for mode in (m for m in modes if m != "logprobs"):  # transformers serve gives none
        choice = ModelChoice(url, str(folder), ranking=mode, max_tokens=8, concurrency=1)
        async with open_workbench(tmp_path / mode, choice) as bench:
            parts: dict[str, Any] = {"ranker": bench.ranker, "memory": bench.memory}
            graph = build_graph(model=bench.model, settings=loop, **parts)
            state = await graph.ainvoke({"task": task()})
            recommended = await build_recommendation_graph(**parts).ainvoke({"task": task()})
        trials = [t for path in state["paths"].values() for t in path.trials]
        # A path that put the target first rests.
        assert len(trials) >= 2
        assert {t.verdict for t in trials} <= {"usable", "empty", "names_target"}
        assert sorted(recommended["ranking"].order) == ["c0", "c1", "c2", "c3"]
