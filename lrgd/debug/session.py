"""A debugging session: one user's case on one LangGraph thread, and what a person can do to it.

Methods return views and never print. What changes anything is saved in the thread, with the
command that did it. After an error the session stands where it stood: the command can be repeated.
What was done is read from `Session.history`.
"""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, Literal, cast

from langgraph.types import StateSnapshot

from lrgd.agents.prompts import sanitized
from lrgd.core.errors import InputError
from lrgd.debug import experiments
from lrgd.debug.case import case_view, find_item, keepable, reveal_view
from lrgd.debug.edits import Edit, sent_again
from lrgd.debug.equipment import EquipmentSource
from lrgd.debug.rounds import PathsView, paths_view
from lrgd.debug.settings import Setting, more_rounds
from lrgd.debug.state import SessionState, next_node, split_of, tasks_on
from lrgd.debug.thread import History, Thread
from lrgd.debug.transcript import entry_of
from lrgd.debug.views import (
    CaseView,
    ComparisonView,
    KeptView,
    RevealView,
    StepView,
    WhyView,
)

Extent = Literal["step", "round", "run"]
"""How far to go: one node, to the end of the round, to the end of the run."""


@dataclass(frozen=True, slots=True)
class NodeStarted:
    """A node is under way."""

    node: str
    path: int | None


@dataclass(frozen=True, slots=True)
class ModelText:
    """A piece of what a model is writing."""

    node: str
    path: int | None
    text: str


@dataclass(frozen=True, slots=True)
class NodeDone:
    """A node has ended; its step is saved."""

    step: StepView


Event = NodeStarted | ModelText | NodeDone
"""What a session reports while it goes on."""


