"""Who may open the page."""

import pytest
from starlette.responses import PlainTextResponse
from starlette.testclient import TestClient
from starlette.types import Receive, Scope, Send

from lrgd.core.errors import InputError
from lrgd.core.http import is_loopback
from lrgd.web.access import COOKIE, guarded, listen

LOCAL = "http://127.0.0.1:7860"


async def page(scope: Scope, receive: Receive, send: Send) -> None:
    await PlainTextResponse("the page")(scope, receive, send)


def client(token: str | None = None, base: str = LOCAL) -> TestClient:
    return TestClient(guarded(page, token), base_url=base, follow_redirects=False)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.2", "::1", "[::1]", "localhost"])
def test_loopback(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.0.4", "localhost.example", ""])
def test_not_loopback(host: str) -> None:
    assert not is_loopback(host)


def test_another_host_needs_a_token() -> None:
    with pytest.raises(InputError, match="--token"):
        listen("0.0.0.0", 0, None)
    listen("0.0.0.0", 0, "secret").close()
    listen("127.0.0.1", 0, None).close()


def test_a_taken_port_is_said_in_one_line() -> None:
    with listen("127.0.0.1", 0, None) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(InputError, match=f"cannot listen on 127.0.0.1:{port}"):
            listen("127.0.0.1", port, None)


def test_on_loopback_no_token_is_needed_and_the_browser_is_told_to_ask_nobody_else() -> None:
    answer = client().get("/")
    assert answer.text == "the page"
    assert answer.headers["content-security-policy"].startswith("default-src 'self'")


@pytest.mark.parametrize("base", ["http://evil.example", "http://192.168.0.4:7860"])
def test_another_name_for_this_machine_is_refused(base: str) -> None:
    assert client(base=base).get("/").status_code == 403


def test_another_sites_request_is_refused() -> None:
    theirs = client().post("/", headers={"Origin": "http://evil.example"})
    ours = client().post("/", headers={"Origin": LOCAL})
    assert (theirs.status_code, ours.status_code) == (403, 200)


def test_with_a_token_nobody_gets_in_without_it() -> None:
    visitor = client("secret", base="http://192.168.0.4:7860")
    assert visitor.get("/").status_code == 401
    assert visitor.get("/?token=wrong").status_code == 401
    assert visitor.get("/", headers={"Cookie": f"{COOKIE}=wrong"}).status_code == 401
    assert "secret" not in visitor.get("/").text
    let_in = visitor.get("/?token=secret")
    assert (let_in.status_code, let_in.headers["location"]) == (303, "/")
    assert visitor.get("/").text == "the page"
