"""Who may open the page: this machine, or anyone with the token. The page loads nothing elsewhere.

Limits: the token travels in clear text. On a network that is not trusted, put TLS in front.
"""

import socket
from hmac import compare_digest
from ipaddress import ip_address
from urllib.parse import urlsplit

from starlette.datastructures import MutableHeaders
from starlette.requests import HTTPConnection
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from lrgd.core.errors import InputError

COOKIE = "lrgd_token"

# Whatever a title or a model writes, the browser asks nobody but this server.
POLICY = "default-src 'self' 'unsafe-inline' 'unsafe-eval' data: blob:; form-action 'self'"


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach what listens there."""
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


def listen(host: str, port: int, token: str | None) -> socket.socket:
    """A listening socket; port 0 takes any free one.

    Raises:
        InputError: beyond loopback without a token, or the address cannot be had.
    """
    if not is_loopback(host) and not token:
        raise InputError(f"--host {host} can be reached by others: give a --token, too")
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=family)
    except OSError as error:
        raise InputError(f"cannot listen on {host}:{port}: {error.strerror}") from error


class Guard:
    """ASGI middleware: lets in whoever has the token; without a token, this machine alone."""

    def __init__(self, app: ASGIApp, token: str | None) -> None:
        self.app, self.token = app, token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            return await self.app(scope, receive, send)
        refusal = self._refusal(HTTPConnection(scope))
        if refusal:
            return await refusal(scope, receive, send)

        async def with_policy(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)["Content-Security-Policy"] = POLICY
            await send(message)

        await self.app(scope, receive, with_policy)

    def _refusal(self, asked: HTTPConnection) -> Response | None:
        host = asked.headers.get("host", "")
        origin = asked.headers.get("origin")
        if origin and urlsplit(origin).netloc != host:
            return PlainTextResponse("This page answers its own requests only.", 403)
        if not self.token:
            # A name that is not this machine's: another site's name that was pointed here.
            known = is_loopback(urlsplit(f"//{host}").hostname or "")
            return None if known else PlainTextResponse("Ask for 127.0.0.1.", 403)
        given = asked.query_params.get("token")
        if given and self._fits(given):
            return self._let_in()
        if self._fits(asked.cookies.get(COOKIE, "")):
            return None
        return PlainTextResponse("This page needs its token: open /?token=...", 401)

    def _fits(self, given: str) -> bool:
        return compare_digest(given.encode(), (self.token or "").encode())

    def _let_in(self) -> Response:
        answer = RedirectResponse("/", 303)
        answer.set_cookie(COOKIE, self.token or "", httponly=True, samesite="lax")
        return answer
