"""`lrgd chat`: a debugging session in the terminal."""

import asyncio
import signal
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.status import Status

from lrgd.core.errors import LrgdError
from lrgd.core.text import visible
from lrgd.debug import Event, ModelText, NodeDone, NodeStarted
from lrgd.debug.desk import Desk, open_desk
from lrgd.debug.seat import QuitView, Seat
from lrgd.debug.views import CaseView, StepsView, node_words
from lrgd.option_groups import grouped, model_choice
from lrgd.options import BundlePath, RunPath
from lrgd.show import printer
from lrgd.terminal.input import ChatCompleter, lines
from lrgd.terminal.text import said
from lrgd.terminal.view import render
from lrgd.workbench import ModelChoice

CHAT_RUN = Path("runs/chat")
Weights = Annotated[
    str | None,
    typer.Option(
        help="The model's weights, for token counts and word effects: a folder, or a name as of "
        "--model. Without it: the model itself, where it is embedded."
    ),
]


@grouped(choice=model_choice)
def chat(
    bundle: BundlePath,
    user: Annotated[str | None, typer.Option(help="User to begin with.")] = None,
    run: RunPath = CHAT_RUN,
    *,
    choice: ModelChoice,
    weights: Weights = None,
) -> None:
    """Sit down with one user's case and ask why: step, rewrite, perturb, compare, explain.

    Sessions are kept in the run's folder and can be taken up again, here or in another face.
    """
    asyncio.run(_chat(bundle, run, choice, user, weights))


async def _chat(
    bundle: Path, run: Path, choice: ModelChoice, user: str | None, weights: str | None
) -> None:
    def starting() -> Status:
        return Console(stderr=True).status("starting the model")

    async with open_desk(
        bundle, run, choice, weights=weights, user=user, starting=starting
    ) as desk:
        await Chat(desk, printer()).talk(user)


class Chat:
    """One person at one desk."""

    def __init__(self, desk: Desk, console: Console) -> None:
        self.desk = desk
        self.seat = Seat(desk)
        self.console = console
        self._completer = ChatCompleter(desk.users(limit=len(desk.bundle.users)).users)
        self._writing = False
        self._who = "lrgd"

    async def talk(self, user: str | None) -> None:
        """Take lines until the person leaves."""
        self._say(
            f"{self.desk.bundle.name}: {len(self.desk.bundle.users)} users. /help lists the "
            "commands; /users TEXT finds a user, /user ID sits down with one.",
            "dim",
        )
        if user is not None:
            await self._do(f"/user {user}")
        history = self.desk.folder.folder / "chat_history"
        async for line in lines(self._completer, history, lambda: f"{self._who}> "):
            if line.strip() and await self._do(line):
                break
            await self._tell_news()
        self._say("Left. The session is kept: the same command takes it up again.", "dim")

    async def _do(self, line: str) -> bool:
        """Do a line and show what came of it; True where the person leaves."""
        loop = asyncio.get_running_loop()
        doing = loop.create_task(self.seat.dispatch(line, self._report))
        loop.add_signal_handler(signal.SIGINT, doing.cancel)
        try:
            view = await doing
        except asyncio.CancelledError:
            self._end_of_text()
            self._say("stopped; the steps that were done are kept", "yellow")
            return False
        except LrgdError as error:
            self._end_of_text()
            self._say(str(error), "red")
            return False
        finally:
            loop.remove_signal_handler(signal.SIGINT)
        if isinstance(view, CaseView):
            self._completer.items = view.candidates
            self._who = visible(view.user_id)
        if not isinstance(view, QuitView | StepsView):  # steps were shown as they came
            self.console.print(render(view))
        return isinstance(view, QuitView)

    async def _tell_news(self) -> None:
        """Show what another face did in this session."""
        if self.seat.session is None:
            return
        for entry in await self.seat.session.history.news():
            self._say(f"elsewhere: {entry.line}", "yellow")
            if entry.view is not None:
                self.console.print(render(entry.view))

    def _report(self, event: Event) -> None:
        match event:
            case NodeStarted(node, path):
                self._say(node_words(node, path), "bold")
            case ModelText(_, _, text):
                self.console.print(said(text), end="")
                self._writing = True
            case NodeDone(step):
                self._end_of_text()
                self.console.print(render(step))

    def _end_of_text(self) -> None:
        if self._writing:
            self.console.print()
        self._writing = False

    def _say(self, text: str, style: str) -> None:
        self.console.print(said(" ".join(text.split()), style))
