"""`lrgd data`: data sets and frozen bundles."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import Progress

from lrgd.evals.data.bundle import load_bundle
from lrgd.evals.data.candidates import Strategy
from lrgd.evals.data.export import Target, export
from lrgd.evals.data.preparation import DEFAULT_K_CORE, SourceFormat, read_data
from lrgd.evals.data.protocol import freeze
from lrgd.evals.data.sample import sample_world
from lrgd.evals.data.training import Train
from lrgd.memory import load_minilm
from lrgd.memory.embeddings import Embed
from lrgd.options import BundlePath, Candidates, CandidateStrategy, Folds, Out, Seed, Users
from lrgd.show import bundle_summary, printer, task_view

data = typer.Typer(help="Data sets and frozen bundles.", no_args_is_help=True)


@data.command()
def prepare(
    path: Annotated[
        Path, typer.Option(help="Folder with the files, or the file of interactions itself.")
    ],
    out: Out,
    source: Annotated[SourceFormat, typer.Option(help="Format of the files.")] = "llmrank",
    k_core: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Least interactions of a user and of an item that stay; 1 keeps all. "
            f"{DEFAULT_K_CORE} without it; llmrank's files are 5-core already.",
        ),
    ] = None,
    min_rating: Annotated[
        float | None,
        typer.Option(help="Least rating of an interaction that stays, in stars; all without it."),
    ] = None,
    strategy: CandidateStrategy = "uniform",
    train: Annotated[
        Train,
        typer.Option(
            help="Whose interactions the floors learn from, targets left out. all: every user's of "
            "the data set. sampled: those of the bundle's users, as in the paper."
        ),
    ] = "all",
    users: Users = 1000,
    candidates: Candidates = 50,
    history: Annotated[int, typer.Option(min=1, help="Longest history, in items.")] = 20,
    seed: Seed = 2024,
    folds: Folds = 1,
) -> None:
    """Freeze a bundle from a data set's files, and say what was dropped and why."""
    found, origin = read_data(source, path, k_core=k_core, min_rating=min_rating)
    with _embedding(strategy, len(found.items)) as embed:
        bundle = freeze(
            found,
            users=users,
            candidates=candidates,
            history=history,
            seed=seed,
            validation_folds=folds,
            strategy=strategy,
            train=train,
            embed=embed,
            origin=origin,
        )
    bundle.save(out)
    printer().print(bundle_summary(bundle))


@data.command()
def sample(
    out: Out,
    strategy: CandidateStrategy = "uniform",
    users: Users = 200,
    candidates: Candidates = 50,
    seed: Seed = 2024,
    folds: Folds = 1,
) -> None:
    """Freeze a bundle from the generated sample world."""
    world = sample_world()
    with _embedding(strategy, len(world.items)) as embed:
        bundle = freeze(
            world,
            users=users,
            candidates=candidates,
            history=20,
            seed=seed,
            validation_folds=folds,
            strategy=strategy,
            embed=embed,
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


@data.command("export")
def export_bundle(
    bundle: BundlePath,
    out: Annotated[Path, typer.Option(help="Folder to write to; its name names the files.")],
    to: Annotated[Target, typer.Option(help="Whose form: RecBole's atomic files, or CSV.")],
) -> None:
    """Write a bundle for another tool: the same users, candidates and order."""
    for file in export(load_bundle(bundle), to, out):
        print(file)


@contextmanager
def _embedding(strategy: Strategy, titles: int) -> Iterator[Embed | None]:
    """The embedding of titles, if the strategy needs one, with a progress bar on standard error."""
    if strategy != "hard":
        yield None
        return
    embed = load_minilm()
    with Progress(console=Console(stderr=True)) as bar:
        task = bar.add_task("embedding titles", total=titles)

        def embed_block(texts: Sequence[str]) -> NDArray[np.float32]:
            rows = embed(texts)
            bar.advance(task, len(texts))
            return rows

        yield embed_block
