"""The commands of `lrgd`, in the order of `lrgd --help`. A command's module is imported when the
command is used: all of them together would take seconds."""

from importlib import import_module
from importlib.metadata import version
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from lrgd.core.extras import require

COMMANDS = {
    "demo": (
        "lrgd.cli.commands:demo",
        "The whole job on the sample world, with the embedded model, in minutes.",
    ),
    "data": ("lrgd.cli.data:data", "Data sets and frozen bundles."),
    "optimize": (
        "lrgd.cli.commands:optimize",
        "Optimise the demonstrations of a bundle's users.",
    ),
    "evaluate": (
        "lrgd.cli.evaluation:evaluate",
        "Score the methods on the test tasks; write the report. Ablations are optimised first.",
    ),
    "recommend": (
        "lrgd.cli.commands:recommend",
        "Rank a user's test candidates with the best demonstration that a run remembers.",
    ),
    "report": ("lrgd.cli.evaluation:report", "What runs say."),
    "suite": ("lrgd.cli.evaluation:suite", "Whole evaluations from one file."),
    "chat": (
        "lrgd.terminal.command:chat",
        "Sit down with one user's case and ask why: step, rewrite, perturb, compare, explain.",
    ),
    "web": (
        "lrgd.web.command:web",
        "The same session in the browser: chat on the left, the case on the right.",
    ),
    "cases": ("lrgd.cli.cases:cases", "Regression cases, written by /case in `lrgd chat`."),
    "explain": (
        "lrgd.explain.command:explain_ranking",
        "Rank a user's candidates by likelihood, and show which words of the note moved an item.",
    ),
    "equivalence": (
        "lrgd.explain.command:equivalence",
        "Check a model against its dual: one gradient step on the demonstration, on real weights.",
    ),
    "models": (
        "lrgd.cli.models:models",
        "Models that come without a hub. Alone: the same as `list`.",
    ),
    "serve": (
        "lrgd.cli.servers:serve",
        "Start a model server with the flags that lrgd needs; further flags go to the server.",
    ),
    "doctor": (
        "lrgd.cli.servers:doctor",
        "Ask a model server what it can do, and which ranking mode it will be used with.",
    ),
}
"""Name -> where the function or the Typer app is, and its line in `lrgd --help`."""

EXTRAS = {
    "web": ("gradio", "web"),
    "explain": ("torch", "theory"),
    "equivalence": ("torch", "theory"),
}
"""Commands that need an extra of the package: a module of it, and its name."""

OPTIONS_OF_OTHERS = {"serve": {"allow_extra_args": True, "ignore_unknown_options": True}}
"""Commands that hand options which they do not know to another program."""


def command_line() -> TyperGroup:
    """The `lrgd` command with its subcommands, none of them imported yet."""
    group = typer.main.get_group(root)
    for name, (place, about) in COMMANDS.items():
        group.add_command(LazyCommand(name=name, help=about, place=place))
    return group


class LazyCommand(TyperCommand):
    """A name and a line of help; the command itself is imported when its arguments are read."""

    def __init__(self, *, name: str, help: str, place: str) -> None:  # noqa: A002 (Click's name)
        super().__init__(name=name, help=help)
        self.place = place

    def make_context(self, *args: Any, **options: Any) -> Any:
        return self.loaded().make_context(*args, **options)

    def loaded(self) -> Any:
        """The command, imported."""
        if self.name in EXTRAS:
            needed, extra = EXTRAS[self.name]
            require(needed, extra=extra, purpose=f"lrgd {self.name}")
        module, attribute = self.place.split(":")
        found = getattr(import_module(module), attribute)
        if isinstance(found, typer.Typer):
            return typer.main.get_group(found)
        alone = typer.Typer(add_completion=False)
        alone.command(self.name, context_settings=OPTIONS_OF_OTHERS.get(str(self.name)))(found)
        return typer.main.get_command(alone)


root = typer.Typer(
    help="Recommend with a language model whose prompt, not its weights, is optimised.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)


def _tell_version(asked: bool) -> None:
    if asked:
        print(f"lrgd {version('lrgd')}")
        raise typer.Exit


@root.callback()
def _before_all(
    version: Annotated[
        bool,
        typer.Option("--version", help="Print the version.", callback=_tell_version, is_eager=True),
    ] = False,
) -> None:
    pass
