import pytest

from lrgd.agents.values import Item, RankingTask

A, B = Item("a", "A"), Item("b", "B")


def test_a_target_is_one_of_the_candidates() -> None:
    assert RankingTask("u", (), (A, B), "b").target == B
    with pytest.raises(ValueError, match="is no candidate"):
        RankingTask("u", (), (A, B), "c")


def test_a_target_may_be_unknown() -> None:
    assert RankingTask("u", (), (A, B)).target is None


@pytest.mark.parametrize("candidates", [(A,), (A, A), ()])
def test_candidates_are_two_or_more_distinct_items(candidates: tuple[Item, ...]) -> None:
    with pytest.raises(ValueError, match="2 or more distinct"):
        RankingTask("u", (), candidates)
