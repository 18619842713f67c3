"""A run that was killed goes on at its last finished node and repeats no finished call."""

import sqlite3
from pathlib import Path
from typing import Any

import pytest

from lrgd.graphs import LoopSettings, build_graph, open_checkpoints
from lrgd.memory import DemonstrationMemory
from tests.scripted import ScriptedChat, WordRanker, hashed_words, task

# One path: with two, a call of the other may be under way when the first is killed, and a call
# that was under way is rightly made again. tests/lrgd/test_cli.py stops a run with many.
SETTINGS = LoopSettings(paths=1, rounds=6)
REPLIES = [f"note {n} of many" for n in range(6)]
CONFIG: dict[str, Any] = {"configurable": {"thread_id": "u1"}, "max_concurrency": 1}


class Killed(Exception):
    """Stands for the end of the process: no node tries again after it."""


async def run(
    folder: Path, replies: list[Any], start: Any, settings: LoopSettings = SETTINGS
) -> tuple[Any, ScriptedChat, WordRanker]:
    chat, ranker = ScriptedChat(replies=list(replies)), WordRanker()
    memory = DemonstrationMemory.at(folder / "memory", hashed_words)
    async with open_checkpoints(folder / "checkpoints.sqlite") as checkpointer:
        graph = build_graph(
            model=chat,
            ranker=ranker,
            memory=memory,
            settings=settings,
            checkpointer=checkpointer,
        )
        try:
            state = await graph.ainvoke(start, CONFIG, durability="sync")
        except Killed:
            state = None
    return state, chat, ranker


@pytest.mark.parametrize("killed_at", range(6))
async def test_resuming_repeats_no_call_and_gives_the_same_result(
    tmp_path: Path, killed_at: int
) -> None:
    for name in ("whole", "killed"):
        (tmp_path / name).mkdir()
    whole, _, all_ranked = await run(tmp_path / "whole", REPLIES, {"task": task()})

    folder = tmp_path / "killed"
    before = [*REPLIES[:killed_at], Killed()]
    state, _, ranked_before = await run(folder, before, {"task": task()})
    assert state is None
    resumed, chat, ranked_after = await run(folder, REPLIES[killed_at:], None)

    assert resumed["chosen"].text == whole["chosen"].text
    assert resumed["usage"] == whole["usage"]
    assert not chat.replies
    assert len(ranked_before.asked) + len(ranked_after.asked) == len(all_ranked.asked)


async def test_a_run_that_failed_leaves_the_checkpoints_unlocked(tmp_path: Path) -> None:
    # The second path is cancelled in the middle of its write, most of the time.
    for attempt in range(5):
        folder = tmp_path / str(attempt)
        folder.mkdir()
        two_paths = LoopSettings(paths=2, rounds=3)
        await run(folder, [*REPLIES[:2], Killed()], {"task": task()}, two_paths)
        other = sqlite3.connect(folder / "checkpoints.sqlite", timeout=0.0)
        other.execute("BEGIN IMMEDIATE")
        other.close()


async def test_checkpoints_bring_back_our_values_and_nothing_else(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    await run(tmp_path, [*REPLIES[:3], Killed()], {"task": task()})
    resumed, _, _ = await run(tmp_path, REPLIES[3:], None)
    assert type(resumed["paths"][0]).__name__ == "PathState"
    assert resumed["task"].target == task().target
    assert "unregistered" not in caplog.text
    assert "blocked" not in caplog.text
