"""Earlier run folders stay readable, lines are whole and unique, and there is one writer."""

import json
from dataclasses import asdict, replace
from math import log2
from pathlib import Path
from typing import Any

import pytest

from lrgd.agents.values import Usage
from lrgd.core.errors import KEPT, BudgetSpent, InputError
from lrgd.evals.runs.folder import FailedCall, Lines, RunFolder, RunHeader, Score, UserRecord
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
    old = header().model_dump()
    del old["settings"]["judge"]
    assert RunHeader.model_validate(old) == header()
    assert header().settings.judge == "rank"


def score(**changes: Any) -> Score:
    return replace(Score("LRGD", "u", rank=2, seconds=1.0, seed=1), **changes)


def test_a_record_that_stands_there_twice_counts_once_and_is_told_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    scores = RunFolder(tmp_path).scores
    # Two writers of an earlier version: the same ranking, each with its own time.
    for one in (score(), score(seed=2), score(seconds=9.0), score()):
        scores.append(one)
    for _ in range(2):
        assert scores.read() == [score(), score(seed=2)]
    assert caplog.messages == [f"lrgd: {scores.path}: 2 lines stand there twice and count once"]


@pytest.mark.parametrize("other", [{"rank": 3}, {"usage": Usage(1, 2, 3)}])
def test_two_records_of_one_ranking_are_refused(tmp_path: Path, other: dict[str, Any]) -> None:
    scores = RunFolder(tmp_path).scores
    for one in (score(method="ICL"), score(), score(**other)):
        scores.append(one)
    told = r"scores\.jsonl:3: another record of \('LRGD', 1, 'u'\) than in line 2: delete one"
    with pytest.raises(InputError, match=told):
        scores.read()


def test_a_user_may_fail_again_and_again(tmp_path: Path) -> None:
    failed = RunFolder(tmp_path).failed
    for _ in range(3):
        failed.append(FailedCall("u", "optimization", "refused"))
    assert len(failed.read()) == 3


def test_reading_leaves_a_line_alone_that_is_being_written(tmp_path: Path) -> None:
    records = RunFolder(tmp_path).records
    records.append(record())
    whole = records.path.read_bytes()
    for cut in range(1, len(whole), 97):
        half = whole.replace(b'"u"', b'"v"')[:cut]
        records.path.write_bytes(whole + half)
        assert records.read() == [record()]
        assert records.path.read_bytes() == whole + half
    records.append(replace(record(), user_id="w"))
    assert [r.user_id for r in records.read()] == ["u", "w"]


def header() -> RunHeader:
    return RunHeader(
        bundle="b",
        bundle_sha256="0" * 64,
        model="m",
        ranking="decision",
        users=("u",),
        settings=LoopSettings(),
    )


def test_a_run_has_one_writer_its_variants_included(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "run")
    with folder.writing("lrgd optimize"):
        folder.begin(header(), resume=False)
        refused = pytest.raises(InputError, match="is being written by `lrgd optimize`")
        with refused, RunFolder(tmp_path / "run").writing("lrgd evaluate"):
            pytest.fail("two writers")
        variant = RunFolder(tmp_path / "run").variant("seed=2")
        variant.begin(header(), resume=True)
        assert variant.header() == RunFolder(tmp_path / "run").header()  # reading needs no lock
    with folder.writing("lrgd evaluate"):
        pass


def test_what_ends_a_command_within_a_run_says_that_it_can_go_on(tmp_path: Path) -> None:
    with pytest.raises(BudgetSpent) as ended, RunFolder(tmp_path).writing("lrgd optimize"):
        raise BudgetSpent("spent")
    assert ended.value.__notes__ == [KEPT]
