"""The page in Gradio: chat on the left, the case on the right. No other host is asked."""

import socket
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import gradio as gr
import uvicorn
from fastapi import FastAPI

from lrgd.core.http import uvicorn_limits
from lrgd.debug.desk import Desk
from lrgd.web.access import guarded
from lrgd.web.tab import Panels, Tab

STYLE = Path(__file__).parent / "templates" / "page.css"
# System fonts: Gradio's themes name fonts of another host.
THEME = gr.themes.Default(font=["system-ui", "sans-serif"], font_mono=["ui-monospace", "monospace"])
LOOK_S = 2.0
"""Seconds between two looks for what others did in the session."""

BUTTONS = (
    *("step", "round", "run", "reveal", "paths"),
    *("prompt", "keep", "history", "export", "help"),
)


async def serve(desk: Desk, user: str | None, listening: socket.socket, token: str | None) -> None:
    """Serve the page until Ctrl-C; say where it is once it is there.

    Args:
        user: whose case a page begins with, unless its address says ?user=ID.
        listening: where to, see `lrgd.web.access.listen`.
    """
    application = guarded(page(lambda: Tab(desk), user), token)
    # Open pages keep a connection each: at the end they are cut off, which uvicorn calls an error.
    config = uvicorn.Config(
        application, log_level="critical", timeout_graceful_shutdown=1, **uvicorn_limits()
    )
    host, port = listening.getsockname()[:2]
    shown = f"[{host}]" if ":" in host else host
    print(f"Page: http://{shown}:{port}/{'?token=...' if token else ''}", flush=True)
    print("Ctrl-C ends it; sessions are kept.", file=sys.stderr)
    await uvicorn.Server(config).serve(sockets=[listening])


def page(new_tab: Callable[[], Tab], user: str | None) -> FastAPI:
    """The page as an ASGI application, without a guard."""
    application = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    blocks = _Face(new_tab, user).blocks()
    mounted: FastAPI = gr.mount_gradio_app(
        application, blocks, path="/", footer_links=[], theme=THEME, css_paths=STYLE
    )
    return mounted


class _Face:
    def __init__(self, new_tab: Callable[[], Tab], user: str | None) -> None:
        self.new_tab, self.user = new_tab, user
        self.tabs: dict[str, Tab] = {}

    def blocks(self) -> gr.Blocks:
        """The components, and which event calls which method."""
        blocks = gr.Blocks(title="lrgd", analytics_enabled=False, fill_width=True)
        with blocks:
            with gr.Row(elem_id="face"):
                with gr.Column(scale=6, min_width=340, elem_id="chat"):
                    log = gr.HTML(elem_id="log", apply_default_css=False)
                    live = gr.HTML(elem_id="live", apply_default_css=False)
                    with gr.Row(elem_id="keys"):
                        buttons = [gr.Button(name.capitalize(), size="sm") for name in BUTTONS]
                    line = gr.Textbox(visible="hidden")
                    box = gr.Textbox(
                        elem_id="box",
                        label="A demonstration in your own words, or a command: /help",
                        autofocus=True,
                        max_lines=4,
                    )
                with gr.Column(scale=5, min_width=340):
                    case = gr.HTML(elem_id="case", apply_default_css=False)
            shown = [log, live, case]
            quiet: dict[str, Any] = {"show_progress": "hidden", "concurrency_limit": None}
            # A line typed in mid-step is answered, too.
            quiet["trigger_mode"] = "multiple"
            blocks.load(self.opened, None, shown, **quiet)
            blocks.unload(self.closed)
            # Emptied by the browser, at once: what is typed meanwhile stays.
            taken = box.submit(None, box, [line, box], js="(line) => [line, '']")
            taken.then(self.sent, line, shown, **quiet)
            for name, button in zip(BUTTONS, buttons, strict=True):
                button.click(self.presser(f"/{name}"), None, shown, **quiet)
            gr.Timer(LOOK_S).tick(self.looked, None, shown, **quiet)
        return blocks

    async def opened(self, request: gr.Request) -> tuple[str, str, str]:
        """A page was opened, or loaded again after the server was started anew."""
        tab = self.tabs[str(request.session_hash)] = self.new_tab()
        return _parts(await tab.open(request.query_params.get("user") or self.user))

    async def sent(self, line: str, request: gr.Request) -> AsyncIterator[tuple[str, ...]]:
        if line.strip():
            async for shown in self.tabs[str(request.session_hash)].send(line.strip()):
                yield _parts(shown)

    def presser(self, line: str) -> Callable[[gr.Request], AsyncIterator[tuple[str, ...]]]:
        async def pressed(request: gr.Request) -> AsyncIterator[tuple[str, ...]]:
            async for shown in self.tabs[str(request.session_hash)].send(line):
                yield _parts(shown)

        return pressed

    async def looked(self, request: gr.Request) -> Any:
        tab = self.tabs.get(str(request.session_hash))
        news = await tab.news() if tab else None
        return _parts(news) if news else (gr.skip(), gr.skip(), gr.skip())

    def closed(self, request: gr.Request) -> None:
        self.tabs.pop(str(request.session_hash), None)


def _parts(shown: Panels) -> tuple[str, str, str]:
    return shown.log, shown.live, shown.case
