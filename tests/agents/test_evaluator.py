from math import log2

import pytest

from agents.evaluator import effect, rank_from


def test_effect_of_rank_two_is_one_over_log2_three() -> None:
    assert effect(2) == pytest.approx(1 / log2(3))
    assert effect(1) == 1.0


def test_an_item_that_was_not_ranked_has_no_effect() -> None:
    assert effect(None) == 0.0


def test_ranks_begin_at_one() -> None:
    with pytest.raises(ValueError, match="1 or more"):
        effect(0)


def test_the_rank_comes_back_from_the_effect() -> None:
    assert [rank_from(effect(rank)) for rank in range(1, 256)] == list(range(1, 256))
