"""The `lrgd` commands. Results go to standard output, progress to standard error."""

import asyncio
import json
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import typer

from agents.endpoint import NO_KEY
from agents.guard import Policy
from agents.prompts import PromptOrder
from evals.bundle import load_bundle
from evals.datasets import read_llmrank
from evals.evaluate import MethodResult
from evals.journal import UserRecord
from evals.protocol import freeze
from evals.report import ReportFiles, numbers, verdict
from evals.sample import sample_world
from graphs import LoopSettings
from graphs.recommendation import RecommendationState
from lrgd import runs, theory_commands
from lrgd.show import (
    bundle_summary,
    optimization_line,
    printer,
    recommendation_view,
    results_table,
    story,
    task_view,
    telling,
)
from lrgd.workbench import ModelChoice, RankingMode, Workbench, open_workbench
from memory.errors import InputError

T = TypeVar("T")

app = typer.Typer(
    help="Recommend with a language model whose prompt, not its weights, is optimised.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
data = typer.Typer(help="Data sets and frozen bundles.", no_args_is_help=True)
app.add_typer(data, name="data")
app.add_typer(theory_commands.app)

DEFAULTS = LoopSettings()

BundlePath = Annotated[Path, typer.Argument(help="Folder of the bundle.")]
Out = Annotated[Path, typer.Option(help="Folder to write the bundle to.")]
RunPath = Annotated[Path, typer.Option("--run", help="Folder of the run.")]
DEFAULT_RUN = Path("runs/default")
Users = Annotated[int, typer.Option(min=2, help="Users to take.")]
Candidates = Annotated[int, typer.Option(min=2, help="Size of a candidate set, target included.")]
Seed = Annotated[int, typer.Option(min=0, help="Seed of all that is drawn.")]
BaseUrl = Annotated[
    str | None,
    typer.Option(
        help="OpenAI-compatible server, with /v1. Without it the pocket model is started."
    ),
]
Model = Annotated[str | None, typer.Option(help="Name of the model on that server.")]
Key = Annotated[
    str,
    typer.Option(envvar="LRGD_API_KEY", help="Key of that server.", show_default=False),
]
Ranking = Annotated[
    RankingMode | None,
    typer.Option(help="decision: typed, over /v1/systemone. listwise: written, on any server."),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


@data.command()
def prepare(
    path: Annotated[Path, typer.Option(help="Folder with Games.item and Games.test.inter.")],
    out: Out,
    source: Annotated[Literal["llmrank"], typer.Option(help="Format of the files.")] = "llmrank",
    users: Users = 1000,
    candidates: Candidates = 50,
    history: Annotated[int, typer.Option(min=1, help="Longest history, in items.")] = 20,
    seed: Seed = 2024,
) -> None:
    """Freeze a bundle from a data set's files."""
    bundle = freeze(
        read_llmrank(path), users=users, candidates=candidates, history=history, seed=seed
    )
    bundle.save(out)
    printer().print(bundle_summary(bundle))


@data.command()
def sample(out: Out, users: Users = 200, candidates: Candidates = 50, seed: Seed = 2024) -> None:
    """Freeze a bundle from the generated sample world."""
    bundle = freeze(sample_world(), users=users, candidates=candidates, history=20, seed=seed)
    bundle.save(out)
    printer().print(bundle_summary(bundle))


@data.command()
def show(
    bundle: BundlePath,
    user: Annotated[str | None, typer.Option(help="Show this user's test task.")] = None,
) -> None:
    """Print a bundle's counts, check its hash, show a user's task."""
    loaded = load_bundle(bundle)
    printer().print(bundle_summary(loaded))
    if user is not None:
        printer().print(task_view(loaded.task(user, "test"), "test"))


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
    max_calls: Annotated[
        int | None, typer.Option(min=1, help="Budget: model calls a user, then it stops.")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run.")] = False,
    base_url: BaseUrl = None,
    model: Model = None,
    api_key: Key = NO_KEY,
    ranking: Ranking = None,
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
        max_calls=max_calls,
    )
    choice = ModelChoice(base_url, model, api_key, ranking)
    opened = runs.begin(bundle, run, choice, settings, users=users, resume=resume)
    if not opened.optimized:
        _with_workbench(opened, choice, lambda bench: runs.optimize(opened, bench))
    print(f"{optimization_line(opened.records)} Next: lrgd evaluate --run {run}")


@app.command()
def evaluate(
    run: RunPath = DEFAULT_RUN,
    bundle: Annotated[Path | None, typer.Option(help="The run's bundle, if it has moved.")] = None,
    json_: Json = False,
    base_url: BaseUrl = None,
    model: Model = None,
    api_key: Key = NO_KEY,
    ranking: Ranking = None,
) -> None:
    """Score zero-shot, ICL, LRGD and the floors on the test tasks; write the report."""
    choice = ModelChoice(base_url, model, api_key, ranking)
    opened = runs.reopen(run, choice, bundle)
    if not opened.optimized:
        done, wanted = len(opened.records), len(opened.header.users)
        raise InputError(
            f"{run}: {done} of {wanted} users are done: `lrgd optimize --resume` first"
        )
    if not opened.scored:
        _with_workbench(opened, choice, lambda bench: runs.score(opened, bench))
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
    ranking: Ranking = None,
) -> None:
    """Rank a user's test candidates with the best demonstration that a run remembers."""
    choice = ModelChoice(base_url, model, api_key, ranking)
    opened = runs.reopen(run, choice, bundle)
    task = opened.bundle.task(user, "test")
    state = _with_workbench(opened, choice, lambda bench: runs.recommend(opened, bench, user))
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
    bundle_path, run_path, choice = folder / "bundle", folder / "run", ModelChoice()
    sample(bundle_path)
    settings = LoopSettings(rounds=rounds)
    run = runs.begin(bundle_path, run_path, choice, settings, users=users, resume=run_path.exists())

    async def whole_job(bench: Workbench) -> tuple[UserRecord, RecommendationState]:
        await runs.optimize(run, bench)
        await runs.score(run, bench)
        record = telling(run.records)
        return record, await runs.recommend(run, bench, record.user_id)

    record, state = _with_workbench(run, choice, whole_job)
    user = record.user_id
    printer().print(story(record, run.bundle.task(user, "validation")))
    printer().print(recommendation_view(state, run.bundle.task(user, "test"), 10))
    rows = runs.table(run)
    _print_results(rows, runs.report(run, rows))


def _with_workbench(
    run: runs.Run, choice: ModelChoice, job: Callable[[Workbench], Coroutine[Any, Any, T]]
) -> T:
    async def opened() -> T:
        async with open_workbench(run.folder.memory, choice) as bench:
            return await job(bench)

    return asyncio.run(opened())


def _print_results(rows: Sequence[MethodResult], files: ReportFiles) -> None:
    printer().print(results_table(rows))
    print(verdict(rows))
    print(f"Report: {files.page}")
    for plot in files.plots:
        print(f"Plot:   {plot}")
