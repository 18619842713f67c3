"""Keys, passwords and queries of a server's address: used, and found nowhere.

Commands run with markers in their place, against servers that answer, refuse, break, and repeat
what they were told. Then every byte of every file and of all that was printed is searched.
"""

import os
import subprocess
import sys
import threading
from base64 import b64decode, b64encode
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from lrgd.evals.data.bundle import load_bundle
from lrgd.evals.data.preparation import read_data
from lrgd.evals.data.protocol import freeze
from tests.loopback import Answer, LoopbackModel, completion, sensible

LRGD = (sys.executable, "-c", "from lrgd.cli.main import main; main()")
KEY, PASSWORD, QUERY = "sk-MARKER-key-7f3a", "MARKER-word-5d1c", "MARKER-query-9c2e"
PAIR = b64encode(f"ann:{PASSWORD}".encode()).decode()
SECRETS = [text.encode() for text in (KEY, PASSWORD, QUERY, PAIR, "MARKER")]

HEAD = "user_id:token\titem_id:token\ttimestamp:float"


@dataclass
class Server:
    """Records what it was asked with; `fault` says what it does with it."""

    fault: str = "none"
    told: list[str] = field(default_factory=list)
    """Each request's path with its query."""
    model: LoopbackModel | None = None

    def __call__(self, path: str, body: dict[str, Any]) -> Answer:
        assert self.model is not None
        self.told.append(path)
        kind, _, proof = self.model.requests[-1][2].partition(" ")
        clear = b64decode(proof).decode() if kind == "Basic" else proof
        repeated = f"{kind} {proof}, {clear} is not known at {path}"
        match self.fault:
            case "refuses":
                return 401, {"error": {"message": repeated}}, {}
            case "breaks":
                return 500, {"error": {"message": repeated}}, {}
            case "tells an error":
                return 200, {"error": {"message": repeated}}, {}
            case "writes no JSON":
                return 200, repeated.encode(), {}
            case "answers with it" if "messages" in body:
                return 200, completion(repeated), {}
            case "moves":
                return 302, {}, {"Location": f"http://127.0.0.1:1/?key={QUERY}"}
        return sensible(urlsplit(path).path, body)


@dataclass(frozen=True)
class Place:
    """A folder that is all that commands may write to, and the server that they ask."""

    folder: Path
    url: str
    server: Server

    def run(self, way: str, *words: str) -> "subprocess.CompletedProcess[str]":
        """What a command says; the secrets come to it in one of three ways."""
        options, environment = self._given(way)
        command = [*LRGD, *words, *options]
        return subprocess.run(
            command, cwd=self.folder, env=environment, capture_output=True, text=True, timeout=120
        )

    def _given(self, way: str) -> tuple[list[str], dict[str, str]]:
        environment = {
            **os.environ,
            "HOME": str(self.folder),
            "XDG_CACHE_HOME": str(self.folder / "cache"),
            "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
        }
        if way == "variable":
            environment |= {"LRGD_API_KEY": KEY, "LRGD_BASE_URL": f"{self.url}?api-key={QUERY}"}
            return ["--model", "m"], environment
        if way == "option":
            return ["--model", "m", "--base-url", self.url, "--api-key", KEY], environment
        return ["--model", "m", "--base-url", self._with_secrets()], environment

    def _with_secrets(self) -> str:
        scheme, rest = self.url.split("://")
        return f"{scheme}://ann:{PASSWORD}@{rest}?api-key={QUERY}"

    def everything(self) -> Iterator[tuple[Path, bytes]]:
        """Every file with its name and bytes."""
        for path in sorted(self.folder.rglob("*")):
            if path.is_file():
                yield path, str(path.relative_to(self.folder)).encode() + path.read_bytes()


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("keys")
    bought = [f"u{u}\ti{(u + n) % 6}\t{n}" for u in range(3) for n in range(1, 5)]
    (folder / "g.inter").write_text("\n".join([HEAD, *bought]) + "\n")
    items = [f"i{n}\tThing {n}" for n in range(6)]
    (folder / "g.item").write_text("\n".join(["item_id:token\ttitle:token_seq", *items]) + "\n")
    dataset, origin = read_data("recbole", folder, k_core=1, min_rating=None)
    frozen = freeze(dataset, users=3, candidates=3, history=20, seed=1, origin=origin)
    frozen.save(folder / "bundle")
    server = Server()
    with LoopbackModel(server) as model:
        server.model = model
        yield Place(folder, model.url, server)


