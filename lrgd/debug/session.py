"""A debugging session: one user's case, one LangGraph thread, everything a face can do.

Methods return views and never print; what changes anything is saved in the thread, with the
command that did it. After any error the session stands where it stood: try again.
"""

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import Any, cast

from pydantic import ValidationError

from lrgd.agents.prompts import plain
from lrgd.core.errors import InputError
from lrgd.debug import why
from lrgd.debug.cases import case_of
from lrgd.debug.compared import changed, compared, kept, perturbed
from lrgd.debug.entries import Entry
from lrgd.debug.events import Event, Extent, ModelText, NodeDone, NodeStarted
from lrgd.debug.export import markdown, script
from lrgd.debug.prompts import Call, prompt_view
from lrgd.debug.ranking import Tools, find_item, with_choices, with_settings
from lrgd.debug.shown import case_view, history_view, reveal_view
from lrgd.debug.state import SessionState, next_node
from lrgd.debug.thread import Thread, entry_of
from lrgd.debug.views import (
    CaseView,
    Comparison,
    HistoryView,
    KeptView,
    PromptView,
    RevealView,
    StepView,
    WhyView,
)


class Session:
    """See the module. Made by `lrgd.debug.open_session`."""

    def __init__(self, thread: Thread, tools: Tools, opening: str = "") -> None:
        self.thread = thread
        self.tools = tools
        self.opening = opening

    # Looking

    async def case(self) -> CaseView:
        """The user's case, and where the session stands."""
        return case_view(await self.state())

    async def state(self) -> SessionState:
        """The thread's state."""
        return cast(SessionState, (await self.thread.look()).values)

    async def prompt(self, call: Call = "recommender", path: int | None = None) -> PromptView:
        """The exact prompt of a call: of a path, or (recommender) of what is in hand."""
        return prompt_view(self.tools, await self.state(), call, path)

    async def history(self) -> HistoryView:
        """The checkpoints of every branch."""
        everything, here = await self.thread.all(), await self.thread.look()
        return history_view(everything, here)

    async def news(self) -> list[Entry]:
        """What another face did here since this one last looked, oldest first."""
        return await self.thread.news()

    async def transcript(self) -> list[Entry]:
        """What was done on this branch, oldest first."""
        return [entry_of(snapshot) for snapshot in await self.thread.branch()]

    async def export_markdown(self) -> str:
        """The branch as a Markdown transcript."""
        return markdown(await self.state(), await self.transcript())

    async def export_script(self) -> str:
        """The branch as a Python script that does it again, and says where it came out otherwise.

        Raises:
            InputError: the session was opened without saying how to open its desk.
        """
        return script(await self.thread.branch(), self.opening)

    async def case_file(self) -> dict[str, Any]:
        """What is in hand as a regression case, plain JSON. Raises InputError: nothing is."""
        return case_of(await self.state()).model_dump(mode="json")

    async def compare(self, a: int, b: int) -> Comparison:
        """What was in hand at two checkpoints, side by side.

        Raises:
            InputError: no such checkpoint, or nothing had been ranked there.
        """
        hands = []
        for n in (a, b):
            hand = (await self.thread.at(n)).values.get("in_hand")
            if hand is None:
                raise InputError(f"nothing had been ranked at checkpoint {n}")
            hands.append(hand)
        return compared(self.tools, await self.state(), f"checkpoint {a} -> {b}", *hands)

    # Going on

    async def step(self) -> list[StepView]:
        """Run the next node."""
        return await self._steps("step")

    async def round(self) -> list[StepView]:
        """Run to the end of the round."""
        return await self._steps("round")

    async def run(self) -> list[StepView]:
        """Run to the end."""
        return await self._steps("run")

    async def stream(self, extent: Extent = "step") -> AsyncGenerator[Event]:
        """Go on, telling of nodes and of the model's words as they come.

        Raises:
            InputError: the run is at its end; EndpointError: the model did not answer: the node
            under way is undone, those before it are saved.
        """
        async with self.thread.turn() as state:
            coming = next_node(state)
            if coming is None:
                raise InputError("the run is at its end: /history and /fork N go back")
            while coming is not None:
                async with aclosing(self._node(*coming)) as events:
                    async for event in events:
                        yield event
                done = coming[0]
                coming = next_node(await self.state())
                if extent == "step" or (extent == "round" and done == "collapse_guard"):
                    return

    # A person's own steps

    async def reveal(self) -> RevealView:
        """Show the true next item, from now on."""
        async with self.thread.turn() as state:
            view = reveal_view(state)
            await self.thread.record("/reveal", view, revealed=True)
        return view

    async def write(self, text: str) -> Comparison:
        """Rank with a person's own demonstration, beside what is in hand."""
        text = plain(text)
        if not text:
            raise InputError("an empty demonstration: write what the user is after")
        async with self.thread.turn() as state:
            before, used = await self.tools.in_hand(state)
            path = before.path if before.path is not None else 0
            after, more = await self.tools.rank(state, text, "person", path)
            view = compared(self.tools, state, "your demonstration", before, after)
            line = text if not text.startswith("/") else f"/{text}"
            await self.thread.record(line, view, in_hand=after, usage=used + more)
        return view

    async def keep(self) -> KeptView:
        """Put what is in hand into memory; a person's own is marked as written by a person.

        Raises:
            InputError: nothing is in hand, or it names the true next item.
        """
        async with self.thread.turn() as state:
            demonstration, view = kept(state)
            await self.tools.memory.remember(demonstration)
            known = state.get("remembered")
            values = {} if known is None else {"remembered": [*known, demonstration]}
            await self.thread.record("/keep", view, **values)
        return view

    async def perturb(self, from_path: int, path: int | None = None) -> Comparison:
        """Have a path write anew with another path's latest demonstration injected (D_per), and
        rank with it. The path itself stays as it is.

        Args:
            path: who writes; None for the path in hand.
        """
        async with self.thread.turn() as state:
            before, used = await self.tools.in_hand(state)
            after, more, on = await perturbed(self.tools, state, from_path, path)
            change = f"path {on} perturbed from path {from_path}"
            view = compared(self.tools, state, change, before, after)
            line = f"/perturb from {from_path} on {on}"
            await self.thread.record(line, view, in_hand=after, usage=used + more)
        return view

    async def regularise(self, text: str) -> Comparison:
        """Set D_reg, the constraint beside the instruction ("" for none), and rank again."""
        text = plain(text)
        line = f'/regularise "{text}"'
        return await self._change(
            f"regularisation from now on: {text or 'none'}", line, _setting("regularisation", text)
        )

    async def order(self, prompt_order: str) -> Comparison:
        """Set what comes first in a prompt, and rank again."""
        wanted = prompt_order.replace("-", "_")
        line = f"/order {wanted.replace('_', '-')}"
        return await self._change(
            f"prompt order from now on: {wanted.replace('_', '-')}",
            line,
            _setting("prompt_order", wanted),
        )

    async def shuffle(self, n: int) -> Comparison:
        """Average over n candidate orders (1: the given one alone), and rank again."""
        if not 1 <= n <= 64:
            raise InputError(f"1 to 64 candidate orders, got {n}")
        return await self._change(
            f"candidate orders from now on: {n}",
            f"/shuffle {n}",
            lambda s: with_choices(s, shuffles=n),
        )

    async def mode(self, ranking: str) -> Comparison:
        """Rank in another mode (decision, logprobs, listwise), and rank again."""
        return await self._change(
            f"ranking mode from now on: {ranking}",
            f"/mode {ranking}",
            lambda s: with_choices(s, mode=ranking),
        )

    async def why(self, item: str, over: str | None = None) -> WhyView:
        """Leave out one sentence, one bought thing at a time: what carries the item's place?

        Args:
            item: a candidate's id, title, or a part of its title.
            over: the rival; None for the best ranked other item.
        """
        async with self.thread.turn() as state:
            hand, used = await self.tools.in_hand(state)
            found = find_item(state["task"], item)
            rival = find_item(state["task"], over) if over else None
            view, more = await why.explain(self.tools, state, hand, found, rival)
            line = f"/why {found.id}" + (f" over {rival.id}" if rival else "")
            await self.thread.record(line, view, in_hand=hand, usage=used + more)
        return view

    async def fork(self, n: int) -> CaseView:
        """Go on from checkpoint n; what came after it stays, as another branch."""
        async with self.thread.turn() as state:
            snapshot = await self.thread.at(n)
            # What a person has seen, going back does not hide again.
            seen = state.get("revealed", False)
            await self.thread.write_at(snapshot.config, f"/fork {n}", revealed=seen)
        return await self.case()

    # Helpers

    async def _steps(self, extent: Extent) -> list[StepView]:
        async with aclosing(self.stream(extent)) as events:
            return [event.step async for event in events if isinstance(event, NodeDone)]

    async def _node(self, node: str, path: int | None) -> AsyncGenerator[Event]:
        yield NodeStarted(node, path)
        stream = self.thread.graph.astream(
            None, self.thread.config, stream_mode=["messages", "updates"], durability="sync"
        )
        async for kind, told in stream:
            if kind == "messages" and (text := str(told[0].text)):
                yield ModelText(node, path, text)
        snapshot = await self.thread.look()
        yield NodeDone(entry_of(snapshot).view)

    async def _change(
        self, change: str, line: str, changed_state: Callable[[SessionState], SessionState]
    ) -> Comparison:
        """Change one thing, rank what is in hand again, show the difference."""
        async with self.thread.turn() as state:
            try:
                new = changed_state(state)
                before, used = await self.tools.in_hand(state)
                after, more = await changed(self.tools, new, before)
            except ValidationError as error:
                first = error.errors()[0]
                raise InputError(f"{first['loc'][0]}: {first['msg']}") from error
            view = compared(self.tools, new, change, before, after)
            await self.thread.record(
                line,
                view,
                in_hand=after,
                usage=used + more,
                settings=new["settings"],
                choices=new["choices"],
            )
        return view


def _setting(name: str, value: Any) -> Callable[[SessionState], SessionState]:
    return lambda state: with_settings(state, **{name: value})
