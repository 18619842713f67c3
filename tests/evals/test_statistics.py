from itertools import product
from math import factorial

import numpy as np
import pytest
import scipy
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from lrgd.evals.statistics import (
    FEW,
    LEAST_PAIRS,
    Interval,
    Verdict,
    holm,
    interval_text,
    least_users,
    mean_interval,
    p_text,
    paired_difference,
    sign_flip_p,
    spearman,
    verdict,
)

VALUES = st.one_of(
    st.floats(0, 1), st.sampled_from([0.0, 0.5, 1.0]), st.floats(-1e6, 1e6, allow_subnormal=False)
)


@st.composite
def paired(draw: st.DrawFn, most: int = 20) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Two methods' values on the same 2 to `most` users."""
    users = draw(st.integers(2, most))
    values = st.lists(VALUES, min_size=users, max_size=users)
    return np.array(draw(values)), np.array(draw(values))


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
    with pytest.raises(ValueError, match="two vectors of 2 or more"):
        sign_flip_p(np.ones(1), np.ones(1))
    with pytest.raises(ValueError, match="2 or more finite values"):
        mean_interval(np.ones(1))


@given(paired(), st.sampled_from([np.nan, np.inf, -np.inf]), st.data())
@settings(max_examples=50, deadline=None)
def test_what_is_not_finite_is_refused(
    pair: tuple[NDArray[np.float64], NDArray[np.float64]], wrong: float, data: st.DataObject
) -> None:
    scores, reference = pair
    scores[data.draw(st.integers(0, len(scores) - 1))] = wrong
    for refusing in (paired_difference, sign_flip_p):
        with pytest.raises(ValueError, match="finite"):
            refusing(scores, reference)
        with pytest.raises(ValueError, match="finite"):
            refusing(reference, scores)
    with pytest.raises(ValueError, match="finite"):
        mean_interval(scores)
    with pytest.raises(ValueError, match="finite"):
        spearman(scores, reference)


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


@given(paired(most=10))
@settings(max_examples=50, deadline=None)
def test_for_few_users_every_sign_pattern_is_counted(
    pair: tuple[NDArray[np.float64], NDArray[np.float64]],
) -> None:
    scores, reference = pair
    # Whole numbers: no pattern is more or less extreme by a rounding error.
    difference = np.round(scores) - np.round(reference)
    patterns = np.array(list(product((1, -1), repeat=len(difference))))
    sums = patterns @ difference
    above = np.count_nonzero(sums >= difference.sum()) / len(patterns)
    below = np.count_nonzero(sums <= difference.sum()) / len(patterns)
    expected = min(1.0, 2 * min(above, below))
    assert sign_flip_p(np.round(scores), np.round(reference)) == pytest.approx(expected)


@given(paired())
@settings(max_examples=100, deadline=None)
def test_whatever_the_values_are(pair: tuple[NDArray[np.float64], NDArray[np.float64]]) -> None:
    scores, reference = pair
    users, p = len(scores), sign_flip_p(scores, reference)
    found, turned = paired_difference(scores, reference), paired_difference(reference, scores)
    assert 0 < p <= 1
    assert sign_flip_p(reference, scores) == pytest.approx(p)
    assert found.low <= found.mean <= found.high
    assert turned.mean == pytest.approx(-found.mean)
    said = verdict(found, p, users)
    assert verdict(turned, p, users) == said or 0 in (found.low, found.high)
    assert (said == "too few to tell") == (users < 6)
    assert said != "clear of 0" or (p < 0.05 and (found.low > 0 or found.high < 0))


def test_it_agrees_with_the_interval_where_few_users_gain_much() -> None:
    difference = np.array([0.9] * 6 + [-0.01] * 60)
    reference = np.zeros(66)
    found = paired_difference(difference, reference)
    # Most users lose a little: a test of ranks would say that the method is worse.
    assert found.low > 0
    p = sign_flip_p(difference, reference)
    assert p < 0.05
    assert verdict(found, p, 66) == "clear of 0"


