"""A desk for debugging: bundle, run folder and checkpoints of the sessions over one bundle.

The model server, memory and MiniLM take many seconds to start. They are opened by the first
command that needs them, and closed with the desk.
"""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractContextManager, AsyncExitStack, asynccontextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from langgraph.checkpoint.base import BaseCheckpointSaver

from lrgd import runs
from lrgd.agents.endpoint.address import address_of
from lrgd.agents.endpoint.client import NO_KEY
from lrgd.debug.equipment import Equipment, EquipmentSource, LocalWeights
from lrgd.debug.opening import open_session
from lrgd.debug.past import Past, journal_past, thread_past
from lrgd.debug.session import Session
from lrgd.debug.state import CHECKPOINTED, Choices
from lrgd.debug.trouble import Order, TroubleView, trouble_view
from lrgd.evals.data.bundle import Bundle, load_bundle
from lrgd.evals.runs.folder import RunFolder
from lrgd.evals.runs.prior import RunPrior, with_prior_of
from lrgd.graphs import LoopSettings, open_checkpoints
from lrgd.graphs.checkpoints import session_thread_of
from lrgd.jobs import open_answers
from lrgd.memory import Demonstration
from lrgd.serving.models import DEFAULT
from lrgd.workbench import ModelChoice, Workbench, open_workbench, settled

USERS_SHOWN = 15


@dataclass(frozen=True, slots=True)
class UserRow:
    """A user of the bundle."""

    user_id: str
    bought: int
    titles: tuple[str, ...]
    """The last ones bought; of a search, those that match it."""


@dataclass(frozen=True, slots=True)
class UsersView:
    """Users, and how many more there are."""

    users: tuple[UserRow, ...]
    more: int


@dataclass(frozen=True)
class Desk:
    """Made by `open_desk`."""

    bundle: Bundle
    folder: RunFolder
    settings: LoopSettings
    checkpointer: BaseCheckpointSaver[Any]
    source: EquipmentSource
    opening: str
    """A Python expression that opens this desk again."""

    async def sit(self, user_id: str) -> Session:
        """The user's session, begun or taken up. Where the run has optimised the user, or is at
        it, the session begins with what the run did.

        Raises:
            InputError: no such user, or the thread is of another case.
            EndpointError: a session begins, its ranking mode is the server's to say, and there is
                no server.
        """
        task = self.bundle.task(user_id, "validation")
        past = await self._past(user_id)
        turns = len(past.trials) if past else 0
        thread = session_thread_of(self.bundle.name, user_id, turns)
        locks = self.folder.folder / "turns"
        locks.mkdir(parents=True, exist_ok=True)
        return await open_session(
            task=task,
            earlier=tuple(self.bundle.earlier_tasks(user_id)),
            checkpointer=self.checkpointer,
            # A user's id may hold anything; a file's name may not.
            lock=locks / f"{hashlib.sha256(thread.encode()).hexdigest()[:16]}.lock",
            source=self.source,
            settings=self.settings,
            test=self.bundle.task(user_id, "test"),
            past=past,
        )

    async def _past(self, user_id: str) -> Past | None:
        if past := await thread_past(self.checkpointer, user_id):
            return past
        records = await asyncio.to_thread(self.folder.records.read)
        return next((journal_past(r) for r in records if r.user_id == user_id), None)

    async def remember(self, *demonstrations: Demonstration) -> None:
        """Put demonstrations into the run's memory; opens it only where there are some."""
        if demonstrations:
            await (await self.source.open()).memory.remember(*demonstrations)

    def worst(self, order: Order = "lost", *, limit: int = USERS_SHOWN) -> TroubleView:
        """The run's users by what went wrong, worst first. Raises InputError without a run."""
        return trouble_view(self.folder, order, limit)

    @property
    def of_run(self) -> bool:
        """Whether the folder holds a run's records, not sessions alone."""
        return self.folder.records.path.exists()

    def users(self, text: str = "", *, limit: int = USERS_SHOWN) -> UsersView:
        """Users whose id, or one of whose bought titles, has this text in it."""
        wanted, rows = text.casefold(), []
        for user in self.bundle.users.values():
            titles = [self.bundle.items[i].title for i in user.validation.history]
            hits = [title for title in titles if wanted in title.casefold()]
            if hits or wanted in user.user_id.casefold():
                some = tuple((hits or titles)[-3:][::-1])
                rows.append(UserRow(user.user_id, len(titles), some))
        # The very id first: "12" is also in "1123".
        rows.sort(key=lambda row: row.user_id != text)
        return UsersView(tuple(rows[:limit]), max(0, len(rows) - limit))


