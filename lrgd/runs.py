"""Optimise, evaluate, recommend: what the commands do, over a bundle and a run folder.

`begin` and `reopen` check everything that can be checked before a model is started.
"""

import asyncio
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import cast

from pydantic import TypeAdapter

from lrgd.agents.values import RankingMode, Usage
from lrgd.core.errors import InputError
from lrgd.core.files import replace_file
from lrgd.evals.data.bundle import Bundle, load_bundle
from lrgd.evals.methods import Need, Resources
from lrgd.evals.methods.evidence import evidence_of
from lrgd.evals.report.page import ReportFiles, write_report
from lrgd.evals.report.report import Report, report_of
from lrgd.evals.runs.evaluation import Evaluation, SeededMethod, methods_of, optimisations
from lrgd.evals.runs.folder import FailedCall, PriorName, RunFolder, RunHeader, UserRecord
from lrgd.evals.runs.fusing import kept_fit, learned, validation_tasks
from lrgd.evals.runs.optimize import OPTIMIZATION, optimize_users
from lrgd.evals.runs.prior import RunPrior, fit_prior
from lrgd.evals.runs.scoring import score_users
from lrgd.evals.runs.shared import SharedSearch, search
from lrgd.graphs import LoopSettings, build_graph, build_recommendation_graph, open_checkpoints
from lrgd.graphs.recommendation import RecommendationState
from lrgd.memory import DemonstrationMemory
from lrgd.progress import Display
from lrgd.workbench import ModelChoice, Workbench


@dataclass(frozen=True, slots=True)
class Run:
    """A run folder, the bundle it is of, and what it was asked to do."""

    folder: RunFolder
    bundle: Bundle
    header: RunHeader
    choice: ModelChoice
    """The model, asked as the header says."""

    @property
    def prior(self) -> RunPrior | None:
        """What its tasks bring as their prior."""
        return self.bundle.prior if isinstance(self.bundle.prior, RunPrior) else None

    @property
    def records(self) -> list[UserRecord]:
        """The users that are done, in the bundle's order."""
        known = {record.user_id: record for record in self.folder.records.read()}
        return [known[user] for user in self.header.users if user in known]

    @property
    def optimized(self) -> bool:
        return len(self.records) == len(self.header.users)

    @property
    def failed(self) -> list[FailedCall]:
        """The users without a record whose calls failed, the last time each."""
        done = {record.user_id for record in self.records}
        calls = {c.user_id: c for c in self.folder.failed.read() if c.step == OPTIMIZATION}
        return [call for user, call in calls.items() if user not in done]

    @property
    def tried(self) -> bool:
        """Whether every user is done or has failed."""
        return len(self.records) + len(self.failed) == len(self.header.users)

    def variant(self, settings: LoopSettings) -> "Run":
        """The same run with other settings, in a folder inside this one's; itself where equal."""
        own, other = self.header.settings.model_dump(), settings.model_dump()
        changes = {key: other[key] for key in sorted(own) if own[key] != other[key]}
        if not changes:
            return self
        name = ",".join(
            f"{key}={'none' if value == '' else value}" for key, value in changes.items()
        )
        header = self.header.model_copy(update={"settings": settings})
        return replace(self, folder=self.folder.variant(name), header=header)

    def methods(self, wanted: Evaluation) -> list[SeededMethod]:
        """The methods of an evaluation under its seeds, with the records that there are."""
        of_folder: dict[Path, list[UserRecord]] = {}

        def records(settings: LoopSettings) -> list[UserRecord]:
            variant = self.variant(settings)
            folder = variant.folder.folder
            if folder not in of_folder:
                of_folder[folder] = variant.records
            return of_folder[folder]

        has: list[Need] = ["training part"] if self.bundle.training else []
        has += ["prior"] if self.prior else []
        header = self.header
        return list(methods_of(wanted, header.settings, records, header.before_shared, has=has))

    def failed_in(self, wanted: Evaluation) -> list[FailedCall]:
        """The calls behind what has no score in an evaluation, the last time each."""
        known = {(s.method, s.seed, s.user_id) for s in self.folder.scores.read()}
        calls = {(c.step, c.seed, c.user_id): c for c in self.folder.failed.read()}
        methods = self.methods(wanted)
        keys = {(a.method.name, a.seed, user) for a in methods for user in self.header.users}
        found = [call for key, call in calls.items() if key in keys - known]
        variants = {s.model_dump_json(): self.variant(s) for s in (a.settings for a in methods)}
        return [*found, *(call for variant in variants.values() for call in variant.failed)]

    def ready(self, wanted: Evaluation) -> bool:
        """Whether every optimisation is done and every ranking scored."""
        known = {(s.method, s.seed, s.user_id) for s in self.folder.scores.read()}
        methods, users = self.methods(wanted), self.header.users
        asked = {(seeded.method.name, seeded.seed, user) for seeded in methods for user in users}
        return asked <= known and all(len(seeded.records) == len(users) for seeded in methods)


