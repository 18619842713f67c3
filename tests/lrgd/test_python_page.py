"""The examples of docs/python.md, run one after the other as one script."""

import re
from pathlib import Path
from typing import Any

import pytest

from tests.loopback import Answer, LoopbackModel, sensible

PAGE = Path(__file__).parents[2] / "docs" / "python.md"
NAMED = "http://127.0.0.1:8000/v1"


def with_embeddings(path: str, body: dict[str, Any]) -> Answer:
    """A server that also speaks /v1/embeddings: letters, counted."""
    if not path.endswith("/embeddings"):
        return sensible(path, body)
    rows = [[1.0, *(float(text.count(letter)) for letter in "aeiou")] for text in body["input"]]
    data = [{"object": "embedding", "index": n, "embedding": row} for n, row in enumerate(rows)]
    return 200, {"object": "list", "model": "m", "data": data, "usage": {}}, {}


def test_the_pages_examples_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    assert len(blocks) == 7
    names: dict[str, Any] = {}
    found = []
    with LoopbackModel(with_embeddings) as server:
        for block in blocks:
            exec(block.replace(NAMED, server.url), names)
            found.append(names.get("found"))
        chats = [body for path, body, _ in server.requests if path.endswith("/chat/completions")]
    told = capsys.readouterr().out
    assert "['Garden Hose', " in told
    assert "choose" in told
    by_words, with_prior, by_metric, by_prompt = found[1:5]
    for sure in (by_words, with_prior):
        assert {rank for ranks in sure.ranks("ann") for rank in ranks} == {1}
    effects = {t.demonstration.effect for path in by_metric["ann"].paths for t in path.trials}
    assert effects <= {0.1, 1.0}
    asked = [chat["messages"][0]["content"] for chat in chats]
    assert any(text.startswith("Films seen: Garden Gloves") for text in asked)
    assert by_prompt.usage.calls > 0
