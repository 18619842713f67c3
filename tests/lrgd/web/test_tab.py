"""What a page shows, without a browser: chat, case, news, errors."""

from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from typing import Any

import pytest
import pytest_asyncio
from starlette.testclient import TestClient

from lrgd.agents.guard import Judgement
from lrgd.debug.desk import Desk, open_desk
from lrgd.debug.views import CaseView
from lrgd.evals.data.bundle import Bundle
from lrgd.web.case import NODES, case_html, similarity_by_round
from lrgd.web.page import page
from lrgd.web.tab import Panels, Tab
from lrgd.workbench import ModelChoice
from tests.loopback import Answer, LoopbackModel, sensible

EVIL = "<img src=x onerror=alert(1)> ${2} \x1b[31m"
SHOWN = "&lt;img src=x onerror=alert(1)&gt; &#36;&#123;2&#125; \u241b[31m"


# One desk for all tests, in one loop: it takes long to open. Each test takes a user of its own.
pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def desk(
    bundle: Bundle, tmp_path_factory: pytest.TempPathFactory, server: LoopbackModel
) -> AsyncIterator[Desk]:
    folder = tmp_path_factory.mktemp("tab")
    spoilt = {user.validation.history[0] for user in bundle.users.values()}
    items = {k: replace(i, title=EVIL) if k in spoilt else i for k, i in bundle.items.items()}
    replace(bundle, items=items).save(folder / "bundle")
    choice = ModelChoice(server.url, "m", ranking="decision")
    async with open_desk(folder / "bundle", folder / "run", choice) as found:
        yield found


@pytest.fixture(scope="module")
def users(bundle: Bundle) -> Iterator[str]:
    return iter(bundle.users)


@pytest.fixture
def user(users: Iterator[str]) -> str:
    return next(users)


async def sent(tab: Tab, line: str) -> list[Panels]:
    return [shown async for shown in tab.send(line)]


async def test_without_a_user_the_page_lists_them(desk: Desk, user: str) -> None:
    tab = Tab(desk)
    shown = await tab.open(None)
    assert user in shown.log
    assert "No user chosen yet" in shown.case
    refused = (await sent(tab, "/step"))[-1]
    assert 'role="alert"' in refused.log
    assert await tab.news() is None


async def test_a_round_is_told_as_it_goes_and_shown_at_its_end(desk: Desk, user: str) -> None:
    tab = Tab(desk)
    first = await tab.open(user)
    assert 'aria-current="step"' in first.case
    assert "Not ranked yet" in first.case
    *under_way, last = await sent(tab, "/round")
    told = "".join(shown.live for shown in under_way)
    assert "generator of path 2: likes" in told
    assert "collapse_guard: done" in told
    assert last.live == ""
    assert "round 1 of 4, next: generator of path 0" in " ".join(last.case.split())
    assert 'alt="Effect_D by round. path 0: ' in last.case
    later = (await sent(tab, "/round"))[-1]
    assert 'alt="Cosine to the demonstration before, by round. path 0: none, ' in later.case


async def test_a_title_and_a_line_full_of_markup_show_as_text(desk: Desk, user: str) -> None:
    tab = Tab(desk)
    assert SHOWN in (await tab.open(user)).case
    shown = (await sent(tab, EVIL))[-1]
    assert SHOWN in shown.log
    assert "<img" not in shown.log


async def test_the_target_is_marked_only_once_it_is_revealed(desk: Desk, user: str) -> None:
    tab = Tab(desk)
    await tab.open(user)
    hidden = (await sent(tab, "boats"))[-1]
    assert "hidden; /reveal shows it" in hidden.case
    assert "bought next" not in hidden.case
    revealed = (await sent(tab, "/reveal"))[-1]
    assert "bought next" in revealed.case


def only_writing(path: str, body: dict[str, Any]) -> Answer:
    """It writes demonstrations, and fails to rank."""
    if path.endswith("/chat/completions"):
        return sensible(path, body)
    return 400, {"error": {"message": "out of order"}}, {}


