"""A run folder: an append-only journal beside the checkpoints and the memory.

    run.json             what the run is of
    journal.jsonl        one record for each user that is done
    scores.jsonl         one line for each test ranking
    failed.jsonl         one line for each time that the model gave a user no answer
    fused.json           what the sources of evidence weigh, for the floor fused
    prior.json           what evidence and model weigh, where the run has a prior
    shared.json          texts that all users share, where they were searched
    answers.sqlite       what the model answered: the same request is not paid twice
    checkpoints.sqlite   what was done for each user, step by step; debugging sessions
    memory/              effective demonstrations
    variants/            the same run with another seed, or with a setting changed for an ablation
    report/              page, plots, tables and numbers
    writer.lock          held by the one command that writes the run; writer.json says which
    turns/               locks of the debugging sessions, which write their own threads only

A line is written whole or, after a crash, cut off. A cut-off last line is not read, and dropped by
the next who writes.
"""

import asyncio
import logging
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, TypeAdapter

from lrgd.agents.generator import NOTE_TOKENS
from lrgd.agents.guard import Judgement
from lrgd.agents.ranking.modes import LISTWISE_TOKENS
from lrgd.agents.values import RankingAudit, Usage
from lrgd.core.errors import KEPT, InputError
from lrgd.core.files import append_line, replace_file, whole_lines
from lrgd.core.locks import one_writer
from lrgd.core.validation import input_checked
from lrgd.graphs.settings import LoopSettings
from lrgd.graphs.state import PathState, StopReason
from lrgd.memory import Demonstration

T = TypeVar("T")

PriorName = Literal["fused"]
"""fused: popularity, item kNN and BM25, see `lrgd.evals.runs.prior`."""

_log = logging.getLogger("lrgd")


class RunHeader(BaseModel):
    """What a run is of. Two runs with the same header give the same records."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    bundle: str
    """Where the bundle was when the run began."""
    bundle_sha256: str
    model: str
    writer: str | None = None
    """The model that wrote the demonstrations; None: the one that ranked."""
    ranking: str
    shuffles: int = 1
    note_tokens: int = NOTE_TOKENS
    """Bound on one demonstration."""
    ranking_tokens: int = LISTWISE_TOKENS
    """Bound on one written ranking."""
    users: tuple[str, ...]
    settings: LoopSettings
    before_shared: LoopSettings | None = None
    """The settings before `--shared` searched the texts that all users share; None: it did not."""
    prior: PriorName | None = None
    """Evidence that every ranking starts from; None: the model ranks alone."""


@dataclass(frozen=True, slots=True)
class UserRecord:
    """How one user's demonstration was optimised, on the validation task."""

    user_id: str
    paths: tuple[PathState, ...]
    judgements: tuple[Judgement, ...]
    chosen: Demonstration | None
    stopped_by: StopReason
    usage: Usage
    seconds: float = field(default=0.0, compare=False)
    """From the user's start to the end, others beside it; of the last start, where resumed."""

    @property
    def first(self) -> Demonstration | None:
        """The first demonstration written, never optimised: in-context learning's."""
        written = (p.demonstrations for p in self.paths)
        return min(
            (d for demonstrations in written for d in demonstrations),
            key=lambda d: (d.round, d.path),
            default=None,
        )


@dataclass(frozen=True, slots=True)
class Score:
    """One method's ranking of one user's test task."""

    method: str
    user_id: str
    rank: int
    strict_rank: int | None = None
    """Rank by the letter, see `Ranking.strict_rank_of`; None: not in the list."""
    audit: RankingAudit | None = None
    usage: Usage = field(default_factory=Usage)
    seconds: float = field(default=0.0, compare=False)
    """From asking to the ranking, others under way beside it."""
    seed: int | None = None
    """Of the optimisation behind it; None where there is none."""


@dataclass(frozen=True, slots=True)
class FailedCall:
    """A time that a user got no answer. Nothing else is recorded of it: who resumes asks again."""

    user_id: str
    step: str
    """"optimization", or the method that was to rank."""
    kind: str
    """What came instead, see `lrgd.agents.endpoint.replies`."""
    reason: str = ""
    seed: int | None = None
    """Of the optimisation behind the method; None where there is none."""


