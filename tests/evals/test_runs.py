"""A whole run, from records to report, with scripted texts and a real graph and memory."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from agents.endpoint import Usage
from agents.values import RankingAudit
from evals.bundle import Bundle
from evals.curves import rejected, round_means
from evals.evaluate import results, score_users
from evals.journal import Lines, RunFolder, RunHeader, Score, UserRecord
from evals.methods import METHODS, Tools
from evals.optimize import Progress, optimize_users
from evals.report import numbers, verdict, write_report
from graphs import LoopSettings, build_graph, open_checkpoints
from memory import DemonstrationMemory
from memory.errors import InputError
from tests.scripted import ScriptedChat, WordRanker, hashed_words

SETTINGS = LoopSettings(paths=2, rounds=4, dataset="sample")
USERS = 4


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    run = RunFolder(tmp_path / "run")
    run.begin(header(), resume=False)
    return run


def header(**changes: object) -> RunHeader:
    values = {
        "bundle": "somewhere",
        "bundle_sha256": "0" * 64,
        "model": "scripted",
        "ranking": "decision",
        "users": ("a", "b"),
        "settings": SETTINGS,
    }
    return RunHeader.model_validate({**values, **changes})


async def optimize(
    folder: RunFolder, bundle: Bundle, reports: list[Progress] | None = None
) -> list[UserRecord]:
    replies = [f"likes blue note {n} merino" if n % 5 else "" for n in range(200)]
    memory = DemonstrationMemory.at(folder.memory, hashed_words)
    async with open_checkpoints(folder.checkpoints) as checkpointer:
        graph = build_graph(
            model=ScriptedChat(replies=replies),
            ranker=WordRanker(),
            memory=memory,
            settings=SETTINGS,
            checkpointer=checkpointer,
        )
        return await optimize_users(
            bundle,
            list(bundle.users)[:USERS],
            graph,
            folder.records,
            at_once=1,
            report=reports.append if reports is not None else lambda progress: None,
        )


async def test_records_come_back_from_the_journal_as_they_were(
    folder: RunFolder, bundle: Bundle
) -> None:
    reports: list[Progress] = []
    records = await optimize(folder, bundle, reports)
    assert folder.records.read() == records
    assert sum(p.calls for p in reports) == sum(r.usage.calls for r in records)
    assert sum(p.done is not None for p in reports) == USERS
    assert rejected(records) > 0


async def test_users_that_are_done_are_not_asked_again(folder: RunFolder, bundle: Bundle) -> None:
    first = await optimize(folder, bundle)
    again: list[Progress] = []
    assert await optimize(folder, bundle, again) == first
    assert [p.done for p in again] == first


async def test_the_first_demonstration_is_the_first_usable_one(
    folder: RunFolder, bundle: Bundle
) -> None:
    for record in await optimize(folder, bundle):
        assert record.first is not None
        assert record.first.round == 1


async def score(folder: RunFolder, bundle: Bundle, records: list[UserRecord]) -> list[Score]:
    tools = Tools(WordRanker(), hashed_words, SETTINGS)
    return await score_users(bundle, records, tools, folder.scores, at_once=3)


async def test_every_method_is_scored_on_the_same_users_once(
    folder: RunFolder, bundle: Bundle
) -> None:
    records = await optimize(folder, bundle)
    scores = await score(folder, bundle, records)
    assert len(scores) == len(METHODS) * USERS
    written = folder.scores.path.read_bytes()
    assert await score(folder, bundle, records) == scores
    assert folder.scores.path.read_bytes() == written


async def test_choices_never_depend_on_the_test_task(
    folder: RunFolder, bundle: Bundle, tmp_path: Path
) -> None:
    records = await optimize(folder, bundle)
    swapped = {
        u: replace(user, test=replace(user.test, target=user.test.candidates[0]))
        for u, user in bundle.users.items()
    }
    other = RunFolder(tmp_path / "other")
    other.begin(header(), resume=False)
    assert await optimize(other, replace(bundle, users=swapped), None) == records


async def test_the_table_pairs_every_method_with_zero_shot(
    folder: RunFolder, bundle: Bundle
) -> None:
    records = await optimize(folder, bundle)
    rows = results(await score(folder, bundle, records))
    assert [row.method for row in rows] == list(METHODS)
    by_name = {row.method: row for row in rows}
    difference = by_name["LRGD"].differences["nDCG@10"]
    assert difference.mean == pytest.approx(
        by_name["LRGD"].means["nDCG@10"] - by_name["zero-shot"].means["nDCG@10"]
    )
    assert by_name["zero-shot"].differences == {}
    assert by_name["random"].calls == 0
    assert by_name["ICL"].calls == USERS


def test_methods_on_different_users_are_not_compared() -> None:
    scores = [Score(m, u, 1) for m in METHODS for u in ("a", "b")]
    assert len(results(scores)) == len(METHODS)
    with pytest.raises(InputError, match="same users"):
        results(scores[:-1])


async def test_the_report_is_one_page_with_its_plots_inside(
    folder: RunFolder, bundle: Bundle, tmp_path: Path
) -> None:
    records = await optimize(folder, bundle)
    rows = results(await score(folder, bundle, records))
    run = header(users=tuple(r.user_id for r in records), model="<b>model</b>")
    files = write_report(tmp_path / "report", bundle, run, records, rows)
    page = files.page.read_text("utf-8")
    assert page.count("data:image/svg+xml;base64,") == 2
    assert "http://" not in page.replace("http://www.w3.org", "")
    assert "&lt;b&gt;model" in page
    assert verdict(rows) in page.replace("&#39;", "'")
    assert all(plot.read_bytes().startswith(b"\x89PNG") for plot in files.plots)
    assert json.loads(files.numbers.read_text()) == json.loads(
        json.dumps(numbers(run, records, rows))
    )


def test_the_verdict_names_a_floor_that_is_not_beaten() -> None:
    ranks = {**dict.fromkeys(METHODS, 30), "MiniLM cosine": 1, "zero-shot": 5, "LRGD": 4}
    scores = [Score(m, u, rank) for m, rank in ranks.items() for u in ("a", "b")]
    text = verdict(results(scores))
    assert "does not beat the floor MiniLM cosine" in text
    ranks["MiniLM cosine"] = 9
    scores = [Score(m, u, rank) for m, rank in ranks.items() for u in ("a", "b")]
    assert "above all floors" in verdict(results(scores))


async def test_round_means_carry_resting_paths_forward(folder: RunFolder, bundle: Bundle) -> None:
    means = round_means(await optimize(folder, bundle))
    assert [row.round for row in means] == list(range(1, len(means) + 1))
    best = [row.best_effect for row in means]
    assert best == sorted(best)
    assert means[0].running == 2 * USERS


def test_a_line_that_was_cut_off_is_dropped_and_written_anew(tmp_path: Path) -> None:
    lines: Lines[Score] = Lines(tmp_path / "scores.jsonl", Score)
    assert lines.read() == []
    a, b = Score("m", "a", 1, 1, RankingAudit(3), Usage(1)), Score("m", "b", 2)
    lines.append(a)
    with lines.path.open("ab") as file:
        file.write(b'{"method": "m", "us')
    assert lines.read() == [a]
    lines.append(b)
    assert lines.read() == [a, b]


def test_a_malformed_line_is_named(tmp_path: Path) -> None:
    lines: Lines[Score] = Lines(tmp_path / "scores.jsonl", Score)
    lines.path.write_text('{"method": "m", "user_id": "a", "rank": "first"}\n')
    with pytest.raises(InputError, match=r"scores\.jsonl:1: rank: "):
        lines.read()


def test_a_run_folder_goes_on_only_with_the_same_run(folder: RunFolder) -> None:
    with pytest.raises(InputError, match="add --resume"):
        folder.begin(header(), resume=False)
    folder.begin(header(bundle="moved"), resume=True)
    with pytest.raises(InputError, match="its model is scripted, not other"):
        folder.begin(header(model="other"), resume=True)
    with pytest.raises(InputError, match="no run at"):
        RunFolder(folder.folder / "no").header()
