"""The demonstration: the text that is optimised, where it came from, and how well it did.

What is kept is the rank that it gave to each item really chosen; Effect_D follows from the ranks.
"""

import hashlib
import json
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from math import log2
from statistics import fmean
from typing import Annotated

from pydantic import AliasChoices, Field

from lrgd.core.frozen import as_tuples


def effect(rank: int | None) -> float:
    """Effect_D = 1 / log2(i + 1), in (0, 1]; 0 where the item was not ranked.

    Args:
        rank: i, the 1-based position of the ground-truth item; None if absent.

    Raises:
        ValueError: a rank below 1.

    Source: LRGD eq. (15).
    """
    if rank is None:
        return 0.0
    if rank < 1:
        raise ValueError(f"a rank is 1 or more, got {rank}")
    return 1.0 / log2(rank + 1)


def mean_effect(ranks: Collection[int]) -> float:
    """Effect_D of several tasks together, their mean; 0 of none."""
    return fmean(map(effect, ranks)) if ranks else 0.0


@dataclass(frozen=True, slots=True)
class Demonstration:
    """One text that was written for a user, and how well the recommender did with it.

    Example:
        >>> import lrgd
        >>> note = lrgd.Demonstration("ann", "Wants a Mario game.", path=0, round=1, ranks=(2,))
        >>> note.rank, round(note.effect, 3)  # 1 / log2(2 + 1)
        (2, 0.631)
    """

    user_id: str
    text: str
    path: int
    """0-based index of the optimisation path that wrote it."""
    round: int
    """1-based round in which it was written."""
    ranks: tuple[int, ...] = ()
    """Rank of the ground-truth item in each validation task, the latest first; empty where nothing
    was ranked with it."""
    parents: tuple[str, ...] = ()
    """Ids of the demonstrations that its generator was shown."""
    perturbed_by: str | None = None
    """Id of the other path's demonstration that was injected, if one was."""
    dataset: str = ""
    model: str = ""
    chosen: bool = False
    """Whether the run chose it as its user's best."""
    worth: Annotated[float | None, Field(validation_alias=AliasChoices("worth", "effect"))] = None
    """How good it is, where that is not the ranks' Effect_D: by a metric of the user's own, or in
    files of earlier versions, which kept Effect_D under the name `effect` and no ranks."""

    def __post_init__(self) -> None:
        as_tuples(self, "ranks", "parents")

    @property
    def effect(self) -> float:
        """How good it is: Effect_D, the mean over the validation tasks, unless `worth` says
        otherwise; 0 where nothing was ranked with it."""
        return mean_effect(self.ranks) if self.worth is None else self.worth

    @property
    def rank(self) -> int | None:
        """Rank of the ground truth, None where nothing was ranked; over several tasks the rank
        whose Effect_D is nearest to their mean."""
        if len(self.ranks) == 1:
            return self.ranks[0]
        mean = mean_effect(self.ranks) if self.ranks else self.worth
        return round(2 ** (1 / mean) - 1) if mean else None

    @property
    def id(self) -> str:
        """SHA-256 of what made it, so that writing it twice is writing it once.

        How it fared (`ranks`, `chosen`) is left out: a second verdict replaces the first.
        """
        made_of = [self.dataset, self.user_id, self.model, self.path, self.round, self.text]
        made_of += [*self.parents, self.perturbed_by]
        return hashlib.sha256(json.dumps(made_of).encode()).hexdigest()


def best_first(demonstrations: Iterable[Demonstration]) -> list[Demonstration]:
    """The chosen one first, then by effect, then the latest."""
    return sorted(demonstrations, key=lambda d: (not d.chosen, -d.effect, -d.round, d.id))
