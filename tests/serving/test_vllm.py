"""vLLM for real, its CPU build: `make test-vllm` makes its environment and runs these.

Two models: SmolLM2, and a tiny Qwen3 with random weights, since vLLM's `/v1/systemone` takes no
Llama.
"""

import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from lrgd.agents.endpoint.client import EndpointSettings, connect
from lrgd.agents.prompts import PromptSettings
from lrgd.agents.ranking.choices import Logprobs, SystemOne
from lrgd.agents.ranking.heats import ChoiceRanker
from lrgd.agents.ranking.listwise import ListwiseRanker
from lrgd.agents.ranking.modes import ranker_for
from lrgd.agents.ranking.probe import probe
from lrgd.agents.values import RankingMode, RankingTask
from lrgd.evals.data.bundle import Bundle
from lrgd.evals.metrics import ndcg_at
from lrgd.graphs import LoopSettings, build_graph, build_recommendation_graph
from lrgd.serving.models import DEFAULT, folder_of
from lrgd.workbench import ModelChoice, open_workbench
from tests.families import make

pytestmark = pytest.mark.vllm

PYTHON = Path(os.environ.get("LRGD_VLLM_PYTHON", ".venv-vllm/bin/python"))
LRGD = [sys.executable, "-c", "from lrgd.cli.main import main; main()"]
START_S = 600


@contextmanager
def served(model: Path) -> Iterator[EndpointSettings]:
    """`lrgd serve --engine vllm` over a folder."""
    if not PYTHON.exists():
        pytest.skip(f"no vLLM at {PYTHON}: `make test-vllm`")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    ours = ["serve", "--engine", "vllm", "--python", str(PYTHON), "--model", str(model)]
    vllms = ["--served-model-name", "m", "--dtype", "float32", "--max-model-len", "4096"]
    process = subprocess.Popen(
        [*LRGD, *ours, "--port", port, "--", *vllms],
        stderr=subprocess.STDOUT,
        stdout=subprocess.DEVNULL,
        env={**os.environ, "VLLM_CPU_KVCACHE_SPACE": "1", "HF_HUB_OFFLINE": "1"},
        start_new_session=True,
    )
    try:
        _wait_for(f"http://127.0.0.1:{port}/health", process)
        yield EndpointSettings(f"http://127.0.0.1:{port}/v1", "m")
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(60)


