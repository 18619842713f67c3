"""A page over a finished run, without a browser: its users, one of them opened, both tasks."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from lrgd.debug.desk import Desk, open_desk
from lrgd.evals.data.bundle import Bundle
from lrgd.web.tab import Panels, Tab
from lrgd.workbench import ModelChoice
from tests.loopback import LoopbackModel
from tests.lrgd.debug.made_run import made_run

USERS = 3

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def desk(
    bundle: Bundle, tmp_path_factory: pytest.TempPathFactory, server: LoopbackModel
) -> AsyncIterator[Desk]:
    folder = tmp_path_factory.mktemp("run")
    bundle.save(folder / "bundle")
    await made_run(folder / "bundle", folder / "run", server.url, USERS)
    async with open_desk(folder / "bundle", folder / "run", ModelChoice(server.url, "m")) as found:
        yield found


@pytest.fixture
def user(bundle: Bundle) -> str:
    return next(iter(bundle.users))


async def sent(tab: Tab, line: str) -> Panels:
    return [shown async for shown in tab.send(line)][-1]


async def test_the_first_page_lists_the_runs_users_as_links(desk: Desk, bundle: Bundle) -> None:
    shown = (await Tab(desk).open(None)).log
    for user in list(bundle.users)[:USERS]:
        assert f'<a href="?user={user}">{user}</a>' in shown
    assert shown.count("<a ") == USERS
    assert "Worst first, by: lost." in shown
    assert "are not scored" not in shown


async def test_a_user_of_the_run_is_opened_with_what_the_run_did(
    desk: Desk, user: str, server: LoopbackModel
) -> None:
    asked = len(server.requests)
    shown = await Tab(desk).open(user)
    record = next(r for r in desk.folder.records.read() if r.user_id == user)
    for trial in (trial for path in record.paths for trial in path.trials):
        assert trial.demonstration.text in shown.log
    assert "Begun from the run&#x27;s own steps (rounds: 2; ended: rounds)" in shown.case
    assert "<b>validation task</b>" in shown.case
    assert "<td" in shown.case  # the chosen note's ranking
    assert len(server.requests) == asked, "looking asks no model"


async def test_the_test_task_is_looked_at_and_the_loop_goes_on_on_validation(
    desk: Desk, user: str, bundle: Bundle
) -> None:
    tab = Tab(desk)
    await tab.open(user)
    shown = await sent(tab, "/task test")
    assert "<b>test task</b>" in shown.case
    assert "no place can be compared" in shown.log
    refused = await sent(tab, "/step")
    assert "works on the validation task alone" in refused.log
    await sent(tab, "/task validation")
    longer = await sent(tab, "/more 1")
    assert "round 1 of 3, next: collapse_guard" in " ".join(longer.case.split())
    done = await sent(tab, "/round")
    again = await sent(tab, "/round")
    assert "round 2 of 3" in " ".join(done.case.split())
    assert "round 3 of 3" in " ".join(again.case.split())


async def test_rounds_and_history_say_what_is_the_runs(desk: Desk, bundle: Bundle) -> None:
    tab = Tab(desk)
    await tab.open(list(bundle.users)[2])
    rounds = (await sent(tab, "/paths")).log
    assert "&lt;= chosen" in rounds
    assert "first note: nothing to compare" in rounds
    assert "(the run)" in (await sent(tab, "/history")).log


async def test_the_run_itself_is_left_alone(desk: Desk, bundle: Bundle) -> None:
    files = [desk.folder.records.path, desk.folder.scores.path]
    before = [file.read_bytes() for file in files]
    tab = Tab(desk)
    await tab.open(list(bundle.users)[1])
    for line in ("/fork path 0 round 1", "/run", "kites", "/case", "/export"):
        await sent(tab, line)
    assert [file.read_bytes() for file in files] == before
