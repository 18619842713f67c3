"""The command language that all faces share: a line -> a command -> a view.

A line that does not begin with a slash is a demonstration in the person's own words. `//` begins
one that begins with a slash. Commands that are about more than one session, or about files
(`/users`, `/user`, `/worst`, `/export`, `/case`, `/help`, `/quit`), are parsed here and done by
`lrgd.debug.seat`.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, get_args

from lrgd.core.errors import InputError
from lrgd.debug import experiments, settings
from lrgd.debug.arguments import ARGUMENTS, none
from lrgd.debug.edits import Edit
from lrgd.debug.prompts import Call, PromptView, prompt_view
from lrgd.debug.session import Event, Extent, NodeDone, Session
from lrgd.debug.views import CaseView, ComparisonView, StepsView

WRITE = "write"
"""Name of the command that a plain line is."""


@dataclass(frozen=True, slots=True)
class Help:
    """One line of /help."""

    name: str
    arguments: str
    line: str
    of_session: bool = True
    """Whether `dispatch` does it; `lrgd.debug.seat` does the others."""


COMMANDS: tuple[Help, ...] = (
    Help("help", "", "this list", of_session=False),
    Help("users", "[TEXT]", "users by id, or by what they bought", of_session=False),
    Help("user", "ID", "sit down with this user's case", of_session=False),
    Help("worst", "[lost|rank|change|collapsed|refused]", "a run's users, worst first", False),
    Help("show", "", "the case: history, ranking in hand, paths, what comes next"),
    Help("paths", "", "every round of every path: text, rank, Effect_D, the guard's verdict"),
    Help("task", "validation|test", "look at the task of the loop, or at the one reports show"),
    Help("reveal", "", "show the true next item, from now on"),
    Help("step", "", "run the next node"),
    Help("round", "", "run to the end of the round"),
    Help("run", "", "run to the end"),
    Help("more", "N", "have the loop do N rounds more"),
    Help("prompt", "[generator|recommender] [PATH]", "the exact prompt of a call"),
    Help("edit", '[generator [PATH]] "OLD" => "NEW"', "send a prompt again with words replaced"),
    Help("keep", "", "put what is in hand into memory"),
    Help("perturb", "from PATH [on PATH]", "have a path write with another's text injected"),
    Help("regularise", '"TEXT"', 'set the constraint beside the instruction; "" for none'),
    Help("order", "instruction-first|demonstration-first", "set what comes first in a prompt"),
    Help("shuffle", "N", "average over N candidate orders; 1 for the given one alone"),
    Help("mode", "decision|logprobs|listwise", "set how the model is asked to rank"),
    Help("why", "ITEM [over ITEM]", "which sentence, which bought thing carries the place"),
    Help("history", "", "all checkpoints, numbered"),
    Help(
        "fork", "N | [path PATH] round ROUND", "go on from checkpoint N, or from where that ended"
    ),
    Help("compare", "A B", "what was in hand at two checkpoints, side by side"),
    Help("export", "[FOLDER]", "write a transcript, and a script that does it again", False),
    Help("case", "[FILE]", "write a regression case for `lrgd cases run`", of_session=False),
    Help("quit", "", "leave; the session can be taken up again", of_session=False),
)
NAMES = tuple(command.name for command in COMMANDS)
_HELP = {command.name: command for command in COMMANDS}


@dataclass(frozen=True, slots=True)
class Command:
    """A line, read."""

    name: str
    """One of `COMMANDS`, or `WRITE`."""
    arguments: tuple[str, ...] = ()

    @property
    def of_session(self) -> bool:
        """Whether `dispatch` does it."""
        return self.name == WRITE or _HELP[self.name].of_session


def parse(line: str) -> Command:
    """Read a line.

    Raises:
        InputError: no such command (names the nearest ones), or wrong arguments.
    """
    line = line.strip()
    if not line.startswith("/") or line.startswith("//"):
        return Command(WRITE, (line[1:] if line.startswith("//") else line,))
    name, _, rest = line[1:].partition(" ")
    name, rest = name.lower(), rest.strip()
    if name not in NAMES:
        raise InputError(f"no command /{name}{_nearest(name)}")
    try:
        return Command(name, ARGUMENTS.get(name, none)(rest))
    except ValueError:
        usage = _HELP[name]
        raise InputError(
            f"wanted /{name} {usage.arguments}".rstrip() + f" ({usage.line})"
        ) from None


async def dispatch(
    session: Session, line: str | Command, report: Callable[[Event], None] | None = None
) -> Any:
    """Do what a line says.

    Args:
        report: told of nodes and of the model's words while /step, /round and /run go on.

    Returns:
        A view (`lrgd.debug.views`); /step, /round and /run: a `StepsView`.

    Raises:
        LrgdError: it cannot be done; the session stands where it stood.

    Example:
        >>> import asyncio, lrgd
        >>> from pathlib import Path
        >>> from lrgd.evals.data.protocol import freeze
        >>> from lrgd.evals.data.sample import sample_world
        >>> shop = freeze(sample_world(), users=2, candidates=9, history=9, seed=1)
        >>> shop.save(Path("runs/shop-3"))
        >>> async def stepped():
        ...     choice = lrgd.ModelChoice("http://127.0.0.1:8000/v1")
        ...     async with lrgd.open_desk(Path("runs/shop-3"), Path("runs/chat-3"), choice) as desk:
        ...         session = await desk.sit(next(iter(shop.users)))
        ...         done = [await lrgd.dispatch(session, "/step") for _ in range(3)]
        ...         return [step.node for view in done for step in view.steps]
        >>> asyncio.run(stepped())
        ['begin', 'generator', 'recommender']
    """
    command = parse(line) if isinstance(line, str) else line
    if not command.of_session:
        raise InputError(f"/{command.name} is for a desk or a face, not for a session")
    if command.name in get_args(Extent):
        return await _go_on(session, command.name, report or _ignore)
    return await _DONE[command.name](session, *command.arguments)


async def _go_on(session: Session, extent: Any, report: Callable[[Event], None]) -> StepsView:
    steps = []
    async for event in session.stream(extent):
        report(event)
        if isinstance(event, NodeDone):
            steps.append(event.step)
    return StepsView(tuple(steps))


def _ignore(event: Event) -> None:
    pass


async def _perturb(session: Session, source: str, on: str = "") -> ComparisonView:
    return await session.perturb(int(source), int(on) if on else None)


async def _fork(session: Session, n: str, path: str = "", round_: str = "") -> CaseView:
    if n:
        return await session.fork(int(n))
    return await session.fork_after(int(round_), int(path) if path else None)


async def _edit(session: Session, call: str, path: str, old: str, new: str) -> ComparisonView:
    which: Call = "generator" if call == "generator" else "recommender"
    return await session.edit(Edit(which, int(path) if path else None, old, new))


async def _prompt(session: Session, *arguments: str) -> PromptView:
    calls: list[Call] = [call for call in get_args(Call) if call in arguments]
    paths = [int(word) for word in arguments if word.isdigit()]
    equipment, state = await session.source.open(), await session.state()
    call, path = calls[0] if calls else "recommender", paths[0] if paths else None
    return prompt_view(equipment, state, call, path)


async def _compare(session: Session, a: str, b: str) -> ComparisonView:
    before, after = [await session.history.in_hand(int(n)) for n in (a, b)]
    equipment, state = await session.source.open(), await session.state()
    return experiments.compare(equipment, state, f"checkpoint {a} -> {b}", before, after)


def _set(setting: Callable[[Any], settings.Setting], read: Callable[[str], Any] = str) -> Any:
    async def change(session: Session, value: str) -> ComparisonView:
        return await session.change(setting(read(value)))

    return change


_DONE: dict[str, Callable[..., Awaitable[Any]]] = {
    WRITE: Session.write,
    "show": Session.case,
    "paths": Session.paths,
    "task": _set(settings.task_shown),
    "more": lambda session, n: session.more(int(n)),
    "reveal": Session.reveal,
    "prompt": _prompt,
    "edit": _edit,
    "keep": Session.keep,
    "perturb": _perturb,
    "regularise": _set(settings.regularisation),
    "order": _set(settings.prompt_order),
    "shuffle": _set(settings.candidate_orders, int),
    "mode": _set(settings.ranking_mode),
    "why": Session.why,
    "history": lambda session: session.history.view(),
    "fork": _fork,
    "compare": _compare,
}


def _nearest(name: str) -> str:
    near = get_close_matches(name, NAMES, n=3, cutoff=0.5)
    near = near or [known for known in NAMES if known.startswith(name[:1])][:3]
    return f"; near it: {', '.join(f'/{n}' for n in near)}" if near else "; /help lists them"
