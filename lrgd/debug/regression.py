"""Regression cases: a ranking that was good once, kept in a file, to be made again by any model."""

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from lrgd.agents.prompts import PromptOrder, PromptSettings
from lrgd.agents.recommender import CustomRanker, ShuffledRanker, ranking_of
from lrgd.agents.values import Ranking, RankingTask
from lrgd.core.errors import InputError
from lrgd.core.validation import input_checked
from lrgd.debug.state import SessionState, settings_of, tasks_on
from lrgd.evals.data.bundle import Split

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
    split: Split = "validation"
    """Which of the user's tasks it is."""
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
        InputError: nothing has been ranked yet, its prompt was edited, or the item is last: that
            could never fail.
    """
    hand, s, choices = state.get("in_hand"), settings_of(state), state["choices"]
    if hand is None:
        raise InputError("nothing was ranked yet: write a demonstration, or /step")
    if hand.ranking_edited:
        raise InputError("this was ranked with an edited prompt: a case cannot ask it again")
    task = tasks_on(state, hand.split)[0]
    if hand.rank == len(task.candidates):
        raise InputError("the true next item is ranked last here: such a case could never fail")
    return RegressionCase(
        dataset=s.dataset,
        model=s.model,
        mode=choices["mode"],
        task=task,
        split=hand.split,
        demonstration=hand.text,
        regularisation=s.regularisation,
        prompt_order=s.prompt_order,
        shuffles=choices["shuffles"],
        rank_at_most=hand.rank,
    )


def read_case(file: Path) -> RegressionCase:
    """A case from its file.

    Raises:
        InputError: it is not there, or is no case; names the field.
    """
    try:
        text = file.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot read {file}: {error}") from error
    with input_checked(file, "file"):
        case = RegressionCase.model_validate_json(text)
    if case.task.target_id is None:
        raise InputError(f"{file}: task.target_id: a case needs a known next item")
    if case.rank_at_most >= len(case.task.candidates):
        most = f"rank_at_most: {case.rank_at_most} of {len(case.task.candidates)}"
        raise InputError(f"{file}: {most} can never fail")
    return case


async def replay(case: RegressionCase, ranker: CustomRanker) -> Ranking:
    """Rank the case's candidates as it says."""
    prompts = PromptSettings(case.regularisation, case.prompt_order)
    context = prompts.ranking_context(case.task, case.demonstration)
    if case.shuffles > 1:
        inner = ranker.ranker if isinstance(ranker, ShuffledRanker) else ranker
        ranker = ShuffledRanker(inner, case.shuffles)
    return await ranking_of(ranker, context, case.task)
