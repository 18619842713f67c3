"""What the commands do with a run folder."""

from dataclasses import replace
from operator import is_
from pathlib import Path

import pytest

from lrgd import runs
from lrgd.core.errors import InputError
from lrgd.evals.data.bundle import Bundle
from lrgd.evals.runs.evaluation import Evaluation, evaluation
from lrgd.evals.runs.folder import RunFolder, RunHeader
from lrgd.graphs import LoopSettings
from lrgd.workbench import ModelChoice
from tests.evals.report.test_report import record, scored

SEEDS = 3


@pytest.fixture
def run(bundle: Bundle, tmp_path: Path) -> runs.Run:
    """A run of nine users, optimised with three seeds and scored."""
    return made_of(bundle, tmp_path)


def made_of(bundle: Bundle, tmp_path: Path) -> runs.Run:
    bundle.save(tmp_path / "bundle")
    settings = LoopSettings(paths=1, rounds=1, seed=1)
    header = RunHeader(bundle=str(tmp_path / "bundle"), bundle_sha256=bundle.sha256, model="m",
                       ranking="decision", users=tuple(bundle.users)[:9],
                       settings=settings)  # fmt: skip
    folder = RunFolder(tmp_path / "run")
    folder.begin(header, resume=False)
    choice = ModelChoice("http://127.0.0.1:1/v1", "m")
    made = runs.reopen(folder.folder, choice)
    for seed in range(1, SEEDS + 1):
        variant = runs.begin(made.variant(settings.model_copy(update={"seed": seed})), resume=True)
        for n, user in enumerate(header.users):
            variant.folder.records.append(record(user, 1 + n))
    ranks = list(range(1, 10))
    for score in scored(made.methods(Evaluation(seeds=SEEDS)), list(header.users), ranks):
        folder.scores.append(score)
    return runs.reopen(folder.folder, choice)


def test_every_line_of_a_run_is_parsed_once(run: runs.Run) -> None:
    """From opening a run to its report, as `lrgd evaluate` and `lrgd report` read it."""
    wanted = Evaluation(seeds=SEEDS)
    assert run.optimized
    assert run.ready(wanted)
    before = run.methods(wanted), run.folder.scores.read()
    said = runs.report_on(run, wanted)
    assert said.rows[-1].seeds == SEEDS
    after = run.methods(wanted), run.folder.scores.read()
    # The very same objects: nothing was made from its line a second time.
    for seeded, again in zip(before[0], after[0], strict=True):
        assert all(map(is_, seeded.records, again.records))
    assert all(map(is_, before[1], after[1]))
    assert all(map(is_, said.records, run.records))


def test_a_run_of_a_bundle_of_format_2_is_opened_and_says_what_it_leaves_out(
    bundle: Bundle, tmp_path: Path
) -> None:
    old = replace(bundle, training=None)
    opened = made_of(old, tmp_path)
    assert opened.header.bundle_sha256 == old.sha256 != bundle.sha256
    wanted = Evaluation(seeds=SEEDS)
    assert opened.ready(wanted)
    said = runs.report_on(opened, wanted)
    assert "fused" not in [row.method for row in said.rows]
    assert said.headline.endswith(
        "The bundle has no training part, so there is no item kNN, BM25 + popularity, "
        "BM25 + item kNN, fused."
    )
    with pytest.raises(InputError, match=r"fused learns from .* make it anew"):
        opened.ready(evaluation("fused"))


def test_what_is_written_meanwhile_is_read(run: runs.Run) -> None:
    known = run.folder.records.read()
    RunFolder(run.folder.folder).records.append(record("another", 2))
    assert run.folder.records.read() == [*known, record("another", 2)]


def test_a_run_goes_on_with_the_bounds_on_texts_that_it_began_with(
    bundle: Bundle, tmp_path: Path
) -> None:
    bundle.save(tmp_path / "bundle")
    choice = ModelChoice(
        "http://127.0.0.1:1/v1", "m", ranking="listwise", max_tokens=99, ranking_tokens=77
    )
    planned = runs.plan(tmp_path / "bundle", tmp_path / "run", choice, LoopSettings(), 3)
    runs.begin(planned, resume=False)
    opened = runs.reopen(tmp_path / "run", ModelChoice("http://127.0.0.1:1/v1", "m"))
    assert (opened.choice.max_tokens, opened.choice.ranking_tokens) == (99, 77)
    other = runs.plan(
        tmp_path / "bundle", tmp_path / "run", replace(choice, max_tokens=64), LoopSettings(), 3
    )
    with pytest.raises(InputError, match="note_tokens is 99, not 64"):
        runs.begin(other, resume=True)