class Lines(Generic[T]):
    """An append-only file of JSON lines, each a `T`; equal lines are parsed once."""

    def __init__(
        self, path: Path, kind: type[T], key: Callable[[T], Hashable] | None = None
    ) -> None:
        """
        Args:
            key: what only one record of the file may have; None where any may stand there again.
        """
        self.path = path
        self._key = key
        self._parsed: dict[bytes, T] = {}
        self._adapter: TypeAdapter[T] = TypeAdapter(kind)
        self._doubled = 0

    def append(self, record: T) -> None:
        """Add a line. After the return it outlives process and machine, see `append_line`."""
        append_line(self.path, self._adapter.dump_json(record))

    async def add(self, record: T) -> None:
        """`append`, without keeping the event loop waiting for the disk."""
        await asyncio.to_thread(self.append, record)

    def read(self) -> list[T]:
        """All whole lines, and none if there is no file.

        A record that stands there twice (only its seconds may differ) counts once; how many do is
        told by Python's log.

        Raises:
            InputError: a line is not a `T`; names file, line and field. Or two records of one key
                differ; names both lines.
        """
        rows = enumerate(whole_lines(self.path), start=1)
        return self._unique([self._parse(number, row) for number, row in rows])

    def _unique(self, records: list[T]) -> list[T]:
        if self._key is None:
            return records
        first: dict[Hashable, int] = {}
        kept = []
        for number, record in enumerate(records, start=1):
            before = first.setdefault(self._key(record), number)
            if before == number:
                kept.append(record)
            elif record != records[before - 1]:
                raise InputError(
                    f"{self.path}:{number}: another record of {self._key(record)} than in line "
                    f"{before}: delete one of the two lines"
                )
        self._tell_doubled(len(records) - len(kept))
        return kept

    def _tell_doubled(self, doubled: int) -> None:
        if doubled > self._doubled:
            _log.warning("lrgd: %s: %d lines stand there twice and count once", self.path, doubled)
        self._doubled = doubled

    def _parse(self, number: int, row: bytes) -> T:
        if row not in self._parsed:
            with input_checked(f"{self.path}:{number}", "line"):
                self._parsed[row] = self._adapter.validate_json(row)
        return self._parsed[row]


class RunFolder:
    """A run on disk."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.records: Lines[UserRecord] = Lines(
            folder / "journal.jsonl", UserRecord, lambda record: record.user_id
        )
        self.scores: Lines[Score] = Lines(
            folder / "scores.jsonl", Score, lambda score: (score.method, score.seed, score.user_id)
        )
        self.failed: Lines[FailedCall] = Lines(folder / "failed.jsonl", FailedCall)
        self.checkpoints = folder / "checkpoints.sqlite"
        self.answers = folder / "answers.sqlite"
        self.memory = folder / "memory"
        self.report = folder / "report"
        self.shared = folder / "shared.json"
        self.fused = folder / "fused.json"
        self.prior = folder / "prior.json"
        self._header = folder / "run.json"
        self._variants: dict[str, RunFolder] = {}

    @contextmanager
    def writing(self, command: str) -> Iterator[None]:
        """Be the only command that writes this run, its variants included. Reading needs no lock.

        Raises:
            InputError: another command writes it; says which, where and since when.
        """
        with one_writer(self.folder, command):
            try:
                yield
            except BaseException as error:
                error.add_note(KEPT)
                raise

    def begin(self, header: RunHeader, *, resume: bool) -> None:
        """Start the run, or go on with it.

        Raises:
            InputError: there is a run and `resume` is off, or it is another run.
        """
        if not self._header.exists():
            self.folder.mkdir(parents=True, exist_ok=True)
            replace_file(self._header, header.model_dump_json(indent=2) + "\n")
            return
        if not resume:
            raise InputError(f"{self.folder} holds a run: add --resume or name another --run")
        if differing := _differences(self.header().model_dump(), header.model_dump()):
            raise InputError(f"{self.folder} is another run: {'; '.join(differing)}")

    def variant(self, name: str) -> "RunFolder":
        """The folder of the same run with a setting changed: it shares what the model answered."""
        if name not in self._variants:
            self._variants[name] = RunFolder(self.folder / "variants" / name)
            self._variants[name].answers = self.answers
            self._variants[name].prior = self.prior
        return self._variants[name]

    def header(self) -> RunHeader:
        """Raises InputError where there is no run, or a header that is none; names the field."""
        try:
            content = self._header.read_bytes()
        except (FileNotFoundError, NotADirectoryError) as error:
            raise InputError(
                f"no run at {self.folder}: {error.strerror}; make one with `lrgd optimize`"
            ) from error
        with input_checked(self._header, "header"):
            return RunHeader.model_validate_json(content)


def _differences(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    # The bundle may have moved: its hash says whether it is the same.
    keys = [key for key in old if key != "bundle" and old[key] != new[key]]
    return [f"its {key} is {str(old[key])[:80]}, not {str(new[key])[:80]}" for key in keys]
