"""What the commands do on a run: search shared texts, fit the prior, optimise, score, recommend."""

import asyncio
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import cast

from lrgd.agents.values import Usage
from lrgd.core.files import replace_file
from lrgd.evals.methods import Resources
from lrgd.evals.methods.evidence import evidence_of
from lrgd.evals.runs.evaluation import Evaluation, optimisations
from lrgd.evals.runs.folder import RunFolder
from lrgd.evals.runs.fusing import learned, validation_tasks
from lrgd.evals.runs.optimize import optimize_users
from lrgd.evals.runs.prior import fit_prior, with_prior_of
from lrgd.evals.runs.scoring import score_users
from lrgd.evals.runs.shared import SharedSearch, search
from lrgd.graphs import build_graph, build_recommendation_graph, open_checkpoints
from lrgd.graphs.recommendation import RecommendationState
from lrgd.memory import DemonstrationMemory
from lrgd.progress import Display
from lrgd.runs import Run, begin
from lrgd.workbench import Workbench


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
        bundle = with_prior_of(run.bundle, own.prior) if header.prior else run.bundle
        pilot = Run(own, bundle, header, run.choice)
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
