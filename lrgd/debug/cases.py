"""Regression cases: one ranking that was as it should be, to be asked of any model again."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from lrgd.agents.endpoint.client import Usage
from lrgd.agents.prompts import PromptOrder, ranking_context
from lrgd.agents.recommender import Ranker, ShuffledRanker
from lrgd.agents.values import Ranking, RankingTask
from lrgd.core.errors import InputError
from lrgd.debug.state import SessionState, settings_of

FORMAT: Literal[1] = 1


class RegressionCase(BaseModel):
    """What a case file holds."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal[1] = FORMAT
    dataset: str
    model: str
    """Which model it was made with, and how it ranked: for the reader, not for the replay."""
    mode: str
    task: RankingTask
    demonstration: str
    """Empty: ranked without one."""
    regularisation: str
    prompt_order: PromptOrder
    shuffles: int = Field(ge=1, le=64)
    """Candidate orders that the ranking is averaged over."""
    rank_at_most: int = Field(ge=1)
    """The worst rank of the true next item that passes."""


def case_of(state: SessionState) -> RegressionCase:
    """What is in hand, as a case: the true next item may not fall below where it stands.

    Raises:
        InputError: nothing has been ranked yet, or the item is last: that could never fail.
    """
    hand, s, choices = state.get("in_hand"), settings_of(state), state["choices"]
    if hand is None:
        raise InputError("nothing was ranked yet: write a demonstration, or /step")
    if hand.rank == len(state["task"].candidates):
        raise InputError("the true next item is ranked last here: such a case could never fail")
    return RegressionCase(
        dataset=s.dataset,
        model=s.model,
        mode=choices["mode"],
        task=state["task"],
        demonstration=hand.text,
        regularisation=s.regularisation,
        prompt_order=s.prompt_order,
        shuffles=choices["shuffles"],
        rank_at_most=hand.rank,
    )


async def replay(case: RegressionCase, ranker: Ranker) -> tuple[Ranking, Usage]:
    """Rank the case's candidates as it says."""
    context = ranking_context(
        case.task,
        case.demonstration,
        regularisation=case.regularisation,
        order=case.prompt_order,
    )
    if case.shuffles > 1:
        inner = ranker.ranker if isinstance(ranker, ShuffledRanker) else ranker
        ranker = ShuffledRanker(inner, case.shuffles)
    return await ranker.rank(context, case.task.candidates)
