"""Who may open the page: this machine, or anyone with the token. The page loads nothing elsewhere.

Limits: the token travels in clear text. On a network that is not trusted, put TLS in front.
"""

import re
import socket
from hmac import compare_digest

from starlette.datastructures import MutableHeaders
from starlette.requests import HTTPConnection
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from lrgd.core.errors import InputError
from lrgd.core.http import Shield, is_loopback

COOKIE = "lrgd_token"

# Whatever a title or a model writes, the browser asks nobody but this server.
HEADERS = {
    "Content-Security-Policy": "default-src 'self' 'unsafe-inline' 'unsafe-eval' data: blob:; "
    "form-action 'self'; base-uri 'self'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
MAX_BODY = 1_000_000
"""Bytes of a request: a line that a person typed."""
SERVED = re.compile(
    r"/|/(?:config|theme\.css|favicon\.ico|robots\.txt|manifest\.json|pwa_icon)/?"
    r"|/(?:assets|static|svelte|pwa_icon)/.*"
    r"|/gradio_api/(?:info|startup-events|theme\.css|app_id|queue/(?:join|data)|cancel|reset)/?"
    r"|/gradio_api/(?:heartbeat|custom_component)/.*"
)
"""What the page's own script asks for. Gradio also takes files, fetches addresses and gives out
files of this machine; no part of the page does."""


def listen(host: str, port: int, token: str | None) -> socket.socket:
    """A listening socket; port 0 takes any free one.

    Raises:
        InputError: beyond loopback without a token, a token that no cookie can hold, or the
            address cannot be had.
    """
    if not is_loopback(host) and not token:
        raise InputError(f"--host {host} can be reached by others: give a --token, too")
    if token and not (token.isascii() and token.isprintable() and token.strip()):
        raise InputError("--token is sent as a cookie: make it of ASCII letters, digits and signs")
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=family)
    except OSError as error:
        raise InputError(f"cannot listen on {host}:{port}: {error.strerror}") from error


def guarded(page: ASGIApp, token: str | None) -> ASGIApp:
    """The page, for whoever has the token; without one for this machine alone."""
    return Shield(Guard(page, token), most_bytes=MAX_BODY, local=not token)


class Guard:
    """ASGI middleware: lets in whoever has the token, to what the page consists of."""

    def __init__(self, app: ASGIApp, token: str | None) -> None:
        self.app, self.token = app, token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self.app(scope, receive, send)

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        answer = self._instead(HTTPConnection(scope)) or self.app
        await answer(scope, receive, with_headers)

    def _instead(self, asked: HTTPConnection) -> Response | None:
        """What a visitor gets in place of what was asked for, or None."""
        if self.token:
            if self._fits(asked.query_params.get("token", "")):
                return self._let_in()
            if not self._fits(asked.cookies.get(COOKIE, "")):
                return PlainTextResponse("This page needs its token: open /?token=...", 401)
        if not SERVED.fullmatch(asked.scope["path"]):
            return PlainTextResponse("This page has no such part.", 404)
        return None

    def _fits(self, given: str) -> bool:
        return compare_digest(given.encode(), (self.token or "").encode())

    def _let_in(self) -> Response:
        answer = RedirectResponse("/", 303)
        answer.set_cookie(COOKIE, self.token or "", httponly=True, samesite="lax")
        return answer
