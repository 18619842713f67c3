"""A run folder: an append-only journal beside the checkpoints and the memory.

    run.json             what the run is of
    journal.jsonl        one record for each user that is done
    scores.jsonl         one line for each test ranking
    answers.sqlite       what the model answered: the same request is not paid twice
    checkpoints.sqlite   users under way
    memory/              effective demonstrations
    variants/            the same run with another seed, or with a setting changed for an ablation
    report/              page, plots, tables and numbers

A line is written whole or, after a crash, cut off; a cut-off last line is dropped.
"""

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeVar

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from lrgd.agents.endpoint.client import Usage
from lrgd.agents.guard import Judgement
from lrgd.agents.values import RankingAudit
from lrgd.graphs.settings import LoopSettings
from lrgd.graphs.state import PathState, StopReason
from lrgd.memory import Demonstration
from lrgd.core.errors import InputError

T = TypeVar("T")


class RunHeader(BaseModel):
    """What a run is of. Two runs with the same header give the same records."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    bundle: str
    """Where the bundle was when the run began."""
    bundle_sha256: str
    model: str
    ranking: str
    shuffles: int = 1
    users: tuple[str, ...]
    settings: LoopSettings


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


class Lines(Generic[T]):
    """An append-only file of JSON lines, each a `T`."""

    def __init__(self, path: Path, kind: type[T]) -> None:
        self.path = path
        self._adapter: TypeAdapter[T] = TypeAdapter(kind)

    def append(self, record: T) -> None:
        """Add a line. After the return it outlives the process."""
        with self.path.open("ab") as file:
            file.write(self._adapter.dump_json(record) + b"\n")

    def read(self) -> list[T]:
        """All whole lines, and none if there is no file.

        Raises:
            InputError: a line is not a `T`; names file, line and field.
        """
        if not self.path.exists():
            return []
        self._drop_cut_off_line()
        rows = self.path.read_bytes().splitlines()
        return [self._parse(number, row) for number, row in enumerate(rows, start=1)]

    def _parse(self, number: int, row: bytes) -> T:
        try:
            return self._adapter.validate_json(row)
        except ValidationError as error:
            first = error.errors()[0]
            field = ".".join(map(str, first["loc"])) or "line"
            raise InputError(f"{self.path}:{number}: {field}: {first['msg']}") from error

    def _drop_cut_off_line(self) -> None:
        content = self.path.read_bytes()
        whole = content.rfind(b"\n") + 1
        if whole < len(content):
            os.truncate(self.path, whole)


class RunFolder:
    """A run on disk."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.records: Lines[UserRecord] = Lines(folder / "journal.jsonl", UserRecord)
        self.scores: Lines[Score] = Lines(folder / "scores.jsonl", Score)
        self.checkpoints = folder / "checkpoints.sqlite"
        self.answers = folder / "answers.sqlite"
        self.memory = folder / "memory"
        self.report = folder / "report"
        self._header = folder / "run.json"

    def begin(self, header: RunHeader, *, resume: bool) -> None:
        """Start the run, or go on with it.

        Raises:
            InputError: there is a run and `resume` is off, or it is another run.
        """
        if not self._header.exists():
            self.folder.mkdir(parents=True, exist_ok=True)
            self._header.write_text(header.model_dump_json(indent=2) + "\n", "utf-8")
            return
        if not resume:
            raise InputError(f"{self.folder} holds a run: add --resume or name another --run")
        if differing := _differences(self.header().model_dump(), header.model_dump()):
            raise InputError(f"{self.folder} is another run: {'; '.join(differing)}")

    def variant(self, name: str) -> "RunFolder":
        """The folder of the same run with a setting changed: it shares what the model answered."""
        folder = RunFolder(self.folder / "variants" / name)
        folder.answers = self.answers
        return folder

    def header(self) -> RunHeader:
        """Raises InputError where there is no run."""
        try:
            return RunHeader.model_validate_json(self._header.read_text("utf-8"))
        except (OSError, ValueError) as error:
            reason = str(error).splitlines()[0]
            raise InputError(
                f"no run at {self.folder}: {reason}; make one with `lrgd optimize`"
            ) from error


def _differences(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    # The bundle may have moved: its hash says whether it is the same.
    keys = [key for key in old if key != "bundle" and old[key] != new[key]]
    return [f"its {key} is {str(old[key])[:80]}, not {str(new[key])[:80]}" for key in keys]
