"""The ChromaDB collection of a memory, also where several processes have its folder open.

ChromaDB (1.5) keeps a collection's index in the process. Once another process has written, a search
misses rows, or fails with "Error finding id". So the collection of a folder is opened anew where
SQLite says that somebody else has written since, and one process writes at a time: others wait.
"""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from filelock import FileLock, Timeout

from lrgd.core.errors import MachineError
from lrgd.core.locks import LOCK

if TYPE_CHECKING:
    from chromadb.api import ClientAPI

T = TypeVar("T")

NAME = "demonstrations"
SYNC_THRESHOLD = 100
"""Rows that the index leaves in ChromaDB's log before it writes them to its own file. Each write
reads those rows again; at ChromaDB's default of 1,000 it costs twice as much."""
WAIT_S = 30.0
"""How long a write waits for another process's: one takes some 10 ms."""
POLL_S = 0.01


class ClientCollection:
    """The collection of a client that knows of other writers itself: ChromaDB's HTTP client."""

    def __init__(self, client: "ClientAPI") -> None:
        self.opened: Any = _collection(client)

    def read(self, call: Callable[[Any], T]) -> T:
        """What a call says that changes nothing."""
        return call(self.opened)

    def write(self, call: Callable[[Any], T]) -> T:
        """What a call says that changes the collection."""
        return call(self.opened)


class FolderCollection(ClientCollection):
    """The collection in a folder, made if it is not there. Used by one thread at a time.

    Raises:
        MachineError: ChromaDB refuses, or another process keeps writing.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        with _told(folder):
            self.opened = _collection(_client(folder))
            database = (folder / "chroma.sqlite3").absolute().as_uri()
            self._watch = sqlite3.connect(f"{database}?mode=ro", uri=True, check_same_thread=False)
            self._version = self._written()

    def read(self, call: Callable[[Any], T]) -> T:
        with _told(self._folder):
            self._renew()
            try:
                return call(self.opened)
            except _chroma_error():  # another process may have written meanwhile: keep it out
                with self._turn():
                    self._open()
                    return call(self.opened)

    def write(self, call: Callable[[Any], T]) -> T:
        with _told(self._folder), self._turn():
            self._renew()
            result = call(self.opened)
            self._version = self._written()
        return result

    def _turn(self) -> FileLock:
        return FileLock(self._folder / LOCK, WAIT_S, poll_interval=POLL_S)

    def _renew(self) -> None:
        if self._written() != self._version:
            self._open()

    def _open(self) -> None:
        self._version = self._written()
        self.opened = _collection(_client(self._folder))

    def _written(self) -> int:
        """A number that changes with every write by anybody."""
        [(version,)] = self._watch.execute("PRAGMA data_version").fetchall()
        return int(version)


def _client(folder: Path) -> "ClientAPI":
    # A second to import: commands that remember nothing should not wait for it.
    import chromadb
    from chromadb.api.shared_system_client import SharedSystemClient
    from chromadb.config import Settings

    # ChromaDB would hand out the folder's earlier client, as old as it is.
    SharedSystemClient.clear_system_cache()
    settings = Settings(anonymized_telemetry=False)
    return chromadb.PersistentClient(path=str(folder), settings=settings)


def _collection(client: "ClientAPI") -> Any:
    return client.get_or_create_collection(
        NAME,
        configuration={"hnsw": {"space": "cosine", "sync_threshold": SYNC_THRESHOLD}},
        embedding_function=None,
    )


@contextmanager
def _told(folder: Path) -> Iterator[None]:
    """ChromaDB's errors as ours, which name the folder."""
    try:
        yield
    except Timeout:
        raise MachineError(
            f"memory {folder}: another process has been writing it for {WAIT_S:.0f} s: try again"
        ) from None
    except _chroma_error() as error:
        raise MachineError(f"memory {folder}: {error}") from error


def _chroma_error() -> type[Exception]:
    from chromadb.errors import ChromaError

    return ChromaError
