"""What every HTTP server of this project refuses: other sites' requests, bodies without end, and
clients that never finish a request.

`Shield` goes around the application, `uvicorn_limits` into uvicorn's options: each is half of it.
Uvicorn, which listens, is in an extra; so is whatever application is served.
"""

import asyncio
import json
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

CONNECTIONS = 512
"""At once; a request on a further one is answered by 503."""
HEAD_S = 10.0
"""Seconds in which a request's head must come; then the connection is closed."""
BODY_S = 60.0
"""Seconds in which a request's body must come."""
MAX_HEAD = 65_536
"""Bytes of a request's head."""

Headers = Iterable[tuple[bytes, bytes]]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Any, Any, Any], Awaitable[None]]


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach what listens there."""
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


def refusal(headers: Headers, *, local: bool) -> str | None:
    """Why a request comes from another site, or None.

    A browser says for whom it asks: `Origin`, and `Sec-Fetch-Site` where it sends no origin. Links
    from other sites may be followed; pictures, scripts and forms of other sites are refused.

    Args:
        local: only this machine may ask, by one of its own names: another site's name that was
            pointed here (DNS rebinding) is refused.
    """
    given = [(name.decode("latin-1").lower(), value.decode("latin-1")) for name, value in headers]
    hosts, of_name = [value for name, value in given if name == "host"], dict(given)
    host = hosts[0] if len(hosts) == 1 else ""
    if local and not is_loopback(_name(f"//{host}")):
        return "ask for 127.0.0.1: this server is asked from its own machine only"
    origin, site = of_name.get("origin"), of_name.get("sec-fetch-site", "none")
    elsewhere = site not in ("same-origin", "none")
    if elsewhere and of_name.get("sec-fetch-mode") != "navigate":
        return "this server answers its own pages only"
    if origin is not None and _place(origin) != host:
        return "this server answers its own pages only"
    return None


class Shield:
    """ASGI middleware: refuses other sites, and reads a request's body before anybody else does.

    Args:
        most_bytes: of a body, however it is sent; a longer one is answered by 413, a slow one by
            408.
        local: see `refusal`.
        body_s: seconds until a body must be there.
    """

    def __init__(
        self, app: Application, *, most_bytes: int, local: bool, body_s: float = BODY_S
    ) -> None:
        self.app, self.most_bytes, self.local, self.body_s = app, most_bytes, local, body_s

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            return await self.app(scope, receive, send)
        if scope["type"] != "http":
            return None  # no server of ours speaks WebSocket
        if told := refusal(scope["headers"], local=self.local):
            return await _refuse(send, 403, told)
        try:
            messages = await asyncio.wait_for(self._body(scope, receive), self.body_s)
        except TimeoutError:
            return await _refuse(send, 408, f"a body that takes more than {self.body_s:g} seconds")
        if messages is None:
            return await _refuse(send, 413, f"a body of more than {self.most_bytes} bytes")

        async def replayed() -> Message:
            return messages.popleft() if messages else await receive()

        await self.app(scope, replayed, send)

    async def _body(self, scope: Any, receive: Receive) -> deque[Message] | None:
        """The messages of a body; None where it is too long."""
        told = dict(scope["headers"]).get(b"content-length", b"0")
        if not told.isdigit() or int(told[:20]) > self.most_bytes:
            return None
        messages, size, more = deque[Message](), 0, True
        while more:
            messages.append(await receive())
            size += len(messages[-1].get("body", b""))
            more = messages[-1].get("more_body", False)
            if size > self.most_bytes:
                return None
        return messages


def uvicorn_limits(head_s: float = HEAD_S) -> dict[str, Any]:
    """Options of uvicorn for a server of ours: bounded connections, heads in time, no WebSocket."""
    from uvicorn.protocols.http.auto import AutoHTTPProtocol

    return {
        "limit_concurrency": CONNECTIONS,
        "ws": "none",
        "http": type("Impatient", (_Impatient, AutoHTTPProtocol), {"head_s": head_s}),
    }


class _Impatient(asyncio.Protocol):
    """Beside uvicorn's protocol: closes a connection whose next request does not come.

    Uvicorn bounds the time between two requests only, not that of a head under way.
    """

    loop: asyncio.AbstractEventLoop
    transport: asyncio.Transport
    cycle: Any
    head_s: float
    _deadline: asyncio.TimerHandle | None = None
    _waited = 0
    """Bytes since the last request began to be answered."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._wait()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.cycle is not None and not self.cycle.response_complete:
            self._stop_waiting()
            return
        self._wait()
        self._waited += len(data)
        # What is left of a body that was refused is let pass: its client reads the answer after it.
        if self._waited > MAX_HEAD and not (self.cycle is not None and self.cycle.more_body):
            self.transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting()
        super().connection_lost(exc)

    def _wait(self) -> None:
        if self._deadline is None:
            self._deadline = self.loop.call_later(self.head_s, self.transport.close)

    def _stop_waiting(self) -> None:
        self._waited = 0
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None


async def _refuse(send: Send, status: int, told: str) -> None:
    """In the words of OpenAI's servers, as a person can read them too."""
    about = {"message": told, "type": "invalid_request_error", "code": status}
    body = json.dumps({"error": about}).encode()
    length = str(len(body)).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", length)]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _name(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:  # half an IPv6 address
        return ""


def _place(origin: str) -> str | None:
    try:
        return urlsplit(origin).netloc
    except ValueError:
        return None
