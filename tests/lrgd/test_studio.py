import importlib
import json
from pathlib import Path

import pytest

from tests.loopback import LoopbackModel
from tests.scripted import task

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("name", ["optimization", "recommendation"])
async def test_langgraph_json_names_both_graphs(
    name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file, factory = json.loads((ROOT / "langgraph.json").read_text())["graphs"][name].split(":")
    module = importlib.import_module(".".join(Path(file).with_suffix("").parts))
    monkeypatch.chdir(tmp_path)
    with LoopbackModel() as server:
        monkeypatch.setenv("LRGD_BASE_URL", server.url)
        monkeypatch.setenv("LRGD_MODEL", "m")
        async with getattr(module, factory)() as graph:
            state = await graph.ainvoke({"task": task()})
    assert "chosen" in state or len(state["ranking"].order) == 4
