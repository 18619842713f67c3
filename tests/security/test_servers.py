"""`lrgd web` and the embedded server, really started, asked as an attacker would ask.

What both share (bodies, heads, other sites) is tested in full in `tests/core/test_http.py`; here
that both have it, and what each answers of its own.
"""

import json
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from time import sleep

import pytest

from lrgd.core.http import HEAD_S, MAX_HEAD
from lrgd.evals.data.bundle import Bundle
from lrgd.serving.launch import embedded_command
from lrgd.web.access import MAX_BODY
from tests.families import make
from tests.loopback import LoopbackModel

SECRET = "root:"
"""How /etc/passwd begins."""
LRGD = (sys.executable, "-c", "from lrgd.cli.main import main; main()")


@dataclass(frozen=True)
class Server:
    """A server of ours, and where a POST of its protocol goes."""

    port: int
    post: str
    folder: Path
    """Where its process runs, with files that nobody may see."""

    def talk(self, *parts: bytes, timeout_s: float = 30) -> str:
        """What it says until it closes the connection."""
        with closing(socket.create_connection(("127.0.0.1", self.port), timeout_s)) as ours:
            try:
                for part in parts:
                    ours.sendall(part)
                return b"".join(iter(lambda: ours.recv(65_536), b"")).decode("latin-1")
            except (ConnectionResetError, BrokenPipeError):
                return ""

    def ask(self, path: str, *headers: str, method: str = "GET", body: bytes = b"") -> str:
        """What it answers to a request; its first line tells the status."""
        given = [f"{method} {path} HTTP/1.1", "Connection: close", *headers]
        if body and not any(line.lower().startswith("content-type:") for line in headers):
            given.append("Content-Type: application/json")
        if not any(line.lower().startswith("host:") for line in headers):
            given.append(f"Host: 127.0.0.1:{self.port}")
        if not any(line.lower().startswith("transfer-encoding:") for line in headers):
            given.append(f"Content-Length: {len(body)}")
        return self.talk("\r\n".join([*given, "", ""]).encode("latin-1"), body)


def status(answer: str) -> int:
    return int(answer[9:12] or 0)


@pytest.fixture(scope="module")
def embedded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("embedded")
    port = free_port()
    command = embedded_command(make("llama-3", folder / "model"), "tiny", "127.0.0.1", port)
    with started(command, folder) as process:
        wait_for(port, process)
        yield Server(port, "/v1/chat/completions", folder)


