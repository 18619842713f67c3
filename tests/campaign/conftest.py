"""One nursery, one server, one place for all of the campaign."""

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.campaign.commands import Commands, compiler, nursery
from tests.campaign.faulty_server import FaultyServer
from tests.campaign.jobs import Place
from tests.campaign.ledger import Ledger
from tests.loopback import LoopbackModel


@pytest.fixture(scope="session")
def commands(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Commands]:
    if compiler() is None:
        pytest.skip("needs Linux and a C compiler, for tests/campaign/interposer.c")
    with nursery(tmp_path_factory.mktemp("nursery")) as commands:
        yield commands


@pytest.fixture(scope="session")
def server() -> FaultyServer:
    """Right, unless a test has it fall ill."""
    return FaultyServer()


@pytest.fixture(scope="session")
def ledger(server: FaultyServer) -> Ledger:
    return Ledger(server)


@pytest.fixture(scope="session")
def listening(ledger: Ledger) -> Iterator[LoopbackModel]:
    with LoopbackModel(ledger) as listening:
        yield listening


@pytest.fixture(scope="session")
def place(commands: Commands, ledger: Ledger, listening: LoopbackModel) -> Iterator[Place]:
    """In memory: a disk takes as long again to sync, and a process that is killed does not care."""
    with TemporaryDirectory(dir="/dev/shm") as folder:
        yield Place(Path(folder), commands, ledger, listening.url)
