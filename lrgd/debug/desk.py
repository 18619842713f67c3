"""A desk for debugging: a bundle, a model and a run folder, opened once; seats at it, one a face.

A seat takes the lines that a person types (`lrgd.debug.commands`), those that are about more
than one session included: choosing a user, writing files. Faces only show what comes back.
"""

import hashlib
import json
import shlex
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from langgraph.cache.sqlite import SqliteCache
from langgraph.checkpoint.base import BaseCheckpointSaver

from lrgd import runs
from lrgd.agents.endpoint.client import NO_KEY
from lrgd.core.errors import InputError
from lrgd.debug import Event, Session, Tools, dispatch, open_session, parse
from lrgd.debug.commands import COMMANDS, Help
from lrgd.debug.state import CHECKPOINTED
from lrgd.debug.weights import LocalWeights
from lrgd.evals.data.bundle import Bundle, load_bundle
from lrgd.evals.runs.folder import RunFolder
from lrgd.files import write_new, write_over
from lrgd.graphs import LoopSettings, open_checkpoints
from lrgd.serving.models import DEFAULT
from lrgd.workbench import ModelChoice, Workbench, open_workbench

USERS_SHOWN = 15


@dataclass(frozen=True, slots=True)
class HelpView:
    """The commands."""

    commands: tuple[Help, ...]


@dataclass(frozen=True, slots=True)
class UserRow:
    """A user of the bundle."""

    user_id: str
    bought: int
    titles: tuple[str, ...]
    """The last ones bought; of a search, those that were found."""


@dataclass(frozen=True, slots=True)
class UsersView:
    """Users, and how many more there are."""

    users: tuple[UserRow, ...]
    more: int


@dataclass(frozen=True, slots=True)
class SavedView:
    """Files that were written."""

    files: tuple[Path, ...]
    then: str
    """What to do with them, as a command of a shell."""


@dataclass(frozen=True, slots=True)
class QuitView:
    """The person leaves."""


@dataclass(frozen=True)
class Desk:
    """Made by `open_desk`."""

    bundle: Bundle
    bench: Workbench
    folder: RunFolder
    settings: LoopSettings
    checkpointer: BaseCheckpointSaver[Any]
    tools: Tools
    opening: str
    """A Python expression that opens this desk again."""

    async def sit(self, user_id: str) -> Session:
        """The user's session, begun or taken up.

        Raises:
            InputError: no such user, or the thread is of another case.
        """
        thread = f"debug-{self.bundle.name}-{user_id}"
        task = self.bundle.task(user_id, "validation")
        locks = self.folder.folder / "turns"
        locks.mkdir(parents=True, exist_ok=True)
        return await open_session(
            task=task,
            earlier=tuple(self.bundle.earlier_tasks(user_id)),
            checkpointer=self.checkpointer,
            # A user's id may hold anything; a file's name may not.
            lock=locks / f"{hashlib.sha256(thread.encode()).hexdigest()[:16]}.lock",
            tools=self.tools,
            settings=self.settings,
            thread_id=thread,
            opening=self.opening,
        )

    def users(self, text: str = "", *, shown: int = USERS_SHOWN) -> UsersView:
        """Users whose id, or one of whose bought titles, has this text in it."""
        wanted, found = text.casefold(), []
        for user in self.bundle.users.values():
            titles = [self.bundle.items[i].title for i in user.validation.history]
            hits = [title for title in titles if wanted in title.casefold()]
            if hits or wanted in user.user_id.casefold():
                some = tuple((hits or titles)[-3:][::-1])
                found.append(UserRow(user.user_id, len(titles), some))
        # The very id first: "12" is also in "1123".
        found.sort(key=lambda row: row.user_id != text)
        return UsersView(tuple(found[:shown]), max(0, len(found) - shown))