def _wait_for(url: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline:
        assert process.poll() is None, "vLLM ended while starting"
        try:
            urllib.request.urlopen(url)
            return
        except OSError:
            time.sleep(1)
    pytest.fail(f"vLLM was not up after {START_S} s")


@pytest.fixture(scope="module")
def smollm() -> Iterator[EndpointSettings]:
    with served(folder_of(DEFAULT)) as settings:
        yield settings


@pytest.fixture(scope="module")
def qwen(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EndpointSettings]:
    with served(make("qwen3", tmp_path_factory.mktemp("qwen3"))) as settings:
        yield settings


def is_permutation(order: tuple[str, ...], task: RankingTask) -> bool:
    return sorted(order) == sorted(c.id for c in task.candidates)


async def the_whole_loop(
    settings: EndpointSettings, mode: RankingMode, task: RankingTask, memory: Path
) -> None:
    choice = ModelChoice(settings.base_url, settings.model, ranking=mode, max_tokens=32)
    async with open_workbench(memory, choice) as bench:
        parts: dict[str, Any] = {"ranker": bench.ranker, "memory": bench.memory}
        loop = LoopSettings(paths=2, rounds=2)
        graph = build_graph(model=bench.model, settings=loop, **parts)
        state = await graph.ainvoke({"task": task})
        recommended = await build_recommendation_graph(**parts).ainvoke({"task": task})
    assert sum(len(path.trials) for path in state["paths"].values()) >= 2
    assert is_permutation(recommended["ranking"].order, task)
    assert bench.meter.calls >= state["usage"].calls


@pytest.mark.parametrize("mode", ["likelihood", "logprobs", "listwise"])
async def test_smollm2_goes_through_the_whole_loop(
    smollm: EndpointSettings, mode: RankingMode, bundle: Bundle, tmp_path: Path
) -> None:
    task = bundle.task(next(iter(bundle.users)), "validation")
    await the_whole_loop(smollm, mode, task, tmp_path)


@pytest.mark.parametrize("mode", ["decision", "logprobs", "listwise"])
async def test_qwen3_goes_through_the_whole_loop_in_every_mode(
    qwen: EndpointSettings, mode: RankingMode, bundle: Bundle, tmp_path: Path
) -> None:
    task = bundle.task(next(iter(bundle.users)), "validation")
    await the_whole_loop(qwen, mode, task, tmp_path)


async def test_what_the_probe_finds(smollm: EndpointSettings, qwen: EndpointSettings) -> None:
    async with connect(smollm) as endpoint:
        found = await probe(endpoint)
    assert (found.systemone, found.top_logprobs, found.echo) == (0, 64, True)
    async with connect(qwen) as endpoint:
        found = await probe(endpoint)
    assert (found.systemone, found.top_logprobs, found.letters) == (26, 64, 52)
    assert found.json_schema


async def test_a_typed_question_and_its_letters_are_the_same_reading(
    qwen: EndpointSettings, bundle: Bundle
) -> None:
    for user in list(bundle.users)[:5]:
        task = bundle.task(user, "test")
        context = PromptSettings().ranking_context(task, "likes boats")
        async with connect(qwen) as endpoint:
            typed = await ChoiceRanker(SystemOne(endpoint), 26).rank(context, task.candidates)
            logprobs = Logprobs(endpoint, 64)
            lettered = await ChoiceRanker(logprobs, 26).rank(context, task.candidates)
        shares = lettered.probabilities
        total = sum(shares.values())
        for item, p in shares.items():
            # A typed answer is a softmax over the letters alone, here of those among the top 64.
            known = sum(typed.probabilities[i] for i in shares)
            assert p / total == pytest.approx(typed.probabilities[item] / known, rel=1e-3)


async def test_structured_output_names_only_candidates(
    qwen: EndpointSettings, bundle: Bundle
) -> None:
    task = bundle.task(next(iter(bundle.users)), "test")
    async with connect(qwen) as endpoint:
        model = endpoint.chat_model(temperature=0.0, max_tokens=1024)
        ranker = ListwiseRanker(model, as_json=True)
        ranking = await ranker.rank(PromptSettings().ranking_context(task), task.candidates)
    audit = ranking.audit
    assert (audit.out_of_set, audit.named + audit.duplicates, audit.truncated) == (0, 10, False)


async def test_smollm2_ranks_by_likelihood_above_chance(
    smollm: EndpointSettings, bundle: Bundle
) -> None:
    ndcg = []
    async with connect(smollm) as endpoint:
        ranker = ranker_for(endpoint, "likelihood", await probe(endpoint))
        for user in bundle.users:
            task = bundle.task(user, "test")
            ranking = await ranker.rank(PromptSettings().ranking_context(task), task.candidates)
            assert ranking.audit.missing == 0
            ndcg.append(float(ndcg_at(10, ranking.rank_of(str(task.target_id)))))
    # Random over 20 candidates: 0.23 on average.
    assert sum(ndcg) / len(ndcg) > 0.3


async def test_the_prefix_cache_serves_what_the_calls_for_a_user_share(
    smollm: EndpointSettings, bundle: Bundle
) -> None:
    def counted(name: str) -> float:
        url = smollm.base_url.removesuffix("/v1") + "/metrics"
        text = urllib.request.urlopen(url).read().decode()
        found = re.search(rf"^vllm:prefix_cache_{name}_total{{.*}} (\S+)$", text, re.MULTILINE)
        assert found is not None
        return float(found[1])

    before = counted("queries"), counted("hits")
    task = bundle.task(next(iter(bundle.users)), "test")
    async with connect(smollm) as endpoint:
        ranker = ChoiceRanker(Logprobs(endpoint, 64), 26)
        for _ in range(4):
            await ranker.rank(PromptSettings().ranking_context(task), task.candidates)
    queries, hits = counted("queries") - before[0], counted("hits") - before[1]
    assert 0 < hits <= queries
