"""Settings of the optimisation graph, checked where they enter."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from lrgd.agents.evaluator import effect
from lrgd.agents.guard import Policy
from lrgd.agents.prompts import (
    GENERATION_REQUEST,
    NOTE_LABEL,
    RANKING_INSTRUCTION,
    REGULARISATION,
    PromptOrder,
    PromptSettings,
    RankingContext,
    Told,
)
from lrgd.agents.values import Ranking, RankingTask

Judge = Literal["rank", "probability"]


class LoopSettings(BaseModel):
    """How one user's demonstration is optimised. Defaults are LRGD's where the paper gives one.

    A subclass may put other prompts or another metric in the place of LRGD's: `ranking_context`,
    `generation_messages`, `effect`.

    Example:
        >>> import lrgd
        >>> lrgd.LoopSettings(paths=2, patience=1).first_perturbed
        3
        >>> class TopThree(lrgd.LoopSettings):
        ...     def effect(self, ranking, task):
        ...         return 1.0 if ranking.rank_of(task.target_id) <= 3 else 0.1
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    paths: Annotated[int, Field(ge=1, description="m, independent optimisation paths")] = 3
    rounds: Annotated[int, Field(ge=1, description="demonstrations a path writes at most")] = 4
    seed: Annotated[int, Field(ge=0, description="sampling seed of the whole run")] = 2024
    similarity_threshold: Annotated[float, Field(ge=-1, le=1, description="cosine")] = 0.85
    patience: Annotated[int, Field(ge=1, description="rounds without gain before collapse")] = 2
    policy: Annotated[Policy, Field(description="which other path perturbs")] = "least_similar"
    perturbation: Annotated[bool, Field(description="inject D_per on collapse")] = True
    regularisation: Annotated[str, Field(description="D_reg; empty for none")] = REGULARISATION
    prompt_order: PromptOrder = "instruction_first"
    instruction: Annotated[str, Field(description="X_T, of the ranking")] = RANKING_INSTRUCTION
    request: Annotated[str, Field(description="what the generator is asked")] = GENERATION_REQUEST
    note_label: Annotated[str, Field(description="before a demonstration")] = NOTE_LABEL
    judge: Annotated[Judge, Field(description="what of the target chooses")] = "rank"
    effective_rank: Annotated[int, Field(ge=1, description="worst rank worth remembering")] = 10
    recalled: Annotated[int, Field(ge=0, description="effective demonstrations shown")] = 2
    tie_shuffles: Annotated[int, Field(ge=0, description="candidate orders to settle ties")] = 2
    dataset: Annotated[str, Field(description="name under which memory keeps the user")] = ""
    model: Annotated[str, Field(description="model that writes, for memory's records")] = ""

    @property
    def first_perturbed(self) -> int:
        """The first round that may begin with a perturbation: collapse needs `patience` rounds
        without gain after a first one, and is known when the last of them is over."""
        return self.patience + 2

    @property
    def prompts(self) -> PromptSettings:
        """What of them is LRGD's prompts'."""
        return PromptSettings(
            regularisation=self.regularisation,
            order=self.prompt_order,
            instruction=self.instruction,
            request=self.request,
            note_label=self.note_label,
        )

    def ranking_context(
        self, task: RankingTask, demonstration: str | None = None
    ) -> RankingContext:
        """What the recommender reads about a task under these settings."""
        return self.prompts.ranking_context(task, demonstration)

    def generation_messages(self, task: RankingTask, told: Told) -> list[dict[str, str]]:
        """The generator's chat about a task under these settings; it must not show the target."""
        return self.prompts.generation_messages(task, told)

    def effect(self, ranking: Ranking, task: RankingTask) -> float:
        """How good a ranking of a task is, above 0; 1 or more: nothing is left to gain."""
        return effect(ranking.rank_of(str(task.target_id)))
