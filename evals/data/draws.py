"""Random draws that are the same on every machine, Python version and hash seed.

Only `random.Random.random` is promised to repeat across versions of Python, so every draw is
built on it. A string seeds it through SHA-512.
"""

from collections.abc import Callable, Sequence
from random import Random
from typing import TypeVar

T = TypeVar("T")


def generator(*parts: object) -> Random:
    """A generator seeded by the parts' text."""
    return Random("\x1f".join(map(str, parts)))


def pick(rng: Random, values: Sequence[T]) -> T:
    """One value, uniformly."""
    return values[int(rng.random() * len(values))]


def pick_weighted(rng: Random, values: Sequence[T], weights: Sequence[float]) -> T:
    """One value, with probability in proportion to its weight."""
    point = rng.random() * sum(weights)
    for value, weight in zip(values, weights, strict=True):
        point -= weight
        if point < 0:
            return value
    return values[-1]


def shuffled(rng: Random, values: Sequence[T]) -> list[T]:
    """The values in random order (Fisher-Yates)."""
    order = list(values)
    for i in range(len(order) - 1, 0, -1):
        j = int(rng.random() * (i + 1))
        order[i], order[j] = order[j], order[i]
    return order


def distinct(rng: Random, values: Sequence[T], n: int, allowed: Callable[[T], bool]) -> list[T]:
    """n different values that are allowed, drawn by rejection.

    Raises:
        ValueError: fewer than n values are allowed.
    """
    drawn: dict[T, None] = {}
    # Rejection is quick while most values are allowed; else the short list is shuffled.
    for _ in range(20 * n):
        if len(drawn) == n:
            return list(drawn)
        value = pick(rng, values)
        if allowed(value):
            drawn[value] = None
    rest = shuffled(rng, [v for v in values if v not in drawn and allowed(v)])
    if len(drawn) + len(rest) < n:
        raise ValueError(f"wanted {n} values, only {len(drawn) + len(rest)} are allowed")
    return [*drawn, *rest][:n]
