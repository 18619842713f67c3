"""One open page: its seat at the desk, what its chat shows, and the lines that a person sends.

Knows no Gradio: it gives HTML, which `lrgd.web.page` puts where it belongs.
"""

import asyncio
from base64 import b64encode
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass, replace
from html import escape
from pathlib import Path
from typing import Any

from lrgd.core.errors import InputError, LrgdError
from lrgd.debug import Event, ModelText, NodeDone, NodeStarted, parse
from lrgd.debug.desk import Desk
from lrgd.debug.seat import QuitView, SavedView, Seat
from lrgd.debug.state import settings_of
from lrgd.debug.views import StepsView, StepView, node_words
from lrgd.terminal.view import render
from lrgd.web.case import case_html, similarity_by_round
from lrgd.web.html import as_html, escaped

NOBODY = (
    '<p class="dim">No user chosen yet. Choose one in the list, or type a line, as:</p>'
    "<ul><li>/users kite: who bought something with kite in its title</li>"
    "<li>/user ID: open the case of one</li>"
    "<li>/worst rank: of a run, whose true next item stands lowest</li></ul>"
)


@dataclass(frozen=True, slots=True)
class Panels:
    """The page's three moving parts, as HTML."""

    log: str
    live: str
    """What is under way; empty when nothing is."""
    case: str


class Tab:
    """A page that somebody has open.

    Each has a seat of its own, so that it hears what others do on the same thread.
    """

    def __init__(self, desk: Desk) -> None:
        self._seat = Seat(desk)
        self._articles: list[str] = []
        self._under_way = 0
        self._last = Panels("", "", NOBODY)

    async def open(self, user: str | None) -> Panels:
        """Take up a user's session where it was left; without a user, list them, those of a run
        with what went wrong."""
        first = f"/user {user}" if user else "/worst" if self._seat.desk.of_run else "/users"
        return [shown async for shown in self.send(first)][-1]

    async def send(self, line: str) -> AsyncGenerator[Panels, None]:
        """Do what a line says. Yields the page whenever it changes."""
        self._under_way += 1
        try:
            async with aclosing(self._do(line)) as under_way:
                async for live in under_way:
                    yield replace(self._last, live=live)
        except LrgdError as error:
            self._say(line, f'<p class="error" role="alert">{escaped(str(error))}</p>')
        finally:
            self._under_way -= 1
        yield await self._shown()

    async def news(self) -> Panels | None:
        """What another face did on the same thread; None where there is nothing new."""
        return await self._shown() if await self._hear() else None

    async def _do(self, line: str) -> AsyncGenerator[str, None]:
        """Do a line. Yields what is under way; at the end the log has what came of it."""
        command = parse(line)
        if command.name in ("export", "case") and command.arguments:
            raise InputError(f"the page writes into the run's folder only: /{command.name} alone")
        told: asyncio.Queue[Event | None] = asyncio.Queue()
        doing = asyncio.create_task(self._seat.dispatch(line, told.put_nowait))
        doing.add_done_callback(lambda _: told.put_nowait(None))
        try:
            async for live, step in _telling(told):
                if step is not None:
                    self._say(line, _view_html(step))
                    line = ""  # said once
                    await self._shown()
                yield live
            view = await doing
        finally:
            # Where the page was closed in mid-step, the node under way is undone.
            doing.cancel()
            await asyncio.wait([doing])
        if command.name == "user":
            await self._take_up()
        elif not isinstance(view, StepsView):  # steps were shown as they came
            self._say(line, _view_html(view))

    async def _take_up(self) -> None:
        """Show what was done before on this thread."""
        assert self._seat.session is not None  # dispatch has sat down
        self._articles.clear()
        for entry in await self._seat.session.history.entries():
            if entry.line:
                self._say(entry.line, _view_html(entry.view))

    async def _hear(self) -> bool:
        """Log what others did since this page last looked; whether there was anything."""
        # While a step of our own is under way, nobody else can do one.
        if self._seat.session is None or self._under_way:
            return False
        news = await self._seat.session.history.news()
        for entry in news:
            self._say(f"{entry.line} (done elsewhere)", _view_html(entry.view))
        return bool(news)

    async def _shown(self) -> Panels:
        """The page as it now is."""
        await self._hear()  # looking at the state counts as having seen it
        log = f'<div role="log" aria-label="What was said">{"".join(self._articles)}</div>'
        session = self._seat.session
        if session is None:
            self._last = Panels(log, "", NOBODY)
            return self._last
        state = await session.state()
        settings = settings_of(state)
        alike = similarity_by_round(state.get("judgements", []), settings.rounds)
        case = case_html(await session.case(), alike, settings.similarity_threshold)
        self._last = Panels(log, "", case)
        return self._last

    def _say(self, line: str, html: str) -> None:
        said = f'<p class="said">{escaped(line)}</p>' if line else ""
        self._articles.append(f"<article>{said}{html}</article>")


async def _telling(
    told: "asyncio.Queue[Event | None]",
) -> AsyncIterator[tuple[str, StepView | None]]:
    """What is under way, as HTML, whenever it changes, and the step that was done."""
    doing, text = "", ""
    while (event := await told.get()) is not None:
        match event:
            case NodeStarted(node, path):
                doing, text = node_words(node, path), ""
            case ModelText(text=more):
                text += more
            case NodeDone():
                text = "done"
        step = event.step if isinstance(event, NodeDone) else None
        yield f'<p class="doing">{escaped(doing)}: {escaped(text)}</p>', step


def _view_html(view: Any) -> str:
    match view:
        case None:
            return ""
        case QuitView():
            return "<p>Close this page; the session is kept, and can be taken up again.</p>"
        case SavedView(files):
            return f"<ul>{''.join(map(_download, files))}</ul>"
        case StepView():
            view = StepsView((view,))
    return as_html(render(view))


def _download(file: Path) -> str:
    data = b64encode(file.read_bytes()).decode()
    link = f'<a download="{escape(file.name)}" href="data:text/plain;base64,{data}">download</a>'
    return f"<li>{escaped(str(file))} ({link})</li>"
