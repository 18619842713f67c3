"""A desk over a bundle and a server on loopback: users, export, cases, the same words streamed."""

import asyncio
import os
import re
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from lrgd.core.errors import EndpointUnavailable, InputError
from lrgd.debug import ModelText, NodeDone
from lrgd.debug.desk import Desk, UsersView, open_desk
from lrgd.debug.regression import RegressionCase
from lrgd.debug.seat import HelpView, QuitView, SavedView, Seat, file_name
from lrgd.evals.data.bundle import Bundle
from lrgd.workbench import ModelChoice
from tests.loopback import LoopbackModel
from tests.lrgd.debug.made_run import made_run


@pytest.fixture(scope="module")
def saved(bundle: Bundle, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("desk") / "bundle"
    bundle.save(folder)
    return folder


@pytest.fixture
async def desk(saved: Path, tmp_path: Path) -> AsyncIterator[Desk]:
    with LoopbackModel() as server:
        choice = ModelChoice(server.url, "m", ranking="decision")
        async with open_desk(saved, tmp_path / "run", choice) as found:
            yield found


@pytest.fixture
async def seat(desk: Desk, bundle: Bundle) -> Seat:
    seat = Seat(desk)
    await seat.dispatch(f"/user {next(iter(bundle.users))}")
    return seat


async def test_users_are_found_by_id_and_by_what_they_bought(desk: Desk, bundle: Bundle) -> None:
    everybody = desk.users()
    assert (len(everybody.users), everybody.more) == (12, 0)
    one = bundle.user(everybody.users[0].user_id)
    title = bundle.items[one.validation.history[0]].title
    found = desk.users(title.upper())
    assert one.user_id in [row.user_id for row in found.users]
    assert title in next(r for r in found.users if r.user_id == one.user_id).titles
    assert desk.users(one.user_id).users[0].user_id == one.user_id
    assert desk.users("no such thing") == UsersView((), 0)


async def test_without_a_user_there_is_no_session(desk: Desk) -> None:
    seat = Seat(desk)
    with pytest.raises(InputError, match="no user chosen yet"):
        await seat.dispatch("/step")
    with pytest.raises(InputError, match="no user 'nobody'"):
        await seat.dispatch("/user nobody")
    assert isinstance(await seat.dispatch("/help"), HelpView)
    assert isinstance(await seat.dispatch("/quit"), QuitView)


async def test_the_model_is_asked_only_by_commands_that_need_it(
    saved: Path, tmp_path: Path
) -> None:
    with LoopbackModel() as server:
        choice = ModelChoice(server.url, "m", ranking="decision")
        async with open_desk(saved, tmp_path / "run", choice) as desk:
            seat = Seat(desk)
            looking = (f"/user {desk.users().users[0].user_id}", "/show", "/reveal", "/history")
            for line in (*looking, "/fork 1", f"/export {tmp_path}/out"):
                await seat.dispatch(line)
            await desk.remember()
            assert server.requests == []
            assert not (tmp_path / "run" / "memory").exists()
            await seat.dispatch("wants kites")
            asked = len(server.requests)
            assert asked > 0
            await seat.dispatch("/history")
            assert len(server.requests) == asked


async def test_a_start_that_was_stopped_can_be_made_again(saved: Path, tmp_path: Path) -> None:
    """Ctrl-C while the model starts."""
    with LoopbackModel() as server:
        choice = ModelChoice(server.url, "m", ranking="decision")
        async with open_desk(saved, tmp_path / "run", choice) as desk:
            seat = Seat(desk)
            await seat.dispatch(f"/user {desk.users().users[0].user_id}")
            server.hold.clear()
            starting = asyncio.create_task(seat.dispatch("wants kites"))
            await asyncio.to_thread(wait_for_a_request, server)
            starting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await starting
            server.hold.set()
            assert (await seat.dispatch("wants kites")).after.text == "wants kites"


def wait_for_a_request(server: LoopbackModel) -> None:
    while not server.requests:
        time.sleep(0.01)


async def test_the_ranking_mode_of_a_new_session_is_the_servers_to_say(
    saved: Path, tmp_path: Path
) -> None:
    with LoopbackModel() as server:
        choice = ModelChoice(server.url, "m")
        async with open_desk(saved, tmp_path / "run", choice) as desk:
            session = await desk.sit(desk.users().users[0].user_id)
            mode = dict((await session.case()).settings)["mode"]
            assert mode == (await session.source.open()).mode


async def test_model_text_streams_in_pieces_that_make_the_demonstration(seat: Seat) -> None:
    told: list[object] = []
    await seat.dispatch("/step", told.append)
    await seat.dispatch("/step", told.append)
    pieces = [event.text for event in told if isinstance(event, ModelText)]
    last = [event for event in told if isinstance(event, NodeDone)][-1]
    assert len(pieces) > 2
    assert "".join(pieces) == last.step.text


async def test_a_server_that_breaks_off_in_mid_sentence_is_one_line(
    saved: Path, tmp_path: Path
) -> None:
    with LoopbackModel() as server:
        choice = ModelChoice(server.url, "m", ranking="decision")
        async with open_desk(saved, tmp_path / "run", choice) as desk:
            seat = Seat(desk)
            await seat.dispatch(f"/user {desk.users().users[0].user_id}")
            await seat.dispatch("/step")
            server.break_off = True
            with pytest.raises(EndpointUnavailable) as gone:
                await seat.dispatch("/step")
            assert "\n" not in str(gone.value)
            server.break_off = False
            assert (await seat.dispatch("/step")).steps[0].node == "generator"


async def test_an_exported_script_does_the_session_again(seat: Seat, tmp_path: Path) -> None:
    for line in (
        "/round",
        "wants kites",
        "/keep",
        "/order demonstration-first",
        "/shuffle 2",
        "/perturb from 0",
        '/regularise "Say \'why\' and \\"how\\"."',
        "/step",
        "/fork 5",
        "/step",
    ):
        await seat.dispatch(line)
    files = (await seat.dispatch(f"/export {tmp_path}/out")).files
    assert [path.name for path in files] == ["transcript.md", "session.py"]
    again = await asyncio.to_thread(run_script, files[1])
    assert again.returncode == 0, again.stdout + again.stderr
    assert "was" not in again.stdout
    text = files[1].read_text()
    files[1].write_text(text.replace("0.", "0.9", 1))
    differs = await asyncio.to_thread(run_script, files[1])
    assert differs.returncode == 1, differs.stdout + differs.stderr
    assert re.search(r"Effect_D 0\.\d+, was 0\.9\d+", differs.stdout)


async def test_a_session_over_a_run_with_a_prior_has_it_and_so_has_its_script(
    saved: Path, bundle: Bundle, tmp_path: Path
) -> None:
    with LoopbackModel() as server:
        await made_run(saved, tmp_path / "run", server.url, 2, prior="fused")
        async with open_desk(saved, tmp_path / "run", ModelChoice(server.url, "m")) as desk:
            user = next(iter(bundle.users))
            assert desk.bundle.task(user, "test").prior is not None
            seat = Seat(desk)
            for line in (f"/user {user}", "wants kites"):
                await seat.dispatch(line)
            files = (await seat.dispatch(f"/export {tmp_path}/out")).files
        assert "prior=Path(" in files[1].read_text()
        again = await asyncio.to_thread(run_script, files[1])
        assert again.returncode == 0, again.stdout + again.stderr
        files[1].write_text(re.sub(r", prior=Path\([^)]*\)", "", files[1].read_text()))
        without = await asyncio.to_thread(run_script, files[1])
    assert without.returncode == 1, without.stdout + without.stderr


def run_script(path: Path) -> subprocess.CompletedProcess[str]:
    here = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])}
    return subprocess.run(
        [sys.executable, str(path)], capture_output=True, text=True, timeout=120, env=here
    )


async def test_a_case_is_written_beside_those_that_are_there(seat: Seat) -> None:
    with pytest.raises(InputError, match="nothing was ranked yet"):
        await seat.dispatch("/case")
    found = await seat.dispatch("wants kites")
    for n in (1, 2):
        saved = await seat.dispatch("/case")
        assert isinstance(saved, SavedView)
        assert saved.files[0].stem.endswith(f"-{n}")
    case = RegressionCase.model_validate_json(saved.files[0].read_text())
    assert (case.demonstration, case.rank_at_most) == ("wants kites", found.after.rank)


async def test_a_desk_on_a_runs_folder_takes_its_settings(desk: Desk, saved: Path) -> None:
    assert desk.settings.dataset == desk.bundle.name
    with pytest.raises(InputError, match="no bundle at"):
        async with open_desk(saved / "nowhere", desk.folder.folder):
            pass


@pytest.mark.parametrize("user", ["a/b", "../../etc", "ü" * 90, "x\x1b[2J", ""])
def test_a_users_id_makes_a_harmless_file_name(user: str) -> None:
    name = file_name(user)
    assert name not in ("", ".", "..")
    assert "/" not in name
    assert name.isprintable()
    assert len(name) < 80
