"""What the machine refuses (disk, permission, database, encoding), as one line for a person."""

import errno
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from lrgd.core.errors import MachineError

NO_ROOM = "make room on the disk, then do it again"
NO_WRITING = "name a folder that can be written to"

ADVICE = {
    errno.ENOSPC: NO_ROOM,
    errno.EDQUOT: NO_ROOM,
    errno.EFBIG: NO_ROOM,
    errno.EROFS: NO_WRITING,
    errno.EACCES: "see who may read and write there",
    errno.EPERM: "see who may read and write there",
    errno.EMFILE: "allow more open files, ulimit -n",
}
DATABASE_ADVICE = {
    sqlite3.SQLITE_FULL: NO_ROOM,
    sqlite3.SQLITE_READONLY: NO_WRITING,
    sqlite3.SQLITE_CANTOPEN: "see whether its folder is there and can be written to",
    sqlite3.SQLITE_BUSY: "another process is using it: try again",
    sqlite3.SQLITE_IOERR: "see whether its disk is full or broken",
    sqlite3.SQLITE_CORRUPT: "restore it from a copy, or delete it",
    sqlite3.SQLITE_NOTADB: "restore it from a copy, or delete it",
}


@contextmanager
def machine_errors(database: object = "a database") -> Iterator[None]:
    """Raise what the machine refuses as a MachineError; other errors pass.

    Args:
        database: the file that errors of SQLite are about: it does not name one.
    """
    try:
        yield
    except Exception as error:
        line = machine_line(error, database)
        if line is None:
            raise
        raise MachineError(line) from error


def machine_line(error: BaseException, database: object = "a database") -> str | None:
    """What the machine refused and what to do, in one line; None for any other error."""
    if isinstance(error, OSError):
        said, advice = _said(error), ADVICE.get(error.errno or 0)
    elif isinstance(error, sqlite3.Error):
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF  # without SQLite's extension
        said, advice = f"{database}: {error}", DATABASE_ADVICE.get(code)
    elif isinstance(error, UnicodeError):
        said, advice = f"a text does not fit its encoding: {error}", "set PYTHONIOENCODING=utf-8"
    elif isinstance(error, RuntimeError) and "home directory" in str(error):
        # So say pathlib and platformdirs where neither HOME nor the system's list of users knows.
        said, advice = "there is no home directory", "set HOME to a folder that can be written to"
    else:
        return None
    return f"{said}: {advice}" if advice else said


def _said(error: OSError) -> str:
    files = [str(name) for name in (error.filename, error.filename2) if name is not None]
    return ": ".join([*files, error.strerror or str(error) or type(error).__name__])
