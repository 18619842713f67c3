"""The embedded server never outlives its parent."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.families import make

PARENT = """
import asyncio, sys
from pathlib import Path
from serving.server import serve_embedded

async def main():
    async with serve_embedded(Path(sys.argv[1]), "tiny") as settings:
        print(settings.base_url, flush=True)
        await asyncio.sleep(600)

asyncio.run(main())
"""


def servers_of(parent: int) -> list[int]:
    """The server processes that this parent started."""
    found = subprocess.run(
        ["ps", "-eo", "pid,ppid,args"], capture_output=True, text=True, check=True
    ).stdout.splitlines()
    rows = [line.split(None, 2) for line in found[1:]]
    return [int(r[0]) for r in rows if "lrgd.serving.embedded" in r[2] and int(r[1]) == parent]


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_the_server_ends_with_its_parent(how: signal.Signals, tmp_path: Path) -> None:
    folder = make("llama-3", tmp_path)
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, str(folder)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert parent.stdout is not None
    assert parent.stdout.readline().startswith("http://127.0.0.1:")
    (server,) = servers_of(parent.pid)
    parent.send_signal(how)
    parent.wait(timeout=20)
    deadline = time.monotonic() + 20
    while alive(server) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not alive(server)
