"""`lrgd data`: data sets and frozen bundles."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from evals.bundle import load_bundle
from evals.datasets import read_llmrank
from evals.protocol import freeze
from evals.sample import sample_world
from lrgd.options import BundlePath, Candidates, Folds, Out, Seed, Users
from lrgd.show import bundle_summary, printer, task_view

data = typer.Typer(help="Data sets and frozen bundles.", no_args_is_help=True)


@data.command()
def prepare(
    path: Annotated[Path, typer.Option(help="Folder with Games.item and Games.test.inter.")],
    out: Out,
    source: Annotated[Literal["llmrank"], typer.Option(help="Format of the files.")] = "llmrank",
    users: Users = 1000,
    candidates: Candidates = 50,
    history: Annotated[int, typer.Option(min=1, help="Longest history, in items.")] = 20,
    seed: Seed = 2024,
    folds: Folds = 1,
) -> None:
    """Freeze a bundle from a data set's files."""
    bundle = freeze(
        read_llmrank(path),
        users=users,
        candidates=candidates,
        history=history,
        seed=seed,
        validation_folds=folds,
    )
    bundle.save(out)
    printer().print(bundle_summary(bundle))


@data.command()
def sample(
    out: Out,
    users: Users = 200,
    candidates: Candidates = 50,
    seed: Seed = 2024,
    folds: Folds = 1,
) -> None:
    """Freeze a bundle from the generated sample world."""
    bundle = freeze(
        sample_world(),
        users=users,
        candidates=candidates,
        history=20,
        seed=seed,
        validation_folds=folds,
    )
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
