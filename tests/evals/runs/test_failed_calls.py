"""What real servers do, from request to report: a right number or one line, never a wrong one."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from langgraph.cache.sqlite import SqliteCache

from lrgd import run_jobs, runs
from lrgd.core.errors import EndpointError, InputError
from lrgd.evals.report.report import Report
from lrgd.evals.runs.evaluation import Evaluation
from lrgd.graphs import LoopSettings
from lrgd.progress import Display
from lrgd.workbench import ModelChoice, open_workbench, settled
from tests.faulty import Faulty, shop
from tests.loopback import LoopbackModel
from tests.scripted import hashed_words

MODEL_METHODS = ("zero-shot", "ICL", "LRGD")


@pytest.fixture(scope="module")
def bundle_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cases")
    shop(folder / "d").save(folder / "B")
    return folder / "B"


@pytest.fixture
def server() -> Iterator[LoopbackModel]:
    with LoopbackModel(Faulty("none")) as server:
        yield server


async def run_of(bundle: Path, folder: Path, url: str, **choice: object) -> runs.Run:
    wanted = await settled(ModelChoice(url, "m", **choice))  # type: ignore[arg-type]
    planned = runs.plan(bundle, folder, wanted, LoopSettings(paths=1, rounds=1), 3)
    return runs.begin(planned, resume=False)


async def optimized(run: runs.Run) -> None:
    cache = SqliteCache[bytes](path=str(run.folder.answers))
    memory = run.folder.memory
    async with open_workbench(memory, run.choice, cache=cache, embed=hashed_words) as bench:
        with Display() as display:
            await run_jobs.optimize(run, bench, display)


async def evaluated(run: runs.Run) -> Report:
    cache = SqliteCache[bytes](path=str(run.folder.answers))
    memory = run.folder.memory
    async with open_workbench(memory, run.choice, cache=cache, embed=hashed_words) as bench:
        with Display() as display:
            await run_jobs.score(run, Evaluation(), bench, display)
    return runs.report_on(run, Evaluation())


def first_places(report: Report) -> list[float]:
    return [row.means["nDCG@1"] for row in report.rows if row.method in MODEL_METHODS]


@pytest.mark.parametrize(
    "fault",
    [
        *("none", "think", "end_tag", "harmony", "parts", "beside", "tail", "err200", "nulls"),
        *("half", "noseed", "notemperature", "nolimit", "bare", "barest", "talkative"),
    ],
)
async def test_a_server_that_answers_in_its_own_way_is_read_right(
    server: LoopbackModel, bundle_path: Path, tmp_path: Path, fault: str
) -> None:
    server.respond = Faulty(fault)
    run = await run_of(bundle_path, tmp_path / "R", server.url)
    await optimized(run)
    assert run.optimized
    report = await evaluated(run)
    assert first_places(report) == [1.0, 1.0, 1.0]
    assert not report.failed
    chosen = {record.chosen.text for record in report.records if record.chosen}
    assert chosen == {"Enjoys \ufffd games." if fault == "half" else "Enjoys fast games."}


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        ("null", "cut_off"),
        ("mid_thought", "cut_off"),
        ("empty", "empty"),
        ("rankings_filtered", "refused"),
        ("instead", "reasoning"),
    ],
)
async def test_users_without_an_answer_are_not_journalled_and_begin_anew(
    server: LoopbackModel, bundle_path: Path, tmp_path: Path, fault: str, kind: str
) -> None:
    server.respond = Faulty(fault)
    run = await run_of(bundle_path, tmp_path / "R", server.url)
    await optimized(run)
    assert run.records == []
    assert {(call.user_id, call.kind) for call in run.failed} == {(f"u{n}", kind) for n in "123"}
    assert run.tried
    server.respond = Faulty("none")
    await optimized(run)
    assert run.optimized
    assert run.failed == []
    assert first_places(await evaluated(run)) == [1.0, 1.0, 1.0]


@pytest.mark.parametrize("fault", ["filter", "refusal"])
async def test_a_filtered_ranking_has_no_score_and_is_asked_again(
    server: LoopbackModel, bundle_path: Path, tmp_path: Path, fault: str
) -> None:
    server.respond = Faulty(fault)
    run = await run_of(bundle_path, tmp_path / "R", server.url)
    await optimized(run)
    with pytest.raises(InputError, match="2 or more"):
        await evaluated(run)
    failed = run.failed_in(Evaluation())
    assert len(failed) == 3 * len(("ICL", "LRGD"))
    assert {call.kind for call in failed} == {"refused"}
    assert {s.method for s in run.folder.scores.read()}.isdisjoint(("ICL", "LRGD"))
    server.respond = Faulty("none")
    assert first_places(await evaluated(run)) == [1.0, 1.0, 1.0]
    assert run.failed_in(Evaluation()) == []


async def test_one_user_without_an_answer_is_left_out_of_every_row_and_counted(
    server: LoopbackModel, bundle_path: Path, tmp_path: Path
) -> None:
    server.respond = Faulty("filter_one")
    run = await run_of(bundle_path, tmp_path / "R", server.url)
    await optimized(run)
    report = await evaluated(run)
    assert {(row.n, row.left_out) for row in report.rows} == {(2, 1)}
    assert first_places(report) == [1.0, 1.0, 1.0]
    assert report.as_dict()["failed_calls"] == {"refused": 2}
    assert [record.user_id for record in report.records] == ["u2", "u3"]


@pytest.mark.parametrize("fault", ["nan", "infinite"])
async def test_a_probability_that_is_none_stops_the_run_and_says_so(
    server: LoopbackModel, bundle_path: Path, tmp_path: Path, fault: str
) -> None:
    server.respond = Faulty(fault)
    run = await run_of(bundle_path, tmp_path / "R", server.url, ranking="logprobs")
    with pytest.raises(ExceptionGroup) as caught:
        await optimized(run)
    wanted = "NaN" if fault == "nan" else "Infinity"
    assert caught.group_contains(EndpointError, match=f"it holds {wanted} where a number belongs")
    assert run.records == []


async def test_a_mode_whose_letters_hold_nothing_is_refused_in_one_line(
    server: LoopbackModel, bundle_path: Path, tmp_path: Path
) -> None:
    server.respond = Faulty("tail")
    run = await run_of(bundle_path, tmp_path / "R", server.url, ranking="logprobs")
    with pytest.raises(EndpointError, match=r"0\.00% of the probability.*try --ranking listwise"):
        await optimized(run)


async def test_a_share_that_is_low_in_the_run_only_fails_the_rankings(
    server: LoopbackModel, bundle_path: Path, tmp_path: Path
) -> None:
    server.respond = Faulty("prose_later")
    run = await run_of(bundle_path, tmp_path / "R", server.url)
    assert run.header.ranking == "logprobs"
    await optimized(run)
    assert {call.kind for call in run.failed} == {"error"}


async def test_the_share_of_the_letters_is_recorded_and_a_low_one_told_once(
    server: LoopbackModel, bundle_path: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    server.respond = Faulty("mostly_prose")
    run = await run_of(bundle_path, tmp_path / "R", server.url, ranking="logprobs")
    await optimized(run)
    assert len([r for r in caplog.records if "answers with a letter in" in r.message]) == 1
    report = await evaluated(run)
    by_method = {row.method: row.audit.share for row in report.rows}
    # e^-2.5 + e^-3.5 + e^-4.5 + e^-5.5
    assert by_method["LRGD"] == pytest.approx(0.1275, abs=1e-4)
    assert by_method["random"] is None
    assert first_places(report) == [1.0, 1.0, 1.0]
