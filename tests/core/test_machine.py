import errno
import os
import sqlite3
from pathlib import Path

import pytest

from lrgd.core.errors import MachineError
from lrgd.core.machine import machine_errors, machine_line


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (
            OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "run/journal.jsonl"),
            "run/journal.jsonl: No space left on device: make room on the disk, then do it again",
        ),
        (
            OSError(errno.EROFS, os.strerror(errno.EROFS), "run"),
            "run: Read-only file system: name a folder that can be written to",
        ),
        (
            OSError(errno.EACCES, os.strerror(errno.EACCES), "a", None, "b"),
            "a: b: Permission denied: see who may read and write there",
        ),
        (FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), "x"), "x: No such file"),
        (OSError("of a library"), "of a library"),
        (OSError(), "OSError"),
        (UnicodeEncodeError("cp1252", "\N{SNOWMAN}", 0, 1, "no"), "a text does not fit its enc"),
        (RuntimeError("Could not determine home directory."), "there is no home directory: set H"),
        (RuntimeError("ours"), None),
        (ValueError("ours"), None),
        (KeyError("ours"), None),
    ],
)
def test_what_the_machine_refuses_is_a_line(error: Exception, line: str | None) -> None:
    told = machine_line(error)
    assert told is None if line is None else told is not None and told.startswith(line)


def test_sqlite_says_what_and_the_block_says_where(tmp_path: Path) -> None:
    file = tmp_path / "answers.sqlite"
    file.write_text("no database, but a text of some length\n" * 9)
    with (
        pytest.raises(MachineError, match=rf"^{file}: file is not a database: restore it"),
        machine_errors(file),
    ):
        sqlite3.connect(file).execute("CREATE TABLE t (x)")
    with (
        pytest.raises(MachineError, match=r"^x: unable to open database file: see whether its"),
        machine_errors("x"),
    ):
        sqlite3.connect(tmp_path / "no" / "folder").execute("CREATE TABLE t (x)")


def test_a_full_database_is_named_so(tmp_path: Path) -> None:
    database = sqlite3.connect(tmp_path / "full.sqlite")
    database.execute("CREATE TABLE t (x)")
    database.execute("PRAGMA max_page_count=2")
    with (
        pytest.raises(MachineError, match=r"database or disk is full: make room"),
        machine_errors(),
    ):
        database.execute("INSERT INTO t VALUES (zeroblob(100000))")


def test_faults_of_ours_pass() -> None:
    with pytest.raises(ZeroDivisionError), machine_errors():
        print(1 / 0)
