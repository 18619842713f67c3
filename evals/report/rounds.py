"""Means by round, from the records of a run: the numbers behind the plots."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import fmean

from lrgd.agents.guard import Judgement
from lrgd.evals.metrics import ndcg_of
from lrgd.evals.runs.folder import UserRecord
from lrgd.graphs.state import PathState, Trial


@dataclass(frozen=True, slots=True)
class RoundMeans:
    """Means over users and paths at one round, on the validation task."""

    round: int
    running: int
    """Paths that wrote in this round; a path whose Effect_D is 1 rests."""
    effect: float
    """Effect_D of the demonstrations written in this round."""
    ndcg: float
    """nDCG@10 of the same."""
    best_effect: float
    """Highest Effect_D up to this round, over all paths, resting ones too."""
    best_ndcg: float
    similarity: float | None
    """Mean cosine to the demonstration before, of the paths that wrote in this round; None for the
    first."""


def round_means(records: Sequence[UserRecord]) -> list[RoundMeans]:
    """One row a round, as long as any path ran."""
    paths = [path for record in records for path in record.paths]
    last = max((t.demonstration.round for p in paths for t in p.trials), default=0)
    compared = list(judgements(records))
    return [_means(paths, compared, round_) for round_ in range(1, last + 1)]


def judgements(records: Sequence[UserRecord]) -> Iterator[Judgement]:
    """Every judgement that compared two demonstrations."""
    for record in records:
        yield from (j for j in record.judgements if j.similarity is not None)


def trials_of(records: Sequence[UserRecord]) -> list[Trial]:
    """Every trial of every path."""
    return [t for record in records for path in record.paths for t in path.trials]


def rejected(records: Sequence[UserRecord]) -> int:
    """How many demonstrations could not be used, for whatever reason."""
    return sum(t.verdict != "usable" for t in trials_of(records))


def _means(paths: Sequence[PathState], compared: Sequence[Judgement], round_: int) -> RoundMeans:
    similarities = [
        j.similarity for j in compared if j.round == round_ and j.similarity is not None
    ]
    written = [t for p in paths for t in p.trials if t.demonstration.round == round_]
    # One whose ranking failed has no Effect_D, not one of 0.
    judged = [t for t in written if t.verdict != "unranked"] or written
    so_far = [[t for t in p.trials if t.demonstration.round <= round_] for p in paths]
    return RoundMeans(
        round=round_,
        running=len(written),
        effect=fmean(t.demonstration.effect for t in judged),
        ndcg=fmean(ndcg_of(t.rank) for t in judged),
        best_effect=fmean(max(t.demonstration.effect for t in trials) for trials in so_far),
        best_ndcg=fmean(max(ndcg_of(t.rank) for t in trials) for trials in so_far),
        similarity=fmean(similarities) if similarities else None,
    )
