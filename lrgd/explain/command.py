"""`lrgd equivalence` and `lrgd explain`: the theory on a model's own weights.

What needs torch is imported where it is used: every other command starts two seconds sooner.
"""

import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from lrgd.agents.prompts import PromptSettings
from lrgd.agents.values import Item, RankingTask
from lrgd.core.errors import InputError
from lrgd.evals.data.bundle import Bundle, load_bundle
from lrgd.evals.data.protocol import freeze
from lrgd.evals.data.sample import sample_world
from lrgd.evals.runs.folder import RunFolder
from lrgd.files import write_over
from lrgd.model_progress import fetching
from lrgd.options import Json
from lrgd.serving.models import DEFAULT
from lrgd.show import printer

if TYPE_CHECKING:
    from lrgd.explain.model import LocalModel

app = typer.Typer()
SPEED_PERIOD_S = 300.0
"""Over which the bar's speed is taken: the steps' shares are estimates, only their mean holds."""

LocalName = Annotated[
    str,
    typer.Option(
        "--model",
        help="A name of `lrgd models`, a folder, or a name on the model hub: Llama, Qwen2, Phi-3 "
        "or Mistral weights as safetensors.",
    ),
]


@app.command()
def equivalence(
    out: Annotated[Path, typer.Option(help="Folder for equivalence.json and the plots.")],
    model: LocalName = DEFAULT,
    bundle: Annotated[
        Path | None, typer.Option(help="Bundle of the user. Without it: the sample world.")
    ] = None,
    user: Annotated[
        str | None,
        typer.Option(
            help="User of the bundle. Without it: its first whose true next item the good "
            "demonstration puts first."
        ),
    ] = None,
    demonstration: Annotated[
        str | None,
        typer.Option(
            help="The good demonstration. Without it one is written from the true next item, "
            "which a recommender must never do: here it only has to be good."
        ),
    ] = None,
    tokens: Annotated[int, typer.Option(min=1, help="Greedy tokens to compare.")] = 32,
    seeds: Annotated[int, typer.Option(min=1, help="Draws of random features.")] = 3,
    json_: Json = False,
) -> None:
    """Check a model against its dual: one gradient step on the demonstration, on real weights.

    What is finished is printed and saved at once. The prompt is that of --ranking likelihood.
    """
    loaded = _bundle(bundle)
    tasks = [loaded.task(name, "test") for name in ([user] if user else loaded.users)]
    _check_folder(out)
    from lrgd.explain.equivalence import Lab, choose
    from lrgd.explain.equivalence_report import print_step, write_plots
    from lrgd.explain.equivalence_steps import measure

    local, file, numbers = _load(model), out / "equivalence.json", ""
    with _bar() as report:
        report("choosing a user", 0.0)
        lab = Lab(choose(local, tasks, demonstration), tokens, seeds)
        for step, measured in measure(lab, report):
            numbers = json.dumps(measured.numbers(), indent=2, allow_nan=False)
            write_over(file, numbers + "\n")
            plots = write_plots(measured, step, out)
            if not json_:
                print_step(measured, step, plots)
    print(numbers if json_ else f"Numbers: {file}")


