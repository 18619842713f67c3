"""`lrgd chat` as a person meets it: in a process of its own, behind a pseudo-terminal."""

import asyncio
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from io import StringIO
from pathlib import Path

import pexpect
import pytest
from prompt_toolkit.completion import CompleteEvent
from prompt_toolkit.document import Document
from rich.console import Console

from lrgd.agents.values import Item
from lrgd.debug.desk import UserRow
from lrgd.debug.trouble import NoteChange, TroubleRow, TroubleView
from lrgd.evals.data.bundle import Bundle, BundleUser, FrozenTask
from lrgd.terminal.input import ChatCompleter
from lrgd.terminal.view import render
from tests.loopback import LoopbackModel
from tests.lrgd.debug.made_run import made_run
from tests.scripted import task

LRGD = ["-c", "from lrgd.cli.main import main; main()"]
# `lrgd`, with the command of every process that it starts written to a file; the first is a test
# of that.
WATCHED = """
import subprocess, sys
log = open(sys.argv.pop(1), "a", buffering=1)
def heard(event, args):
    if event == "subprocess.Popen":
        print(*args[1], file=log)
sys.addaudithook(heard)
subprocess.run([sys.executable, "-c", "1"])
from lrgd.cli.main import main
main()
"""
NASTY = "Kite \x1b[2J\x1b]0;owned\x07 [bold]<b>**x**</b> \u202e{{7*7}} \x9b31m"
ESCAPES = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]|\x1b\][^\x07]*\x07")


@pytest.fixture(scope="module")
def server() -> Iterator[LoopbackModel]:
    with LoopbackModel() as found:
        yield found


