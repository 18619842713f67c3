"""A seat at a desk: one terminal or one page, with at most one session at a time.

It takes the lines that a person types (`lrgd.debug.commands`), those included that are about more
than one session or write files.
"""

import hashlib
import json
import shlex
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from lrgd.core.errors import InputError
from lrgd.core.machine import machine_errors
from lrgd.debug.commands import COMMANDS, Command, Help, dispatch, parse
from lrgd.debug.desk import Desk
from lrgd.debug.regression import case_of
from lrgd.debug.session import Event, Session
from lrgd.debug.transcript import markdown, script
from lrgd.debug.trouble import Order
from lrgd.files import write_new, write_over


@dataclass(frozen=True, slots=True)
class HelpView:
    """The commands."""

    commands: tuple[Help, ...]


@dataclass(frozen=True, slots=True)
class SavedView:
    """Files that were written."""

    files: tuple[Path, ...]
    then: str
    """What to do with them, as a command of a shell."""


@dataclass(frozen=True, slots=True)
class QuitView:
    """The person leaves."""


class Seat:
    """See the module."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self.session: Session | None = None

    async def dispatch(self, line: str, report: Callable[[Event], None] | None = None) -> Any:
        """Do what a line says: `lrgd.debug.dispatch`, and the commands beyond one session.

        Returns:
            A view, of `lrgd.debug.views` or of the module that does the command.

        Raises:
            LrgdError: it cannot be done; the session stands where it stood.
        """
        with machine_errors():  # a full disk ends a command, not the sitting
            return await self._do(parse(line), report)

    async def _do(self, command: Command, report: Callable[[Event], None] | None) -> Any:
        match command.name, command.arguments:
            case "help", _:
                return HelpView(COMMANDS)
            case "quit", _:
                return QuitView()
            case "users", arguments:
                return self.desk.users(*arguments)
            case "worst", arguments:
                return self.desk.worst(*cast(tuple[Order], arguments))
            case "user", (user,):
                self.session = await self.desk.sit(user)
                return await self.session.case()
            case "export", arguments:
                return await self._export(self._seated(), *map(Path, arguments))
            case "case", arguments:
                return await self._case(self._seated(), *map(Path, arguments))
        return await dispatch(self._seated(), command, report)

    def _seated(self) -> Session:
        if self.session is None:
            raise InputError("no user chosen yet: /users TEXT finds one, /user ID sits down")
        return self.session

    async def _export(self, session: Session, folder: Path | None = None) -> SavedView:
        state, history = await session.state(), session.history
        user = state["task"].user_id
        folder = folder or self.desk.folder.folder / "sessions" / file_name(user)
        text = markdown(state, await history.entries())
        program = script(await history.branch(), self.desk.opening)
        transcript = write_over(folder / "transcript.md", text)
        again = write_over(folder / "session.py", program)
        return SavedView((transcript, again), f"python {shlex.quote(str(again))}")

    async def _case(self, session: Session, file: Path | None = None) -> SavedView:
        case = case_of(await session.state())
        text = json.dumps(case.model_dump(mode="json"), indent=1) + "\n"
        name, folder = file_name(case.task.user_id), self.desk.folder.folder / "cases"
        written = write_over(file, text) if file else write_new(folder, name, ".json", text)
        return SavedView((written,), f"lrgd cases run {shlex.quote(str(written))}")


def file_name(user_id: str) -> str:
    """A user's id as a file's name."""
    safe = "".join(c if c.isalnum() or c in "-_" else "_" for c in user_id)[:60]
    if safe and safe == user_id:
        return safe
    return f"{safe}-{hashlib.sha256(user_id.encode()).hexdigest()[:8]}"
