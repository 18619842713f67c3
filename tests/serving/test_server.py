"""The embedded server: it starts on demand, and never outlives its parent."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from agents.choices import SystemOne
from agents.endpoint import connect
from agents.generator import Generator
from agents.heats import ChoiceRanker
from agents.prompts import ranking_state
from evals.metrics import ndcg_at
from evals.protocol import freeze
from evals.sample import sample_world
from memory.errors import EndpointError
from serving.pocket import MODEL_DIR
from serving.server import serve_transformers

PARENT = """
import asyncio
from serving.pocket import MODEL_DIR
from serving.server import serve_transformers

async def main():
    async with serve_transformers(MODEL_DIR) as settings:
        print(settings.base_url, flush=True)
        await asyncio.sleep(600)

asyncio.run(main())
"""


def listening(pid_of_parent: int) -> list[int]:
    """The server processes that this parent started."""
    found = subprocess.run(
        ["ps", "-eo", "pid,ppid,args"], capture_output=True, text=True, check=True
    ).stdout.splitlines()
    rows = [line.split(None, 2) for line in found[1:]]
    return [int(r[0]) for r in rows if "serving.leash" in r[2] and int(r[1]) == pid_of_parent]


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_the_server_ends_with_its_parent(how: signal.Signals) -> None:
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert parent.stdout is not None
    assert parent.stdout.readline().startswith("http://127.0.0.1:")
    (server,) = listening(parent.pid)
    parent.send_signal(how)
    parent.wait(timeout=20)
    deadline = time.monotonic() + 20
    while alive(server) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not alive(server)


async def test_the_served_model_writes_and_ranks_well_above_random() -> None:
    world = freeze(sample_world(), users=40, candidates=50, history=20, seed=3)
    tasks = [world.task(user, "test") for user in world.users]
    async with serve_transformers(MODEL_DIR) as settings, connect(settings) as endpoint:
        assert settings.concurrency == 1
        ranker = ChoiceRanker(SystemOne(endpoint), limit=64)
        ranked = [await ranker.rank(ranking_state(t, None), t.candidates) for t in tasks]
        generator = Generator(endpoint.chat_model(temperature=0.8, max_tokens=48))
        first, again, other = [await generator.write(tasks[0], seed=s) for s in (1, 1, 2)]
    ranks = [r.rank_of(str(t.target_id)) for (r, _), t in zip(ranked, tasks, strict=True)]
    # A random order gives 0.091, standard error 0.03 for 40 users.
    assert ndcg_at(10, ranks).mean() > 0.18
    assert first.verdict == "usable"
    assert first.text == again.text != other.text


async def test_a_folder_without_a_model_is_refused_at_once(tmp_path: Path) -> None:
    with pytest.raises(EndpointError, match="no model in"):
        async with serve_transformers(tmp_path):
            pass


async def test_a_server_that_dies_is_reported_with_its_last_words(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(EndpointError, match=r"did not start: .*(tokenizer|Error)"):
        async with serve_transformers(tmp_path):
            pass