@pytest.fixture(scope="module")
def saved(bundle: Bundle, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sample bundle, in which somebody also bought a thing with a nasty title."""
    items = {**bundle.items, "nasty": Item("nasty", NASTY)}
    first = next(iter(bundle.users.values()))
    frozen = FrozenTask(
        history=("nasty", *first.validation.history),
        candidates=("nasty", *first.validation.candidates),
        target=first.validation.target,
    )
    users = {**bundle.users, "\x1b[31mmallory": BundleUser("\x1b[31mmallory", frozen, frozen)}
    users["eve"] = BundleUser("eve", frozen, frozen)
    folder = tmp_path_factory.mktemp("chat") / "bundle"
    Bundle("toys", bundle.made_by, items, users).save(folder)
    return folder


class Terminal:
    """A person at `lrgd chat`."""

    def __init__(self, bundle: Path, run: Path, server: LoopbackModel, *options: str) -> None:
        endpoint = ["--base-url", server.url, "--model", "m", "--ranking", "decision"]
        arguments = ["chat", str(bundle), "--run", str(run), *endpoint, *options]
        # No terminal answers here where its cursor is.
        here = {**os.environ, "TERM": "xterm-256color", "PROMPT_TOOLKIT_NO_CPR": "1"}
        self.child: pexpect.spawn[str] = pexpect.spawn(
            sys.executable,
            [*LRGD, *arguments],
            env=here,
            encoding="utf-8",
            timeout=60,
            dimensions=(60, 150),
        )
        self.raw = ""
        self.wait("/help lists the commands")

    def wait(self, text: str) -> str:
        """All that was shown up to this text."""
        self.child.expect_exact(text)
        self.raw += self.child.before + text  # type: ignore[operator]
        return ESCAPES.sub("", str(self.child.before)) + text

    def type(self, text: str) -> None:
        self.child.send(text)

    def line(self, text: str, until: str) -> str:
        """Type a line, and read up to what it should show."""
        self.type(f"{text}\r")
        return self.wait(until)

    def leave(self) -> None:
        self.type("\x04")
        self.wait("Left. The session is kept")
        self.child.expect(pexpect.EOF)
        self.child.close()
        assert self.child.exitstatus == 0


def test_a_session_in_a_terminal(saved: Path, tmp_path: Path, server: LoopbackModel) -> None:
    seat = Terminal(saved, tmp_path / "run", server, "--user", "eve")
    shown = seat.wait("Next: begin.")
    assert "User eve" in shown
    assert "hidden (/reveal shows it)" in shown
    seat.line("/pertub from 1", "no command /pertub; near it: /perturb")
    seat.line("/step", "memory knows nothing of this user yet")
    seat.line("/step", "generator of path 0")
    seat.wait("likes ")
    seat.line("/round", "path 2: its first demonstration")
    seat.line("wants kites and boats", "Changed: your demonstration")
    seat.wait("the largest moves")
    seat.line("/keep", "written by a person")
    seat.line("/reveal", "The true next item of the validation task:")
    seat.line("/history", "=>")
    seat.line("/fork 3", "Next: recommender of path 0.")
    seat.leave()
    again = Terminal(saved, tmp_path / "run", server, "--user", "eve")
    again.wait("Next: recommender of path 0.")
    # The up arrow brings back the line before, of the session before, once that is read.
    for _ in range(20):
        again.type("\x1b[A")
        if again.child.expect_exact(["/fork 3", pexpect.TIMEOUT], timeout=2) == 0:
            break
    else:
        pytest.fail("no line of the session before")
    again.type("\x15")
    again.leave()


def test_the_tab_key_completes(saved: Path, tmp_path: Path, server: LoopbackModel) -> None:
    seat = Terminal(saved, tmp_path / "run", server)
    seat.type("/pert\t")
    seat.wait("urb")
    seat.type(" from 1\r")
    seat.wait("no user chosen yet")
    seat.leave()


@pytest.mark.parametrize(
    ("typed", "found"),
    [
        ("/pert", ["/perturb"]),
        ("/user an", ["ann"]),
        ("/user kite", ["ben"]),
        ("/why TRA", ["c2"]),
        ("/why c0 over bo", ["c1"]),
        ("/mode li", ["listwise"]),
        ("/order ", ["instruction-first", "demonstration-first"]),
        ("plain text", []),
        ("/step ", []),
    ],
)
def test_completions(typed: str, found: list[str]) -> None:
    completer = ChatCompleter([UserRow("ann", 1, ("a lamp",)), UserRow("ben", 1, ("Red KITE",))])
    completer.items = task().candidates
    given = list(completer.get_completions(Document(typed), CompleteEvent()))
    assert [completion.text for completion in given] == found


def test_titles_and_ids_show_as_text(saved: Path, tmp_path: Path, server: LoopbackModel) -> None:
    seat = Terminal(saved, tmp_path / "run", server)
    shown = seat.line("/users kite", "mallory")
    shown += seat.line("/user eve", "Next: begin.")
    shown += seat.line("\x16\x1b[2Jwants kites", "largest moves")
    shown += seat.line("/why nasty", "carries: log p(item)")
    shown += seat.line("/prompt", "characters in all")
    assert "[bold]<b>**x**</b>" in shown
    assert "␛[2J" in shown
    assert "<U+202E>{{7*7}}" in shown
    assert "]0;owned" in shown
    for control in ("\x1b[2J", "\x1b]0;owned", "\u202e", "\x9b"):
        assert control not in seat.raw, control
    seat.leave()


def test_ctrl_c_stops_a_step_and_keeps_the_session(saved: Path, tmp_path: Path) -> None:
    with LoopbackModel() as server:
        seat = Terminal(saved, tmp_path / "run", server, "--user", "eve")
        seat.line("/step", "memory knows")
        server.hold.clear()
        seat.line("/run", "generator of path 0")
        seat.type("\x03")
        seat.wait("stopped; the steps that were done are kept")
        server.hold.set()
        seat.line("/step", "likes ")
        seat.leave()


def test_lines_may_come_from_a_pipe(saved: Path, tmp_path: Path, server: LoopbackModel) -> None:
    endpoint = ["--base-url", server.url, "--model", "m"]
    arguments = ["chat", str(saved), "--run", str(tmp_path / "run"), *endpoint]
    found = subprocess.run(
        [sys.executable, *LRGD, *arguments],
        input="/step\n/user eve\nwants kites\n/case " + str(tmp_path / "case.json") + "\n",
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert found.returncode == 0, found.stderr
    assert "no user chosen yet" in found.stdout
    assert "Changed: your demonstration" in found.stdout
    assert json.loads((tmp_path / "case.json").read_text())["demonstration"] == "wants kites"


def test_a_run_is_opened_at_its_worst_user(
    saved: Path, tmp_path: Path, server: LoopbackModel, bundle: Bundle
) -> None:
    asyncio.run(made_run(saved, tmp_path / "run", server.url, 2))
    arguments = ["chat", saved, "--run", tmp_path / "run", "--base-url", server.url, "--model", "m"]
    user, asked = next(iter(bundle.users)), len(server.requests)
    found = subprocess.run(
        [sys.executable, *LRGD, *map(str, arguments)],
        input=f"/worst rank\n/user {user}\n/paths\n/history\n/fork path 1 round 1\n/task\n",
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (found.returncode, found.stderr) == (0, "")
    assert "Worst first, by: rank." in found.stdout
    assert f"User {user}, validation task" in found.stdout
    assert "own steps (rounds: 2; ended: " in found.stdout
    assert "<= chosen" in found.stdout
    assert "recommender of path 1  (the run)" in found.stdout
    assert "Next: collapse_guard." in found.stdout
    assert "wanted /task validation|test" in found.stdout
    assert len(server.requests) == asked, "looking asks no model"


def test_what_went_wrong_fits_a_terminal_of_80_columns() -> None:
    row = TroubleRow("shopper-275", 2, 10, 8, NoteChange(-0.24, 2, 2), 1, 0)
    console = Console(width=80, record=True, file=StringIO())
    console.print(render(TroubleView("lost", (row,), 0, 1, 1, 1)))
    line = console.export_text().splitlines()[1]
    assert line.split() == [
        "shopper-275",
        "8",
        "->",
        "10",
        "+0.03",
        "2",
        "-0.24",
        "(p2",
        "r2)",
        "1",
        "0",
    ]


def test_no_model_is_started_before_it_is_asked(saved: Path, tmp_path: Path) -> None:
    """With the embedded model, of which starting takes many seconds."""
    started, looking = tmp_path / "started.txt", ("/help", "/users", "/user eve", "/show", "/quit")
    found = subprocess.run(
        [sys.executable, "-c", WATCHED, started, "chat", saved, "--run", tmp_path / "run"],
        input="".join(f"{line}\n" for line in looking),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert found.returncode == 0, found.stderr
    assert "Next: begin." in found.stdout
    assert "mode: rerank" in found.stdout
    python = [line for line in started.read_text().splitlines() if sys.executable in line]
    assert python == [f"{sys.executable} -c 1"]


def test_a_user_that_is_not_there_is_one_line_before_anything_starts(
    saved: Path, tmp_path: Path
) -> None:
    command = ["chat", str(saved), "--run", str(tmp_path / "run"), "--user", "nope"]
    found = subprocess.run(
        [sys.executable, *LRGD, *command], capture_output=True, text=True, timeout=60
    )
    assert (found.returncode, found.stdout) == (2, "")
    assert "no user 'nope'" in found.stderr
    assert found.stderr.count("\n") == 1
    assert not (tmp_path / "run").exists()


def test_an_endpoint_that_goes_is_one_line_and_the_step_can_be_tried_again(
    saved: Path, tmp_path: Path
) -> None:
    with LoopbackModel() as server:
        seat = Terminal(saved, tmp_path / "run", server, "--user", "eve")
        seat.wait("Next: begin.")
        seat.line("/step", "memory knows")
        respond = server.respond
        server.respond = lambda path, body: (503, {"error": {"message": "gone"}}, {})
        shown = seat.line("/step", "HTTP 503")
        assert "Traceback" not in shown
        server.respond = respond
        seat.line("/step", "likes ")
        seat.leave()
