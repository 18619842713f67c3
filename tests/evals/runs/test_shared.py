"""The search of what all users share, over a model that writes better when asked better."""

from dataclasses import replace
from typing import Any

import pytest
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from pydantic import PrivateAttr

from lrgd.agents.values import Ranking, RankingTask
from lrgd.core.errors import BudgetSpent, InputError, RankingFailed
from lrgd.evals.runs.shared import LONGEST, PURPOSES, search
from lrgd.graphs import LoopSettings
from tests.scripted import WordRanker, task

BETTER = "Name the vessel that is wanted."


class Pupil(BaseChatModel):
    """Writes about boats where the request speaks of a vessel; asked for a better request, it
    gives `proposal`, and repeats every other text."""

    proposal: str = BETTER
    _asked: list[str] = PrivateAttr(default_factory=list)

    @property
    def _llm_type(self) -> str:
        return "pupil"

    def _generate(self, messages: Any, *args: Any, **kwargs: Any) -> ChatResult:
        prompt = "\n".join(str(m.text) for m in messages)
        self._asked.append(prompt)
        if prompt.startswith("A text in a prompt"):
            wanted = PURPOSES["request"] in prompt
            reply = self.proposal if wanted else prompt.split("```")[1].strip()
        else:
            reply = "wants blue things that sail" if "vessel" in prompt else "wants an old thing"
        return ChatResult(generations=[ChatGeneration(message=AIMessage(content=reply))])


def tasks(users: int = 12) -> list[RankingTask]:
    return [task(user=f"u{n}") for n in range(users)]


async def test_a_better_request_is_found_and_chosen() -> None:
    result = await search(tasks(), LoopSettings(), Pupil(), WordRanker(), calls=120)
    assert result.texts["request"] == BETTER
    assert result.texts["instruction"] == LoopSettings().instruction
    assert result.effect > result.effect_before
    assert result.effect == 1.0
    assert result.users == 6


async def test_the_settings_own_texts_stay_where_nothing_is_better() -> None:
    worse = Pupil(proposal="Write anything.")
    result = await search(tasks(), LoopSettings(), worse, WordRanker(), calls=80)
    assert result.effect == result.effect_before
    assert result.texts == {name: getattr(LoopSettings(), name) for name in PURPOSES}


async def test_the_same_search_twice_is_the_same() -> None:
    first, second = [
        await search(tasks(), LoopSettings(), Pupil(), WordRanker(), calls=100) for _ in range(2)
    ]
    assert first == second


async def test_a_mutation_is_never_shown_the_target() -> None:
    pupil = Pupil()
    await search(tasks(), LoopSettings(), pupil, WordRanker(), calls=80)
    reflections = [prompt for prompt in pupil._asked if prompt.startswith("A text in a prompt")]
    assert reflections
    assert "blue boat" not in "".join(reflections)
    assert "red kite" in "".join(reflections)  # what was ranked wrongly above it is


async def test_a_long_text_is_cut_at_a_sentence() -> None:
    wordy = Pupil(proposal=f"{BETTER} {'And say why. ' * 50}")
    result = await search(tasks(), LoopSettings(), wordy, WordRanker(), calls=120)
    assert len(result.texts["request"]) <= LONGEST
    assert result.texts["request"].endswith("And say why.")


@pytest.mark.parametrize(("users", "calls"), [(4, 100), (12, 6)])
async def test_too_little_to_search_with_is_one_line(users: int, calls: int) -> None:
    with pytest.raises(InputError, match="--shared needs 8 users"):
        await search(tasks(users), LoopSettings(), Pupil(), WordRanker(), calls)


async def test_a_user_whose_ranking_fails_is_left_out_and_no_score_stands_for_it() -> None:
    class Refusing(WordRanker):
        async def rank(self, context: Any, candidates: Any) -> Ranking:
            if "secret" in context.text:
                raise RankingFailed("refused", "refused")
            return await super().rank(context, candidates)

    asked = [*tasks(12), replace(task(user="odd"), profile="secret")]
    result = await search(asked, LoopSettings(), Pupil(), Refusing(), calls=120)
    assert result.left_out == ("odd",)
    alone = await search(tasks(12), LoopSettings(), Pupil(), WordRanker(), calls=120)
    assert result == alone.model_copy(update={"left_out": ("odd",)})


@pytest.mark.parametrize("after", [0, 15])
async def test_a_call_that_fails_ends_the_search(after: int) -> None:
    class Failing(Pupil):
        def _generate(self, messages: Any, *args: Any, **kwargs: Any) -> ChatResult:
            if len(self._asked) >= after:
                raise BudgetSpent("no further call")
            return super()._generate(messages, *args, **kwargs)

    with pytest.raises(BudgetSpent):
        await search(tasks(), LoopSettings(), Failing(), WordRanker(), calls=100)
