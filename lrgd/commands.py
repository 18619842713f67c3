"""The `lrgd` commands. Results go to standard output, progress to standard error."""

import asyncio
import json
import sys
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any, TypeVar

import typer
from langgraph.cache.sqlite import SqliteCache

from agents.endpoint import NO_KEY
from agents.guard import Policy
from agents.meter import Budget
from agents.prompts import PromptOrder
from evals.evaluate import MethodResult
from evals.journal import UserRecord
from evals.report import ReportFiles, numbers, verdict, worth_an_audit
from graphs import LoopSettings
from graphs.recommendation import RecommendationState
from lrgd import runs, theory_commands
from lrgd.case_commands import cases
from lrgd.chat import chat
from lrgd.data_commands import data, sample
from lrgd.options import (
    DEFAULT_RUN,
    BaseUrl,
    BundlePath,
    Cache,
    Json,
    Key,
    MaxCalls,
    MaxTokens,
    Model,
    Ranking,
    RunPath,
    Seed,
    Users,
)
from lrgd.server_commands import doctor, serve
from lrgd.show import (
    audit_table,
    estimate_line,
    optimization_line,
    paid_line,
    printer,
    recommendation_view,
    results_table,
    story,
    telling,
)
from lrgd.web import web
from lrgd.workbench import ModelChoice, Workbench, open_workbench, settled
from memory.errors import InputError

T = TypeVar("T")

app = typer.Typer(
    help="Recommend with a language model whose prompt, not its weights, is optimised.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
app.add_typer(data, name="data")
app.command()(doctor)
app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})(serve)
app.add_typer(theory_commands.app)
app.command()(chat)
app.command()(web)
app.add_typer(cases, name="cases")

DEFAULTS = LoopSettings()


@app.command()
def optimize(
    bundle: BundlePath,
    run: RunPath = DEFAULT_RUN,
    users: Users = 50,
    paths: Annotated[int, typer.Option(min=1, help="Paths a user.")] = DEFAULTS.paths,
    rounds: Annotated[int, typer.Option(min=1, help="Rounds a path.")] = DEFAULTS.rounds,
    seed: Seed = DEFAULTS.seed,
    perturbation: Annotated[
        bool, typer.Option(help="Inject another path's demonstration on collapse.")
    ] = DEFAULTS.perturbation,
    policy: Annotated[Policy, typer.Option(help="Which other path.")] = DEFAULTS.policy,
    regularisation: Annotated[
        str, typer.Option(help='Constraint beside the instruction; "" for none.')
    ] = DEFAULTS.regularisation,
    prompt_order: Annotated[
        PromptOrder, typer.Option(help="What comes first in a prompt.")
    ] = DEFAULTS.prompt_order,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Try 25 users, print what the run would need, stop.")
    ] = False,
    base_url: BaseUrl = None,
    model: Model = None,
    api_key: Key = NO_KEY,
    ranking: Ranking = None,
    shuffles: Annotated[
        int, typer.Option(min=1, help="Candidate orders to average each ranking over.")
    ] = 1,
    max_calls: MaxCalls = None,
    max_tokens: MaxTokens = None,
    cache: Cache = True,
) -> None:
    """Optimise the demonstrations of a bundle's users."""
    settings = LoopSettings(
        paths=paths,
        rounds=rounds,
        seed=seed,
        perturbation=perturbation,
        policy=policy,
        regularisation=regularisation,
        prompt_order=prompt_order,
    )
    choice = asyncio.run(settled(ModelChoice(base_url, model, api_key, ranking, shuffles)))
    planned = runs.plan(bundle, run, choice, settings, users)
    budget = Budget(max_calls, max_tokens)
    if dry_run:
        _dry_run(planned, budget)
        return
    opened = runs.begin(planned, resume=resume)
    if not opened.optimized:
        _with_workbench(opened, lambda bench: runs.optimize(opened, bench), budget, cache=cache)
    print(f"{optimization_line(opened.records)} Next: lrgd evaluate --run {run}")


