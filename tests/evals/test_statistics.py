import numpy as np
import pytest

from evals.statistics import paired_difference


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
