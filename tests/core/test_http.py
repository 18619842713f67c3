"""What our servers refuse, on a real uvicorn with short limits, over plain sockets."""

import asyncio
import socket
import threading
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest
import uvicorn

from lrgd.core.http import MAX_HEAD, Application, Shield, refusal, uvicorn_limits

MOST = 1_000
HEAD_S = BODY_S = 0.3
HOST = b"Host: 127.0.0.1\r\n"


async def echo(scope: Any, receive: Any, send: Any) -> None:
    """Answers with the number of bytes that came."""
    message = await receive()
    said = b"%d" % len(message["body"])
    head = [(b"content-length", b"%d" % len(said))]
    await send({"type": "http.response.start", "status": 200, "headers": head})
    await send({"type": "http.response.body", "body": said})


@pytest.fixture(scope="module", params=["httptools", "h11"])
def port(request: pytest.FixtureRequest) -> Iterator[int]:
    """Where a server listens, over both of uvicorn's parsers."""
    protocols = pytest.importorskip(f"uvicorn.protocols.http.{request.param}_impl")
    parser = protocols.HttpToolsProtocol if request.param == "httptools" else protocols.H11Protocol
    limits = uvicorn_limits(HEAD_S)
    limits["http"] = type("Impatient", (limits["http"].__mro__[1], parser), {"head_s": HEAD_S})
    yield from served(Shield(echo, most_bytes=MOST, local=True, body_s=BODY_S), limits)


def served(app: Application, limits: dict[str, Any]) -> Iterator[int]:
    listening = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(app, lifespan="off", log_level="critical", **limits)
    server = uvicorn.Server(config)
    running = threading.Thread(
        target=lambda: asyncio.run(server.serve(sockets=[listening])), daemon=True
    )
    running.start()
    yield listening.getsockname()[1]
    server.should_exit = True
    running.join(10)


def talk(port: int, *parts: bytes) -> bytes:
    """What a server says until it closes the connection."""
    with closing(socket.create_connection(("127.0.0.1", port), timeout=10)) as ours:
        try:
            for part in parts:
                ours.sendall(part)
            return b"".join(iter(lambda: ours.recv(65_536), b""))
        except (ConnectionResetError, BrokenPipeError):
            return b""


def post(length: bytes, body: bytes, more: bytes = b"") -> bytes:
    return b"POST / HTTP/1.1\r\n" + HOST + b"Connection: close\r\n" + more + length + b"\r\n" + body


def status(answer: bytes) -> bytes:
    return answer[9:12]


def test_a_body_within_the_bound_arrives_whole_however_it_is_sent(port: int) -> None:
    whole = talk(port, post(b"Content-Length: 1000\r\n", b"x" * MOST))
    chunks = b"".join(b"1f4\r\n" + b"x" * 500 + b"\r\n" for _ in range(2)) + b"0\r\n\r\n"
    parts = talk(port, post(b"Transfer-Encoding: chunked\r\n", chunks))
    assert (status(whole), status(parts)) == (b"200", b"200")
    assert whole.endswith(b"1000")


def test_a_longer_body_is_refused_by_its_announcement_and_by_its_bytes(port: int) -> None:
    told = talk(port, post(b"Content-Length: 1001\r\n", b""))
    endless = (b"1f4\r\n" + b"x" * 500 + b"\r\n") * 40
    counted = talk(port, post(b"Transfer-Encoding: chunked\r\n", endless))
    assert (status(told), status(counted)) == (b"413", b"413")
    assert b"a body of more than 1000 bytes" in told


@pytest.mark.parametrize("length", [b"-1", b"1e9", b"nan", b"", b"1" * 400, b"5, 5000"])
def test_a_length_that_is_none_is_refused(port: int, length: bytes) -> None:
    answer = talk(port, post(b"Content-Length: " + length + b"\r\n", b"x"))
    assert status(answer) in (b"400", b"413", b"")


def test_a_slow_body_is_answered_by_408_and_holds_nobody(port: int) -> None:
    answer = talk(port, post(b"Content-Length: 10\r\n", b"x"))
    assert status(answer) == b"408"