def assert_nowhere(said: str, where: str) -> None:
    found = [secret for secret in SECRETS if secret in said.encode()]
    assert not found, f"{where}: {said[-600:]}"


def assert_in_no_file(place: Place) -> None:
    files = list(place.everything())
    assert len(files) > 3
    for path, content in files:
        assert not [secret for secret in SECRETS if secret in content], path


OPTIMIZE = (
    "optimize",
    "bundle",
    "--users",
    "2",
    "--rounds",
    "1",
    "--paths",
    "1",
    "--max-calls",
    "99",
)


CAMPAIGN = pytest.mark.campaign


def test_a_run_by_variables_leaves_no_secret_in_files_words_or_process_lists(place: Place) -> None:
    place.server.fault = "none"
    with process_list() as seen:
        done = place.run("variable", *OPTIMIZE, "--run", "watched")
    assert done.returncode == 0, done.stderr
    assert_nowhere(done.stdout + done.stderr, "optimize")
    assert_used(place)
    assert_in_no_file(place)
    assert any("watched" in line for line in seen), "the command was seen"
    assert not [line for line in seen if "MARKER" in line]


@contextmanager
def process_list() -> Iterator[set[str]]:
    """The command lines of all processes meanwhile, as `ps` shows them to everybody."""
    seen, over = set[str](), threading.Event()

    def look() -> None:
        while not over.wait(0.1):
            for process in Path("/proc").glob("[0-9]*/cmdline"):
                with suppress(OSError):  # it has ended meanwhile
                    seen.add(process.read_bytes().decode(errors="replace"))

    watch = threading.Thread(target=look)
    watch.start()
    try:
        yield seen
    finally:
        over.set()
        watch.join()


def assert_used(place: Place) -> None:
    assert place.server.model is not None
    sent = place.server.model.requests[-1][2] + place.server.told[-1]
    assert any(secret in sent for secret in (KEY, PAIR, QUERY))


@pytest.mark.campaign
@pytest.mark.parametrize("way", ["variable", "option", "address"])
def test_runs_that_succeed_leave_no_secret(place: Place, way: str) -> None:
    place.server.fault = "none"
    run = ("--run", f"run-{way}")
    (user, *_) = load_bundle(place.folder / "bundle").users
    recommend = ("recommend", "bundle", "--user", user)
    for words in (OPTIMIZE, ("evaluate", "--json"), recommend):
        done = place.run(way, *words, *run)
        assert done.returncode == 0, done.stderr
        assert_nowhere(done.stdout + done.stderr, words[0])
    done = place.run(way, "doctor")
    assert_nowhere(done.stdout + done.stderr, "doctor")
    assert_used(place)
    assert_in_no_file(place)


FAULTS = ["refuses", "breaks", "tells an error", "writes no JSON", "answers with it", "moves"]
ALL = [pytest.param(f, w, marks=CAMPAIGN) for f in FAULTS for w in ("variable", "address")]


@pytest.mark.parametrize(
    ("fault", "way"), [("refuses", "address"), ("answers with it", "variable"), *ALL]
)
def test_a_server_that_repeats_what_it_was_told_is_not_believed(
    place: Place, fault: str, way: str
) -> None:
    place.server.fault = fault
    done = place.run(
        way, *OPTIMIZE, "--run", f"{fault}-{way}".replace(" ", "-"), "--ranking", "listwise"
    )
    assert done.returncode != 0
    assert "Traceback" not in done.stderr
    assert_nowhere(done.stdout + done.stderr, f"{fault} by {way}")
    assert_in_no_file(place)


@pytest.mark.campaign
@pytest.mark.parametrize(
    "url", ["http://ann:{p}@127.0.0.1:1/v1?k={q}", "ftp://ann:{p}@x/", "http://ann:{p}@["]
)
def test_an_address_that_is_none_is_told_without_its_secrets(place: Place, url: str) -> None:
    given = url.format(p=PASSWORD, q=QUERY)
    words = (*OPTIMIZE, "--run", "nowhere", "--base-url", given, "--api-key", KEY, "--model", "m")
    done = subprocess.run(
        [*LRGD, *words], cwd=place.folder, capture_output=True, text=True, timeout=120
    )
    assert done.returncode != 0
    assert_nowhere(done.stdout + done.stderr, url)
