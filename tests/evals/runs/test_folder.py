"""Run folders of earlier versions stay readable."""

import json
from dataclasses import asdict, replace
from math import log2
from pathlib import Path
from typing import Any

from lrgd.agents.values import Usage
from lrgd.evals.runs.folder import Lines, RunHeader, UserRecord
from lrgd.graphs import LoopSettings
from lrgd.graphs.state import PathState, Trial
from lrgd.memory import Demonstration


def record() -> UserRecord:
    written = Demonstration(user_id="u", text="Likes boats.", path=0, round=1, ranks=(1,))
    unusable = replace(written, ranks=())
    path = PathState(0, (Trial(written, "usable"), Trial(unusable, "names_target")))
    return UserRecord("u", (path,), (), written, "solved", Usage(2, 3, 4))


def test_a_record_from_before_log_probabilities_is_read(tmp_path: Path) -> None:
    old: dict[str, Any] = asdict(record())
    for trial in old["paths"][0]["trials"]:
        del trial["log_probability"]
    (tmp_path / "journal.jsonl").write_text(json.dumps(old) + "\n")
    assert Lines(tmp_path / "journal.jsonl", UserRecord).read() == [record()]


def test_a_record_from_before_ranks_were_kept_has_the_same_ranks_and_effects(
    tmp_path: Path,
) -> None:
    old: dict[str, Any] = asdict(record())
    trials = old["paths"][0]["trials"]
    for written, mean in [(old["chosen"], 0.75), (trials[0]["demonstration"], 1 / log2(8))]:
        del written["ranks"], written["worth"]
        written["effect"] = mean  # 0.75: over two tasks, 1 / log2(2) and 1 / log2(4)
    trials[0]["rank"] = 7
    (tmp_path / "journal.jsonl").write_text(json.dumps(old) + "\n")
    (read,) = Lines(tmp_path / "journal.jsonl", UserRecord).read()
    assert read.chosen is not None
    assert (read.chosen.effect, read.chosen.rank) == (0.75, 2)
    (trial, unusable) = read.paths[0].trials
    assert (trial.rank, trial.demonstration.effect) == (7, 1 / log2(8))
    assert (unusable.rank, unusable.demonstration.effect) == (None, 0.0)


def test_a_log_probability_comes_back_as_it_was(tmp_path: Path) -> None:
    written = Demonstration(user_id="u", text="Likes boats.", path=0, round=1, ranks=(1,))
    path = PathState(0, (Trial(written, "usable", log_probability=-0.1),))
    lines = Lines(tmp_path / "journal.jsonl", UserRecord)
    lines.append(UserRecord("u", (path,), (), written, "solved", Usage()))
    (found,) = lines.read()
    assert found.paths == (path,)


def test_a_run_from_before_the_judge_was_judged_by_rank() -> None:
    header = RunHeader(
        bundle="b",
        bundle_sha256="0" * 64,
        model="m",
        ranking="decision",
        users=("u",),
        settings=LoopSettings(),
    )
    old = header.model_dump()
    del old["settings"]["judge"]
    assert RunHeader.model_validate(old) == header
    assert header.settings.judge == "rank"
