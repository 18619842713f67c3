"""How well a model kept to what it was asked for.

Lists as rates over many rankings, demonstrations as counts of those that could not be used.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import get_args

from lrgd.agents.generator import Verdict
from lrgd.agents.ranking.probabilities import GOOD_SHARE
from lrgd.agents.values import RankingAudit, total
from lrgd.evals.metrics import ndcg_of
from lrgd.graphs.state import Trial


@dataclass(frozen=True, slots=True)
class AuditRates:
    """Rates over rankings; all 0 where the model named every item it was asked for, once."""

    rankings: int
    duplicates: float
    """Of all entries, those that came a second time."""
    out_of_set: float
    """Of all entries, those that name no candidate."""
    missing: float
    """Of all items asked for, those that were not named."""
    truncated: float
    """Of all rankings, those whose token budget ended them."""
    position_sd: float | None
    """Mean standard deviation of an item's rank over candidate orders; None for one order."""
    share: float | None
    """Mean share of the probability that the options had, see `RankingAudit.share`."""
    failed: dict[str, int]
    """Rankings that got no answer, by what came instead."""
    strict_ndcg_at_10: float | None
    """nDCG@10 of the lists read letter for letter, absent items 0; None where no target is."""

    @property
    def clean(self) -> bool:
        """Whether there is nothing to report."""
        flaws = (self.duplicates, self.out_of_set, self.missing, self.truncated, self.failed)
        return not any(flaws) and (self.share is None or self.share >= GOOD_SHARE)


def audit_rates(
    audits: Sequence[RankingAudit], strict_ranks: Sequence[int | None] | None = None
) -> AuditRates:
    """The rates of some rankings' audits.

    Args:
        strict_ranks: the target's rank by the letter in each, None where it is absent.
    """
    named, repeated, invented, missing = (
        sum(getattr(a, name) for a in audits)
        for name in ("named", "duplicates", "out_of_set", "missing")
    )
    entries = max(1, named + repeated + invented)
    moved = [a.position_sd for a in audits if a.position_sd is not None]
    whole = total(audits)
    strict = [ndcg_of(rank) for rank in strict_ranks or ()]
    return AuditRates(
        rankings=len(audits),
        duplicates=repeated / entries,
        out_of_set=invented / entries,
        missing=missing / max(1, named + missing),
        truncated=sum(a.truncated for a in audits) / max(1, len(audits)),
        position_sd=fmean(moved) if moved else None,
        share=whole.share,
        failed=dict(whole.failed),
        strict_ndcg_at_10=fmean(strict) if strict else None,
    )


def rejections(trials: Sequence[Trial]) -> dict[Verdict, int]:
    """How many demonstrations could not be used, by the reason; every reason is there."""
    counted = Counter(trial.verdict for trial in trials)
    return {reason: counted[reason] for reason in get_args(Verdict) if reason != "usable"}