@asynccontextmanager
async def open_desk(
    bundle: Path,
    run: Path,
    choice: ModelChoice | None = None,
    *,
    settings: LoopSettings | None = None,
    weights: str | None = None,
) -> AsyncIterator[Desk]:
    """Open all that sessions over a bundle need, for the length of the `async with`.

    Args:
        run: folder of a run, whose memory, settings and model are then used; or of sessions only,
            made if it is not there.
        settings: of sessions that begin; None for the run's, or the defaults.
        weights: the model's weights, for token counts and /why: a name of the catalogue, a
            folder, or a name on the hub; None: the model itself where it is embedded.

    Raises:
        InputError: no bundle, or the run is of another bundle or model.
        EndpointError: no server there, or not that model.
    """
    loaded, folder = load_bundle(bundle), RunFolder(run)
    choice, settings = _of_run(bundle, run, choice or ModelChoice(), settings)
    about = {"dataset": loaded.name, "model": choice.name}
    settings = settings.model_copy(update=about)
    embedded = (choice.model or DEFAULT) if choice.base_url is None else None
    local = LocalWeights(own) if (own := weights or embedded) else None
    answers = SqliteCache[bytes](path=str(folder.answers))
    async with (
        open_checkpoints(folder.checkpoints, CHECKPOINTED) as checkpointer,
        open_workbench(folder.memory, choice, cache=answers) as bench,
    ):
        tools = Tools(
            bench.model, bench.ranker, bench.memory, bench.mode, choice.shuffles, bench.ranker_for
        )
        if local is not None:
            tools = replace(tools, count_tokens=local.count_tokens, attribution=local.attribution)
        opening = _opening(bundle, choice, weights)
        yield Desk(loaded, bench, folder, settings, checkpointer, tools, opening)


class Seat:
    """One face at a desk: at most one session at a time."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self.session: Session | None = None

    async def dispatch(self, line: str, report: Callable[[Event], None] | None = None) -> Any:
        """Do what a line says: `lrgd.debug.dispatch`, and the commands about more than one
        session.

        Returns:
            A view, of `lrgd.debug.views` or of this module.

        Raises:
            LrgdError: it cannot be done; the session stands where it stood.
        """
        command = parse(line)
        match command.name, command.arguments:
            case "help", _:
                return HelpView(COMMANDS)
            case "quit", _:
                return QuitView()
            case "users", arguments:
                return self.desk.users(*arguments)
            case "user", (user,):
                self.session = await self.desk.sit(user)
                return await self.session.case()
            case "export", arguments:
                return await self._export(self._seated(), *map(Path, arguments))
            case "case", arguments:
                return await self._case(self._seated(), *map(Path, arguments))
        return await dispatch(self._seated(), command, report)

    def _seated(self) -> Session:
        if self.session is None:
            raise InputError("no user chosen yet: /users TEXT finds one, /user ID sits down")
        return self.session

    async def _export(self, session: Session, folder: Path | None = None) -> SavedView:
        user = (await session.case()).user_id
        folder = folder or self.desk.folder.folder / "sessions" / file_name(user)
        transcript = write_over(folder / "transcript.md", await session.export_markdown())
        script = write_over(folder / "session.py", await session.export_script())
        return SavedView((transcript, script), f"python {shlex.quote(str(script))}")

    async def _case(self, session: Session, file: Path | None = None) -> SavedView:
        case = await session.case_file()
        text = json.dumps(case, indent=1) + "\n"
        name, folder = file_name(case["task"]["user_id"]), self.desk.folder.folder / "cases"
        written = write_over(file, text) if file else write_new(folder, name, ".json", text)
        return SavedView((written,), f"lrgd cases run {shlex.quote(str(written))}")


def _of_run(
    bundle: Path, run: Path, choice: ModelChoice, settings: LoopSettings | None
) -> tuple[ModelChoice, LoopSettings]:
    """The run's model and settings; where there is none, its folder is made."""
    if (run / "run.json").exists():
        opened = runs.reopen(run, choice, bundle)
        return opened.choice, settings or opened.header.settings
    try:
        run.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"cannot write to {run}: {error.strerror}") from error
    return choice, settings or LoopSettings()


def file_name(user_id: str) -> str:
    """A user's id as a file's name."""
    safe = "".join(c if c.isalnum() or c in "-_" else "_" for c in user_id)[:60]
    return (
        safe
        if safe and safe == user_id
        else f"{safe}-{hashlib.sha256(user_id.encode()).hexdigest()[:8]}"
    )


def _opening(bundle: Path, choice: ModelChoice, weights: str | None) -> str:
    parts = [f"ranking={choice.ranking!r}"] if choice.ranking else []
    parts += [f"shuffles={choice.shuffles}"] if choice.shuffles > 1 else []
    if choice.base_url is not None:
        parts = [f"{choice.base_url!r}", f"{choice.model!r}", *parts]
        parts += ["api_key=KEY"] if choice.api_key != NO_KEY else []
    elif choice.model is not None:
        parts = [f"model={choice.model!r}", *parts]
    model = f"ModelChoice({', '.join(parts)})"
    local = f", weights={weights!r}" if weights else ""
    return f"open_desk(Path({str(bundle.resolve())!r}), folder, {model}, settings=SETTINGS{local})"