def plan(
    bundle_path: Path,
    path: Path,
    choice: ModelChoice,
    settings: LoopSettings,
    users: int,
    prior: PriorName | None = None,
) -> Run:
    """A run over the first `users` users of a bundle, not begun.

    Args:
        choice: the model, its ranking mode fixed (`lrgd.workbench.settled`).

    Raises:
        InputError: no such bundle, or one without the training part that a prior needs.
    """
    bundle = load_bundle(bundle_path)
    header = RunHeader(
        bundle=str(bundle_path.resolve()),
        bundle_sha256=bundle.sha256,
        model=choice.name,
        writer=choice.writer.name if choice.writer else None,
        ranking=str(choice.ranking),
        shuffles=choice.shuffles,
        note_tokens=choice.max_tokens,
        ranking_tokens=choice.ranking_tokens,
        users=tuple(list(bundle.users)[:users]),
        settings=settings.model_copy(update={"dataset": bundle.name, "model": choice.writer_name}),
        prior=prior,
    )
    folder = RunFolder(path)
    return Run(folder, _with_prior(bundle, folder, prior), header, choice)


def _with_prior(bundle: Bundle, folder: RunFolder, prior: PriorName | None) -> Bundle:
    """The bundle, its tasks with the run's prior."""
    if prior is None:
        return bundle
    if bundle.training is None:
        raise InputError(
            f"--prior {prior} learns from a bundle's training part, and bundle {bundle.name!r} has "
            "none: make it anew with `lrgd data prepare`"
        )
    return replace(bundle, prior=RunPrior(folder.prior, bundle.training))


def begin(run: Run, *, resume: bool) -> Run:
    """Start a planned run, or go on with it.

    Raises:
        InputError: the folder holds a run that this one does not go on with.
    """
    run.folder.begin(run.header, resume=resume)
    return run


def reopen(
    path: Path, choice: ModelChoice, bundle_path: Path | None = None, *, writes: bool = True
) -> Run:
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
    if choice.base_url and not choice.model:
        choice = replace(choice, model=header.model)
    if choice.name != header.model:
        raise InputError(
            f"{path} was made with {header.model}, not {choice.name}: "
            "give the --base-url and the --model of the run"
        )
    if writes and (choice.writer.name if choice.writer else None) != header.writer:
        raise InputError(
            f"{path} was made with --writer {header.writer or 'left out'}: give the run's own"
        )
    mode = TypeAdapter[RankingMode](RankingMode).validate_python(header.ranking)
    choice = replace(
        choice,
        ranking=mode,
        shuffles=header.shuffles,
        max_tokens=header.note_tokens,
        ranking_tokens=header.ranking_tokens,
    )
    return Run(folder, _with_prior(bundle, folder, header.prior), header, choice)


async def search_shared(run: Run, bench: Workbench, calls: int) -> SharedSearch:
    """Search the texts that the run's users share, and keep what was found in its folder.

    Args:
        calls: users to write and rank for, in all.

    Raises:
        InputError: too few users or calls.
    """
    bundle = replace(run.bundle, prior=None)  # it is fitted after, with the texts found here
    tasks = [bundle.task(user, "validation") for user in run.header.users]
    result = await search(tasks, run.header.settings, bench.model, bench.ranker, calls)
    replace_file(run.folder.shared, result.model_dump_json(indent=2) + "\n")
    return result


def with_shared(run: Run, result: SharedSearch) -> Run:
    """A planned run that begins with these texts."""
    before = run.header.settings
    changes = {"settings": before.model_copy(update=result.texts), "before_shared": before}
    return replace(run, header=run.header.model_copy(update=changes))


async def fit_run_prior(run: Run, bench: Workbench, display: Display) -> None:
    """Fit the prior of a run that begins with one, and keep it in the folder.

    Raises:
        InputError: no validation task got an answer.
    """
    if run.bundle.training is None or run.folder.prior.exists():
        return
    bundle = replace(run.bundle, prior=None)
    tasks = [task for user in run.header.users for task in validation_tasks(bundle, user)]
    report = display.counting("fitting the prior", len(tasks))
    evidence = await asyncio.to_thread(evidence_of, run.bundle.training)
    result = await fit_prior(tasks, evidence, bench.ranker, run.header.settings, report)
    replace_file(run.folder.prior, result.model_dump_json(indent=2) + "\n")


