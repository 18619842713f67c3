from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lrgd.agents.ranking.choices import Probabilities
from lrgd.agents.ranking.heats import ChoiceRanker, heats_of, merged
from lrgd.agents.values import Item, Usage
from lrgd.core.errors import RankingFailed
from tests.scripted import CONTEXT


@dataclass
class Luce:
    """Chooses by fixed strengths, as Luce's axiom has it; says nothing of options with none."""

    strengths: dict[str, float]
    open_ended: ClassVar[bool] = False
    asked: list[list[int]] = field(default_factory=list)
    """Sizes of the heats of each request."""

    async def choose(
        self, context: str, questions: Sequence[Sequence[str]]
    ) -> tuple[list[Probabilities], Usage]:
        self.asked.append([len(options) for options in questions])
        return [self._shares(options) for options in questions], Usage(1, 10, 1)

    def _shares(self, options: Sequence[str]) -> Probabilities:
        known = {o: self.strengths[o] for o in options if o in self.strengths}
        return {o: s / sum(known.values()) for o, s in known.items()}


def candidates(count: int) -> list[Item]:
    return [Item(f"i{n}", f"title {n}") for n in range(count)]


@given(st.integers(2, 255), st.integers(2, 64))
def test_heats_keep_the_order_and_the_limit(count: int, limit: int) -> None:
    names = [str(n) for n in range(count)]
    heats = heats_of(names, limit)
    assert [name for heat in heats for name in heat] == names
    sizes = [len(heat) for heat in heats]
    assert max(sizes) <= limit
    assert max(sizes) - min(sizes) <= 1
    assert len(heats) == -(-count // limit)


@given(
    st.lists(st.floats(0.01, 1.0), min_size=2, max_size=255),
    st.integers(2, 64),
)
async def test_of_a_chooser_that_keeps_luces_axiom_heats_lose_nothing(
    strengths: list[float], limit: int
) -> None:
    items = candidates(len(strengths))
    chooser = Luce({item.title: s for item, s in zip(items, strengths, strict=True)})
    ranking = await ChoiceRanker(chooser, limit).rank(CONTEXT, items)
    assert sorted(ranking.order) == sorted(item.id for item in items)
    total = sum(strengths)
    for item, strength in zip(items, strengths, strict=True):
        assert ranking.probabilities[item.id] == pytest.approx(strength / total)
    assert ranking.usage.calls == len(chooser.asked)
    assert max(size for sizes in chooser.asked for size in sizes) <= limit


async def test_fifty_candidates_on_a_server_with_26_options_are_two_heats_and_a_final() -> None:
    chooser = Luce({f"title {n}": 1.0 + n for n in range(50)})
    ranking = await ChoiceRanker(chooser, 26).rank(CONTEXT, candidates(50))
    assert chooser.asked == [[25, 25], [26]]
    assert ranking.order == tuple(f"i{n}" for n in reversed(range(50)))


async def test_candidates_without_a_probability_follow_and_are_counted() -> None:
    chooser = Luce({"title 3": 0.9, "title 1": 0.1})
    ranking = await ChoiceRanker(chooser, 3).rank(CONTEXT, candidates(5))
    assert ranking.order == ("i3", "i1", "i0", "i2", "i4")
    assert (ranking.audit.named, ranking.audit.missing) == (2, 3)


async def test_a_model_that_says_nothing_ranks_nothing() -> None:
    with pytest.raises(RankingFailed, match="no probability to any of 7") as caught:
        await ChoiceRanker(Luce({}), 3).rank(CONTEXT, candidates(7))
    assert (caught.value.kind, caught.value.paid) == ("empty", Usage(1, 10, 1).counts)


def test_a_heat_without_chances_in_the_final_comes_last() -> None:
    found = merged([{"a": 0.6, "b": 0.4}, {"c": 0.9, "d": 0.1}], {"a": 1.0, "c": 0.0})
    assert found == pytest.approx({"a": 0.6, "b": 0.4, "c": 0.0, "d": 0.0})


def test_a_question_of_one_option_is_none() -> None:
    with pytest.raises(ValueError, match="2 options or more"):
        heats_of(["a", "b"], 1)
