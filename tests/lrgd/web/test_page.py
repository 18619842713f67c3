"""The page in a real browser, from choosing a user to an export; `make test-browser`.

Chromium is /usr/bin/chromium, or what CHROMIUM names. Every request that a page makes, and every
address that the server's process asks for, is recorded: none may leave this machine.
"""

import asyncio
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from lrgd.evals.data.bundle import Bundle
from tests.loopback import Answer, LoopbackModel, sensible
from tests.lrgd.debug.made_run import made_run

pytestmark = pytest.mark.browser
sync_api = pytest.importorskip("playwright.sync_api")

# `lrgd`, with every address that is connected to or looked up written to a file.
LRGD = """
import sys
log = open(sys.argv.pop(1), "a", buffering=1)
def heard(event, args):
    if event == "socket.getaddrinfo":
        print(args[0], file=log)
    if event == "socket.connect" and isinstance(args[1], tuple):
        print(args[1][0], file=log)
sys.addaudithook(heard)
from lrgd.cli.main import main
main()
"""
LOCAL = {"127.0.0.1", "::1", "localhost"}
EVIL = "<img src=http://evil.example/a.png onerror=alert(1)> ${alert(2)} {{value}} \x1b[31mred"


@dataclass
class Server:
    """`lrgd web` in a process of its own."""

    url: str
    asked: Path
    """Addresses that the process asked for, one a line."""
    model: LoopbackModel


