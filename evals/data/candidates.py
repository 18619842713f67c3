"""Candidate strategies: which items stand beside the target.

Negatives are distinct items that the user never touched.

* uniform: every item alike, as in the paper.
* popularity: in proportion to how often an item occurs in the data set, so that popularity alone
  no longer tells the target.
* hard: the items whose titles are nearest to the target's in embedding space, but none of the same
  title, which nobody could tell apart. The target is the middle of such a set: a method that only
  looks for the middle of its candidates gains by it, so keep a uniform bundle beside it.
"""

from bisect import bisect_right
from collections import Counter
from collections.abc import Collection, Sequence
from itertools import accumulate
from random import Random
from typing import Literal, Protocol

import numpy as np

from lrgd.evals.data.datasets import DataSet
from lrgd.evals.data.draws import distinct, pick_weighted
from lrgd.memory.embeddings import Embed

Strategy = Literal["uniform", "popularity", "hard"]

BLOCK = 1024
"""Titles embedded at once."""


class Negatives(Protocol):
    """Draws a task's negatives."""

    def __call__(self, rng: Random, n: int, target: str, touched: Collection[str]) -> Sequence[str]:
        """n distinct items outside `touched`. Raises ValueError if there are fewer."""


def negatives(strategy: Strategy, data: DataSet, embed: Embed | None = None) -> Negatives:
    """The strategy over a data set's items.

    Args:
        embed: for "hard" only; without it "hard" is a ValueError.
    """
    catalogue = sorted(data.items)
    if strategy == "uniform":
        return _uniform(catalogue)
    if strategy == "popularity":
        return _by_popularity(catalogue, data)
    if embed is None:
        raise ValueError("the strategy hard needs an embedding")
    return _nearest(catalogue, [data.items[i].title for i in catalogue], embed)


def _uniform(catalogue: Sequence[str]) -> Negatives:
    def draw(rng: Random, n: int, target: str, touched: Collection[str]) -> Sequence[str]:
        return distinct(rng, catalogue, n, lambda i: i not in touched)

    return draw


def _by_popularity(catalogue: Sequence[str], data: DataSet) -> Negatives:
    counts = Counter(i for sequence in data.sequences.values() for i in sequence)
    occurring = [i for i in catalogue if counts[i]]
    edges = list(accumulate(counts[i] for i in occurring))

    def draw(rng: Random, n: int, target: str, touched: Collection[str]) -> Sequence[str]:
        drawn: dict[str, None] = {}
        # Rejection, as in `distinct`: quick while most of the weight is allowed.
        for _ in range(20 * n):
            if len(drawn) == n:
                return list(drawn)
            item = occurring[bisect_right(edges, rng.random() * edges[-1])]
            if item not in touched:
                drawn[item] = None
        rest = [i for i in occurring if i not in touched and i not in drawn]
        if len(drawn) + len(rest) < n:
            raise ValueError(_too_few(n, len(drawn) + len(rest)))
        while len(drawn) < n:
            item = pick_weighted(rng, rest, [counts[i] for i in rest])
            rest.remove(item)
            drawn[item] = None
        return list(drawn)

    return draw


def _nearest(catalogue: Sequence[str], titles: Sequence[str], embed: Embed) -> Negatives:
    blocks = range(0, len(titles), BLOCK)
    rows = np.concatenate([embed(titles[at : at + BLOCK]) for at in blocks])
    places = {item: at for at, item in enumerate(catalogue)}

    def draw(rng: Random, n: int, target: str, touched: Collection[str]) -> Sequence[str]:
        # Rounded: last digits differ between machines. Equals stay in order of their ids.
        nearness = (rows @ rows[places[target]]).round(5)
        drawn: list[str] = []
        for at in np.argsort(-nearness, kind="stable"):
            if len(drawn) == n:
                break
            if catalogue[at] not in touched and titles[at] != titles[places[target]]:
                drawn.append(catalogue[at])
        if len(drawn) < n:
            raise ValueError(_too_few(n, len(drawn)))
        return drawn

    return draw


def _too_few(wanted: int, allowed: int) -> str:
    return f"wanted {wanted} values, only {allowed} are allowed"
