"""What the machine refuses is one line and exit code 2; what was finished is kept."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.lrgd.cli.conftest import LRGD, Shop, records, run

NO_PRIVILEGE = ("setpriv", "--bounding-set=-dac_override,-dac_read_search")
"""Root may write anywhere; without these capabilities it may as little as others."""


def assert_one_line(done: "subprocess.CompletedProcess[str]", *words: str) -> None:
    """Exit code 2, no traceback, and at the end one line with these words in it."""
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    assert "never retrieved" not in done.stderr
    last = done.stderr.splitlines()[-1]
    assert last.startswith("lrgd: ")
    for word in words:
        assert word in last


@contextmanager
def small_disk(folder: Path, kib: int) -> Iterator[None]:
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={kib}k", "none", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True).returncode != 0:
        pytest.skip("file systems may not be mounted here")
    try:
        yield
    finally:
        subprocess.run(["umount", str(folder)], check=True)


# Where it ends: the lock's note, answers, memory, checkpoints, and once more in the middle.
@pytest.mark.parametrize("kib", [4, 40, 100, 300, 600])
def test_a_full_disk_ends_a_run_that_then_goes_on(shop: Shop, tmp_path: Path, kib: int) -> None:
    disk = tmp_path / "disk"
    with small_disk(disk, kib):
        stopped = run(shop.command("optimize", disk / "run"))
        assert_one_line(stopped, "full", "--resume") if kib > 4 else assert_one_line(
            stopped, "No space left on device: make room"
        )
        subprocess.run(["mount", "-o", "remount,size=50m", str(disk)], check=True)
        more = run(shop.command("optimize", disk / "run", "--resume"))
        assert more.returncode == 0, more.stderr
        assert records(disk / "run") == records(shop.run)


def test_a_folder_that_is_read_only_is_named(shop: Shop, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    with small_disk(disk, 5000):
        folder = shop.copy(disk)
        subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
        for name, more in [("optimize", ("--resume",)), ("evaluate", ())]:
            refused = run(shop.command(name, folder, *more))
            assert_one_line(refused, str(folder), "Read-only file system: name a folder that")
        sample = [*LRGD, "data", "sample", "--out", str(disk / "b")]
        assert_one_line(run(sample), "Read-only file system")
        out = ("--out", str(disk / "x"), "--command", "c", "--commit", "d", *shop.model)
        publish = run([*LRGD, "report", "publish", str(folder), *out])
        assert_one_line(publish, "x.json: Read-only file system")
        compared = run([*LRGD, "report", "compare", str(folder), str(folder)])
        assert compared.returncode == 0, compared.stderr  # to read is allowed


def test_what_may_not_be_written_or_read_is_named(shop: Shop, tmp_path: Path) -> None:
    if os.geteuid() == 0 and subprocess.run([*NO_PRIVILEGE, "true"]).returncode != 0:
        pytest.skip("root may write anywhere")
    as_others = list(NO_PRIVILEGE) if os.geteuid() == 0 else []
    folder = shop.copy(tmp_path)
    (folder / "run.json").chmod(0)
    read = run([*as_others, *shop.command("evaluate", folder)])
    assert_one_line(read, f"{folder / 'run.json'}: Permission denied: see who may read")
    tmp_path.chmod(0o500)
    try:
        written = run([*as_others, *shop.command("optimize", tmp_path / "new")])
        assert_one_line(written, f"{tmp_path / 'new'}: Permission denied: see who may read")
    finally:
        tmp_path.chmod(0o700)


@pytest.mark.parametrize("name", ["answers.sqlite", "checkpoints.sqlite", "memory/chroma.sqlite3"])
def test_a_database_that_is_none_is_named(shop: Shop, tmp_path: Path, name: str) -> None:
    folder = shop.copy(tmp_path)
    (folder / name).write_text("not of SQLite " * 1000)
    (folder / "journal.jsonl").unlink()
    refused = run(shop.command("optimize", folder, "--resume"))
    assert_one_line(refused, str(folder / name.split("/")[0]), "file is not a database")


@pytest.mark.parametrize("encoding", ["cp1252", "ascii", "utf-16"])
def test_titles_are_printed_in_any_encoding(shop: Shop, encoding: str) -> None:
    environment = {**os.environ, "PYTHONIOENCODING": encoding}
    shown = [*LRGD, "data", "show", str(shop.bundle), "--user", "u1"]
    for command in (shown, shop.command("recommend", shop.run)):
        done = subprocess.run(command, capture_output=True, env=environment, timeout=120)
        assert done.returncode == 0, done.stderr
        game = "\N{VIDEO GAME}" if encoding == "utf-16" else r"\U0001f3ae"
        assert f"Night {game}" in done.stdout.decode(encoding)


def test_without_a_home_a_run_is_as_with_one(shop: Shop, tmp_path: Path) -> None:
    homeless = {name: value for name, value in os.environ.items() if name != "HOME"}
    done = run(shop.command("optimize", tmp_path / "run"), env=homeless)
    assert done.returncode == 0, done.stderr
    assert records(tmp_path / "run") == records(shop.run)


NOBODY = """
import os, pwd
def unknown(*who): raise KeyError(who)
pwd.getpwuid = pwd.getpwnam = unknown
os.environ.pop("HOME", None)
os.environ.pop("XDG_CACHE_HOME", None)
os.environ.pop("LRGD_MODELS", None)
from lrgd.cli.main import main
main()
"""


def test_a_user_whom_the_system_does_not_know_is_told_to_set_home() -> None:
    refused = run([sys.executable, "-c", NOBODY, "models"])
    assert_one_line(refused, "there is no home directory: set HOME to a folder")


def test_a_reader_who_leaves_is_no_error(shop: Shop) -> None:
    for command in ([*LRGD, "--help"], [*LRGD, "data", "show", str(shop.bundle), "--user", "u1"]):
        read, write = os.pipe()
        os.close(read)
        done = subprocess.run(command, stdout=write, stderr=subprocess.PIPE, timeout=120)
        os.close(write)
        assert (done.returncode, done.stderr) == (141, b"")


def test_output_that_finds_no_room_is_an_error() -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run([*LRGD, "--version"], stdout=full, stderr=subprocess.PIPE, text=True)
    assert_one_line(done, "No space left on device: make room")


def test_with_all_streams_closed_nothing_is_printed_into_files(shop: Shop, tmp_path: Path) -> None:
    command = " ".join(f"'{word}'" for word in shop.command("optimize", tmp_path / "run"))
    closed = subprocess.run(["sh", "-c", f"{command} <&- >&- 2>&-"], timeout=120)
    assert closed.returncode == 0
    assert records(tmp_path / "run") == records(shop.run)


def test_a_full_disk_ends_a_command_of_a_session_and_not_the_session(
    shop: Shop, tmp_path: Path
) -> None:
    folder = shop.copy(tmp_path)
    (folder / "cases").write_text("a file where the cases' folder would be")
    chat = [*LRGD, "chat", str(shop.bundle), "--run", str(folder), *shop.model]
    done = run(chat, input="/user u1\nwants kites\n/case\n/users\n/quit\n")
    assert done.returncode == 0, done.stderr
    assert "cases: File exists" in done.stdout
    assert "Left. The session is kept" in done.stdout