@pytest.fixture(scope="module")
def saved(bundle: Bundle, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sample bundle; a title in every history and candidate set is full of markup."""
    folder = tmp_path_factory.mktemp("page") / "bundle"
    tasks = [user.validation for user in bundle.users.values()]
    spoilt = {item for task in tasks for item in (task.history[-1], task.candidates[0])}
    items = {k: replace(i, title=EVIL) if k in spoilt else i for k, i in bundle.items.items()}
    replace(bundle, items=items).save(folder)
    return folder


@pytest.fixture(scope="module")
def server(saved: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One for all tests, each with a user of its own: it takes long to start."""
    folder = tmp_path_factory.mktemp("server")
    with LoopbackModel() as model:
        yield from served(saved, folder / "run", folder / "asked.txt", model)


@pytest.fixture
def run_server(saved: Path, tmp_path: Path) -> Iterator[Server]:
    """One over a finished run of three users."""
    with LoopbackModel() as model:
        # In a thread: Playwright's own event loop runs in this one.
        with ThreadPoolExecutor() as pool:
            making = made_run(saved, tmp_path / "run", model.url, 3)
            pool.submit(asyncio.run, making).result()
        yield from served(saved, tmp_path / "run", tmp_path / "asked.txt", model)


def served(bundle: Path, run: Path, asked: Path, model: LoopbackModel) -> Iterator[Server]:
    """`lrgd web` over a run's folder, until it is told to end."""
    options = ["--run", run, "--port", 0, "--base-url", model.url, "--model", "m"]
    command = [sys.executable, "-c", LRGD, asked, "web", bundle, *options]
    process = subprocess.Popen(list(map(str, command)), stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    url = process.stdout.readline().removeprefix("Page: ").strip()
    assert url, "it ended at once"
    yield Server(url, asked, model)
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=60) == 0, "Ctrl-C is how a page is closed"


class Visitor:
    """Somebody at a keyboard, without a mouse."""

    def __init__(self, browser: "sync_api.Browser", url: str, width: int = 1280) -> None:
        self.context = browser.new_context(viewport={"width": width, "height": 800})
        self.hosts: set[str | None] = set()
        self.alarms: list[str] = []
        self.page = self.context.new_page()
        self.context.on("request", lambda request: self._note(request.url))
        self.page.on("dialog", lambda dialog: (self.alarms.append(dialog.message), dialog.accept()))
        self.log = self.page.locator("#log")
        self.case = self.page.locator("#case")
        self.goes(url)

    def goes(self, url: str) -> None:
        self.page.goto(url)
        self.sees(self.case, "round" if "user=" in url else "No user chosen yet")

    def _note(self, url: str) -> None:
        if urlsplit(url).scheme not in ("data", "blob"):
            self.hosts.add(urlsplit(url).hostname)

    def types(self, line: str) -> None:
        """Type a line where the focus is when the page opens: in the box."""
        sync_api.expect(self.page.locator("#box textarea")).to_have_value("")
        self.page.keyboard.type(line)
        self.page.keyboard.press("Enter")

    def sees(self, where: "sync_api.Locator", text: str | re.Pattern[str]) -> None:
        sync_api.expect(where).to_contain_text(text, timeout=60_000)

    def tabs_to(self, selector: str) -> None:
        for _ in range(40):
            if self.page.evaluate("s => document.activeElement.matches(s)", selector):
                return
            self.page.keyboard.press("Tab")
        raise AssertionError(f"Tab never reaches {selector}")


@pytest.fixture(scope="module")
def users(bundle: Bundle) -> Iterator[str]:
    return iter(bundle.users)


@pytest.fixture
def user(users: Iterator[str]) -> str:
    return next(users)


def assert_quiet(visitor: Visitor, server: Server) -> None:
    """Neither the page nor its server asked another machine, and no title ran as a script."""
    assert visitor.hosts == {"127.0.0.1"}
    assert visitor.alarms == []
    asked = set(server.asked.read_text().split())
    assert asked, "the model's server at least was asked"
    assert asked <= LOCAL


def test_one_story_from_choosing_a_user_to_an_export(
    server: Server, chromium: "sync_api.Browser", user: str
) -> None:
    visitor = Visitor(chromium, server.url)
    visitor.types(f"/users {user[-2:]}")
    visitor.sees(visitor.log, user)
    visitor.types(f"/user {user}")
    visitor.sees(visitor.case, "round 0 of 4, next: begin")
    visitor.types("/step")
    visitor.sees(visitor.case.locator("[aria-current=step]"), "generator 0")
    visitor.types("/round")
    visitor.sees(visitor.case, "round 1 of 4")
    assert visitor.case.get_by_alt_text("Effect_D by round").count() == 1
    visitor.types("kites and boats")
    visitor.sees(visitor.case, "Ranking, validation task: yours")
    visitor.types("/keep")
    visitor.sees(visitor.log, "memory")
    visitor.types("/revel")
    visitor.sees(visitor.log.get_by_role("alert").last, "/reveal")
    visitor.types("/reveal")
    visitor.sees(visitor.case, "bought next")
    visitor.types("/export")
    visitor.sees(visitor.log, "transcript.md")
    visitor.tabs_to("a[download='transcript.md']")
    with visitor.page.expect_download() as started:
        visitor.page.keyboard.press("Enter")
    assert "kites and boats" in started.value.path().read_text("utf-8")
    assert_quiet(visitor, server)


def test_a_title_full_of_markup_shows_as_text(
    server: Server, chromium: "sync_api.Browser", user: str
) -> None:
    visitor = Visitor(chromium, server.url)
    visitor.types(f"/user {user}")
    visitor.sees(visitor.case, EVIL.replace("\x1b", "\u241b"))
    visitor.types(EVIL.replace("\x1b", ""))
    visitor.sees(visitor.case, "Ranking, validation task: yours")
    visitor.sees(visitor.log, "${alert(2)} {{value}}")
    assert visitor.page.locator("#log img, #case img[onerror], #face script").count() == 0
    assert_quiet(visitor, server)


def test_buttons_are_reached_with_the_keyboard_and_do_what_they_say(
    server: Server, chromium: "sync_api.Browser", user: str
) -> None:
    visitor = Visitor(chromium, f"{server.url}?user={user}")
    visitor.tabs_to("#keys button:first-child")
    visitor.page.keyboard.press("Enter")
    visitor.sees(visitor.case, "next: generator of path 0")


def test_two_pages_on_one_thread_see_each_others_steps(
    server: Server, chromium: "sync_api.Browser", user: str
) -> None:
    here, there = (Visitor(chromium, f"{server.url}?user={user}") for _ in range(2))
    here.types("/step")
    here.sees(here.case, "next: generator of path 0")
    there.sees(there.case, "next: generator of path 0")
    there.sees(there.log, "done elsewhere")
    there.types("/step")
    here.sees(here.case, "next: recommender of path 0")


def test_an_endpoint_that_fails_in_mid_step_is_one_line_and_the_step_can_be_tried_again(
    server: Server, chromium: "sync_api.Browser", user: str
) -> None:
    def broken(path: str, body: object) -> Answer:
        return 400, {"error": {"message": "out of order"}}, {}

    visitor = Visitor(chromium, f"{server.url}?user={user}")
    visitor.types("/step")
    visitor.sees(visitor.case, "next: generator of path 0")
    server.model.respond = broken
    visitor.types("/step")
    visitor.sees(visitor.log.get_by_role("alert"), "out of order")
    visitor.sees(visitor.case, "next: generator of path 0")
    server.model.respond = sensible
    visitor.types("/step")
    visitor.sees(visitor.case, "next: recommender of path 0")


def test_on_a_phone_nothing_is_wider_than_the_screen(
    server: Server, chromium: "sync_api.Browser", user: str
) -> None:
    visitor = Visitor(chromium, f"{server.url}?user={user}", width=390)
    visitor.types("/round")
    visitor.sees(visitor.case, "round 1 of 4")
    too_wide = "() => document.documentElement.scrollWidth - document.documentElement.clientWidth"
    assert visitor.page.evaluate(too_wide) == 0
    log, case = visitor.log.bounding_box(), visitor.case.bounding_box()
    assert log
    assert case
    assert case["y"] >= log["y"] + log["height"], "the case stands below the chat"


def test_a_run_is_opened_at_a_user_and_goes_on(
    run_server: Server, chromium: "sync_api.Browser", bundle: Bundle, tmp_path: Path
) -> None:
    visitor = Visitor(chromium, run_server.url)
    shots = Path(os.environ.get("LRGD_SHOTS", tmp_path))
    user = list(bundle.users)[1]
    visitor.sees(visitor.log, "Worst first, by: lost")
    visitor.page.screenshot(path=shots / "users.png")
    visitor.tabs_to(f"a[href='?user={user}']")
    visitor.page.keyboard.press("Enter")
    visitor.sees(visitor.case, "Begun from the run's own steps (rounds: 2; ended: rounds)")
    visitor.sees(visitor.case, "validation task")
    visitor.page.screenshot(path=shots / "opened.png")
    visitor.tabs_to("#box textarea")
    visitor.types("/paths")
    visitor.sees(visitor.log, "<= chosen")
    visitor.page.screenshot(path=shots / "paths.png")
    visitor.types("/task test")
    visitor.sees(visitor.case, "Ranking, test task")
    visitor.page.screenshot(path=shots / "test.png")
    visitor.types("/step")
    visitor.sees(visitor.log.get_by_role("alert"), "/task validation goes back")
    visitor.types("/fork path 0 round 1")
    visitor.sees(visitor.case, "round 0 of 2, next: generator of path 1")
    visitor.types("/step")
    visitor.sees(visitor.case, "next: recommender of path 1")
    visitor.page.screenshot(path=shots / "forked.png")
    assert_quiet(visitor, run_server)
