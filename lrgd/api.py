"""One call on your own data: `optimize` writes demonstrations, `recommend` ranks with them.

Both run the graphs of `lrgd.graphs` over tasks that are given as values. Nothing is read from
files, and memory is a temporary folder unless one is named. Both are awaited: in a notebook as
they stand, in a script inside `asyncio.run`.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

from langchain_core.language_models import BaseChatModel

from lrgd.agents.ranking.listwise import ListwiseRanker
from lrgd.agents.recommender import CustomRanker
from lrgd.agents.values import Item, Ranking, RankingTask, Usage
from lrgd.core.errors import InputError
from lrgd.evals.runs.folder import UserRecord
from lrgd.evals.runs.optimize import record_of
from lrgd.graphs import LoopSettings, build_graph, build_recommendation_graph
from lrgd.graphs.recommendation import Source
from lrgd.memory import Demonstration, DemonstrationMemory, Embed, load_minilm
from lrgd.workbench import ModelChoice, open_workbench

T = TypeVar("T")

USERS_AT_ONCE = 16
"""Users under way at a time with a LangChain model, whose own limits are not known here."""

Task = RankingTask | Mapping[str, Any]
"""A task, or a mapping with its fields, in which an item may be its title alone."""
Model = ModelChoice | BaseChatModel | str | None


@dataclass(frozen=True, slots=True)
class Optimization:
    """What `optimize` found, user by user.

    Example:
        >>> import asyncio, lrgd
        >>> from langchain_core.language_models import FakeListChatModel
        >>> model = FakeListChatModel(responses=["Ann looks for kites.", "1. Wool Socks"])
        >>> shown = ["Wool Socks", "Red Kite"]
        >>> ann = {"user_id": "ann", "history": ["Blue Kite"], "candidates": shown}
        >>> ann["target_id"] = "Red Kite"
        >>> one_path = lrgd.LoopSettings(paths=1, rounds=1)
        >>> found = asyncio.run(lrgd.optimize([ann], model=model, settings=one_path))
        >>> found.ranks("ann"), found.usage.calls
        ([[2]], 2)
    """

    users: Mapping[str, UserRecord]
    """In the order of the tasks."""

    def __getitem__(self, user_id: str) -> UserRecord:
        return self.users[user_id]

    @property
    def usage(self) -> Usage:
        """Calls and tokens of all users."""
        return sum((record.usage for record in self.users.values()), Usage())

    def ranks(self, user_id: str) -> list[list[int | None]]:
        """Rank of the true next item, one list a path, round by round; None where the text that
        was written could not be used."""
        return [[trial.rank for trial in path.trials] for path in self[user_id].paths]


@dataclass(frozen=True, slots=True)
class Recommendation:
    """A task's candidates in order, and the demonstration that they were ranked with.

    Example:
        >>> import asyncio, lrgd
        >>> from langchain_core.language_models import FakeListChatModel
        >>> model = FakeListChatModel(responses=["1. Red Kite"])
        >>> shown = ["Wool Socks", "Red Kite"]
        >>> ann = {"user_id": "ann", "history": ["Blue Kite"], "candidates": shown}
        >>> [best] = asyncio.run(lrgd.recommend([ann], model=model))
        >>> [item.title for item in best.items], best.source
        (['Red Kite', 'Wool Socks'], 'none')
    """

    task: RankingTask
    ranking: Ranking
    demonstrations: tuple[Demonstration, ...]
    source: Source
    """Whose demonstrations they are."""

    @property
    def items(self) -> tuple[Item, ...]:
        """The candidates, best first."""
        known = {item.id: item for item in self.task.candidates}
        return tuple(known[item_id] for item_id in self.ranking.order)


async def optimize(
    tasks: Iterable[Task],
    *,
    model: Model = None,
    ranker: CustomRanker | None = None,
    settings: LoopSettings | None = None,
    memory: Path | str | None = None,
    embed: Embed | None = None,
    report: Callable[[UserRecord], None] | None = None,
) -> Optimization:
    """Write, for each user, the demonstration that ranks the true next item highest.

    Args:
        tasks: each with a known `target_id`. Several of one user, oldest first, are judged
            together: Effect_D is their mean.
        model: a `ModelChoice`; or the URL of an OpenAI-compatible server; or a name of `lrgd
            models`, a folder or a hub's name, served here; or any LangChain chat model. None for
            the default model, served here.
        ranker: anything with an async `rank(context, candidates)` that returns ids in order, best
            first; None for the mode that suits the model (a LangChain model writes a list).
        settings: paths, rounds and guard; a subclass brings prompts or a metric of your own.
        memory: folder of the effective demonstrations; None for one that is gone afterwards.
        embed: texts -> unit rows, for guard and memory; None for MiniLM.
        report: told of each user that is done.

    Raises:
        InputError: a task that cannot be used, or an extra that is not installed.
        EndpointError: the model's server is not there, or refuses.

    Example:
        >>> import asyncio, lrgd
        >>> ann = {
        ...     "user_id": "ann",
        ...     "history": ["Mario Kart 8", "Nintendo Switch Pro Controller"],
        ...     "candidates": ["Wool Socks", "Super Mario Odyssey", "Garden Hose"],
        ...     "target_id": "Super Mario Odyssey",
        ... }
        >>> found = asyncio.run(lrgd.optimize([ann], model="http://127.0.0.1:8000/v1"))
        >>> found["ann"].chosen.rank, len(found["ann"].paths)
        (1, 3)
    """
    by_user = _by_user(tasks)
    async with _opened(model, ranker, memory, embed) as tools:
        graph = build_graph(
            model=tools.model, ranker=tools.ranker, memory=tools.memory, settings=settings
        )

        async def one(own: list[RankingTask]) -> UserRecord:
            state = await graph.ainvoke({"task": own[-1], "earlier": own[-2::-1]})
            record = record_of(own[-1].user_id, state)
            if report is not None:
                report(record)
            return record

        calls = [partial(one, own) for own in by_user.values()]
        records = await _all(tools.users_at_once, calls)
    return Optimization({record.user_id: record for record in records})


async def recommend(
    tasks: Iterable[Task],
    *,
    model: Model = None,
    ranker: CustomRanker | None = None,
    settings: LoopSettings | None = None,
    memory: Path | str | Optimization | None = None,
    embed: Embed | None = None,
) -> list[Recommendation]:
    """Rank each task's candidates with the best demonstration known for its user, or those of the
    users with the nearest taste.

    Args:
        tasks: what to rank; nobody need know what comes next.
        model: as for `optimize`, and so are `ranker`, `settings` and `embed`.
        memory: what is known: an `Optimization`, or the folder that `optimize` was given as
            `memory`; None for nothing, which is the model without a demonstration.

    Raises:
        InputError: a task that cannot be used, or an extra that is not installed.
        EndpointError: the model's server is not there, or refuses.

    Example:
        >>> import asyncio, lrgd
        >>> ann = {
        ...     "user_id": "ann",
        ...     "history": ["Mario Kart 8", "Nintendo Switch Pro Controller"],
        ...     "candidates": ["Wool Socks", "Super Mario Odyssey", "Garden Hose"],
        ...     "target_id": "Super Mario Odyssey",
        ... }
        >>> url = "http://127.0.0.1:8000/v1"
        >>> found = asyncio.run(lrgd.optimize([ann], model=url))
        >>> [best] = asyncio.run(lrgd.recommend([ann], model=url, memory=found))
        >>> best.source, best.items[0].title
        ('own', 'Super Mario Odyssey')
    """
    wanted = [as_ranking_task(task) for task in tasks]
    folder = None if isinstance(memory, Optimization) else memory
    async with _opened(model, ranker, folder, embed) as tools:
        if isinstance(memory, Optimization):
            known = (record.chosen for record in memory.users.values())
            await tools.memory.remember(*(chosen for chosen in known if chosen))
        graph = build_recommendation_graph(
            ranker=tools.ranker, memory=tools.memory, settings=settings
        )

        async def one(task: RankingTask) -> Recommendation:
            state = await graph.ainvoke({"task": task})
            shown = tuple(state["demonstrations"])
            return Recommendation(task, state["ranking"], shown, state["source"])

        return await _all(tools.users_at_once, [partial(one, task) for task in wanted])


def as_ranking_task(task: Task) -> RankingTask:
    """The task itself, or one made of a mapping with its fields.

    Raises:
        InputError: names the user and the field.
    """
    if isinstance(task, RankingTask):
        return task
    given = dict(task)
    who = f"task of {given.get('user_id')!r}"
    try:
        for field in ("history", "candidates"):
            given[field] = tuple(map(_as_item, given[field]))
        return RankingTask(**given)
    except KeyError as error:
        raise InputError(
            f"{who}: wanted a field {error}, got {', '.join(map(str, task))}"
        ) from error
    except (TypeError, ValueError) as error:
        raise InputError(f"{who}: {error}") from error


def _as_item(item: Item | Mapping[str, Any] | str) -> Item:
    if isinstance(item, str):
        return Item(item, item)
    return item if isinstance(item, Item) else Item(**item)


def _by_user(tasks: Iterable[Task]) -> dict[str, list[RankingTask]]:
    found: dict[str, list[RankingTask]] = {}
    for task in map(as_ranking_task, tasks):
        if task.target is None:
            raise InputError(
                f"task of {task.user_id!r}: no target_id: what came next must be known"
            )
        found.setdefault(task.user_id, []).append(task)
    return found


@dataclass(frozen=True, slots=True)
class _Tools:
    """What the graphs are built from."""

    model: BaseChatModel
    ranker: CustomRanker
    memory: DemonstrationMemory
    users_at_once: int


@asynccontextmanager
async def _opened(
    model: Model, ranker: CustomRanker | None, memory: Path | str | None, embed: Embed | None
) -> AsyncIterator[_Tools]:
    with TemporaryDirectory() as temporary:
        folder = Path(temporary if memory is None else memory)
        if isinstance(model, BaseChatModel):
            embed = await asyncio.to_thread(load_minilm) if embed is None else embed
            kept = DemonstrationMemory.at(folder, embed)
            yield _Tools(model, ranker or ListwiseRanker(model), kept, USERS_AT_ONCE)
            return
        async with open_workbench(folder, _choice(model), embed=embed) as bench:
            yield _Tools(bench.model, ranker or bench.ranker, bench.memory, bench.users_at_once)


def _choice(model: ModelChoice | str | None) -> ModelChoice:
    if isinstance(model, str):
        return ModelChoice(model) if "://" in model else ModelChoice(model=model)
    return model or ModelChoice()


async def _all(at_once: int, calls: Sequence[Callable[[], Awaitable[T]]]) -> list[T]:
    """The calls' results in order, `at_once` under way at a time; the first error ends them all."""
    gate = asyncio.Semaphore(at_once)

    async def one(call: Callable[[], Awaitable[T]]) -> T:
        async with gate:
            return await call()

    first: Exception | None = None
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one(call)) for call in calls]
    except ExceptionGroup as failed:
        first = failed.exceptions[0]
    if first is not None:  # raised here, by itself: a caller catches it by its own class
        raise first
    return [task.result() for task in tasks]