@app.command()
def evaluate(
    run: RunPath = DEFAULT_RUN,
    bundle: Annotated[Path | None, typer.Option(help="The run's bundle, if it has moved.")] = None,
    json_: Json = False,
    base_url: BaseUrl = None,
    model: Model = None,
    api_key: Key = NO_KEY,
    max_calls: MaxCalls = None,
    max_tokens: MaxTokens = None,
    cache: Cache = True,
) -> None:
    """Score zero-shot, ICL, LRGD and the floors on the test tasks; write the report."""
    opened = runs.reopen(run, ModelChoice(base_url, model, api_key), bundle)
    if not opened.optimized:
        done, wanted = len(opened.records), len(opened.header.users)
        raise InputError(
            f"{run}: {done} of {wanted} users are done: `lrgd optimize --resume` first"
        )
    if not opened.scored:
        budget = Budget(max_calls, max_tokens)
        _with_workbench(opened, lambda bench: runs.score(opened, bench), budget, cache=cache)
    rows = runs.table(opened)
    files = runs.report(opened, rows)
    if json_:
        print(json.dumps(numbers(opened.header, opened.records, rows), indent=2))
        return
    _print_results(rows, files)


@app.command()
def recommend(
    bundle: BundlePath,
    user: Annotated[str, typer.Option(help="User of the bundle.")],
    run: RunPath = DEFAULT_RUN,
    top: Annotated[int, typer.Option(min=1, help="Items to print.")] = 10,
    base_url: BaseUrl = None,
    model: Model = None,
    api_key: Key = NO_KEY,
) -> None:
    """Rank a user's test candidates with the best demonstration that a run remembers."""
    opened = runs.reopen(run, ModelChoice(base_url, model, api_key), bundle)
    task = opened.bundle.task(user, "test")
    state = _with_workbench(opened, lambda bench: runs.recommend(opened, bench, user))
    printer().print(recommendation_view(state, task, top))


@app.command()
def demo(
    folder: Annotated[Path, typer.Option(help="Folder for the bundle and the run.")] = Path(
        "runs/demo"
    ),
    users: Users = 24,
    rounds: Annotated[int, typer.Option(min=1, help="Rounds a path.")] = DEFAULTS.rounds,
) -> None:
    """The whole job on the sample world, with the pocket model, in minutes."""
    bundle_path, run_path = folder / "bundle", folder / "run"
    sample(bundle_path)
    choice = asyncio.run(settled(ModelChoice()))
    planned = runs.plan(bundle_path, run_path, choice, LoopSettings(rounds=rounds), users)
    run = runs.begin(planned, resume=run_path.exists())

    async def whole_job(bench: Workbench) -> tuple[UserRecord, RecommendationState]:
        await runs.optimize(run, bench)
        await runs.score(run, bench)
        record = telling(run.records)
        return record, await runs.recommend(run, bench, record.user_id)

    record, state = _with_workbench(run, whole_job)
    user = record.user_id
    printer().print(story(record, run.bundle.task(user, "validation")))
    printer().print(recommendation_view(state, run.bundle.task(user, "test"), 10))
    rows = runs.table(run)
    _print_results(rows, runs.report(run, rows))


def _with_workbench(
    run: runs.Run,
    job: Callable[[Workbench], Coroutine[Any, Any, T]],
    budget: Budget | None = None,
    *,
    cache: bool = True,
    memory: Path | None = None,
) -> T:
    """Do a job with the run's model and memory (or another one); say what it paid."""

    async def opened() -> T:
        answers = SqliteCache[bytes](path=str(run.folder.answers)) if cache else None
        async with open_workbench(
            memory or run.folder.memory, run.choice, cache=answers, budget=budget
        ) as bench:
            try:
                return await job(bench)
            finally:
                print(paid_line(bench.meter), file=sys.stderr)

    return asyncio.run(opened())


def _dry_run(run: runs.Run, budget: Budget) -> None:
    run.folder.folder.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory() as folder:
        estimate = _with_workbench(
            run, lambda bench: runs.estimate(run, bench), budget, memory=Path(folder)
        )
    print(estimate_line(estimate))


def _print_results(rows: Sequence[MethodResult], files: ReportFiles) -> None:
    printer().print(results_table(rows))
    if worth_an_audit(rows):
        printer().print(audit_table(rows))
    print(verdict(rows))
    print(f"Report: {files.page}")
    for plot in files.plots:
        print(f"Plot:   {plot}")
