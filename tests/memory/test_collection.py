"""One memory folder, open in several processes: nothing is lost, and nobody reads what is old."""

import subprocess
import sys
from pathlib import Path

import pytest
from filelock import FileLock

from lrgd.core.errors import MachineError
from lrgd.core.locks import LOCK
from lrgd.memory import Demonstration, DemonstrationMemory, collection
from tests.scripted import hashed_words

WRITER = """
import asyncio, sys
from pathlib import Path
from lrgd.memory import DemonstrationMemory
from tests.memory.test_collection import note
from tests.scripted import hashed_words

async def main():
    memory = DemonstrationMemory.at(Path(sys.argv[1]), hashed_words)
    for n in range(int(sys.argv[2]), int(sys.argv[3])):
        await memory.remember(note(n))

asyncio.run(main())
"""


def note(n: int) -> Demonstration:
    return Demonstration("u", f"word{n}", path=0, round=n, ranks=(1,), dataset="d", chosen=True)


def writer(folder: Path, first: int, end: int) -> "subprocess.Popen[bytes]":
    return subprocess.Popen([sys.executable, "-c", WRITER, str(folder), str(first), str(end)])


async def test_what_another_process_wrote_is_found_beyond_the_index_file(tmp_path: Path) -> None:
    memory = DemonstrationMemory.at(tmp_path, hashed_words)
    await memory.remember(note(0))
    # More than SYNC_THRESHOLD: by then ChromaDB has moved them into a file that this process
    # has not read, and a search fails where it is not opened anew.
    end = collection.SYNC_THRESHOLD + 20
    assert writer(tmp_path, 1, end).wait() == 0
    assert len(await memory.recall("u", dataset="d")) == end
    [(found, cosine)] = await memory.nearest("word7", dataset="d", limit=1)
    assert (found.text, round(cosine, 5)) == ("word7", 1.0)
    await memory.remember(note(end))
    again = DemonstrationMemory.at(tmp_path, hashed_words)
    assert len(await again.recall("u", dataset="d")) == end + 1


async def test_two_writers_and_a_reader_at_once_lose_nothing(tmp_path: Path) -> None:
    memory = DemonstrationMemory.at(tmp_path, hashed_words)
    await memory.remember(note(0))
    writers = [writer(tmp_path, 1, 61), writer(tmp_path, 61, 121)]
    seen = [1]
    while any(process.poll() is None for process in writers):
        seen.append(len(await memory.recall("u", dataset="d")))
        assert await memory.nearest("word0", dataset="d", limit=1)
    assert [process.returncode for process in writers] == [0, 0]
    assert seen == sorted(seen)
    assert {d.round for d in await memory.recall("u", dataset="d")} == set(range(121))


async def test_a_writer_that_never_ends_is_not_waited_for_without_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(collection, "WAIT_S", 0.05)
    memory = DemonstrationMemory.at(tmp_path, hashed_words)
    with FileLock(tmp_path / LOCK), pytest.raises(MachineError, match="another process has been"):
        await memory.remember(note(1))
    await memory.remember(note(2))  # and what could not be written is written with the next
    assert len(await memory.recall("u", dataset="d")) == 2


def test_a_folder_that_is_no_memory_is_named(tmp_path: Path) -> None:
    (tmp_path / "chroma.sqlite3").write_text("not of SQLite " * 100)
    with pytest.raises(MachineError, match=f"^memory {tmp_path}: .*file is not a database"):
        DemonstrationMemory.at(tmp_path, hashed_words)