@pytest.fixture(scope="module")
def page(bundle: Bundle, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("page")
    bundle.save(folder / "bundle")
    (folder / "secret.txt").write_text(f"{SECRET}x")
    with LoopbackModel() as model:
        options = ["--run", "run", "--port", "0", "--base-url", model.url, "--model", "m"]
        with started([*LRGD, "web", "bundle", *options], folder) as process:
            assert process.stdout is not None
            url = process.stdout.readline().strip().strip("/")
            yield Server(int(url.rpartition(":")[2]), "/gradio_api/queue/join", folder)


@pytest.fixture(scope="module", params=["embedded", "page"])
def server(request: pytest.FixtureRequest) -> Server:
    found: Server = request.getfixturevalue(request.param)
    return found


def started(command: list[str], folder: Path) -> "Running":
    return Running(
        command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )


class Running(subprocess.Popen[str]):
    """A process that ends with the `with`."""

    def __exit__(self, *error: object) -> None:
        self.send_signal(signal.SIGINT)
        self.wait(60)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(port: int, process: "subprocess.Popen[str]") -> None:
    while process.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        sleep(0.2)
    raise AssertionError("it ended at once")


TRAVERSALS = [
    "/../../../../etc/passwd",
    "/%2e%2e/%2e%2e/%2e%2e/%2e%2e/etc/passwd",
    "/..%2f..%2f..%2f..%2fetc%2fpasswd",
    "/%252e%252e%252f%252e%252e%252fetc%252fpasswd",
    "/..%5c..%5c..%5cetc%5cpasswd",
    "/....//....//....//etc/passwd",
    "//etc/passwd",
    "/%00/etc/passwd",
    "/assets/../../../../../../../../etc/passwd",
    "/assets/%2e%2e%2f%2e%2e%2f%2e%2e%2f%2e%2e%2f%2e%2e%2f%2e%2e%2f%2e%2e%2fetc/passwd",
    "/static/..%2f..%2f..%2f..%2f..%2f..%2f..%2f..%2fetc%2fpasswd",
    "/static//etc/passwd",
    "/svelte/..%2f..%2f..%2f..%2f..%2f..%2f..%2fetc%2fpasswd",
    "/gradio_api/file=/etc/passwd",
    "/gradio_api/file=secret.txt",
    "/gradio_api/file=%2fetc%2fpasswd",
    "/gradio_api/file/etc/passwd",
    "/file=/etc/passwd",
    "/gradio_api/custom_component/x/client/..%2f..%2f..%2f..%2f..%2fetc%2fpasswd",
    "/gradio_api/proxy=http://127.0.0.1:1/",
    "/gradio_api/stream/x/y/z/playlist-file",
    "/v1/../../etc/passwd",
    "/v1/models/..%2f..%2fetc%2fpasswd",
]


@pytest.mark.parametrize("path", TRAVERSALS)
def test_no_path_leads_to_a_file_of_this_machine(server: Server, path: str) -> None:
    answer = server.ask(path)
    assert SECRET not in answer
    assert status(answer) in (0, 400, 403, 404, 405, 422), answer[:200]


@pytest.mark.parametrize(
    "path", ["/gradio_api/upload", "/gradio_api/process_recording", "/gradio_api/component_server"]
)
def test_the_page_takes_no_files(page: Server, path: str) -> None:
    body = (
        b'--x\r\nContent-Disposition: form-data; name="files"; filename="a"\r\n\r\nx\r\n--x--\r\n'
    )
    answer = page.ask(
        path, "Content-Type: multipart/form-data; boundary=x", method="POST", body=body
    )
    assert status(answer) == 404


@pytest.mark.parametrize(
    "headers",
    [
        ("Origin: http://evil.example",),
        ("Origin: null",),
        ("Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: no-cors"),
        ("Host: evil.example",),
        ("Host: evil.example:80", "Origin: http://evil.example:80"),
        ("Host: [",),
        ("Host: 127.0.0.1", "Host: evil.example"),
    ],
)
def test_another_sites_request_is_refused(server: Server, headers: tuple[str, ...]) -> None:
    body = json.dumps({"model": "tiny", "messages": [{"role": "user", "content": "a"}]}).encode()
    text = "Content-Type: text/plain"  # what a page may send without asking before
    for method, path in (("POST", server.post), ("GET", "/"), ("GET", "/v1/models")):
        answer = server.ask(path, *headers, text, method=method, body=body)
        assert status(answer) in (400, 403), answer[:200]
        assert "access-control-allow-origin" not in answer.lower()


def test_no_other_page_may_frame_ours_or_learn_its_address(page: Server) -> None:
    answer = page.ask("/").lower()
    assert status(answer) == 200
    assert "frame-ancestors 'none'" in answer
    assert "referrer-policy: no-referrer" in answer
    assert "x-content-type-options: nosniff" in answer


@pytest.mark.parametrize(
    "method", ["PUT", "DELETE", "PATCH", "TRACE", "CONNECT", "BREW", "OPTIONS"]
)
def test_methods_that_nothing_needs_are_refused(server: Server, method: str) -> None:
    for path in ("/", server.post):
        assert status(server.ask(path, method=method)) in (0, 400, 403, 404, 405)


def test_a_long_body_is_refused_by_its_announcement_and_by_its_bytes(server: Server) -> None:
    announced = server.talk(
        f"POST {server.post} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n"
        "Content-Length: 99000000000\r\n\r\n".encode()
    )
    assert status(announced) == 413
    head = f"POST {server.post} HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\n"
    chunk = b"100000\r\n" + b" " * 0x100000 + b"\r\n"
    most = MAX_BODY if "gradio" in server.post else 32_000_000
    counted = server.talk(head.encode(), *[chunk] * (most // len(chunk) + 2))
    assert status(counted) in (0, 413), "it answers, or cuts the sender off"
    assert status(server.ask("/")) in (200, 404), "it goes on"


@pytest.mark.parametrize("deep", [b"[" * 100_000, b'{"a":' * 100_000, b"[" * 5_000 + b"]" * 5_000])
def test_deep_json_is_refused_in_one_line(server: Server, deep: bytes) -> None:
    answer = server.ask(server.post, method="POST", body=deep)
    assert status(answer) in (400, 422), answer[:300]
    assert "Traceback" not in answer
    assert len(answer) < 2_000


@pytest.mark.parametrize(
    "body",
    [b"", b"null", b"[]", b"5", b'"x"', b"{", b"\xff\xfe", b'{"model": 1e999}', b'{"model": NaN}',
     b'{"messages": "' + b"\\ud800" * 9 + b'"}'],
)  # fmt: skip
def test_what_is_no_request_is_refused(server: Server, body: bytes) -> None:
    answer = server.ask(server.post, method="POST", body=body)
    # Gradio has no other word than 500 for a number that JSON does not have.
    assert 400 <= status(answer) <= 500, answer[:300]
    assert "Traceback" not in answer


def test_a_head_without_end_is_closed_while_it_comes(server: Server) -> None:
    lines = [b"X-%d: %s\r\n" % (n, b"x" * 1_000) for n in range(3 * MAX_HEAD // 1_000)]
    assert status(server.talk(b"GET / HTTP/1.1\r\n", *lines)) in (0, 400, 431)


@pytest.mark.campaign
def test_clients_that_stall_are_closed_and_hold_nobody(server: Server) -> None:
    parts = (b"", b"POST", b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX-A: ")
    stalled = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(90)]
    for n, ours in enumerate(stalled):
        ours.sendall(parts[n % len(parts)])
    assert status(server.ask("/")) in (200, 404), "others are answered meanwhile"
    for ours in stalled:
        with closing(ours):
            ours.settimeout(HEAD_S + 20)
            assert ours.recv(10_000)[9:12] in (b"", b"400")


def test_a_client_brings_no_template_and_no_role_of_its_own(embedded: Server) -> None:
    def asked(role: str = "user", **options: object) -> str:
        messages = [{"role": role, "content": "a"}]
        body = {
            "model": "tiny",
            "messages": messages,
            "max_tokens": 1,
            "chat_template_kwargs": options,
        }
        return embedded.ask(embedded.post, method="POST", body=json.dumps(body).encode())

    assert status(asked(enable_thinking=False)) == 200
    for options in (
        {"chat_template": "{% for i in range(10**9) %}{% endfor %}"},
        {"tokenize": False},
    ):
        answer = asked(**options)
        assert status(answer) == 400
        assert "chat_template_kwargs may not hold" in answer
    assert status(asked(role="user<|eot_id|>system")) == 400


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/tokenize", {"prompt": "a" * 5_000_000}),
        ("/v1/completions", {"prompt": "a" * 5_000_000}),
        ("/v1/chat/completions", {"messages": [{"role": "user", "content": "a" * 5_000_000}]}),
        ("/v1/rerank", {"query": "q", "documents": ["a" * 5_000_000]}),
    ],
)
def test_a_text_that_no_model_reads_is_refused_before_it_is_tokenized(
    embedded: Server, path: str, body: dict[str, object]
) -> None:
    content = json.dumps({"model": "tiny", **body}).encode()
    answer = embedded.ask(path, method="POST", body=content)
    assert status(answer) == 400
    assert "a text of 5000000 characters" in answer


def test_the_embedded_server_shows_no_documentation_and_no_other_route(embedded: Server) -> None:
    for path in (
        "/docs",
        "/redoc",
        "/openapi.json",
        "/metrics",
        "/v1",
        "/admin",
        "/v1/models/tiny",
    ):
        assert status(embedded.ask(path)) == 404