async def optimize(run: Run, bench: Workbench, display: Display, name: str = "LRGD") -> None:
    """Optimise the run's users that are not done; first, fit its prior, where it has one.

    Args:
        name: what the display calls it.
    """
    if run.header.prior:
        await fit_run_prior(run, bench, display)
    async with open_checkpoints(run.folder.checkpoints) as checkpointer:
        graph = build_graph(
            model=bench.model,
            ranker=bench.ranker,
            memory=bench.memory,
            settings=run.header.settings,
            checkpointer=checkpointer,
        )
        await optimize_users(
            run.bundle,
            run.header.users,
            graph,
            run.folder.records,
            at_once=bench.users_at_once,
            failed=run.folder.failed,
            report=display.optimizing(name, len(run.header.users)),
        )


async def optimize_variants(
    run: Run, wanted: Evaluation, bench: Workbench, display: Display
) -> None:
    """Do the optimisations that an evaluation reads beside the run's own: ablations and seeds."""
    for settings in optimisations(wanted, run.header.settings):
        variant = run.variant(settings)
        if variant is run or variant.optimized:
            continue
        # Of its own: what another optimisation found must not help this one.
        memory = DemonstrationMemory.at(variant.folder.memory, bench.memory.embed)
        begin(variant, resume=True)
        name = variant.folder.folder.name
        await optimize(variant, replace(bench, memory=memory), display, name)


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

    @property
    def sentence(self) -> str:
        """What the run will need, for a person."""
        need = self.usage
        return (
            f"The run of {self.users} users needs about {need.calls} calls, {need.prompt_tokens} "
            f"prompt and {need.completion_tokens} completion tokens (tried: {self.tried} users, "
            "whose answers are kept for the run)."
        )


async def estimate(run: Run, bench: Workbench) -> Estimate:
    """Optimise a few of the run's users for real, elsewhere, and multiply.

    How often a path rests early, how long demonstrations get: only the model can tell. What the
    pilot paid is in the cache, and the run will not pay it again.
    """
    users = run.header.users
    tried = tuple(dict.fromkeys(users[len(users) * n // PILOT_USERS] for n in range(PILOT_USERS)))
    with TemporaryDirectory() as folder:
        header = run.header.model_copy(update={"users": tried})
        own = RunFolder(Path(folder))
        pilot = Run(own, _with_prior(run.bundle, own, header.prior), header, run.choice)
        with Display() as display:
            await optimize(pilot, bench, display, "a pilot")
        spent = sum((record.usage for record in pilot.records), Usage())
    return Estimate(len(users), len(tried), spent.scaled(len(users) / len(tried)))


async def score(run: Run, wanted: Evaluation, bench: Workbench, display: Display) -> None:
    """Optimise what is not optimised yet, and score every method on the run's test tasks."""
    await optimize_variants(run, wanted, bench, display)
    methods = run.methods(wanted)
    evidence, fused = learned(run.bundle, run.header.users, run.folder.fused)
    resources = Resources(
        bench.ranker,
        bench.memory.embed,
        run.header.settings,
        run.bundle.popularity,
        evidence,
        fused,
        run.prior.without if run.prior else {},
    )
    await score_users(
        run.bundle,
        methods,
        resources,
        run.folder.scores,
        at_once=bench.users_at_once,
        failed=run.folder.failed,
        report=display.counting("scoring", len(methods) * len(run.header.users)),
    )


async def recommend(run: Run, bench: Workbench, user: str) -> RecommendationState:
    """Rank a user's test candidates with the best demonstration that the run remembers."""
    graph = build_recommendation_graph(
        ranker=bench.ranker, memory=bench.memory, settings=run.header.settings
    )
    return cast(RecommendationState, await graph.ainvoke({"task": run.bundle.task(user, "test")}))


def report_on(run: Run, wanted: Evaluation) -> Report:
    """What a scored run says."""
    scores = run.folder.scores.read()
    failed = run.failed_in(wanted)
    fused = kept_fit(run.folder.fused)
    fits = {"fused": fused, "prior": run.prior.fit if run.prior else None}
    weights = {name: fitted for name, fitted in fits.items() if fitted is not None}
    return report_of(run.bundle, run.header, wanted, run.methods(wanted), scores, failed, weights)


def save_report(run: Run, report: Report) -> ReportFiles:
    """Write the report of a scored run into its folder."""
    return write_report(run.folder.report, report)
