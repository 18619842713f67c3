"""The demonstration: the text that is optimised, and where it came from."""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass

from lrgd.core.frozen import as_tuples


@dataclass(frozen=True, slots=True)
class Demonstration:
    """One text that was written for a user, and how well the recommender did with it."""

    user_id: str
    text: str
    path: int
    """0-based index of the optimisation path that wrote it."""
    round: int
    """1-based round in which it was written."""
    effect: float
    """Effect_D = 1 / log2(i + 1), i the rank of the ground-truth item (LRGD eq. 15)."""
    parents: tuple[str, ...] = ()
    """Ids of the demonstrations that its generator was shown."""
    perturbed_by: str | None = None
    """Id of the other path's demonstration that was injected, if one was."""
    dataset: str = ""
    model: str = ""
    chosen: bool = False
    """Whether the run chose it as its user's best."""

    def __post_init__(self) -> None:
        as_tuples(self, "parents")

    @property
    def id(self) -> str:
        """SHA-256 of what made it, so that writing it twice is writing it once.

        How it fared (`effect`, `chosen`) is left out: a second verdict replaces the first.
        """
        made_of = [self.dataset, self.user_id, self.model, self.path, self.round, self.text]
        made_of += [*self.parents, self.perturbed_by]
        return hashlib.sha256(json.dumps(made_of).encode()).hexdigest()


def best_first(demonstrations: Iterable[Demonstration]) -> list[Demonstration]:
    """The chosen one first, then by effect, then the latest."""
    return sorted(demonstrations, key=lambda d: (not d.chosen, -d.effect, -d.round, d.id))
