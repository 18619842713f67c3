"""A bundle whose titles no old encoding has, a model server, and a scored run over them."""

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from shutil import copytree

import pytest

from lrgd.evals.data.preparation import read_data
from lrgd.evals.data.protocol import freeze
from lrgd.evals.runs.folder import RunFolder, UserRecord
from tests.loopback import LoopbackModel

LRGD = (sys.executable, "-c", "from lrgd.cli.main import main; main()")
USERS = ("u1", "u2", "u3")


@dataclass(frozen=True)
class Shop:
    """Three users of a shop for things with a heart, and the server that is asked about them."""

    folder: Path
    server: LoopbackModel

    @property
    def bundle(self) -> Path:
        return self.folder / "bundle"

    @property
    def run(self) -> Path:
        """Optimised and scored."""
        return self.folder / "run"

    @property
    def model(self) -> tuple[str, ...]:
        return "--base-url", self.server.url, "--model", "m"

    def command(self, name: str, run: Path, *more: object) -> list[str]:
        """`optimize` begins or goes on; `evaluate` and `recommend` read what it made."""
        words: dict[str, tuple[object, ...]] = {
            "optimize": (self.bundle, "--users", 3, "--rounds", 1, "--paths", 1),
            "evaluate": ("--json",),
            "recommend": (self.bundle, "--user", USERS[0]),
        }
        given = map(str, (name, *words[name], "--run", run, *self.model, *more))
        return [*LRGD, *given]

    def copy(self, to: Path) -> Path:
        """The scored run, to be done anything to."""
        return Path(copytree(self.run, to / "run"))


def run(command: list[str], **options: object) -> "subprocess.CompletedProcess[str]":
    """What a command says and how it ends."""
    return subprocess.run(command, capture_output=True, text=True, timeout=120, **options)  # type: ignore[call-overload, no-any-return]


def records(folder: Path) -> list[UserRecord]:
    """What a run found, in the users' order: they are done in any."""
    return sorted(RunFolder(folder).records.read(), key=lambda record: record.user_id)


@pytest.fixture(scope="session")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    folder = tmp_path_factory.mktemp("shop")
    _write_files(folder)
    dataset, origin = read_data("recbole", folder, k_core=1, min_rating=None)
    freeze(dataset, users=3, candidates=4, history=20, seed=1, origin=origin).save(
        folder / "bundle"
    )
    with LoopbackModel() as server:
        made = Shop(folder, server)
        for name in ("optimize", "evaluate"):
            done = run(made.command(name, made.run))
            assert done.returncode == 0, done.stderr
        yield made


def _write_files(folder: Path) -> None:
    bought = [
        f"{user}\t{item}\t{n}"
        for user in USERS
        for n, item in enumerate((f"h{user}", f"k{user}", "a", "b"), start=1)
    ]
    head = "user_id:token\titem_id:token\ttimestamp:float"
    (folder / "g.inter").write_text("\n".join([head, *bought]) + "\n")
    night = [f"{kind}{user}\tNight \N{VIDEO GAME} {kind}{user}" for user in USERS for kind in "hk"]
    items = ["item_id:token\ttitle:token_seq", "a\tAlpha \N{HEAVY BLACK HEART}", "b\tBeta", *night]
    (folder / "g.item").write_text("\n".join(items) + "\n", "utf-8")
