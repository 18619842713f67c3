"""The `lrgd` commands. Results go to standard output, progress to standard error."""

import asyncio
import sys
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, TypeVar

import typer

from lrgd import runs
from lrgd.agents.endpoint.client import NO_KEY
from lrgd.agents.endpoint.meter import Budget
from lrgd.agents.guard import Policy
from lrgd.agents.prompts import PromptOrder
from lrgd.cli.cases import cases
from lrgd.cli.data import data, sample
from lrgd.cli.evaluation import evaluate, report, suite, tell
from lrgd.cli.models import models
from lrgd.cli.servers import doctor, serve
from lrgd.core.errors import InputError
from lrgd.evals.runs.arms import Evaluation
from lrgd.explain import command as theory_commands
from lrgd.graphs import LoopSettings
from lrgd.graphs.settings import Judge
from lrgd.jobs import with_workbench
from lrgd.options import (
    DEFAULT_RUN,
    BaseUrl,
    BundlePath,
    Cache,
    Key,
    MaxCalls,
    MaxTokens,
    Model,
    Ranking,
    RunPath,
    Seed,
    Users,
)
from lrgd.progress import Display
from lrgd.show import (
    estimate_line,
    optimization_line,
    printer,
    recommendation_view,
    story,
    story_ranks,
)
from lrgd.terminal.command import chat
from lrgd.web.command import web
from lrgd.workbench import ModelChoice, Workbench, settled

T = TypeVar("T")

app = typer.Typer(
    help="Recommend with a language model whose prompt, not its weights, is optimised.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
app.add_typer(data, name="data")
app.add_typer(report, name="report")
app.add_typer(suite, name="suite")
app.command()(evaluate)
app.command()(doctor)
app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})(serve)
app.add_typer(theory_commands.app)
app.command()(chat)
app.command()(web)
app.add_typer(cases, name="cases")
app.add_typer(models, name="models")

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
    patience: Annotated[
        int, typer.Option(min=1, help="Rounds without gain in Effect_D before collapse.")
    ] = DEFAULTS.patience,
    similarity_threshold: Annotated[
        float,
        typer.Option(min=-1, max=1, help="Cosine from which two demonstrations are copies."),
    ] = DEFAULTS.similarity_threshold,
    judge: Annotated[
        Judge,
        typer.Option(
            help="What chooses a user's demonstration. rank: the target's (Effect_D), ties by its "
            "probability. probability: the target's, ties by its rank."
        ),
    ] = DEFAULTS.judge,
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
        patience=patience,
        similarity_threshold=similarity_threshold,
        judge=judge,
        regularisation=regularisation,
        prompt_order=prompt_order,
    )
    choice = asyncio.run(settled(ModelChoice(base_url, model, api_key, ranking, shuffles)))
    _check(settings, choice)
    planned = runs.plan(bundle, run, choice, settings, users)
    budget = Budget(max_calls, max_tokens)
    if dry_run:
        _dry_run(planned, budget)
        return
    opened = runs.begin(planned, resume=resume)
    if not opened.optimized:
        _warn(settings)
        with_workbench(opened, partial(_optimize, opened), budget, cache=cache)
    print(f"{optimization_line(opened.records)} Next: lrgd evaluate --run {run}")


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
    state = with_workbench(opened, lambda bench: runs.recommend(opened, bench, user))
    printer().print(recommendation_view(state, task, top))


@app.command()
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
    run = runs.begin(planned, resume=run_path.exists())

    async def whole_job(bench: Workbench) -> None:
        with Display() as display:
            await runs.optimize(run, bench, display)
            await runs.score(run, Evaluation(), bench, display)

    with_workbench(run, whole_job)
    _tell_stories(run)
    tell(run, Evaluation())


def _tell_stories(run: runs.Run) -> None:
    """The user whom LRGD's demonstration helped most on the test task, and whom it harmed most;
    where it moved nobody, the first of the stories."""
    records = {record.user_id: record for record in run.records}
    stories = runs.found(run, Evaluation()).stories
    for told in [one for one in stories if one.moved] or stories[:1]:
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
        await runs.optimize(run, bench, display)


def _dry_run(run: runs.Run, budget: Budget) -> None:
    run.folder.folder.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory() as folder:
        estimate = with_workbench(
            run, lambda bench: runs.estimate(run, bench), budget, memory=Path(folder)
        )
    print(estimate_line(estimate))
