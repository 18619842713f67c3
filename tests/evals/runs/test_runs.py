"""A whole run, from records to report, with scripted texts and a real graph and memory."""

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from lrgd.agents.values import RankingAudit, Usage
from lrgd.core.errors import InputError
from lrgd.evals.data.bundle import Bundle
from lrgd.evals.methods import FLOORS, MAIN, METHODS, Resources
from lrgd.evals.report.method_results import method_results, scores_by_method
from lrgd.evals.report.page import write_report
from lrgd.evals.report.report import Report, headline, report_of
from lrgd.evals.report.rounds import rejected, round_means
from lrgd.evals.runs.evaluation import (
    Evaluation,
    SeededMethod,
    evaluation,
    methods_of,
    optimisations,
)
from lrgd.evals.runs.folder import Lines, RunFolder, RunHeader, Score, UserRecord
from lrgd.evals.runs.fusing import kept_fit, learned
from lrgd.evals.runs.optimize import Progress, optimize_users
from lrgd.evals.runs.scoring import score_users
from lrgd.graphs import LoopSettings, build_graph, open_checkpoints
from lrgd.memory import DemonstrationMemory
from tests.scripted import ScriptedChat, WordRanker, hashed_words

SETTINGS = LoopSettings(paths=2, rounds=4, dataset="sample")
USERS = 4
MAIN_TABLE = Evaluation()
UNSHARED = [name for name in MAIN if METHODS[name].needs in (None, "training part")]
"""The main table of a run without shared texts and without a prior."""


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


def methods(records: list[UserRecord], wanted: Evaluation = MAIN_TABLE) -> list[SeededMethod]:
    return list(methods_of(wanted, SETTINGS, lambda settings: records))


async def score(
    folder: RunFolder,
    bundle: Bundle,
    records: list[UserRecord],
    wanted: Evaluation = MAIN_TABLE,
) -> list[Score]:
    users = [record.user_id for record in records]
    learnt = learned(bundle, users, folder.fused)
    tools = Resources(WordRanker(), hashed_words, SETTINGS, bundle.popularity, *learnt)
    return await score_users(bundle, methods(records, wanted), tools, folder.scores, at_once=3)


async def found(
    folder: RunFolder, bundle: Bundle, wanted: Evaluation = MAIN_TABLE
) -> tuple[Report, list[UserRecord]]:
    records = await optimize(folder, bundle)
    scores = await score(folder, bundle, records, wanted)
    run = header(users=tuple(r.user_id for r in records), model="<b>model</b>")
    return report_of(bundle, run, wanted, methods(records, wanted), scores), records


async def test_every_method_is_scored_on_the_same_users_once(
    folder: RunFolder, bundle: Bundle
) -> None:
    records = await optimize(folder, bundle)
    scores = await score(folder, bundle, records)
    assert len(scores) == len(UNSHARED) * USERS
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
    again = await optimize(other, replace(bundle, users=swapped), None)
    assert again == records
    # Byte for byte, apart from how long it took and who was done first.
    written = [folder.records.path.read_bytes(), other.records.path.read_bytes()]
    ours, others = (
        sorted(re.sub(rb'"seconds":[0-9.e-]+', b"", text).splitlines()) for text in written
    )
    assert ours == others


async def test_the_table_pairs_every_method_with_the_reference(
    folder: RunFolder, bundle: Bundle
) -> None:
    said, _ = await found(folder, bundle)
    assert [row.method for row in said.rows] == UNSHARED
    by_name = {row.method: row for row in said.rows}
    difference = by_name["LRGD"].differences["nDCG@10"]
    assert difference.mean == pytest.approx(
        by_name["LRGD"].means["nDCG@10"] - by_name["zero-shot"].means["nDCG@10"]
    )
    assert by_name["zero-shot"].differences == {}
    assert by_name["random"].test.calls == 0
    assert by_name["ICL"].test.calls == USERS
    assert by_name["ICL"].optimization == sum((r.usage for r in said.records), Usage())
    assert by_name["zero-shot"].optimization is None


async def test_seeds_are_averaged_by_user_and_their_spread_is_told(
    folder: RunFolder, bundle: Bundle
) -> None:
    said, _ = await found(folder, bundle, Evaluation(seeds=3))
    by_name = {row.method: row for row in said.rows}
    assert by_name["LRGD"].seeds == 3
    # The same records three times over: no spread, the same means, three times the calls.
    assert by_name["LRGD"].seed_sd["nDCG@10"] == 0
    assert by_name["LRGD"].test.calls == 3 * USERS
    assert by_name["zero-shot"].seeds == 1
    assert by_name["zero-shot"].seed_sd == {}


def test_seeds_that_differ_have_their_spread() -> None:
    wanted = Evaluation(seeds=2)
    made = methods([], wanted)
    ranks = {seeded.seed: 1 if seeded.seed == SETTINGS.seed else 3 for seeded in made}
    scores = [Score(a.method.name, u, ranks[a.seed], seed=a.seed) for a in made for u in "ab"]
    rows = {row.method: row for row in method_results(scores_by_method(scores, made), "zero-shot")}
    assert rows["LRGD"].means["nDCG@10"] == pytest.approx((1 + 0.5) / 2)
    assert rows["LRGD"].seed_sd["nDCG@10"] == pytest.approx(0.5 / 2**0.5)
    assert rows["LRGD"].n == 2


