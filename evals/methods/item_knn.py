"""Item kNN: what others bought who bought the same.

Nearness of two items: the cosine of their columns in the matrix of users and items, which is the
number of users who bought both over the root of the product of each item's buyers. A candidate's
score is its nearness to the items of the history, where each step back weighs DECAY less. Source:
Deshpande and Karypis, Item-based top-N recommendation algorithms, 2004; with every neighbour, since
only few candidates are asked about.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from lrgd.agents.values import Item
from lrgd.evals.data.training import Training

if TYPE_CHECKING:
    from scipy.sparse import csr_array

DECAY = 0.8
"""What the item before weighs, the last one weighing 1."""


@dataclass(frozen=True, slots=True)
class ItemKnn:
    """The training part as a matrix, made by `item_knn`."""

    places: Mapping[str, int]
    """Item id -> row."""
    rows: "csr_array"
    """Shape (items, users): each row has length 1, and the same number for each buyer."""

    def scores(self, history: Sequence[Item], candidates: Sequence[Item]) -> dict[str, float]:
        """Candidate id -> score, 0 or more.

        0 for a candidate that was never bought in training, and for all without a history; items
        of the history that were never bought count as a step.
        """
        steps = {item.id: DECAY ** (len(history) - n) for n, item in enumerate(history, start=1)}
        bought = [item for item in steps if item in self.places]
        known = [c.id for c in candidates if c.id in self.places]
        taste = self.rows[self._at(bought)].T @ np.array([steps[item] for item in bought])
        found = self.rows[self._at(known)] @ taste
        return {c.id: 0.0 for c in candidates} | dict(zip(known, found.tolist(), strict=True))

    def _at(self, items: Sequence[str]) -> "np.ndarray[tuple[int], np.dtype[np.intp]]":
        return np.array([self.places[item] for item in items], dtype=np.intp)


def item_knn(training: Training) -> ItemKnn:
    """Count who bought what; an item that a user bought twice counts once."""
    # Imported here: other commands should not wait for it.
    from scipy.sparse import csr_array

    shape = len(training.items), len(training.users)
    ones = np.ones(len(training.bought))
    rows = csr_array((ones, (training.bought, training.buyers)), shape=shape)
    buyers = np.diff(rows.indptr)
    rows.data = np.repeat(1 / np.sqrt(np.maximum(buyers, 1)), buyers)
    return ItemKnn({item: n for n, item in enumerate(training.items)}, rows)
