import numpy as np
import pytest

from lrgd.evals.statistics import holm, paired_difference, sign_flip_p


def test_the_interval_agrees_with_the_normal_approximation() -> None:
    rng = np.random.default_rng(1)
    reference = rng.random(400)
    scores = reference + rng.normal(0.05, 0.2, 400)
    found = paired_difference(scores, reference)
    difference = scores - reference
    half = 1.96 * difference.std(ddof=1) / 400**0.5
    assert found.mean == pytest.approx(difference.mean())
    # The bootstrap's own error at 9,999 resamples is about a hundredth of the half width.
    assert found.low == pytest.approx(difference.mean() - half, abs=half / 10)
    assert found.high == pytest.approx(difference.mean() + half, abs=half / 10)


def test_the_same_difference_everywhere_has_no_width() -> None:
    found = paired_difference(np.array([0.75, 0.5]), np.array([0.5, 0.25]))
    assert (found.mean, found.low, found.high) == (0.25, 0.25, 0.25)


def test_it_repeats() -> None:
    a, b = np.random.default_rng(2).random((2, 50))
    assert paired_difference(a, b) == paired_difference(a, b)


def test_what_is_not_paired_is_refused() -> None:
    with pytest.raises(ValueError, match="two vectors of 2 or more"):
        paired_difference(np.ones(3), np.ones(4))


def test_holm_multiplies_the_smallest_most_and_never_falls() -> None:
    found = holm({"a": 0.04, "b": 0.01, "c": 0.03, "d": 0.6})
    # Sorted: 0.01 * 4, 0.03 * 3, 0.04 * 2 = 0.08 < 0.09, 0.6 * 1.
    assert found == pytest.approx({"a": 0.09, "b": 0.04, "c": 0.09, "d": 0.6})
    assert list(found) == ["a", "b", "c", "d"]
    assert holm({"a": 0.7, "b": 0.8}) == {"a": 1.0, "b": 1.0}


def test_the_sign_flip_test_sees_a_shift_and_no_shift() -> None:
    rng = np.random.default_rng(3)
    reference = rng.random(60)
    # No random pattern of 60 signs is as extreme: 1 of 10,000, on either side.
    assert sign_flip_p(reference + 0.1, reference) == pytest.approx(2 / 10_000)
    assert sign_flip_p(reference, reference) == 1.0
    # Six users, all better: 2 of the 2^6 signs are as extreme.
    small = np.arange(6.0)
    assert sign_flip_p(small + np.arange(1.0, 7.0), small) == pytest.approx(2 / 2**6)


def test_it_agrees_with_the_interval_where_few_users_gain_much() -> None:
    difference = np.array([0.9] * 6 + [-0.01] * 60)
    reference = np.zeros(66)
    found = paired_difference(difference, reference)
    # Most users lose a little: a test of ranks would say that the method is worse.
    assert found.low > 0
    assert sign_flip_p(difference, reference) < 0.05
