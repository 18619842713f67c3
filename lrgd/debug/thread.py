"""The thread of a session: its checkpoints, whose turn it is, and what this face has seen.

Two faces may have one thread open. Each keeps in mind the checkpoint that it saw last, and does
nothing on top of one that it did not see; a lock file says that the other one is at work.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

from filelock import FileLock, Timeout
from langgraph.types import StateSnapshot

from lrgd.core.errors import InputError, SessionConflict
from lrgd.debug.actors import PERSON
from lrgd.debug.entries import Entry, entry_from_json, entry_to_json
from lrgd.debug.state import SessionState


class Thread:
    """One thread of a session graph."""

    def __init__(self, graph: Any, thread_id: str, lock: Path) -> None:
        self.graph = graph
        self.config: dict[str, Any] = {"configurable": {"thread_id": thread_id}}
        self._lock = FileLock(lock, timeout=0, thread_local=False)
        self._seen: str | None = None

    async def look(self) -> StateSnapshot:
        """The thread as it now is; from here on it is seen."""
        snapshot = await self._latest()
        self._seen = _id(snapshot)
        return snapshot

    async def news(self) -> list[Entry]:
        """What was done on this branch since it was last seen, oldest first; then it is seen."""
        before, found = self._seen, []
        if _id(await self._latest()) == before:
            return []
        for snapshot in reversed(await self.branch()):
            if _id(snapshot) == before:
                break
            found.append(entry_of(snapshot))
        await self.look()
        return found[::-1]

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[SessionState]:
        """Alone with the thread: its state, which is as it was last seen.

        Raises:
            SessionConflict: another face is at work on it, or has gone on since.
        """
        try:
            self._lock.acquire()
        except Timeout:
            raise SessionConflict(
                "another step is under way in this session: wait for it, then try again"
            ) from None
        try:
            snapshot = await self._latest()
            if _id(snapshot) != self._seen:
                raise SessionConflict(
                    "this session went on elsewhere since you last looked "
                    f"({entry_of(snapshot).line or 'begun'}): /show, then try again"
                )
            yield cast(SessionState, snapshot.values)
        finally:
            self._lock.release()

    async def record(self, line: str, view: Any = None, **values: Any) -> StateSnapshot:
        """Write what a person did on top of the thread. Only within `turn`."""
        return await self.write_at(self.config, line, view, **values)

    async def write_at(
        self, config: Any, line: str, view: Any = None, **values: Any
    ) -> StateSnapshot:
        """The same on top of any checkpoint: a new branch, unless it is the latest."""
        update = {**values, "entry": entry_to_json(line, view)}
        await self.graph.aupdate_state(config, update, as_node=PERSON)
        return await self.look()

    async def all(self) -> list[StateSnapshot]:
        """Every checkpoint, oldest first: the n-th of this list is checkpoint n + 1."""
        found = [s async for s in self.graph.aget_state_history(self.config)]
        return sorted((s for s in found if s.values), key=lambda s: str(_id(s)))

    async def at(self, n: int) -> StateSnapshot:
        """Checkpoint n, 1-based. Raises InputError where there is none."""
        found = await self.all()
        if not 1 <= n <= len(found):
            raise InputError(f"no checkpoint {n}: /history lists 1 to {len(found)}")
        return found[n - 1]

    async def branch(self) -> list[StateSnapshot]:
        """The checkpoints from the first to where the thread stands."""
        known = {_id(s): s for s in await self.all()}
        found: list[StateSnapshot] = []
        at = _id(await self._latest())
        while at in known:
            found.append(known[at])
            at = parent_id(known[at])
        return found[::-1]

    async def _latest(self) -> StateSnapshot:
        snapshot: StateSnapshot = await self.graph.aget_state(self.config)
        return snapshot


def entry_of(snapshot: StateSnapshot) -> Entry:
    """What was done to get to this checkpoint."""
    return entry_from_json(snapshot.values["entry"])


def parent_id(snapshot: StateSnapshot) -> str | None:
    """Id of the checkpoint that this one stands on."""
    parent = snapshot.parent_config
    return parent["configurable"]["checkpoint_id"] if parent else None


def _id(snapshot: StateSnapshot) -> str | None:
    found: str | None = snapshot.config["configurable"].get("checkpoint_id")
    return found


snapshot_id = _id
