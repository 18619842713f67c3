"""The commands that are killed, and what they say where nothing disturbs them."""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from lrgd.evals.data.bundle import load_bundle
from tests.campaign.commands import UNDISTURBED, Commands, Disturbance, Ended
from tests.campaign.folders import contents, kept_answers
from tests.campaign.ledger import Ledger
from tests.faulty import shop

Job = Literal["optimize", "evaluate", "suite"]
CONCURRENCY = 8
"""Requests under way at once: the commands' default."""
SUITE = """name: small
about: Two shoppers of the sample world, and an ablation.
data: {source: sample, users: 2, candidates: 5, history: 5}
users: 2
settings: {paths: 2, rounds: 1}
methods: m = 1
"""


@dataclass(frozen=True)
class Whole:
    """An undisturbed job."""

    contents: dict[str, bytes]
    """What its folder told, see `tests.campaign.folders`."""
    keys: set[str]
    """Of the requests that it kept the answers of: the run's own."""
    others: set[str]
    """Of the requests that it kept no answer of: the probe's."""
    events: int


class Place:
    """A bundle, a suite, a server, and a folder where one job after the other is done.

    The folder's path is written into its files: it is the same for all.
    """

    def __init__(self, folder: Path, commands: Commands, ledger: Ledger, url: str) -> None:
        self.folder, self.commands, self.ledger = folder, commands, ledger
        self.model = ("--base-url", url, "--model", "m")
        self.out = folder / "out"
        self.bundle, self.suite = folder / "bundle", folder / "suite.yaml"
        self._optimized = folder / "optimized"
        self._whole: dict[tuple[Job, str], Whole] = {}
        shop(folder / "files").save(self.bundle)
        self.suite.write_text(SUITE)

    def words(self, job: Job, mode: str, *more: object) -> list[object]:
        """The command line of a job in `out`; with "--resume" of one that goes on."""
        words: dict[Job, Sequence[object]] = {
            "optimize": ("optimize", self.bundle, *_SMALL, "--ranking", mode, "--run", self.run),
            "evaluate": ("evaluate", "--run", self.run),
            "suite": ("suite", "run", self.suite, "--out", self.out, "--ranking", mode),
        }
        return [*words[job], *self.model, *more]

    @property
    def run(self) -> Path:
        """The run folder."""
        return self.out / "run"

    def begin(self, job: Job, mode: str) -> None:
        """Make `out` what the job begins with: nothing, or a run to be evaluated."""
        optimized = self._optimized_run(mode) if job == "evaluate" else None
        shutil.rmtree(self.out, ignore_errors=True)
        if optimized:
            shutil.copytree(optimized, self.run)

    def do(self, job: Job, mode: str, disturbed: Disturbance = UNDISTURBED) -> Ended:
        """Do a job from its beginning."""
        return self.commands.run(self.words(job, mode), self.out, disturbed)

    def go_on(self, job: Job, mode: str, disturbed: Disturbance = UNDISTURBED) -> Ended:
        """Do the rest of a job, as a person would."""
        more = ("--resume",) if job == "optimize" else ()
        return self.commands.run(self.words(job, mode, *more), self.out, disturbed)

    def whole(self, job: Job, mode: str) -> Whole:
        """The job, undisturbed."""
        if (job, mode) not in self._whole:
            self.begin(job, mode)
            self.ledger.forget()
            ended = self.do(job, mode)
            assert ended.code == 0, ended.told
            keys = set(kept_answers(self.run))
            own = keys & self.ledger.answered.keys()
            assert job == "evaluate" or own == keys
            assert self.ledger.paid_again(own) == 0
            others = self.ledger.answered.keys() - keys
            self._whole[job, mode] = Whole(contents(self.out), own, others, ended.events)
        return self._whole[job, mode]

    def user(self, bundle: Path) -> str:
        """A user of a bundle; of one that is not made yet, nobody."""
        return next(iter(load_bundle(bundle).users)) if bundle.exists() else "nobody"

    def _optimized_run(self, mode: str) -> Path:
        kept = self._optimized / mode
        if not kept.exists():
            self.begin("optimize", mode)
            ended = self.do("optimize", mode)
            assert ended.code == 0, ended.told
            shutil.copytree(self.run, kept)
        return kept


_SMALL = ("--users", 3, "--paths", 2, "--rounds", 1)
