"""Runs a suite: its bundle, its optimisation, all of its methods, with one display."""

from pathlib import Path

from lrgd import run_jobs, runs
from lrgd.agents.endpoint.budget import Budget
from lrgd.evals.data.bundle import load_bundle
from lrgd.evals.runs.evaluation import Evaluation
from lrgd.evals.runs.suites import Suite
from lrgd.jobs import with_workbench
from lrgd.memory import load_minilm
from lrgd.progress import Display
from lrgd.workbench import ModelChoice, Workbench


def bundle_of(suite: Suite, data: Path | None, folder: Path) -> Path:
    """The suite's bundle in `folder`, frozen now or before.

    Raises:
        InputError: malformed files, or a folder that holds something else.
    """
    if folder.exists():
        load_bundle(folder)
    else:
        embed = load_minilm() if suite.data.strategy == "hard" else None
        suite.data.bundle(data, embed).save(folder)
    return folder


def begin(
    suite: Suite, bundle: Path, folder: Path, choice: ModelChoice, users: int | None
) -> runs.Run:
    """The suite's run, begun or gone on with.

    Raises:
        InputError: the folder holds another run.
    """
    planned = runs.plan(bundle, folder, choice, suite.loop(), users or suite.users, suite.prior)
    return runs.begin(planned, resume=True)


def do(
    run: runs.Run, wanted: Evaluation, budget: Budget | None = None, *, cache: bool = True
) -> None:
    """Optimise and score what is not done yet."""

    async def job(bench: Workbench) -> None:
        with Display() as display:
            await run_jobs.optimize(run, bench, display)
            await run_jobs.score(run, wanted, bench, display)

    with_workbench(run, job, budget, cache=cache)
