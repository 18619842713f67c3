"""`lrgd equivalence` and `lrgd explain`: the theory on a model's own weights.

What needs torch is imported where it is used: every other command starts two seconds sooner.
"""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lrgd.agents.prompts import REGULARISATION, PromptOrder
from lrgd.core.errors import InputError
from lrgd.evals.data.bundle import Bundle, load_bundle
from lrgd.evals.data.protocol import freeze
from lrgd.evals.data.sample import sample_world
from lrgd.evals.runs.folder import RunFolder
from lrgd.explain.progress import parts, spinner
from lrgd.files import write_over
from lrgd.model_progress import fetching
from lrgd.options import Json
from lrgd.serving.models import DEFAULT
from lrgd.show import printer

if TYPE_CHECKING:
    from lrgd.explain.model import LocalModel

app = typer.Typer()

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
    from lrgd.explain.equivalence_case import choose
    from lrgd.explain.equivalence_steps import Lab, measure
    from lrgd.explain.equivalence_view import show
    from lrgd.explain.plots import write_plots

    loaded = _bundle(bundle)
    tasks = [loaded.task(name, "test") for name in ([user] if user else loaded.users)]
    _make_folder(out)
    local, file, numbers = _load(model), out / "equivalence.json", ""
    with parts() as report:
        report("choosing a user", 0.0)
        lab = Lab(choose(local, tasks, demonstration), tokens, seeds)
        for step, found in measure(lab, report):
            numbers = json.dumps(found.numbers(), indent=2, allow_nan=False)
            write_over(file, numbers + "\n")
            plots = write_plots(found, step, out)
            if not json_:
                show(found, step, plots)
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
    from lrgd.explain.explanation import explain
    from lrgd.explain.model import ranking_prompt
    from lrgd.explain.words import explanation_view, page

    loaded = load_bundle(bundle)
    task = loaded.task(user, "test")
    assert task.target_id is not None
    text, regularisation, order = _demonstration(loaded, user, run, demonstration)
    if html is not None:
        if html.is_dir():
            raise InputError(f"{html} is a folder: name a file for --html")
        _make_folder(html.parent)
    local = _load(model)
    prompt = ranking_prompt(local, task, text, regularisation=regularisation, order=order)
    with spinner("ranking") as report:
        found = explain(local, task, text, prompt, item or task.target_id, report=report)
    if html is not None:
        html.write_text(page(found, top), "utf-8")
    if json_:
        print(json.dumps(found.numbers(), indent=2, allow_nan=False))
        return
    printer().print(explanation_view(found, top))
    if html is not None:
        print(f"Page: {html}")


def _make_folder(folder: Path) -> None:
    """Before any work: a minute later would be a bad moment to learn that it cannot be."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"cannot write to {folder}: {error.strerror}") from error


def _load(model: str) -> "LocalModel":
    from lrgd.explain.model import load_local

    return load_local(model, fetching)


def _bundle(path: Path | None) -> Bundle:
    if path is not None:
        return load_bundle(path)
    return freeze(sample_world(shoppers=40), users=12, candidates=50, history=20, seed=2024)


def _demonstration(
    bundle: Bundle, user: str, run: Path | None, text: str | None
) -> tuple[str, str, PromptOrder]:
    """The demonstration, and the prompt settings that it was made under."""
    if (run is None) == (text is None):
        raise InputError("give --run RUN, or --demonstration TEXT, one of the two")
    if run is None:
        return text or "", REGULARISATION, "instruction_first"
    folder = RunFolder(run)
    header = folder.header()
    if header.bundle_sha256 != bundle.sha256:
        raise InputError(f"{run} is a run of another bundle: name the run's own, {header.bundle}")
    chosen = next((r.chosen for r in folder.records.read() if r.user_id == user), None)
    if chosen is None:
        raise InputError(f"{run} has no demonstration of {user!r}: give --demonstration TEXT")
    return chosen.text, header.settings.regularisation, header.settings.prompt_order
