"""`lrgd evaluate`, `lrgd report`, `lrgd suite`: methods compared, and what is told of it."""

import asyncio
import json
import os
import platform
import sys
from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Annotated

import typer

from lrgd import run_jobs, runs, suites
from lrgd.agents.endpoint.budget import Budget
from lrgd.core.errors import EndpointError, InputError
from lrgd.evals.report.comparison import compare_runs
from lrgd.evals.report.publish import Circumstances, publish
from lrgd.evals.report.report import Report
from lrgd.evals.runs.evaluation import REFERENCE, Evaluation, evaluation
from lrgd.evals.runs.folder import FailedCall, RunFolder
from lrgd.evals.runs.suites import load_suite
from lrgd.jobs import with_workbench
from lrgd.option_groups import Spending, grouped, model_choice, run_choice, spending
from lrgd.options import DEFAULT_RUN, BaseUrl, Json, Methods, Model, Reference, RunPath, Seeds
from lrgd.progress import Display
from lrgd.show import printer
from lrgd.show_results import comparison_view, failures_line, report_view
from lrgd.workbench import ModelChoice, Workbench, settled, weights_hash

report = typer.Typer(help="What runs say.", no_args_is_help=True)
suite = typer.Typer(help="Whole evaluations from one file.", no_args_is_help=True)


@grouped(choice=run_choice, paid=spending)
def evaluate(
    run: RunPath = DEFAULT_RUN,
    bundle: Annotated[Path | None, typer.Option(help="The run's bundle, if it has moved.")] = None,
    methods: Methods = "main",
    seeds: Seeds = 1,
    reference: Reference = REFERENCE,
    json_: Json = False,
    *,
    choice: ModelChoice,
    paid: Spending,
) -> None:
    """Score the methods on the test tasks; write the report. Ablations are optimised first."""
    wanted = evaluation(methods, seeds, reference)
    opened = runs.reopen(run, choice, bundle)
    with opened.folder.writing("lrgd evaluate"):
        if not opened.tried:
            done, users = len(opened.records), len(opened.header.users)
            raise InputError(
                f"{run}: {done} of {users} users are done: `lrgd optimize --resume` first"
            )
        if not opened.ready(wanted):
            score(opened, wanted, paid.budget, cache=paid.cache)
        tell_failures(opened, opened.failed_in(wanted))
        tell(opened, runs.report_on(opened, wanted), as_json=json_)


def machine() -> str:
    """What a run was made on, without a name."""
    return f"{os.cpu_count()} cores, {platform.system()}, {platform.machine()}"


def score(
    run: runs.Run, wanted: Evaluation, budget: Budget | None = None, *, cache: bool = True
) -> None:
    """Score an evaluation of an optimised run, with a display."""

    async def job(bench: Workbench) -> None:
        with Display() as display:
            await run_jobs.score(run, wanted, bench, display)

    with_workbench(run, job, budget, cache=cache)


def tell_failures(run: runs.Run, failed: Sequence[FailedCall]) -> None:
    """Say which users the model gave no answer. Raises EndpointError where it gave none at all."""
    if not failed:
        return
    line = failures_line(failed, len(run.header.users))
    if len({call.user_id for call in failed}) == len(run.header.users):
        raise EndpointError(" ".join([line, failed[-1].reason]).strip())
    print(f"lrgd: {line}", file=sys.stderr)


def tell(run: runs.Run, said: Report, *, as_json: bool = False) -> None:
    """Write a scored run's report into its folder, and print it."""
    files = runs.save_report(run, said)
    if as_json:
        print(json.dumps(said.as_dict(), indent=2))
        return
    printer().print(report_view(said))
    print(f"Report: {files.page}")
    for plot in files.plots:
        print(f"Plot:   {plot}")
    print(f"Tables: {files.page.parent}/*.md, *.tex")


@report.command()
def compare(
    run_a: Annotated[Path, typer.Argument(help="A scored run.")],
    run_b: Annotated[Path, typer.Argument(help="Another, of the same users.")],
    json_: Json = False,
) -> None:
    """Pair two runs by user: B minus A, method by method."""
    comparison = compare_runs(run_a, run_b)
    if json_:
        print(json.dumps(comparison.as_dict(), indent=2))
        return
    printer().print(comparison_view(comparison))


@report.command("publish")
def publish_run(
    run: Annotated[Path, typer.Argument(help="A scored run.")],
    out: Annotated[Path, typer.Option(help="Name of the files, without .json and .md.")],
    command: Annotated[str, typer.Option(help="The command that makes the run again.")],
    commit: Annotated[str, typer.Option(help="Of this project, when the run was made.")],
    methods: Methods = "main",
    seeds: Seeds = 1,
    reference: Reference = REFERENCE,
    bundle: Annotated[Path | None, typer.Option(help="The run's bundle, if it has moved.")] = None,
    base_url: BaseUrl = None,
    model: Model = None,
) -> None:
    """Write a scored run's numbers and tables as two small files that can be committed."""
    wanted = evaluation(methods, seeds, reference)
    opened = runs.reopen(run, ModelChoice(base_url, model), bundle, writes=False)
    if not opened.ready(wanted) and not opened.failed_in(wanted):
        raise InputError(f"{run} is not scored: `lrgd evaluate --run {run} --methods {methods}`")
    made = Circumstances(
        command, commit, date.today().isoformat(), machine(), weights_hash(opened.choice)
    )
    for file in publish(runs.report_on(opened, wanted), made, out):
        print(file)


@suite.command("run")
@grouped(choice=model_choice, paid=spending)
def run_suite(
    file: Annotated[Path, typer.Argument(help="The suite, suites/*.yaml.")],
    out: Annotated[Path, typer.Option(help="Folder of the bundle and the run.")],
    data: Annotated[
        Path | None, typer.Option(help="The data set's files; not for the sample world.")
    ] = None,
    users: Annotated[
        int | None, typer.Option(min=2, help="Take fewer users than the suite says.")
    ] = None,
    seeds: Annotated[
        int | None, typer.Option(min=1, help="Optimise with so many seeds, not the suite's.")
    ] = None,
    *,
    choice: ModelChoice,
    paid: Spending,
) -> None:
    """Data, optimisation and all methods of a suite. Stopped, the same command goes on with it."""
    wanted = load_suite(file)
    with RunFolder(out / "run").writing("lrgd suite run"):
        bundle = suites.bundle_of(wanted, data, out / "bundle")
        choice = asyncio.run(settled(replace(choice, shuffles=wanted.shuffles)))
        run = suites.begin(wanted, bundle, out / "run", choice, users)
        comparison = wanted.evaluation(seeds)
        if not run.ready(comparison):
            suites.do(run, comparison, paid.budget, cache=paid.cache)
        tell(run, runs.report_on(run, comparison))