@pytest.mark.parametrize("users", range(2, 13))
def test_fewer_users_than_the_least_cannot_reach_the_level(users: int) -> None:
    """The largest shift that users can show: each gains the same."""
    p = sign_flip_p(np.ones(users), np.zeros(users))
    assert p == pytest.approx(2 / 2**users)
    assert (p < 0.05) == (users >= least_users() == 6)
    # Holm multiplies the smallest of 8 p-values by 8.
    assert (8 * p < 0.05) == (users >= least_users(8) == 9)


@pytest.mark.parametrize(
    ("interval", "p", "users", "said"),
    [
        (Interval(0.5, 0.4, 0.6), 0.001, 20, "clear of 0"),
        (Interval(-0.5, -0.6, -0.4), 0.001, 20, "clear of 0"),
        (Interval(0.5, 0.4, 0.6), 0.437, 20, "not clear of 0"),
        (Interval(0.5, -0.1, 0.6), 0.001, 20, "not clear of 0"),
        (Interval(0.5, 0.0, 0.6), 0.001, 20, "not clear of 0"),
        (Interval(0.5, 0.4, 0.6), 0.05, 20, "not clear of 0"),
        (Interval(1.0, 1.0, 1.0), 0.001, 5, "too few to tell"),
    ],
)
def test_a_verdict_needs_interval_test_and_users(
    interval: Interval, p: float, users: int, said: Verdict
) -> None:
    assert verdict(interval, p, users) == said


def test_more_comparisons_need_more_users_for_a_verdict() -> None:
    sure = Interval(1.0, 1.0, 1.0)
    assert verdict(sure, 0.04, 8, comparisons=1) == "clear of 0"
    assert verdict(sure, 0.04, 8, comparisons=8) == "too few to tell"


@pytest.mark.parametrize("n", range(3, 8))
def test_a_rank_correlation_of_few_is_exact(n: int) -> None:
    x = np.arange(float(n))
    rho, p = spearman(x, x**3)
    assert rho == pytest.approx(1)
    # The order that was seen, and its reverse, of all n!.
    assert p == pytest.approx(2 / factorial(n))
    assert (p < 0.05) == (n >= LEAST_PAIRS)
    assert spearman(x, -x) == pytest.approx((-1, p))


def test_a_rank_correlation_of_some_is_near_students_t_and_of_many_is_it() -> None:
    rng = np.random.default_rng(5)
    for n, closeness in ((FEW, 0.02), (FEW + 1, 0.0)):
        x = rng.random(n)
        y = x + rng.normal(0, 2, n)
        expected = scipy.stats.spearmanr(x, y)
        rho, p = spearman(x, y)
        assert rho == pytest.approx(expected.statistic)
        # 9,999 orders: the standard error of a p-value is 0.005 at most.
        assert p == pytest.approx(expected.pvalue, abs=closeness)


@given(paired(most=12))
@settings(max_examples=50, deadline=None)
def test_a_rank_correlation_is_the_same_either_way(
    pair: tuple[NDArray[np.float64], NDArray[np.float64]],
) -> None:
    x, y = pair
    if len(x) < 3 or np.ptp(x) == 0 or np.ptp(y) == 0:
        with pytest.raises(ValueError, match="rank correlation needs"):
            spearman(x, y)
        return
    rho, p = spearman(x, y)
    other, other_p = spearman(y, x)
    assert -1 <= round(rho, 12) <= 1
    assert 0 < p <= 1
    assert other == pytest.approx(rho)
    # Exact up to 7 pairs; two random samples of 9,999 orders beyond.
    assert other_p == pytest.approx(p, abs=1e-12 if len(x) <= 7 else 0.04)


def test_how_numbers_are_written() -> None:
    assert interval_text(Interval(0.076, 0.00712, -0.16)) == "+0.0760 [+0.0071, -0.1600]"
    assert interval_text(Interval(0.5, 0.25, 0.75), ".3f") == "0.500 [0.250, 0.750]"
    assert (p_text(0.04), p_text(0.0004), p_text(0.25, enough=False)) == (
        "0.040",
        "<0.001",
        "too few",
    )
