"""A run's users, by what went wrong: where to begin to ask why. Reads journal and scores alone."""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from lrgd.evals.runs.evaluation import REFERENCE
from lrgd.evals.runs.folder import RunFolder, UserRecord
from lrgd.memory.demonstration import effect

Order = Literal["lost", "rank", "change", "collapsed", "refused"]
"""lost: Effect_D of zero-shot minus LRGD's on the test task. rank: of the true next item. change:
the largest change of Effect_D by one note. collapsed: how often. refused: notes that could not be
used."""

METHOD = "LRGD"


@dataclass(frozen=True, slots=True)
class NoteChange:
    """What one note changed on its path, on the validation task."""

    by: float
    """Effect_D minus that of the path's note before."""
    path: int
    round: int


@dataclass(frozen=True, slots=True)
class TroubleRow:
    """How one user's optimisation went."""

    user_id: str
    validation_rank: int | None
    """Of the true next item with the chosen note; None where nothing usable was written."""
    test_rank: int | None
    """The same on the test task; None where it is not scored."""
    zero_shot_rank: int | None
    """Without a note, on the test task; None where it is not scored."""
    change: NoteChange | None
    """The largest; None where no path wrote twice."""
    collapsed: int
    refused: int

    @property
    def lost(self) -> float | None:
        """Effect_D that the note cost on the test task; below 0 it gained. None where unknown."""
        if self.test_rank is None or self.zero_shot_rank is None:
            return None
        return effect(self.zero_shot_rank) - effect(self.test_rank)


@dataclass(frozen=True, slots=True)
class TroubleView:
    """Users of a run, worst first."""

    order: Order
    rows: tuple[TroubleRow, ...]
    more: int
    done: int
    """Users that the run has optimised, of `users`."""
    users: int
    scored: int
    """Of those that are done, on the test task."""


def trouble_view(folder: RunFolder, order: Order, limit: int) -> TroubleView:
    """A run's users by what went wrong.

    Raises:
        InputError: no run there.
    """
    header, records = folder.header(), folder.records.read()
    scores = [s for s in folder.scores.read() if s.seed in (None, header.settings.seed)]
    ranks = {(s.method, s.user_id): s.rank for s in scores}
    rows = [_row(record, ranks) for record in records]
    rows.sort(key=lambda row: _badness(row, order), reverse=True)
    scored = sum(row.test_rank is not None for row in rows)
    more = max(0, len(rows) - limit)
    return TroubleView(order, tuple(rows[:limit]), more, len(rows), len(header.users), scored)


def _row(record: UserRecord, ranks: dict[tuple[str, str], int]) -> TroubleRow:
    trials = [t for path in record.paths for t in path.trials]
    return TroubleRow(
        user_id=record.user_id,
        validation_rank=record.chosen.rank if record.chosen else None,
        test_rank=ranks.get((METHOD, record.user_id)),
        zero_shot_rank=ranks.get((REFERENCE, record.user_id)),
        change=max(_changes(record), key=lambda c: abs(c.by), default=None),
        collapsed=sum(j.collapsed for j in record.judgements),
        refused=sum(t.verdict != "usable" for t in trials),
    )


def _changes(record: UserRecord) -> Iterable[NoteChange]:
    for path in record.paths:
        for before, after in pairwise(path.demonstrations):
            yield NoteChange(after.effect - before.effect, after.path, after.round)


def _badness(row: TroubleRow, order: Order) -> float:
    """Higher is worse; what is not known comes last."""
    match order:
        case "lost":
            return -2.0 if row.lost is None else row.lost
        case "rank":
            return row.test_rank or row.validation_rank or 0
        case "change":
            return abs(row.change.by) if row.change else -1.0
        case "collapsed":
            return row.collapsed
        case "refused":
            return row.refused
