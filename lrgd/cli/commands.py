"""`lrgd optimize`, `lrgd recommend`, `lrgd demo`.

Results go to standard output, progress to standard error.
"""

import asyncio
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import typer

from lrgd import run_jobs, runs
from lrgd.agents.endpoint.budget import Budget
from lrgd.cli.data import sample
from lrgd.cli.evaluation import tell, tell_failures
from lrgd.core.errors import InputError
from lrgd.evals.report.report import Report
from lrgd.evals.runs.evaluation import Evaluation
from lrgd.evals.runs.folder import PriorName
from lrgd.evals.runs.shared import SharedSearch
from lrgd.graphs import LoopSettings
from lrgd.jobs import with_workbench
from lrgd.option_groups import (
    DEFAULTS,
    Spending,
    grouped,
    loop_settings,
    model_choice,
    server_choice,
    spending,
)
from lrgd.options import DEFAULT_RUN, BundlePath, RunPath, Users
from lrgd.progress import Display
from lrgd.show import printer
from lrgd.show_results import (
    optimization_line,
    recommendation_view,
    shared_lines,
    story,
    story_ranks,
)
from lrgd.workbench import ModelChoice, Workbench, settled

USERS = 50


@grouped(settings=loop_settings, choice=model_choice, paid=spending)
def optimize(
    bundle: BundlePath,
    run: RunPath = DEFAULT_RUN,
    users: Users = USERS,
    *,
    settings: LoopSettings,
    choice: ModelChoice,
    paid: Spending,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Try 25 users, print what the run would need, stop.")
    ] = False,
    shared: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="First search what all users' prompts share (instruction, D_reg, request, label "
            "of a note; GEPA), writing and ranking so many times; --resume keeps what was found.",
        ),
    ] = None,
    prior: Annotated[
        PriorName | None,
        typer.Option(
            help="Evidence that every ranking starts from. fused: popularity, item kNN and BM25, "
            "weighed together with the model on the validation tasks."
        ),
    ] = None,
    shuffles: Annotated[
        int, typer.Option(min=1, help="Candidate orders to average each ranking over.")
    ] = 1,
) -> None:
    """Optimise the demonstrations of a bundle's users."""
    choice = asyncio.run(settled(replace(choice, shuffles=shuffles)))
    _check(settings, choice)
    planned = runs.plan(bundle, run, choice, settings, users, prior)
    # The default asks for as many as there are, up to so many.
    if users > (all_ := len(planned.bundle.users)) and users != USERS:
        print(f"lrgd: the bundle has {all_} users, not {users}: all are taken", file=sys.stderr)
    with planned.folder.writing("lrgd optimize"):
        if dry_run:
            _dry_run(planned, paid.budget)
            return
        if shared:
            found, paid = _shared(planned, shared, paid)
            planned = run_jobs.with_shared(planned, found)
        opened = runs.begin(planned, resume=resume)
        if not opened.optimized:
            _warn(settings)
            with_workbench(opened, partial(_optimize, opened), paid.budget, cache=paid.cache)
        tell_failures(opened, opened.failed)
    print(f"{optimization_line(opened.records)} Next: lrgd evaluate --run {run}")


@grouped(choice=server_choice)
def recommend(
    bundle: BundlePath,
    user: Annotated[str, typer.Option(help="User of the bundle.")],
    run: RunPath = DEFAULT_RUN,
    top: Annotated[int, typer.Option(min=1, help="Items to print.")] = 10,
    *,
    choice: ModelChoice,
) -> None:
    """Rank a user's test candidates with the best demonstration that a run remembers."""
    opened = runs.reopen(run, choice, bundle, writes=False)
    task = opened.bundle.task(user, "test")
    state = with_workbench(opened, lambda bench: run_jobs.recommend(opened, bench, user))
    printer().print(recommendation_view(state, task, top))


def demo(
    folder: Annotated[Path, typer.Option(help="Folder for the bundle and the run.")] = Path(
        "runs/demo"
    ),
    users: Users = 20,
    rounds: Annotated[int, typer.Option(min=1, help="Rounds a path.")] = DEFAULTS.rounds,
) -> None:
    """The whole job on the sample world, with the embedded model, in minutes."""
    bundle_path, run_path = folder / "bundle", folder / "run"
    sample(bundle_path)
    choice = asyncio.run(settled(ModelChoice()))
    planned = runs.plan(bundle_path, run_path, choice, LoopSettings(rounds=rounds), users)

    async def whole_job(bench: Workbench) -> None:
        with Display() as display:
            await run_jobs.optimize(run, bench, display)
            await run_jobs.score(run, Evaluation(), bench, display)

    with planned.folder.writing("lrgd demo"):
        run = runs.begin(planned, resume=True)
        with_workbench(run, whole_job)
        report = runs.report_on(run, Evaluation())
        _tell_stories(run, report)
        tell(run, report)


def _tell_stories(run: runs.Run, report: Report) -> None:
    """The user whom LRGD's demonstration helped most on the test task, and whom it harmed most;
    where it moved nobody, the first of the stories."""
    records = {record.user_id: record for record in report.records}
    for told in [one for one in report.stories if one.moved] or report.stories[:1]:
        printer().rule(told.why)
        record = records[told.user_id]
        printer().print(story(record, run.bundle.task(told.user_id, "validation")))
        printer().print(story_ranks(told))


def _check(settings: LoopSettings, choice: ModelChoice) -> None:
    if settings.judge == "probability" and choice.ranking == "listwise":
        raise InputError(
            "--judge probability needs probabilities, and --ranking listwise has none: take "
            "--judge rank, or another --ranking"
        )


def _warn(settings: LoopSettings) -> None:
    if settings.perturbation and settings.rounds < settings.first_perturbed:
        known = f"collapse with --patience {settings.patience} is known after the last round"
        print(
            f"lrgd: {known}: nothing can be perturbed before --rounds {settings.first_perturbed}",
            file=sys.stderr,
        )


async def _optimize(run: runs.Run, bench: Workbench) -> None:
    with Display() as display:
        await run_jobs.optimize(run, bench, display)


def _shared(run: runs.Run, calls: int, paid: Spending) -> tuple[SharedSearch, Spending]:
    """The texts that were searched for this run, now or before, and what may still be paid."""
    if run.folder.shared.exists():
        return SharedSearch.model_validate_json(run.folder.shared.read_bytes()), paid

    async def job(bench: Workbench) -> tuple[SharedSearch, Budget]:
        return await run_jobs.search_shared(run, bench, calls), bench.meter.account.left

    result, left = with_workbench(run, job, paid.budget, cache=paid.cache)
    print(shared_lines(result, run.header.settings))
    return result, replace(paid, budget=left)


def _dry_run(run: runs.Run, budget: Budget) -> None:
    with TemporaryDirectory() as folder:
        estimate = with_workbench(
            run, lambda bench: run_jobs.estimate(run, bench), budget, memory=Path(folder)
        )
    print(estimate.sentence)
