import pytest

from lrgd.agents.guard import CollapseGuard
from tests.scripted import hashed_words

SAME = "likes red kites"
OTHERS = {1: "likes red kites too", 2: "wants old lamps"}


def judge(guard: CollapseGuard, texts: list[str], effects: list[float]):  # type: ignore[no-untyped-def]
    return guard.judge(0, len(texts), texts, effects, OTHERS, seed=3)


def test_near_copies_without_gain_are_a_collapse_and_the_least_similar_path_perturbs() -> None:
    found = judge(CollapseGuard(hashed_words), [SAME] * 3, [0.5, 0.5, 0.4])
    assert found.collapsed
    assert found.source == 2
    assert found.similarity == pytest.approx(1.0)
    assert found.gain == 0.0


def test_a_gain_is_no_collapse() -> None:
    assert not judge(CollapseGuard(hashed_words), [SAME] * 3, [0.4, 0.5, 0.4]).collapsed


def test_different_texts_are_no_collapse() -> None:
    texts = [SAME, SAME, "wants old lamps"]
    assert not judge(CollapseGuard(hashed_words), texts, [0.5] * 3).collapsed


def test_nothing_is_left_to_gain_at_effect_one() -> None:
    assert not judge(CollapseGuard(hashed_words), [SAME] * 3, [1.0] * 3).collapsed


def test_patience_asks_for_that_many_rounds_after_the_best() -> None:
    found = judge(CollapseGuard(hashed_words), [SAME] * 2, [0.5, 0.5])
    assert (found.gain, found.collapsed) == (None, False)
    assert judge(CollapseGuard(hashed_words, patience=1), [SAME] * 2, [0.5, 0.5]).collapsed


def test_the_first_demonstration_has_nothing_to_be_compared_with() -> None:
    assert judge(CollapseGuard(hashed_words), [SAME], [0.5]).similarity is None


def test_a_guard_that_is_off_notes_the_collapse_and_injects_nothing() -> None:
    found = judge(CollapseGuard(hashed_words, enabled=False), [SAME] * 3, [0.5] * 3)
    assert (found.collapsed, found.source) == (True, None)


def test_the_random_policy_repeats_with_its_seed() -> None:
    guard = CollapseGuard(hashed_words, policy="random")
    sources = {guard.judge(0, 3, [SAME] * 3, [0.5] * 3, OTHERS, seed=s).source for s in range(20)}
    # 20 fair draws of two: all alike with odds of 2 in a million.
    assert sources == {1, 2}
    assert judge(guard, [SAME] * 3, [0.5] * 3) == judge(guard, [SAME] * 3, [0.5] * 3)