@app.command(name="explain")
def explain_ranking(
    bundle: Annotated[Path, typer.Option(help="Folder of the bundle.")],
    user: Annotated[str, typer.Option(help="User of the bundle; the test task is explained.")],
    item: Annotated[
        str | None,
        typer.Option(help="Candidate to explain, by id.", show_default="the true next item"),
    ] = None,
    run: Annotated[
        Path | None, typer.Option(help="Run whose chosen demonstration of the user is explained.")
    ] = None,
    demonstration: Annotated[
        str | None, typer.Option(help="Demonstration to explain, instead of a run's.")
    ] = None,
    model: LocalName = DEFAULT,
    top: Annotated[int, typer.Option(min=1, help="Items to print.")] = 10,
    html: Annotated[Path | None, typer.Option(help="Write the explanation as a page, too.")] = None,
    json_: Json = False,
) -> None:
    """Rank a user's candidates by likelihood, and show which words of the note moved an item.

    A word effect is that of the title's likelihood, whatever the run's ranking mode.
    """
    loaded = load_bundle(bundle)
    task = loaded.task(user, "test")
    wanted = _candidate(task, item)
    text, prompts = _demonstration(loaded, user, run, demonstration)
    if html is not None:
        if html.is_dir():
            raise InputError(f"{html} is a folder: name a file for --html")
        _check_folder(html.parent)
    from lrgd.explain.explanation import explain
    from lrgd.explain.explanation_view import explanation_view, page
    from lrgd.explain.model import ranking_prompt

    local = _load(model)
    prompt = ranking_prompt(local, task, text, prompts)
    with _spinner("ranking") as report:
        explanation = explain(local, task, text, prompt, wanted, report)
    if html is not None:
        write_over(html, page(explanation, top))
    if json_:
        print(json.dumps(explanation.numbers(), indent=2, allow_nan=False))
        return
    printer().print(explanation_view(explanation, top))
    if html is not None:
        print(f"Page: {html}")


def _candidate(task: RankingTask, item_id: str | None) -> Item:
    """A candidate by its id; None for the true next item."""
    if item_id is None:
        assert task.target is not None  # a bundle knows it
        return task.target
    known = {item.id: item for item in task.candidates}
    if item_id not in known:
        some = ", ".join(list(known)[:5])
        raise InputError(f"no candidate {item_id!r} in this task; some that are: {some}")
    return known[item_id]


def _check_folder(folder: Path) -> None:
    """Raise InputError where files cannot be written there: a minute later would be a bad moment
    to learn it. The folder is not made yet, since much can still go wrong."""
    nearest = next(path for path in (folder, *folder.parents) if path.exists())
    if not nearest.is_dir() or not os.access(nearest, os.W_OK | os.X_OK):
        raise InputError(f"cannot write to {folder}: {nearest} is no folder that takes files")


def _load(model: str) -> "LocalModel":
    from lrgd.explain.model import load_local

    return load_local(model, fetching)


def _bundle(path: Path | None) -> Bundle:
    if path is not None:
        return load_bundle(path)
    return freeze(sample_world(shoppers=40), users=12, candidates=50, history=20, seed=2024)


def _demonstration(
    bundle: Bundle, user: str, run: Path | None, text: str | None
) -> tuple[str, PromptSettings]:
    """The demonstration, and the prompt settings that it was made under."""
    if (run is None) == (text is None):
        raise InputError("give --run RUN, or --demonstration TEXT, one of the two")
    if run is None:
        return text or "", PromptSettings()
    folder = RunFolder(run)
    header = folder.header()
    if header.bundle_sha256 != bundle.sha256:
        raise InputError(f"{run} is a run of another bundle: name the run's own, {header.bundle}")
    chosen = next((r.chosen for r in folder.records.read() if r.user_id == user), None)
    if chosen is None:
        raise InputError(f"{run} has no demonstration of {user!r}: give --demonstration TEXT")
    return chosen.text, header.settings.prompts


@contextmanager
def _bar() -> Iterator[Callable[[str, float], None]]:
    """A bar with the time left. Yields what to call with the step and the part done, 0 to 1."""
    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TimeRemainingColumn(),
    )
    with Progress(
        *columns,
        console=console,
        transient=True,
        disable=not console.is_terminal,
        speed_estimate_period=SPEED_PERIOD_S,
        # Tables go above the bar on a terminal, and into a file or pipe as they are.
        redirect_stdout=sys.stdout.isatty(),
    ) as bars:
        line = bars.add_task("loading", total=1.0)

        def report(name: str, done: float) -> None:
            bars.update(line, description=name, completed=done)

        yield report


@contextmanager
def _spinner(text: str) -> Iterator[Callable[[int, int], None]]:
    """A line that says what is being done. Yields what to call with words done, and of how many."""
    with Console(stderr=True).status(text) as status:
        yield lambda done, of: status.update(f"masking words: {done} of {of}")
