"""`lrgd web`: the debugging session in a browser, from this machine alone."""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Annotated

import typer

from lrgd.agents.endpoint.client import NO_KEY
from lrgd.core.errors import InputError
from lrgd.debug.desk import open_desk
from lrgd.evals.data.bundle import load_bundle
from lrgd.options import BaseUrl, BundlePath, Key, Model, Ranking, RunPath
from lrgd.terminal.command import CHAT_RUN, Weights
from lrgd.web.access import listen
from lrgd.workbench import ModelChoice

HOST, PORT = "127.0.0.1", 7860


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
    base_url: BaseUrl = None,
    model: Model = None,
    api_key: Key = NO_KEY,
    ranking: Ranking = None,
    weights: Weights = None,
) -> None:
    """The same session in the browser: chat on the left, the case on the right.

    A session that was left in `lrgd chat` goes on here, and the other way round.
    """
    if user is not None:
        load_bundle(bundle).task(user, "validation")  # no such user: said before a model starts
    choice = ModelChoice(base_url, model, api_key, ranking)

    async def opened(listening: socket.socket) -> None:
        serve = _server()
        async with open_desk(bundle, run, choice, weights=weights) as desk:
            await serve(desk, user, listening, token)

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
