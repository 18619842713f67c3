"""Starts the embedded server on loopback, waits until it is healthy, stops it at the end."""

import asyncio
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import httpx2

from lrgd.agents.endpoint.client import EndpointSettings
from lrgd.core.errors import EndpointError
from lrgd.core.extras import require
from lrgd.serving.launch import LOOPBACK, embedded_command

ENVIRONMENT = {
    "HF_HUB_OFFLINE": "1",
    # Two threads, which wait awake for some 10 microseconds only: alone they take 0.6 of one
    # thread's time, beside busy processes two to three times of it. GNU OpenMP's own patience
    # makes that fifty times: each waits, awake, for the other that has no core.
    "OMP_NUM_THREADS": "2",
    "GOMP_SPINCOUNT": "10000",
}

NEEDED = ("torch", "transformers", "fastapi", "uvicorn")
INSTEAD = "name a running server (base_url)"


@asynccontextmanager
async def serve_embedded(
    folder: Path, name: str, *, start_timeout_s: float = 180.0
) -> AsyncIterator[EndpointSettings]:
    """The embedded server over a local model folder, for the length of the `async with`.

    Args:
        folder: a Hugging Face folder of weights and tokenizer.
        name: what clients call the model.
        start_timeout_s: seconds until the server must answer /health.

    Yields:
        Where it listens: loopback, a free port.

    Raises:
        EndpointError: the server did not come up; its last words are told.
        InputError: what it needs is not installed.
    """
    require(*NEEDED, extra="local", purpose="the embedded model server", instead=INSTEAD)
    port = _free_port()
    command = [*embedded_command(folder, name, LOOPBACK, port), "--leash"]
    with tempfile.TemporaryFile() as log:
        process = _start(command, log.fileno())
        try:
            await _healthy(process, port, log.fileno(), start_timeout_s)
            yield EndpointSettings(f"http://{LOOPBACK}:{port}/v1", name)
        finally:
            _stop(process)


def _start(command: Sequence[str], log: int) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=log,
        stderr=log,
        env={
            **ENVIRONMENT,
            **os.environ,
            "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
        },
        # Ctrl-C is for the client: the server stops when the client has finished its last call.
        start_new_session=True,
    )


async def _healthy(process: subprocess.Popen[bytes], port: int, log: int, timeout_s: float) -> None:
    deadline = time.monotonic() + timeout_s
    async with httpx2.AsyncClient(trust_env=False) as http:
        while process.poll() is None and time.monotonic() < deadline:
            try:
                if (await http.get(f"http://{LOOPBACK}:{port}/health")).is_success:
                    return
            except httpx2.TransportError:
                pass  # not listening yet
            await asyncio.sleep(0.2)
    raise EndpointError(f"the model server did not start: {_last_words(log)}")


def _stop(process: subprocess.Popen[bytes]) -> None:
    assert process.stdin is not None
    process.stdin.close()
    try:
        process.wait(timeout=5)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _last_words(log: int) -> str:
    size = os.fstat(log).st_size
    return " ".join(os.pread(log, 600, max(0, size - 600)).decode(errors="replace").split())


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])