def test_methods_are_asked_for_by_name() -> None:
    assert evaluation("main") == Evaluation()
    assert evaluation("all").methods == tuple(METHODS)
    some = evaluation("no perturbation, M = 2", reference="bm25")
    assert some.methods == (*FLOORS, "LRGD", "LRGD, m = 2", "LRGD, no perturbation")
    assert some.reference == "BM25"
    assert some.named == ("BM25", "LRGD, m = 2", "LRGD, no perturbation")
    assert evaluation("fused, BM25 + item kNN").named == ("BM25 + item kNN", "fused")
    with pytest.raises(InputError, match=r"no method 'nothing'; there are: main, all, random"):
        evaluation("nothing")


def test_a_bundle_without_training_part_has_no_such_floors_and_refuses_one_by_name() -> None:
    def names(wanted: Evaluation) -> list[str]:
        made = methods_of(wanted, SETTINGS, lambda settings: (), has=())
        return list(dict.fromkeys(seeded.method.name for seeded in made))

    trained = [name for name in FLOORS if METHODS[name].needs == "training part"]
    assert trained == ["item kNN", "BM25 + popularity", "BM25 + item kNN", "fused"]
    assert names(evaluation("all")) == [m for m in METHODS if METHODS[m].needs is None]
    for asked in (evaluation("fused"), evaluation("all", reference="fused")):
        with pytest.raises(InputError, match=r"fused learns from .* has none: make it anew"):
            names(asked)


async def test_the_weights_are_fitted_once_and_kept(folder: RunFolder, bundle: Bundle) -> None:
    users = list(bundle.users)[:USERS]
    _, fused = learned(bundle, users, folder.fused)
    written = folder.fused.read_text("utf-8")
    fitted = kept_fit(folder.fused)
    assert fused is not None
    assert fitted is not None
    assert (fitted.weights, fitted.users) == (fused.weights, USERS)
    _, again = learned(bundle, list(bundle.users), folder.fused)
    assert again is not None
    assert again.weights == fused.weights
    assert folder.fused.read_text("utf-8") == written
    assert learned(replace(bundle, training=None), users, folder.folder / "no.json") == (None, None)
    folder.fused.write_text('{"weights": {}}')
    with pytest.raises(InputError, match=r"fused\.json: standard_errors"):
        learned(bundle, users, folder.fused)


def test_an_ablation_that_the_run_is_already_is_not_optimised_again() -> None:
    wanted = evaluation("m = 2, m = 1")
    assert [s.paths for s in optimisations(wanted, SETTINGS)] == [2, 1]
    assert len(optimisations(evaluation("main", seeds=3), SETTINGS)) == 3
    assert len(optimisations(evaluation("all"), LoopSettings())) == 7


def test_methods_on_different_users_are_not_compared() -> None:
    made = methods([])
    scores = [Score(a.method.name, u, 1, seed=a.seed) for a in made for u in ("a", "b")]
    assert len(method_results(scores_by_method(scores, made), "zero-shot")) == len(UNSHARED)
    with pytest.raises(InputError, match="same users"):
        scores_by_method(scores[:-1], made)


async def test_the_report_is_one_page_with_its_plots_inside(
    folder: RunFolder, bundle: Bundle, tmp_path: Path
) -> None:
    said, _ = await found(folder, bundle, evaluation("all"))
    files = write_report(tmp_path / "report", said)
    page = files.page.read_text("utf-8")
    assert page.count("data:image/svg+xml;base64,") == 4
    assert "http://" not in page.replace("http://www.w3.org", "")
    assert "&lt;b&gt;model" in page
    assert said.headline in page.replace("&#39;", "'")
    assert all(plot.read_bytes().startswith(b"\x89PNG") for plot in files.plots)
    assert json.loads(files.numbers.read_text()) == json.loads(json.dumps(said.as_dict()))
    assert "| LRGD, m = 1 " in (tmp_path / "report" / "quality.md").read_text()
    assert "LRGD, m = 1 " in (tmp_path / "report" / "quality.tex").read_text()
    assert page.count("<h3>shopper-") == len(said.stories) == 3


def test_the_verdict_names_the_floors_that_are_not_beaten() -> None:
    made = methods([])
    ranks = {**dict.fromkeys(METHODS, 30), "MiniLM cosine": 1, "zero-shot": 5, "LRGD": 4}

    def said() -> str:
        scores = [
            Score(a.method.name, u, ranks[a.method.name], seed=a.seed) for a in made for u in "ab"
        ]
        return headline(method_results(scores_by_method(scores, made), "zero-shot"), "zero-shot")

    assert "does not beat the floor MiniLM cosine." in said()
    ranks["BM25"] = ranks["random"] = 4
    assert "does not beat the floors random, BM25 and MiniLM cosine." in said()
    ranks |= dict.fromkeys(FLOORS, 9)
    assert "above all floors" in said()


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


def test_a_searched_prompt_has_a_row_and_zero_shot_keeps_the_one_before() -> None:
    before, base = SETTINGS, SETTINGS.model_copy(update={"instruction": "Guess."})
    of_method = {
        seeded.method.name: seeded for seeded in methods_of(MAIN_TABLE, base, lambda s: [], before)
    }
    assert of_method["shared prompt"].settings == base
    assert of_method["LRGD"].settings == base
    assert of_method["zero-shot"].settings == before
    plain = [seeded.method.name for seeded in methods_of(MAIN_TABLE, SETTINGS, lambda s: [])]
    assert plain == UNSHARED
