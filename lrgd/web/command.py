"""`lrgd web`: the debugging session in a browser, from this machine alone."""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Annotated

import typer

from lrgd.core.errors import InputError
from lrgd.debug.desk import open_desk
from lrgd.option_groups import grouped, model_choice
from lrgd.options import BundlePath, RunPath
from lrgd.terminal.command import CHAT_RUN, Weights
from lrgd.web.access import listen
from lrgd.workbench import ModelChoice

HOST, PORT = "127.0.0.1", 7860


@grouped(choice=model_choice)
def web(
    bundle: BundlePath,
    user: Annotated[str | None, typer.Option(help="User to begin with.")] = None,
    run: RunPath = CHAT_RUN,
    host: Annotated[
        str, typer.Option(help="Address to listen on; others than loopback need a --token.")
    ] = HOST,
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port; 0 for a free one.")] = PORT,
    token: Annotated[
        str | None,
        typer.Option(envvar="LRGD_WEB_TOKEN", help="Word that visitors must bring."),
    ] = None,
    *,
    choice: ModelChoice,
    weights: Weights = None,
) -> None:
    """The same session in the browser: chat on the left, the case on the right.

    A session that was left in `lrgd chat` goes on here, and the other way round.
    """

    async def opened(listening: socket.socket) -> None:
        async with open_desk(bundle, run, choice, weights=weights, user=user) as desk:
            await _server()(desk, user, listening, token)

    # Ctrl-C is how a page is closed, no fault.
    with listen(host, port, token) as listening, suppress(KeyboardInterrupt):
        asyncio.run(opened(listening))


def _server() -> Callable[..., Awaitable[None]]:
    """`lrgd.web.page.serve`; Gradio is in an extra, and takes seconds to import."""
    try:
        from lrgd.web.page import serve
    except ModuleNotFoundError as error:
        raise InputError(f"no {error.name} here: pip install 'lrgd[web]'") from error
    return serve
