"""A session's thread: its checkpoints, whose turn it is, and what this face has seen of it.

Two faces (a terminal, a page) may have one thread open. Each remembers the checkpoint that it saw
last, and may only go on from that one. While one of them works, a lock file keeps the other out.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from filelock import FileLock, Timeout
from langgraph.types import StateSnapshot

from lrgd.core.errors import InputError, SessionConflict
from lrgd.debug.graph import PERSON
from lrgd.debug.state import Ranked, SessionState, next_node, split_of
from lrgd.debug.transcript import Entry, entry_of, entry_to_json
from lrgd.debug.views import StepView, node_words
from lrgd.graphs.checkpoints import thread_config


@dataclass(frozen=True, slots=True)
class CheckpointView:
    """A saved state of the thread."""

    n: int
    """1 is the oldest; a number never changes its meaning."""
    parent: int | None
    did: str
    """What was done to get here."""
    round: int
    effect: float | None
    """Of the demonstration in hand."""
    current: bool
    """Whether the session stands here."""
    of_run: bool = False
    """Whether the run did it, before the session began."""


@dataclass(frozen=True, slots=True)
class HistoryView:
    """All checkpoints of the thread, every branch."""

    checkpoints: tuple[CheckpointView, ...]


class Thread:
    """One LangGraph thread of a session, to look at and to write to."""

    def __init__(self, graph: Any, thread_id: str, lock: Path) -> None:
        self.graph = graph
        self.config = thread_config(thread_id)
        self.seen: str | None = None
        """Id of the checkpoint that this face saw last."""
        self._lock = FileLock(lock, timeout=0, thread_local=False)

    async def latest(self) -> StateSnapshot:
        """The thread as it now is; looking so does not count as having seen it."""
        snapshot: StateSnapshot = await self.graph.aget_state(self.config)
        return snapshot

    async def look(self) -> StateSnapshot:
        """The thread as it now is; from here on it counts as seen."""
        snapshot = await self.latest()
        self.seen = _id(snapshot)
        return snapshot

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[SessionState]:
        """Keep other faces out, for the length of the `async with`. Yields the thread's state.

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
            snapshot = await self.latest()
            if _id(snapshot) != self.seen:
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
        return await self.write({**values, "entry": entry_to_json(line, view)}, config)

    async def write(self, update: dict[str, Any], config: Any = None) -> StateSnapshot:
        """An update with its entry, on top of the thread or of a checkpoint."""
        await self.graph.aupdate_state(config or self.config, update, as_node=PERSON)
        return await self.look()


class History:
    """What was done on a thread, to read. Made by a session: `session.history`."""

    def __init__(self, thread: Thread) -> None:
        self._thread = thread

    async def entries(self) -> list[Entry]:
        """What was done on this branch, oldest first."""
        return [entry_of(snapshot) for snapshot in await self.branch()]

    async def news(self) -> list[Entry]:
        """What another face did on this branch since this one last looked, oldest first. Now it
        counts as seen."""
        before, new = self._thread.seen, []
        if _id(await self._thread.latest()) == before:
            return []
        for snapshot in reversed(await self.branch()):
            if _id(snapshot) == before:
                break
            new.append(entry_of(snapshot))
        await self._thread.look()
        return new[::-1]

    async def view(self) -> HistoryView:
        """The checkpoints of every branch, oldest first."""
        return _history_view(await self.checkpoints(), await self._thread.look())

    async def checkpoints(self) -> list[StateSnapshot]:
        """Every checkpoint, oldest first: the n-th of this list is checkpoint n + 1."""
        thread = self._thread
        known = [s async for s in thread.graph.aget_state_history(thread.config)]
        return sorted((s for s in known if s.values), key=lambda s: str(_id(s)))

    async def branch(self) -> list[StateSnapshot]:
        """The checkpoints from the first to where the thread stands."""
        known = {_id(s): s for s in await self.checkpoints()}
        way: list[StateSnapshot] = []
        at = _id(await self._thread.latest())
        while at in known:
            way.append(known[at])
            at = _parent_id(known[at])
        return way[::-1]

    async def at(self, n: int) -> StateSnapshot:
        """Checkpoint n, 1-based. Raises InputError where there is none."""
        known = await self.checkpoints()
        if not 1 <= n <= len(known):
            raise InputError(f"no checkpoint {n}: /history lists 1 to {len(known)}")
        return known[n - 1]

    async def after(self, round_: int, path: int | None = None) -> StateSnapshot:
        """Where a path's turn in a round, or the round, was over: the latest on this branch, else
        the first on any.

        Raises:
            InputError: there is none.
        """
        node = "collapse_guard" if path is None else "evaluator"
        here = [s for s in await self.branch() if _was(s, node, round_, path)]
        found = here[-1:] or [s for s in await self.checkpoints() if _was(s, node, round_, path)]
        if not found:
            whose = "round" if path is None else f"path {path}, round"
            raise InputError(
                f"{whose} {round_} was not done in this session: /paths lists what was"
            )
        return found[0]

    async def before_the_last_guard(self) -> StateSnapshot:
        """Where every path of the last round on this branch had had its turn."""
        due = [
            s
            for s in await self.branch()
            if (coming := next_node(cast(SessionState, s.values)))
            and coming.node == "collapse_guard"
            and split_of(cast(SessionState, s.values)) == "validation"
        ]
        assert due, "a run ends after a round"
        return due[-1]

    async def in_hand(self, n: int) -> Ranked:
        """What was in hand at checkpoint n.

        Raises:
            InputError: no such checkpoint, or nothing had been ranked there.
        """
        hand: Ranked | None = (await self.at(n)).values.get("in_hand")
        if hand is None:
            raise InputError(f"nothing had been ranked at checkpoint {n}")
        return hand


def _history_view(snapshots: Sequence[StateSnapshot], here: StateSnapshot) -> HistoryView:
    numbers = {_id(snapshot): n for n, snapshot in enumerate(snapshots, 1)}
    return HistoryView(
        tuple(
            CheckpointView(
                n=numbers[_id(s)],
                parent=numbers.get(_parent_id(s)),
                did=_did(entry_of(s)),
                round=s.values.get("round", 0),
                effect=hand.effect if (hand := s.values.get("in_hand")) else None,
                current=_id(s) == _id(here),
                of_run=1 < numbers[_id(s)] <= 1 + s.values.get("run_steps", 0),
            )
            for s in snapshots
        )
    )


def _was(snapshot: StateSnapshot, node: str, round_: int, path: int | None) -> bool:
    view = entry_of(snapshot).view
    return isinstance(view, StepView) and (view.node, view.round, view.path) == (node, round_, path)


def _did(entry: Entry) -> str:
    if isinstance(entry.view, StepView):
        return node_words(entry.view.node, entry.view.path)
    return entry.line or "begun"


def _id(snapshot: StateSnapshot) -> str | None:
    checkpoint: str | None = snapshot.config["configurable"].get("checkpoint_id")
    return checkpoint


def _parent_id(snapshot: StateSnapshot) -> str | None:
    """Id of the checkpoint that this one stands on."""
    parent = snapshot.parent_config
    return parent["configurable"]["checkpoint_id"] if parent else None
