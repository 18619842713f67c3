"""`lrgd equivalence` and `lrgd explain`: the theory on a model's own weights.

What needs torch is imported where it is used: every other command starts two seconds sooner.
"""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from agents.prompts import REGULARISATION, PromptOrder
from evals.bundle import Bundle, load_bundle
from evals.journal import RunFolder
from evals.protocol import freeze
from evals.sample import sample_world
from lrgd.options import Json
from lrgd.show import printer
from lrgd.workbench import POCKET
from memory.errors import InputError
from serving.pocket import MODEL_DIR

if TYPE_CHECKING:
    from lrgd.equivalence import Equivalence
    from lrgd.local_model import LocalModel

app = typer.Typer()

LocalPath = Annotated[
    str,
    typer.Option(
        "--model",
        help="Model folder, or a hub name in the local cache: Llama, Qwen2, Phi-3 or Mistral "
        "weights as safetensors. Nothing is downloaded.",
        show_default="the pocket model",
    ),
]
POCKET_FOLDER = str(MODEL_DIR)


@app.command()
def equivalence(
    out: Annotated[Path, typer.Option(help="Folder for equivalence.json and the plots.")],
    model: LocalPath = POCKET_FOLDER,
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
    """Check a model against its dual: one gradient step on the demonstration, on real weights."""
    from lrgd.equivalence import measure
    from lrgd.equivalence_case import choose
    from lrgd.theory_plots import write_plots

    loaded = _bundle(bundle)
    tasks = [loaded.task(name, "test") for name in ([user] if user else loaded.users)]
    _make_folder(out)
    with Console(stderr=True).status("loading the model") as status:
        local = _load(model)
        found = measure(
            local,
            *choose(local, tasks, demonstration),
            tokens=tokens,
            seeds=seeds,
            report=status.update,
        )
        numbers = json.dumps(found.numbers(), indent=2, allow_nan=False)
        (out / "equivalence.json").write_text(numbers + "\n", "utf-8")
        plots = write_plots(found, out)
    if json_:
        print(numbers)
        return
    print(
        f"{found.model}, user {found.user}: a prompt of {found.prompt_tokens} tokens, "
        f"{found.demonstration_tokens} of them the demonstration D: {found.demonstration}"
    )
    for table in _tables(found):
        printer().print(table)
    print(f"Numbers: {out / 'equivalence.json'}")
    for plot in plots:
        print(f"Plot:    {plot}")


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
    model: LocalPath = POCKET_FOLDER,
    top: Annotated[int, typer.Option(min=1, help="Items to print.")] = 10,
    html: Annotated[Path | None, typer.Option(help="Write the explanation as a page, too.")] = None,
    json_: Json = False,
) -> None:
    """Rank a user's candidates and show which words of the demonstration moved an item."""
    from lrgd.explain import explain
    from lrgd.explanation_view import explanation_view, page
    from lrgd.local_model import ranking_prompt

    loaded = load_bundle(bundle)
    task = loaded.task(user, "test")
    assert task.target_id is not None
    text, regularisation, order = _demonstration(loaded, user, run, demonstration)
    if html is not None:
        if html.is_dir():
            raise InputError(f"{html} is a folder: name a file for --html")
        _make_folder(html.parent)
    with Console(stderr=True).status("loading the model") as status:
        local = _load(model)
        prompt = ranking_prompt(local, task, text, regularisation=regularisation, order=order)
        status.update("explaining")
        found = explain(local, task, text, prompt, item or task.target_id)
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
    from lrgd.local_model import load_local

    return load_local(model, name=POCKET if model == POCKET_FOLDER else model)


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


def _tables(found: "Equivalence") -> list[Table]:
    return [_exactness(found), _advantages(found), _features(found), _needed(found)]


def _exactness(found: "Equivalence") -> Table:
    table = Table(title="Largest difference between the model and its exact dual")
    table.add_column("")
    for row in found.exactness:
        table.add_column(row.precision, justify="right")
    for name, label in (
        ("heads", "head outputs"),
        ("states", "hidden states"),
        ("logits", "logits"),
    ):
        table.add_row(label, *(f"{getattr(row, name):.1e}" for row in found.exactness))
    tokens = found.exactness[0].tokens
    later = (f"{row.later_logits:.1e}" for row in found.exactness)
    table.add_row(f"logits over {tokens} tokens", *later)
    same = (f"{row.same_tokens} of {tokens}" for row in found.exactness)
    table.add_row("same greedy tokens", *same)
    return table


def _advantages(found: "Equivalence") -> Table:
    table = Table(title="Logit of the true item minus its best rival's")
    table.add_column("what is seen of the demonstration")
    table.add_column("advantage", justify="right")
    a = found.advantages
    table.add_row("all: W0 and the gradient step", f"{a.whole_prompt:+.3f}")
    table.add_row("W0 alone, without the gradient step", f"{a.without_step:+.3f}")
    table.add_row("masked for the last token only", f"{a.masked_at_answer:+.3f}")
    table.add_row("masked for every token", f"{a.masked_everywhere:+.3f}")
    return table


def _features(found: "Equivalence") -> Table:
    table = Table(
        title="Random features: |h_D - h| / |h|, median over heads [least, most of seeds]"
    )
    table.add_column("D", justify="right")
    for name in found.feature_errors:
        table.add_column(name, justify="right")
    sizes = next(iter(found.feature_errors.values()))
    for size in sizes:
        cells = (by_size[size] for by_size in found.feature_errors.values())
        row = (rf"{s.median:.2g} \[{s.low:.2g}, {s.high:.2g}]" for s in cells)
        table.add_row(str(size), *row)
    return table


def _needed(found: "Equivalence") -> Table:
    table = Table(title="log10 of the D that a head needs for an error of 10 % on exp(x.y)")
    table.add_column("heads")
    table.add_column("S", justify="right")
    names = list(found.heads[0].log10_needed)
    for name in names:
        table.add_column(name, justify="right")
    by_s = sorted(found.heads, key=lambda h: h.s)
    for label, head in (("least S", by_s[0]), ("median", by_s[len(by_s) // 2]), ("most", by_s[-1])):
        needed = (f"{head.log10_needed[name]:.1f}" for name in names)
        table.add_row(f"{label}: layer {head.layer}, head {head.head}", f"{head.s:.1f}", *needed)
    return table
