"""The command language that all faces share: a line -> a command -> a view.

A line that does not begin with a slash is a demonstration in the person's own words. `//` begins
one that begins with a slash. Commands of a face or of the desk (`/users`, `/user`, `/export`,
`/case`, `/quit`) are parsed here and done there.
"""

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, get_args

from lrgd.core.errors import InputError
from lrgd.debug.events import Event, Extent, NodeDone
from lrgd.debug.prompts import Call
from lrgd.debug.session import Session
from lrgd.debug.views import StepsView

WRITE = "write"
"""Name of the command that a plain line is."""


@dataclass(frozen=True, slots=True)
class Help:
    """One line of /help."""

    name: str
    arguments: str
    line: str
    of_session: bool = True
    """Whether `dispatch` does it; the others belong to the face or the desk."""


COMMANDS: tuple[Help, ...] = (
    Help("help", "", "this list", of_session=False),
    Help("users", "[TEXT]", "users by id, or by what they bought", of_session=False),
    Help("user", "ID", "sit down with this user's case", of_session=False),
    Help("show", "", "the case: history, ranking in hand, paths, what comes next"),
    Help("reveal", "", "show the true next item, from now on"),
    Help("step", "", "run the next node"),
    Help("round", "", "run to the end of the round"),
    Help("run", "", "run to the end"),
    Help("prompt", "[generator|recommender] [PATH]", "the exact prompt of a call"),
    Help("keep", "", "put what is in hand into memory"),
    Help("perturb", "from PATH [on PATH]", "have a path write with another's text injected"),
    Help("regularise", '"TEXT"', 'set the constraint beside the instruction; "" for none'),
    Help("order", "instruction-first|demonstration-first", "set what comes first in a prompt"),
    Help("shuffle", "N", "average over N candidate orders; 1 for the given one alone"),
    Help("mode", "decision|logprobs|listwise", "set how the model is asked to rank"),
    Help("why", "ITEM [over ITEM]", "which sentence, which bought thing carries the place"),
    Help("history", "", "all checkpoints, numbered"),
    Help("fork", "N", "go on from checkpoint N"),
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
        return Command(name, _ARGUMENTS.get(name, _none)(rest))
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


async def _perturb(session: Session, source: str, on: str = "") -> Any:
    return await session.perturb(int(source), int(on) if on else None)


async def _prompt(session: Session, *arguments: str) -> Any:
    calls: list[Call] = [call for call in get_args(Call) if call in arguments]
    paths = [int(word) for word in arguments if word.isdigit()]
    return await session.prompt(calls[0] if calls else "recommender", paths[0] if paths else None)


_DONE: dict[str, Callable[..., Awaitable[Any]]] = {
    WRITE: Session.write,
    "show": Session.case,
    "reveal": Session.reveal,
    "prompt": _prompt,
    "keep": Session.keep,
    "perturb": _perturb,
    "regularise": Session.regularise,
    "order": Session.order,
    "shuffle": lambda session, n: session.shuffle(int(n)),
    "mode": Session.mode,
    "why": Session.why,
    "history": Session.history,
    "fork": lambda session, n: session.fork(int(n)),
    "compare": lambda session, a, b: session.compare(int(a), int(b)),
}


def _nearest(name: str) -> str:
    near = get_close_matches(name, NAMES, n=3, cutoff=0.5)
    near = near or [known for known in NAMES if known.startswith(name[:1])][:3]
    return f"; near it: {', '.join(f'/{n}' for n in near)}" if near else "; /help lists them"


def _matched(pattern: str) -> Callable[[str], tuple[str, ...]]:
    def arguments(rest: str) -> tuple[str, ...]:
        found = re.fullmatch(pattern, rest, re.IGNORECASE)
        if found is None:
            raise ValueError(rest)
        return tuple(group for group in found.groups() if group is not None)

    return arguments


def _none(rest: str) -> tuple[str, ...]:
    if rest:
        raise ValueError(rest)
    return ()


def _text(rest: str) -> tuple[str, ...]:
    """The rest of the line, with or without quotes around it; an empty one needs them."""
    if not rest:
        raise ValueError(rest)
    quoted = len(rest) > 1 and rest[0] == rest[-1] and rest[0] in "\"'"
    return (rest[1:-1] if quoted else rest,)


def _optional(rest: str) -> tuple[str, ...]:
    return _text(rest) if rest else ()


def _why(rest: str) -> tuple[str, ...]:
    """ITEM over ITEM; where a title has the word in it, it needs quotes or is the first one."""
    if quoted := re.fullmatch(r'"([^"]+)"(?:\s+over\s+(.+))?', rest):
        item, rival = quoted.groups()
        return (item, *_text(rival)) if rival else (item,)
    item, over, rival = rest.rpartition(" over ")
    return (*_text(item), *_text(rival)) if over else _text(rest)


_ARGUMENTS: dict[str, Callable[[str], tuple[str, ...]]] = {
    "users": _optional,
    "user": _text,
    "prompt": _matched(r"(generator|recommender)?(?:(?:^|\s+)(?:path\s+)?(\d+))?"),
    "perturb": _matched(r"(?:from\s+)?(?:path\s+)?(\d+)(?:\s+on\s+(?:path\s+)?(\d+))?"),
    "regularise": _text,
    "order": _matched(r"(instruction[-_]first|demonstration[-_]first)"),
    "shuffle": _matched(r"(\d+)"),
    "mode": _matched(r"(decision|logprobs|listwise)"),
    "why": _why,
    "fork": _matched(r"(\d+)"),
    "compare": _matched(r"(\d+)\s+(\d+)"),
    "export": _optional,
    "case": _optional,
}
