"""Optimise, evaluate, recommend: what the commands do, over a bundle and a run folder.

`begin` and `reopen` check everything that can be checked before a model is started.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from pydantic import TypeAdapter
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from agents.endpoint import Usage
from agents.probe import RankingMode
from evals.bundle import Bundle, load_bundle
from evals.evaluate import MethodResult, results, score_users
from evals.journal import RunFolder, RunHeader, UserRecord
from evals.methods import METHODS, Tools
from evals.optimize import Progress, optimize_users
from evals.report import ReportFiles, write_report
from graphs import LoopSettings, build_graph, build_recommendation_graph, open_checkpoints
from graphs.recommendation import RecommendationState
from lrgd.workbench import ModelChoice, Workbench
from memory.errors import InputError


@dataclass(frozen=True, slots=True)
class Run:
    """A run folder, the bundle it is of, and what it was asked to do."""

    folder: RunFolder
    bundle: Bundle
    header: RunHeader
    choice: ModelChoice
    """The model, with the ranking mode and the candidate orders of the header."""

    @property
    def records(self) -> list[UserRecord]:
        """The users that are done, in the bundle's order."""
        known = {record.user_id: record for record in self.folder.records.read()}
        return [known[user] for user in self.header.users if user in known]

    @property
    def optimized(self) -> bool:
        return len(self.records) == len(self.header.users)

    @property
    def scored(self) -> bool:
        return len(self.folder.scores.read()) == len(METHODS) * len(self.header.users)


def plan(
    bundle_path: Path, path: Path, choice: ModelChoice, settings: LoopSettings, users: int
) -> Run:
    """A run over the first `users` users of a bundle, not begun.

    Args:
        choice: the model, its ranking mode fixed (`lrgd.workbench.settled`).

    Raises:
        InputError: no such bundle.
    """
    bundle = load_bundle(bundle_path)
    header = RunHeader(
        bundle=str(bundle_path.resolve()),
        bundle_sha256=bundle.sha256,
        model=choice.name,
        ranking=str(choice.ranking),
        shuffles=choice.shuffles,
        users=tuple(list(bundle.users)[:users]),
        settings=settings.model_copy(update={"dataset": bundle.name, "model": choice.name}),
    )
    return Run(RunFolder(path), bundle, header, choice)


def begin(run: Run, *, resume: bool) -> Run:
    """Start a planned run, or go on with it.

    Raises:
        InputError: the folder holds a run that this one does not go on with.
    """
    run.folder.begin(run.header, resume=resume)
    return run


def reopen(path: Path, choice: ModelChoice, bundle_path: Path | None = None) -> Run:
    """A run that exists, to be used with the model and the ranking mode it was made with.

    Raises:
        InputError: no run there, another bundle, another model.
    """
    folder = RunFolder(path)
    header = folder.header()
    bundle = load_bundle(bundle_path or Path(header.bundle))
    if bundle.sha256 != header.bundle_sha256:
        raise InputError(
            f"{path} is a run of bundle {header.bundle_sha256[:12]}, "
            f"{bundle_path or header.bundle} is {bundle.sha256[:12]}: name the run's own bundle"
        )
    if choice.name != header.model:
        raise InputError(
            f"{path} was made with {header.model}, not {choice.name}: "
            "give the --base-url and the --model of the run"
        )
    mode = TypeAdapter[RankingMode](RankingMode).validate_python(header.ranking)
    return Run(folder, bundle, header, replace(choice, ranking=mode, shuffles=header.shuffles))


async def optimize(run: Run, bench: Workbench) -> None:
    """Optimise the run's users that are not done."""
    async with open_checkpoints(run.folder.checkpoints) as checkpointer:
        graph = build_graph(
            model=bench.model,
            ranker=bench.ranker,
            memory=bench.memory,
            settings=run.header.settings,
            checkpointer=checkpointer,
        )
        with _OptimizationBar(len(run.header.users)) as bar:
            await optimize_users(
                run.bundle,
                run.header.users,
                graph,
                run.folder.records,
                at_once=bench.users_at_once,
                report=bar.report,
            )


PILOT_USERS = 25
"""Calls of a user vary by a third or more (a path that succeeds rests): the mean of 25 is within
15 % nine times out of ten."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a run will need, from a pilot."""

    users: int
    tried: int
    """Users of the pilot, spread over the run's."""
    usage: Usage
    """Of the whole run, the pilot included."""


async def estimate(run: Run, bench: Workbench) -> Estimate:
    """Optimise a few of the run's users for real, elsewhere, and multiply.

    How often a path rests early, how long demonstrations get: only the model can tell. What the
    pilot paid is in the cache, and the run will not pay it again.
    """
    users = run.header.users
    tried = tuple(dict.fromkeys(users[len(users) * n // PILOT_USERS] for n in range(PILOT_USERS)))
    with TemporaryDirectory() as folder:
        header = run.header.model_copy(update={"users": tried})
        pilot = replace(run, folder=RunFolder(Path(folder)), header=header)
        await optimize(pilot, bench)
        spent = sum((record.usage for record in pilot.records), Usage())
    return Estimate(len(users), len(tried), spent.scaled(len(users) / len(tried)))


async def score(run: Run, bench: Workbench) -> None:
    """Score every method on the test tasks of the run's users."""
    records = run.records
    tools = Tools(bench.ranker, bench.memory.embed, run.header.settings)
    with _bar() as bar:
        task = bar.add_task("scoring", total=len(METHODS) * len(records))
        await score_users(
            run.bundle,
            records,
            tools,
            run.folder.scores,
            at_once=bench.users_at_once,
            report=lambda score: bar.advance(task),
        )


async def recommend(run: Run, bench: Workbench, user: str) -> RecommendationState:
    """Rank a user's test candidates with the best demonstration that the run remembers."""
    graph = build_recommendation_graph(
        ranker=bench.ranker, memory=bench.memory, settings=run.header.settings
    )
    state: RecommendationState = await graph.ainvoke({"task": run.bundle.task(user, "test")})
    return state


def table(run: Run) -> list[MethodResult]:
    """The rows of the run's table."""
    return results(run.folder.scores.read())


def report(run: Run, rows: Sequence[MethodResult]) -> ReportFiles:
    """Write the report of a scored run into its folder."""
    folder = run.folder.folder / "report"
    return write_report(folder, run.bundle, run.header, run.records, rows)


class _OptimizationBar:
    """Users done, model calls, mean Effect_D and time left, on standard error."""

    def __init__(self, users: int) -> None:
        self._bar = _bar()
        self._task = self._bar.add_task("optimising", total=users)
        self._calls = 0
        self._effects: list[float] = []

    def __enter__(self) -> "_OptimizationBar":
        self._bar.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._bar.stop()

    def report(self, progress: Progress) -> None:
        self._calls += progress.calls
        if progress.done is not None:
            chosen = progress.done.chosen
            self._effects.append(chosen.effect if chosen else 0.0)
            self._bar.advance(self._task)
        mean = sum(self._effects) / max(1, len(self._effects))
        text = f"optimising: {self._calls} calls, mean Effect_D {mean:.3f}"
        self._bar.update(self._task, description=text)


def _bar() -> Bar:
    columns = ("{task.description}", BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Bar(*columns, console=Console(stderr=True))
