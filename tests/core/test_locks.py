import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from lrgd.core.errors import InputError
from lrgd.core.locks import NOTE, one_writer

HOLDS = """
import sys, time
from pathlib import Path
from lrgd.core.locks import one_writer
with one_writer(Path(sys.argv[1]), "lrgd optimize"):
    print("held", flush=True)
    time.sleep(60)
"""


def holder(folder: Path) -> "subprocess.Popen[str]":
    """Another process that holds the lock."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDS, str(folder)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def write(folder: Path) -> None:
    with one_writer(folder, "lrgd evaluate"):
        pass


def test_the_second_writer_is_told_who_holds_it_and_a_dead_one_holds_nothing(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "run"
    with holder(folder) as first:
        who = f"`lrgd optimize` (pid {first.pid} on {socket.gethostname()}, since 20"
        with pytest.raises(InputError, match=re.escape(f"{folder} is being written by {who}")):
            write(folder)
        first.send_signal(signal.SIGKILL)
    with one_writer(folder, "lrgd evaluate"):
        assert f'"pid": {os.getpid()}' in (folder / NOTE).read_text()


def test_it_is_given_back_also_after_an_error(tmp_path: Path) -> None:
    for _ in range(2):
        with pytest.raises(ValueError, match="of mine"), one_writer(tmp_path, "lrgd optimize"):
            raise ValueError("of mine")
    with one_writer(tmp_path, "lrgd optimize"):
        pass


def test_one_process_is_not_two_writers_either(tmp_path: Path) -> None:
    held = one_writer(tmp_path, "lrgd optimize")
    with held, pytest.raises(InputError, match="is being written"):
        write(tmp_path)


@pytest.mark.parametrize("note", [None, "", "{", "[]", '{"pid": 1}', '{"pid": "\\u001b[2J"}'])
def test_a_note_that_says_nothing_is_no_fault(tmp_path: Path, note: str | None) -> None:
    with one_writer(tmp_path, "lrgd optimize"):
        (tmp_path / NOTE).unlink()
        if note is not None:
            (tmp_path / NOTE).write_text(note)
        with pytest.raises(InputError, match="is being written by another process: wait"):
            write(tmp_path)


def test_a_program_that_the_writer_starts_does_not_hold_it(tmp_path: Path) -> None:
    with one_writer(tmp_path, "lrgd optimize"):
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    try:
        write(tmp_path)
    finally:
        child.kill()
        child.wait()