async def test_an_endpoint_that_fails_is_one_line_and_the_step_can_be_tried_again(
    desk: Desk, user: str, server: LoopbackModel
) -> None:
    tab = Tab(desk)
    await tab.open(user)
    await sent(tab, "/step")
    server.respond = only_writing
    failed = (await sent(tab, "/round"))[-1]
    assert failed.log.count('role="alert"') == 1
    assert "out of order" in failed.log
    # The node before it was done, is saved, and was shown.
    assert "generator of path 0" in failed.log
    assert "next: recommender of path 0" in " ".join(failed.case.split())
    server.respond = sensible
    again = (await sent(tab, "/step"))[-1]
    assert "next: evaluator of path 0" in " ".join(again.case.split())


async def test_a_second_page_hears_of_the_firsts_steps(desk: Desk, user: str) -> None:
    here, there = Tab(desk), Tab(desk)
    await here.open(user)
    await there.open(user)
    assert await there.news() is None
    await sent(here, "kites")
    refused = (await sent(there, "boats"))[-1]
    assert "went on elsewhere" in refused.log
    assert "kites (done elsewhere)" in refused.log
    assert "yours" in (await sent(there, "boats"))[-1].case
    news = await here.news()
    assert news is not None
    assert "boats (done elsewhere)" in news.log


async def test_a_session_that_was_left_is_shown_again(desk: Desk, user: str) -> None:
    tab = Tab(desk)
    await tab.open(user)
    await sent(tab, "kites")
    assert "&gt; kites" not in (await tab.open(user)).log
    assert '<p class="said">kites</p>' in (await Tab(desk).open(user)).log


async def test_a_page_closed_in_mid_step_leaves_the_session_usable(desk: Desk, user: str) -> None:
    tab = Tab(desk)
    await tab.open(user)
    going = tab.send("/run")
    await anext(going)
    await going.aclose()
    shown = await Tab(desk).open(user)
    assert 'aria-current="step"' in shown.case
    await sent(tab, "/step")
    again = (await sent(tab, "/step"))[-1]
    # What was being saved when the page was closed may be saved after all: refused once, then.
    assert again.log.count("alert") <= 1
    assert again.case != shown.case


async def test_an_export_can_be_downloaded_and_goes_nowhere_else(desk: Desk, user: str) -> None:
    tab = Tab(desk)
    await tab.open(user)
    await sent(tab, "kites")
    exported = (await sent(tab, "/export"))[-1]
    assert exported.log.count("<a download=") == 2
    refused = (await sent(tab, f"/export {desk.folder.folder.parent / 'elsewhere'}"))[-1]
    assert "the page writes into the run&#x27;s folder only" in refused.log
    assert not (desk.folder.folder.parent / "elsewhere").exists()


async def test_quit_and_help_are_answered(desk: Desk) -> None:
    tab = Tab(desk)
    assert "Close this page" in (await sent(tab, "/quit"))[-1].log
    assert "/perturb" in (await sent(tab, "/help"))[-1].log


async def test_the_strip_names_the_nodes_that_a_session_has(desk: Desk, user: str) -> None:
    """Every node that comes next in a whole run is one of the strip's."""
    session = await desk.sit(user)
    seen = {(await session.case()).next_node}
    async for _ in session.stream("run"):
        seen.add((await session.case()).next_node)
    assert seen - {""} == set(NODES)


async def test_similarities_stand_by_path_and_round() -> None:
    found = [Judgement(1, 1, None, None, False), Judgement(1, 3, 0.5, 0.0, False)]
    assert similarity_by_round(found, 4) == {1: [None, None, 0.5, None]}


async def test_a_case_at_its_end_has_no_node_lit() -> None:
    case = CaseView("u", "", (), (), None, 4, 4, (), None, (), "", "", None, ())
    html = case_html(case, {}, 0.85)
    assert "aria-current" not in html
    assert "done" in html


async def test_the_page_is_served_with_its_own_style(desk: Desk) -> None:
    with TestClient(page(lambda: Tab(desk), None)) as browser:
        answer = browser.get("/")
    assert answer.status_code == 200
    assert "#log, #case {" in answer.text
