"""Settings of the optimisation graph, checked where they enter."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from lrgd.agents.guard import Policy
from lrgd.agents.prompts import REGULARISATION, PromptOrder, RankingContext, ranking_context
from lrgd.agents.values import RankingTask

Judge = Literal["rank", "probability"]


class LoopSettings(BaseModel):
    """How one user's demonstration is optimised. Defaults are LRGD's where the paper gives one."""

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

    def ranking_context(self, task: RankingTask, demonstration: str | None) -> RankingContext:
        """What the recommender reads about a task under these settings."""
        return ranking_context(
            task, demonstration, regularisation=self.regularisation, order=self.prompt_order
        )