class Session:
    """See the module. Made by `lrgd.debug.open_session`.

    Example:
        >>> import asyncio, lrgd
        >>> from pathlib import Path
        >>> from lrgd.evals.data.protocol import freeze
        >>> from lrgd.evals.data.sample import sample_world
        >>> shop = freeze(sample_world(), users=2, candidates=9, history=9, seed=1)
        >>> shop.save(Path("runs/shop-2"))
        >>> async def candidates():
        ...     choice = lrgd.ModelChoice("http://127.0.0.1:8000/v1")
        ...     async with lrgd.open_desk(Path("runs/shop-2"), Path("runs/chat-2"), choice) as desk:
        ...         session = await desk.sit(next(iter(shop.users)))
        ...         return len((await session.case()).candidates)
        >>> asyncio.run(candidates())
        9
    """

    def __init__(self, thread: Thread, source: EquipmentSource) -> None:
        self.history = History(thread)
        self.source = source
        self._thread = thread

    async def case(self) -> CaseView:
        """The user's case, and where the session stands in it."""
        return case_view(await self.state())

    async def state(self) -> SessionState:
        """The thread's state; from here on it counts as seen."""
        return cast(SessionState, (await self._thread.look()).values)

    async def advance(self, extent: Extent = "step") -> list[StepView]:
        """Go on; what was done, step by step. See `stream`."""
        async with aclosing(self.stream(extent)) as events:
            return [event.step async for event in events if isinstance(event, NodeDone)]

    async def stream(self, extent: Extent = "step") -> AsyncGenerator[Event]:
        """Go on, telling of nodes and of the model's words as they come.

        Raises:
            InputError: the run is at its end, or the test task is looked at.
            EndpointError: the model did not answer. The node under way is undone, those before it
                are saved.
        """
        async with self._thread.turn() as state:
            _on_validation(state)
            coming = next_node(state)
            if coming is None:
                raise InputError("the run is at its end: /more N adds rounds, /fork N goes back")
            while coming is not None:
                async with aclosing(self._node(*coming)) as events:
                    async for event in events:
                        yield event
                done = coming.node
                coming = next_node(await self.state())
                if extent == "step" or (extent == "round" and done == "collapse_guard"):
                    return

    async def write(self, text: str) -> ComparisonView:
        """Rank with a person's own demonstration, and compare with what is in hand."""
        text = sanitized(text)
        if not text:
            raise InputError("an empty demonstration: write what the user is after")
        async with self._thread.turn() as state:
            equipment = await self.source.open()
            before, used = await equipment.in_hand(state)
            path = before.path if before.path is not None else 0
            after, more = await equipment.rank(state, text, "person", path)
            view = experiments.compare(equipment, state, "your demonstration", before, after)
            line = text if not text.startswith("/") else f"/{text}"
            await self._thread.record(line, view, in_hand=after, usage=used + more)
        return view

    async def perturb(self, from_path: int, path: int | None = None) -> ComparisonView:
        """Have a path write anew with another path's latest demonstration injected (D_per), and
        rank with it. The path itself stays as it is.

        Args:
            path: who writes; None for the path in hand.
        """
        async with self._thread.turn() as state:
            _on_validation(state)
            equipment = await self.source.open()
            before, used = await equipment.in_hand(state)
            after, more = await experiments.perturb(equipment, state, from_path, path)
            change = f"path {after.path} perturbed from path {from_path}"
            view = experiments.compare(equipment, state, change, before, after)
            line = f"/perturb from {from_path} on {after.path}"
            await self._thread.record(line, view, in_hand=after, usage=used + more)
        return view

    async def edit(self, edit: Edit) -> ComparisonView:
        """Send a call again with words of its prompt replaced: what the generator then writes is
        ranked, or the text in hand is ranked. The path itself stays as it is.

        Raises:
            InputError: the prompt has no such words.
        """
        async with self._thread.turn() as state:
            if edit.call == "generator":
                _on_validation(state)
            equipment = await self.source.open()
            before, used = await equipment.in_hand(state)
            after, more = await sent_again(equipment, state, before, edit)
            view = experiments.compare(equipment, state, edit.line, before, after)
            await self._thread.record(edit.line, view, in_hand=after, usage=used + more)
        return view

    async def change(self, setting: Setting) -> ComparisonView:
        """Change a setting from now on (`lrgd.debug.settings`), and rank what is in hand again."""
        async with self._thread.turn() as state:
            new = setting.applied_to(state)
            equipment = await self.source.open()
            before, used = await equipment.in_hand(state)
            after, more = await experiments.rank_again(equipment, new, before)
            view = experiments.compare(equipment, new, setting.words, before, after)
            await self._thread.record(
                setting.line,
                view,
                in_hand=after,
                usage=used + more,
                settings=new["settings"],
                choices=new["choices"],
                split=split_of(new),
            )
        return view

    async def why(self, item: str, over: str | None = None) -> WhyView:
        """Leave out one sentence, one bought thing at a time: what carries the item's place?

        Args:
            item: a candidate's id, title, or a part of its title.
            over: the rival; None for the best ranked other item.
        """
        async with self._thread.turn() as state:
            task = tasks_on(state, split_of(state))[0]
            wanted = find_item(task, item)
            rival = find_item(task, over) if over else None
            equipment = await self.source.open()
            hand, used = await equipment.in_hand(state)
            view, more = await experiments.why(equipment, state, hand, wanted, rival)
            line = f"/why {wanted.id}" + (f" over {rival.id}" if rival else "")
            await self._thread.record(line, view, in_hand=hand, usage=used + more)
        return view

    async def keep(self) -> KeptView:
        """Put what is in hand into memory; a person's own is marked as written by a person.

        Raises:
            InputError: nothing is in hand, or it names the true next item.
        """
        async with self._thread.turn() as state:
            hand, demonstration = keepable(state)
            await (await self.source.open()).memory.remember(demonstration)
            known = state.get("remembered")
            values = {} if known is None else {"remembered": [*known, demonstration]}
            view = KeptView(hand.text, hand.author, hand.effect, demonstration.id)
            await self._thread.record("/keep", view, **values)
        return view

    async def reveal(self) -> RevealView:
        """Show the true next item, from now on."""
        async with self._thread.turn() as state:
            view = reveal_view(state)
            await self._thread.record("/reveal", view, revealed=True)
        return view

    async def paths(self) -> PathsView:
        """What was written so far, round by round."""
        return paths_view(await self.state())

    async def fork(self, n: int) -> CaseView:
        """Go on from checkpoint n; what came after it stays, as another branch."""
        async with self._thread.turn() as state:
            await self._back_to(state, await self.history.at(n), f"/fork {n}")
        return await self.case()

    async def fork_after(self, round_: int, path: int | None = None) -> CaseView:
        """Go on from where a round was over, or a path's turn in it."""
        async with self._thread.turn() as state:
            whose = "" if path is None else f"path {path} "
            snapshot = await self.history.after(round_, path)
            await self._back_to(state, snapshot, f"/fork {whose}round {round_}")
        return await self.case()

    async def more(self, n: int) -> CaseView:
        """Have the loop do n rounds more. At the end of a run it goes back to before the last
        guard, which injects nothing in a last round: so it goes on as a longer run would have.

        Raises:
            InputError: every path put the true next item first.
        """
        async with self._thread.turn() as state:
            new = more_rounds(n).applied_to(state)
            if state.get("stopped_by") == "solved":
                raise InputError("every path put the true next item first: nothing is left to gain")
            if next_node(state) is not None:
                await self._thread.record(f"/more {n}", settings=new["settings"])
            else:
                last = await self.history.before_the_last_guard()
                kept = {"settings": new["settings"], "choices": state["choices"]}
                await self._back_to(state, last, f"/more {n}", **kept)
        return await self.case()

    async def _back_to(
        self, state: SessionState, snapshot: StateSnapshot, line: str, **values: Any
    ) -> None:
        # What a person has seen, going back does not hide again.
        seen = state.get("revealed", False)
        await self._thread.write_at(snapshot.config, line, revealed=seen, **values)

    async def _node(self, node: str, path: int | None) -> AsyncGenerator[Event]:
        yield NodeStarted(node, path)
        # Not within the node: what a new server is asked there would count as the node's own text.
        await self.source.open()
        stream = self._thread.graph.astream(
            None, self._thread.config, stream_mode=["messages", "updates"], durability="sync"
        )
        async for kind, part in stream:
            if kind == "messages" and (text := str(part[0].text)):
                yield ModelText(node, path, text)
        snapshot = await self._thread.look()
        yield NodeDone(entry_of(snapshot).view)


def _on_validation(state: SessionState) -> None:
    """Raises InputError where the test task is looked at."""
    if split_of(state) == "test":
        raise InputError("the loop works on the validation task alone: /task validation goes back")
