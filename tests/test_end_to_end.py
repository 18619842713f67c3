"""The whole job with the embedded model: what `make demo` does, on fewer users."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

LRGD = [sys.executable, "-c", "from lrgd.cli.main import main; main()"]


def demo(folder: Path) -> subprocess.CompletedProcess[str]:
    options = ["demo", "--folder", str(folder), "--users", "4", "--rounds", "2"]
    found = subprocess.run([*LRGD, *options], capture_output=True, text=True, timeout=600)
    assert found.returncode == 0, found.stderr
    return found


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("demo")


@pytest.fixture(scope="module")
def told(folder: Path) -> str:
    return demo(folder).stdout


def test_the_demo_tells_a_story_a_table_and_where_the_report_is(told: str) -> None:
    assert re.search(r"The story of shopper-\d+", told)
    assert "chosen: path" in told
    unwrapped = " ".join(told.split())
    assert re.search(r"Test task, rank of .+: random \d+, .*LRGD \d+", unwrapped)
    for method in ("random", "MiniLM cosine", "zero-shot", "ICL", "LRGD"):
        assert method in told
    for label, path in re.findall(r"^(Report|Plot): +(\S+)$", told, re.MULTILINE):
        assert Path(path).stat().st_size > 10_000, label


def test_every_user_was_optimised_by_the_embedded_model(told: str, folder: Path) -> None:
    numbers = json.loads((folder / "run" / "report" / "results.json").read_text())
    assert (numbers["model"], numbers["ranking"]) == ("smollm2-135m", "rerank")
    assert numbers["users"] == 4
    optimization = numbers["optimization"]
    assert optimization["completion_tokens"] > 0
    # Every path writes and ranks at least once.
    assert optimization["calls"] >= 4 * 3 * 2 - 2 * optimization["rejected_demonstrations"]


def test_a_second_demo_asks_nothing_again_and_says_the_same(told: str, folder: Path) -> None:
    before = (folder / "run" / "journal.jsonl").read_bytes()
    assert demo(folder).stdout == told
    assert (folder / "run" / "journal.jsonl").read_bytes() == before
