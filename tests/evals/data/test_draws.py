from collections import Counter

import pytest

from lrgd.evals.data.draws import distinct, generator, pick_weighted, shuffled


def test_draws_are_the_same_everywhere() -> None:
    # Fixed values: another machine, Python or hash seed must not change a bundle.
    assert shuffled(generator(2024, "users"), range(8)) == [6, 1, 5, 7, 4, 2, 3, 0]
    assert shuffled(generator(1, "a"), range(5)) != shuffled(generator(1, "b"), range(5))


def test_a_shuffle_is_uniform() -> None:
    rng = generator("uniform")
    counts = Counter(tuple(shuffled(rng, "abc")) for _ in range(6_000))
    # Each of 6 orders: 1000 +- 29; six standard errors, odds of a false alarm 1e-8.
    assert len(counts) == 6
    assert all(abs(n - 1_000) < 6 * 29 for n in counts.values())


def test_weights_are_proportions() -> None:
    rng = generator("weights")
    counts = Counter(pick_weighted(rng, "abc", [1, 0, 3]) for _ in range(4_000))
    assert counts["b"] == 0
    assert abs(counts["c"] - 3_000) < 6 * 27


def test_distinct_draws_are_distinct_and_allowed() -> None:
    found = distinct(generator(1), range(100), 30, lambda v: v % 3 != 0)
    assert len(set(found)) == 30
    assert all(v % 3 for v in found)


def test_all_that_is_allowed_can_be_drawn_and_no_more() -> None:
    assert sorted(distinct(generator(1), range(1_000), 3, lambda v: v < 3)) == [0, 1, 2]
    with pytest.raises(ValueError, match="only 3 are allowed"):
        distinct(generator(1), range(1_000), 4, lambda v: v < 3)
