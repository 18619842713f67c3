"""A debugging session with the embedded model: from a user to an export that does it again."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from lrgd.evals.data.bundle import Bundle

LRGD = [sys.executable, "-c", "from lrgd.cli.main import main; main()"]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("session") / "run"


@pytest.fixture(scope="module")
def told(run: Path, bundle: Bundle) -> str:
    bundle.save(run.parent / "bundle")
    user = list(bundle.users)[3]  # the first text puts the true next item 6th: there is room
    item = bundle.task(user, "validation").candidates[0].id
    lines = [
        f"/user {user}",
        "/round",
        "/prompt generator 1",
        "Wants kitchen things. They should be large.",
        f"/why {item}",
        "/keep",
        "/perturb from 1",
        "/order demonstration-first",
        "/round",
        "/reveal",
        "/case",
        "/export",
        "/fork 5",
        "/step",
        "/history",
    ]
    found = subprocess.run(
        [*LRGD, "chat", str(run.parent / "bundle"), "--run", str(run)],
        input="\n".join(lines),
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert found.returncode == 0, found.stderr
    return found.stdout


def test_every_command_showed_something(told: str) -> None:
    for words in (
        "memory knows nothing of this user yet",
        "path 2: its first demonstration",
        "a prefix cache serves them",
        "Changed: your demonstration",
        "Word by word, in nats",
        "written by a person",
        "perturbed from path 1",
        "prompt order from now on: demonstration-first",
        "The true next item of the validation task",
        "Next: generator of path 1.",
    ):
        assert words in told
    assert re.search(r"sentence +\d+ +[+-]\d\.\d{3}", told)
    assert "tokens in all" in told


def test_the_case_passes_on_the_model_that_it_was_written_with(told: str, run: Path) -> None:
    (case,) = (run / "cases").glob("*.json")
    found = subprocess.run(
        [*LRGD, "cases", "run", str(case)], capture_output=True, text=True, timeout=300
    )
    assert found.returncode == 0, found.stdout + found.stderr
    assert "passed" in found.stdout


def test_the_exported_script_comes_to_the_same_numbers(told: str, run: Path) -> None:
    (script,) = (run / "sessions").glob("*/session.py")
    found = subprocess.run(
        [sys.executable, str(script)],
        capture_output=True,
        text=True,
        timeout=300,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])},
    )
    assert found.returncode == 0, found.stdout + found.stderr
    for line in ("/keep", "/perturb from 1 on 2", "/order demonstration-first", "/reveal"):
        assert re.search(rf"^{line} x1: Effect_D \d\.\d+$", found.stdout, re.MULTILINE), line
    (transcript,) = (run / "sessions").glob("*/transcript.md")
    assert "## `/step`" in transcript.read_text()
