"""The weights of a conditional logit, by other routes."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from lrgd.core.errors import InputError
from lrgd.evals.conditional_logit import PRIOR_SD, Choice, fit

TRUE = np.array([1.2, -0.7, 0.0])


def drawn(choices: int, alternatives: int = 8, *, seed: int = 0) -> list[Choice]:
    """Choices as the model with weights TRUE makes them."""
    rng = np.random.default_rng(seed)
    made = []
    for n in range(choices):
        features = rng.normal(size=(alternatives, 3))
        # The largest utility with Gumbel noise: a choice by the softmax of the logits.
        chosen = int((features @ TRUE + rng.gumbel(size=alternatives)).argmax())
        made.append(Choice(features, chosen, n))
    return made


def test_two_alternatives_are_a_logistic_regression_on_their_difference() -> None:
    choices = drawn(300, 2)
    differences = np.stack([c.features[0] - c.features[1] for c in choices])
    first = np.array([c.chosen == 0 for c in choices])
    known = LogisticRegression(C=PRIOR_SD**2, fit_intercept=False, tol=1e-10).fit(
        differences, first
    )
    np.testing.assert_allclose(fit(choices).weights, known.coef_[0], atol=1e-5)


def test_the_weights_that_made_the_choices_are_found_again() -> None:
    found = fit(drawn(2_000))
    # Four standard errors, three weights: odds of a false alarm 2e-4, for a seed that is fixed.
    assert (np.abs(found.weights - TRUE) < 4 * found.standard_errors).all()
    assert (found.standard_errors < 0.06).all()


def test_standard_errors_are_the_spread_over_samples() -> None:
    fits = [fit(drawn(200, seed=seed)) for seed in range(200)]
    spread = np.std([f.weights for f in fits], axis=0)
    told = np.mean([f.standard_errors for f in fits], axis=0)
    # A standard deviation of 200 values is known to 5 %; the sandwich is a few percent low.
    np.testing.assert_allclose(told, spread, rtol=0.25)


def test_a_choice_that_one_group_made_twice_is_known_no_better() -> None:
    once = drawn(200)
    twice = fit([*once, *once])
    np.testing.assert_allclose(twice.weights, fit(once).weights, atol=0.01)
    np.testing.assert_allclose(twice.standard_errors, fit(once).standard_errors, rtol=0.02)


def test_the_likelihood_is_the_softmax_of_the_logits() -> None:
    choices = drawn(20)
    found = fit(choices)
    logits = [c.features @ found.weights for c in choices]
    by_hand = sum(
        float(x[c.chosen] - np.log(np.exp(x).sum())) for x, c in zip(logits, choices, strict=True)
    )
    assert found.log_likelihood == pytest.approx(by_hand)


def test_choices_of_different_sizes_and_huge_features_are_fitted() -> None:
    rng = np.random.default_rng(1)
    choices = [Choice(rng.normal(size=(n, 2)) * 1e3, 0, n) for n in (2, 5, 50)]
    assert np.isfinite(fit(choices).weights).all()


def test_what_always_tells_and_what_never_differs_have_finite_weights() -> None:
    sure = [Choice(np.array([[1.0, 0.0], [0.0, 0.0]]), 0, n) for n in range(4)]
    found = fit(sure)
    assert 1 < found.weights[0] < 3 * PRIOR_SD
    assert found.weights[1] == pytest.approx(0)
    assert np.isfinite(found.standard_errors).all()


def test_no_choices_are_said() -> None:
    with pytest.raises(InputError, match="got none"):
        fit([])