@asynccontextmanager
async def open_desk(
    bundle: Path,
    run: Path,
    choice: ModelChoice | None = None,
    *,
    settings: LoopSettings | None = None,
    weights: str | None = None,
    prior: Path | None = None,
    user: str | None = None,
    starting: Callable[[], AbstractContextManager[Any]] = nullcontext,
) -> AsyncIterator[Desk]:
    """Open what sessions over a bundle need, for the length of the `async with`. The model is
    started by the first command that asks it.

    Args:
        run: folder of a run, whose memory, settings and model are then used; or of sessions only,
            made if it is not there.
        settings: of sessions that begin; None for the run's, or the defaults.
        weights: the model's weights, for token counts and /why: a name of the catalogue, a
            folder, or a name on the hub; None: the model itself where it is embedded.
        prior: `prior.json` of another run, for a folder without a run of its own.
        user: who will sit down first; checked before anything is made or started.
        starting: entered while the model starts, to say so.

    Raises:
        InputError: no bundle, no such user, or the run is of another bundle or model.

    Example:
        >>> import asyncio, lrgd
        >>> from pathlib import Path
        >>> from lrgd.evals.data.protocol import freeze
        >>> from lrgd.evals.data.sample import sample_world
        >>> shop = freeze(sample_world(), users=2, candidates=9, history=9, seed=1)
        >>> shop.save(Path("runs/shop"))
        >>> async def users():
        ...     choice = lrgd.ModelChoice("http://127.0.0.1:8000/v1")
        ...     async with lrgd.open_desk(Path("runs/shop"), Path("runs/chat"), choice) as desk:
        ...         return len(desk.users().users)
        >>> asyncio.run(users())
        2
    """
    folder = RunFolder(run)
    loaded, choice, settings = _of_run(bundle, run, choice or ModelChoice(), settings, user)
    loaded = loaded if prior is None else with_prior_of(loaded, prior)
    settings = settings.model_copy(update={"dataset": loaded.name, "model": choice.writer_name})
    opening = _opening(bundle, loaded, choice, weights)
    async with (
        open_checkpoints(folder.checkpoints, CHECKPOINTED) as checkpointer,
        AsyncExitStack() as stack,
    ):
        source = _OnDemand(stack, folder, choice, _weights(choice, weights), starting)
        yield Desk(loaded, folder, settings, checkpointer, source, opening)


class _OnDemand:
    """An `EquipmentSource` that opens the workbench at the first call."""

    def __init__(
        self,
        stack: AsyncExitStack,
        folder: RunFolder,
        choice: ModelChoice,
        weights: LocalWeights | None,
        starting: Callable[[], AbstractContextManager[Any]],
    ) -> None:
        self._stack, self._folder, self._choice = stack, folder, choice
        self._weights, self._starting = weights, starting
        self._lock = asyncio.Lock()
        self._opened: Equipment | None = None

    async def choices(self) -> Choices:
        choice = self._choice if self._choice.ranking else await settled(self._choice)
        assert choice.ranking is not None
        return {"mode": choice.ranking, "shuffles": choice.shuffles}

    async def open(self) -> Equipment:
        async with self._lock:  # two pages may ask at once
            if self._opened is None:
                answers = open_answers(self._folder)
                workbench = open_workbench(self._folder.memory, self._choice, cache=answers)
                with self._starting():
                    self._opened = self._equipment(await self._stack.enter_async_context(workbench))
        return self._opened

    def _equipment(self, bench: Workbench) -> Equipment:
        return Equipment(
            bench.model,
            bench.ranker,
            bench.memory,
            bench.mode,
            self._choice.shuffles,
            rankers=bench.ranker_for,
            count_tokens=self._weights.count_tokens if self._weights else None,
            attribution=self._weights.attribution if self._weights else None,
        )


def _weights(choice: ModelChoice, named: str | None) -> LocalWeights | None:
    embedded = (choice.model or DEFAULT) if choice.base_url is None else None
    model = named or embedded
    return LocalWeights(model) if model else None


def _of_run(
    path: Path,
    run: Path,
    choice: ModelChoice,
    settings: LoopSettings | None,
    user: str | None,
) -> tuple[Bundle, ModelChoice, LoopSettings]:
    """The run's bundle, whose tasks may bring more than the files hold, its model and settings;
    where there is no run, its folder is made, unless there is no such user."""
    if (run / "run.json").exists():
        opened = runs.reopen(run, choice, path)
        if user is not None:
            opened.bundle.user(user)
        return opened.bundle, opened.choice, settings or opened.header.settings
    bundle = load_bundle(path)
    if user is not None:
        bundle.user(user)
    run.mkdir(parents=True, exist_ok=True)
    return bundle, choice, settings or LoopSettings()


def _opening(path: Path, bundle: Bundle, choice: ModelChoice, weights: str | None) -> str:
    parts = [f"ranking={choice.ranking!r}"] if choice.ranking else []
    parts += [f"shuffles={choice.shuffles}"] if choice.shuffles > 1 else []
    if choice.base_url is not None:
        parts = [f"{address_of(choice.base_url).url!r}", f"{choice.model!r}", *parts]
        parts += ["api_key=KEY"] if choice.api_key != NO_KEY else []
    elif choice.model is not None:
        parts = [f"model={choice.model!r}", *parts]
    model = f"ModelChoice({', '.join(parts)})"
    local = f", weights={weights!r}" if weights else ""
    if isinstance(bundle.prior, RunPrior):
        local += f", prior=Path({str(bundle.prior.file.resolve())!r})"
    return f"open_desk(Path({str(path.resolve())!r}), folder, {model}, settings=SETTINGS{local})"
