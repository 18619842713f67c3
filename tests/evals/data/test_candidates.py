import os
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from math import sqrt

import numpy as np
import pytest
from numpy.typing import NDArray

from lrgd.agents.values import Item
from lrgd.core.errors import InputError
from lrgd.evals.data.bundle import Bundle, FrozenTask
from lrgd.evals.data.candidates import Strategy, negatives
from lrgd.evals.data.datasets import DataSet
from lrgd.evals.data.draws import generator
from lrgd.evals.data.protocol import freeze
from lrgd.evals.data.sample import sample_world
from tests.scripted import hashed_words

STRATEGIES: tuple[Strategy, ...] = ("uniform", "popularity", "hard")


def frozen(strategy: Strategy) -> Bundle:
    world = sample_world(shoppers=40)
    return freeze(
        world, users=30, candidates=20, history=20, seed=3, strategy=strategy, embed=hashed_words
    )


def tasks(bundle: Bundle) -> list[FrozenTask]:
    return [task for user in bundle.users.values() for task in (user.validation, user.test)]


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_no_negative_was_ever_touched(strategy: Strategy) -> None:
    world, bundle = sample_world(shoppers=40), frozen(strategy)
    assert bundle.made_by["strategy"] == strategy
    for user in bundle.users.values():
        for task in (user.validation, user.test):
            assert len(set(task.candidates)) == 20
            touched = set(world.sequences[user.user_id])
            assert set(task.candidates) & touched == {task.target}


def test_uniform_is_the_default_and_what_it_was() -> None:
    world = sample_world(shoppers=40)
    plain = freeze(world, users=30, candidates=20, history=20, seed=3)
    assert plain.sha256 == frozen("uniform").sha256


def test_popularity_follows_the_counts() -> None:
    items = {i: Item(i, i) for i in "abcdef"}
    # Among the items of others: b 1, c 2, d 3, e 4; nobody has f.
    sequences = {
        f"u{n}{i}": (i,) for i, m in zip("bcde", (1, 2, 3, 4), strict=True) for n in range(m)
    }
    draw = negatives("popularity", DataSet("d", items, {**sequences, "me": ("a",)}))
    rng = generator(1)
    n = 20_000
    drawn = Counter(draw(rng, 1, "a", {"a"})[0] for _ in range(n))
    for item, weight in zip("bcde", (0.1, 0.2, 0.3, 0.4), strict=True):
        # Six standard errors: odds of a false alarm 1e-8.
        assert abs(drawn[item] - n * weight) < 6 * sqrt(n * weight * (1 - weight))
    assert drawn["f"] == 0
    assert sorted(draw(rng, 4, "a", {"a"})) == list("bcde")


def test_popularity_finds_the_rare_where_the_rest_is_touched() -> None:
    items = {i: Item(i, i) for i in "abc"}
    sequences = {f"u{n}": ("a",) for n in range(100_000)} | {"v": ("b",), "w": ("c",)}
    draw = negatives("popularity", DataSet("d", items, sequences))
    assert sorted(draw(generator(1), 2, "a", {"a"})) == ["b", "c"]


def nearness(bundle: Bundle) -> float:
    """Mean cosine of the negatives' titles to the target's."""
    found = []
    for task in tasks(bundle):
        titles = [bundle.items[i].title for i in task.candidates if i != task.target]
        rows = hashed_words([bundle.items[task.target].title, *titles])
        found.append(float((rows[1:] @ rows[0]).mean()))
    return float(np.mean(found))


def test_hard_negatives_are_nearer_than_uniform_ones() -> None:
    assert nearness(frozen("hard")) > nearness(frozen("uniform")) + 0.2


def test_hard_negatives_are_the_nearest_but_none_of_the_same_title() -> None:
    titles = ["north", "north", "north east", "east", "south"]
    angles = {"north": 0.0, "north east": 0.8, "east": 1.6, "south": 3.1}

    def on_a_circle(texts: Sequence[str]) -> NDArray[np.float32]:
        return np.array([[np.cos(angles[t]), np.sin(angles[t])] for t in texts], np.float32)

    data = DataSet("d", {str(n): Item(str(n), t) for n, t in enumerate(titles)}, {})
    draw = negatives("hard", data, on_a_circle)
    assert list(draw(generator(0), 2, "0", {"0"})) == ["2", "3"]
    assert list(draw(generator(0), 2, "0", {"0", "2"})) == ["3", "4"]
    with pytest.raises(ValueError, match="wanted 4 values, only 3"):
        draw(generator(0), 4, "0", {"0"})


@pytest.mark.parametrize("strategy", ["popularity", "hard"])
def test_too_few_items_are_said(strategy: Strategy) -> None:
    data = DataSet("d", {i: Item(i, i) for i in "abcd"}, {"u": tuple("abc"), "v": tuple("dab")})
    with pytest.raises(InputError, match="candidates: wanted 2 values, only 1 are allowed"):
        freeze(
            data, users=1, candidates=3, history=3, seed=0, strategy=strategy, embed=hashed_words
        )


SHOW_HASHES = """
from tests.evals.data.test_candidates import STRATEGIES, frozen
print([frozen(strategy).sha256 for strategy in STRATEGIES])
"""


def test_two_processes_with_other_hash_seeds_choose_the_same_candidates() -> None:
    hashes = {
        subprocess.run(
            [sys.executable, "-c", SHOW_HASHES],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("0", "1")
    }
    assert len(hashes) == 1
