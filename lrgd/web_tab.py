"""One open page: its session, what its chat shows, and the lines that a person sends.

Knows no Gradio: it gives HTML, which `lrgd.web_page` puts where it belongs.
"""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

from graphs.session import Event, ModelText, NodeDone, NodeStarted, Session
from graphs.session.commands import Command, dispatch, parse
from graphs.session.shown import node_words
from graphs.session.state import settings_of
from lrgd.web_case import case_html, similarities
from lrgd.web_html import as_html, plain
from memory.errors import InputError, LrgdError


@dataclass(frozen=True, slots=True)
class Shown:
    """The page's three moving parts, as HTML."""

    log: str
    live: str
    """What is under way; empty when nothing is."""
    case: str


class Tab:
    """A page that somebody has open. Each has a session object of its own, so that it hears what
    others do on the same thread."""

    def __init__(self, desk: Any) -> None:
        self.desk = desk
        self.session: Session | None = None
        self.busy = False
        self._articles: list[str] = []

    async def open(self, user: str | None) -> Shown:
        """Sit down with a user's case, where it was left; without one, say how to choose."""
        return [shown async for shown in self.send(f"/user {user}" if user else "/users")][-1]

    async def send(self, line: str) -> AsyncIterator[Shown]:
        """Do what a line says, telling of it as it goes on."""
        self.busy = True
        try:
            async for live in self._do(line):
                yield await self._shown(live)
        except LrgdError as error:
            self._say(line, f'<p class="error" role="alert">{plain(str(error))}</p>')
        finally:
            self.busy = False
        yield await self._shown()

    async def news(self) -> Shown | None:
        """What another face did on the same thread; None where there is nothing new."""
        if self.session is None or self.busy:
            return None
        found = await self.session.news()
        for entry in found:
            self._say(f"{entry.line} (elsewhere)", _view_html(entry.view))
        return await self._shown() if found else None

    async def _do(self, line: str) -> AsyncIterator[str]:
        """Do a line; yields what is under way, and says at its end what came of it."""
        command = parse(line)
        if not command.of_session:
            self._say(line, as_html(await self.desk.do(self, command)))
            return
        if self.session is None:
            raise InputError("choose a user first: /users TEXT lists them, /user ID opens one")
        told: asyncio.Queue[Event | None] = asyncio.Queue()
        doing = asyncio.create_task(dispatch(self.session, command, told.put_nowait))
        doing.add_done_callback(lambda _: told.put_nowait(None))
        try:
            async for live in _telling(told):
                yield live
            self._say(line, as_html(renderable(await doing)))
        finally:
            # The page was closed in mid-step: the node under way is undone.
            doing.cancel()

    async def _shown(self, live: str = "") -> Shown:
        """All three parts, as they now are."""
        log = f'<div role="log" aria-label="Session">{"".join(self._articles)}</div>'
        if self.session is None:
            return Shown(log, live, '<p class="dim">No user chosen.</p>')
        state = await self.session.state()
        case, rounds = await self.session.case(), settings_of(state).rounds
        alike = similarities(state.get("judgements", []), rounds)
        threshold = settings_of(state).similarity_threshold
        return Shown(log, live, case_html(case, alike, threshold))

    def _say(self, line: str, html: str) -> None:
        said = f'<p class="said">{plain(line)}</p>' if line else ""
        self._articles.append(f"<article>{said}{html}</article>")


async def _telling(told: "asyncio.Queue[Event | None]") -> AsyncIterator[str]:
    """What is under way, as HTML, whenever it changes."""
    text = ""
    while (event := await told.get()) is not None:
        match event:
            case NodeStarted(node, path):
                doing, text = node_words(node, path), ""
            case ModelText(text=more):
                text += more
            case NodeDone(step):
                pass
        yield f'<p class="doing">{plain(doing)} ... {plain(text)}</p>'
