from math import log, log2

import pytest

from lrgd.agents.evaluator import LEAST_PROBABILITY, effect, log_probability, ranks_of
from lrgd.agents.values import Ranking, ranking_from
from tests.scripted import task


def test_effect_of_rank_two_is_one_over_log2_three() -> None:
    assert effect(2) == pytest.approx(1 / log2(3))
    assert effect(1) == 1.0


def test_an_item_that_was_not_ranked_has_no_effect() -> None:
    assert effect(None) == 0.0


def test_ranks_begin_at_one() -> None:
    with pytest.raises(ValueError, match="1 or more"):
        effect(0)


def test_the_ranks_of_nothing_are_none() -> None:
    assert ranks_of([], [task()]) == ()
    assert ranks_of([ranking(c0=0.3, c2=0.2, c1=0.1)], [task()]) == (3,)


def ranking(**probabilities: float) -> Ranking:
    return ranking_from(probabilities, task().candidates)


def test_a_log_probability_is_among_the_candidates() -> None:
    found = log_probability(ranking(c0=0.1, c1=0.3), "c1")
    assert found == pytest.approx(log(0.3 / (0.1 + 0.3)))


def test_a_candidate_without_a_probability_costs_a_finite_amount() -> None:
    assert log_probability(ranking(c0=0.4), "c1") == log(LEAST_PROBABILITY)
    assert log_probability(ranking(c0=0.4, c1=0.0), "c1") == log(LEAST_PROBABILITY)


def test_a_ranking_without_probabilities_has_no_log_probability() -> None:
    assert log_probability(ranking(), "c1") is None
    assert log_probability(ranking(c0=0.0), "c0") is None
