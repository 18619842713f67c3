"""Runs: planned, begun, opened again, and what a scored one says. No model is started here.

They check everything that can be checked without one; `lrgd.run_jobs` does the work.
"""

from dataclasses import dataclass, replace
from pathlib import Path

from pydantic import TypeAdapter

from lrgd.agents.values import RankingMode
from lrgd.core.errors import InputError
from lrgd.evals.data.bundle import Bundle, load_bundle
from lrgd.evals.methods import Need
from lrgd.evals.report.page import ReportFiles, write_report
from lrgd.evals.report.report import Report, report_of
from lrgd.evals.runs.evaluation import Evaluation, SeededMethod, methods_of
from lrgd.evals.runs.folder import FailedCall, PriorName, RunFolder, RunHeader, UserRecord
from lrgd.evals.runs.fusing import kept_fit
from lrgd.evals.runs.optimize import OPTIMIZATION
from lrgd.evals.runs.prior import RunPrior, with_prior_of
from lrgd.graphs import LoopSettings
from lrgd.workbench import ModelChoice


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
    tasks = with_prior_of(bundle, folder.prior) if prior else bundle
    return Run(folder, tasks, header, choice)


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
    bundle = with_prior_of(bundle, folder.prior) if header.prior else bundle
    return Run(folder, bundle, header, choice)


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