@pytest.mark.parametrize(
    "parts",
    [
        (),
        (b"POST / HT",),
        (b"GET / HTTP/1.1\r\nX: ",),
        (b"GET / HTTP/1.1\r\n" + HOST, b"X-A: 1\r\n"),
    ],
)
def test_a_head_that_does_not_end_is_closed(port: int, parts: tuple[bytes, ...]) -> None:
    assert status(talk(port, *parts)) in (b"", b"400")


def test_a_second_head_that_does_not_end_is_closed_too(port: int) -> None:
    first = b"GET / HTTP/1.1\r\n" + HOST + b"\r\n"
    assert talk(port, first, b"GET / HTTP/1.1\r\nX: ").count(b"HTTP/1.1 200") <= 1


def test_a_head_without_end_is_closed_while_it_comes(port: int) -> None:
    lines = [b"X-%d: %s\r\n" % (n, b"x" * 1_000) for n in range(3 * MAX_HEAD // 1_000)]
    assert status(talk(port, b"GET / HTTP/1.1\r\n", *lines)) in (b"", b"400", b"431")


def test_beside_many_that_stall_others_are_answered(port: int) -> None:
    stalled = [socket.create_connection(("127.0.0.1", port)) for _ in range(100)]
    for ours in stalled:
        ours.sendall(b"POST / HT")
    assert status(talk(port, post(b"Content-Length: 3\r\n", b"abc"))) == b"200"
    for ours in stalled:
        ours.settimeout(10)
        with closing(ours):
            assert ours.recv(10_000)[9:12] in (b"", b"400"), "it was closed"


def test_one_connection_more_than_the_limit_is_answered_by_503() -> None:
    limits = {**uvicorn_limits(5.0), "limit_concurrency": 4}
    for port in served(Shield(echo, most_bytes=MOST, local=True), limits):
        stalled = [socket.create_connection(("127.0.0.1", port)) for _ in range(4)]
        for ours in stalled:
            ours.sendall(b"G")
        assert status(talk(port, post(b"Content-Length: 3\r\n", b"abc"))) == b"503"
        for ours in stalled:
            ours.close()


Given = dict[str, str]
OWN: Given = {"host": "127.0.0.1:7860"}


def said(given: Given, *, local: bool = True) -> str | None:
    return refusal([(k.encode(), v.encode()) for k, v in given.items()], local=local)


@pytest.mark.parametrize(
    "given",
    [
        OWN,
        {"host": "localhost"},
        {"host": "[::1]:80"},
        {**OWN, "origin": "http://127.0.0.1:7860", "sec-fetch-site": "same-origin"},
        {**OWN, "sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"},
        {**OWN, "sec-fetch-site": "none"},
    ],
)
def test_our_own_requests_and_links_are_answered(given: Given) -> None:
    assert said(given) is None


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"host": ""},
        {"host": "["},
        {"host": "evil.example"},
        {"host": "127.0.0.1.evil.example"},
        {"host": "127.0.0.1@evil.example"},
        {"host": "localhost.:7860"},
        {"host": "0x7f000001"},
        {"host": "0.0.0.0:7860"},
        {**OWN, "origin": "null"},
        {**OWN, "origin": ""},
        {**OWN, "origin": "http://["},
        {**OWN, "origin": "http://evil.example"},
        {**OWN, "origin": "http://127.0.0.1:80"},
        {**OWN, "origin": "http://evil.example@127.0.0.1:7860"},
        {**OWN, "sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors"},
        {**OWN, "sec-fetch-site": "same-site", "sec-fetch-mode": "cors"},
        {**OWN, "sec-fetch-site": "cross-site"},
    ],
)
def test_other_sites_are_refused(given: Given) -> None:
    assert said(given)


def test_two_host_headers_are_none() -> None:
    assert refusal([(b"host", b"127.0.0.1"), (b"host", b"127.0.0.1")], local=True)


def test_beyond_this_machine_any_name_may_be_asked_but_by_its_own_pages_only() -> None:
    assert said({"host": "box.example"}, local=False) is None
    assert said({"host": "box.example", "origin": "http://evil.example"}, local=False)
    assert said({"origin": "http://evil.example"}, local=False)
