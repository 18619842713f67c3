"""One writer at a time: a lock that dies with its process, and a note of who holds it.

The lock is the system's own (flock), so a process that is killed holds nothing. Beside it lies a
note for people. Reading needs no lock.
"""

import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from filelock import FileLock, Timeout

from lrgd.core.errors import InputError
from lrgd.core.files import replace_file
from lrgd.core.text import visible

LOCK, NOTE = "writer.lock", "writer.json"
"""Both stay when the lock is given back: an empty file, and who wrote last."""


@contextmanager
def one_writer(folder: Path, command: str) -> Iterator[None]:
    """Be the only one who writes to `folder`, for the length of the `with`.

    Args:
        folder: made if it is not there.
        command: what is done, for whoever wants to do something else meanwhile.

    Raises:
        InputError: another writer is at work; says who.
        OSError: the folder cannot be written to.
    """
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / LOCK, timeout=0)
    try:
        lock.acquire()
    except Timeout:
        raise InputError(
            f"{folder} is being written by {_holder(folder)}: wait for it, or stop it"
        ) from None
    try:
        _sign(folder, command)
        yield
    finally:
        lock.release()


def _sign(folder: Path, command: str) -> None:
    since = datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    note = {"pid": os.getpid(), "host": socket.gethostname(), "command": command, "since": since}
    replace_file(folder / NOTE, json.dumps(note) + "\n")


def _holder(folder: Path) -> str:
    """Who holds the lock, as far as the note says: it is written just after the lock is taken."""
    try:
        note = json.loads((folder / NOTE).read_bytes())
        known = "`{command}` (pid {pid} on {host}, since {since})".format(**note)
    except (OSError, ValueError, LookupError, TypeError):
        return "another process"
    return visible(known)
