"""The prior of a run's tasks: what evidence and the language model weigh, fitted together.

A conditional logit over the candidates, on validation tasks alone and before anything is optimised:
its features are the sources of evidence and what the model says without a demonstration, each
standardised over the candidates. The fit is kept in the run folder; every ranking of the run then
starts from it (lrgd.agents.prior).
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path

from lrgd.agents.prior import model_scores, standardized
from lrgd.agents.recommender import CustomRanker, answer_of
from lrgd.agents.values import Prior, RankingTask
from lrgd.core.errors import InputError, RankingFailed
from lrgd.core.validation import input_checked
from lrgd.evals.conditional_logit import Choice
from lrgd.evals.data.bundle import Bundle
from lrgd.evals.data.training import Training
from lrgd.evals.methods.evidence import PARTS, Evidence, Fused, FusedFit, Part, evidence_of
from lrgd.evals.runs.fusing import choice_of, fitted
from lrgd.graphs.settings import LoopSettings


class PriorFit(FusedFit):
    """What each part weighs, the model among them. Kept in the run folder as `prior.json`."""

    without: dict[Part, dict[Part, float]]
    """Part -> the weights of the others, fitted without it."""
    left_out: int = 0
    """Validation tasks whose ranking failed."""


class RunPrior:
    """The prior of a run's tasks, from its folder; read when the first task asks for it."""

    def __init__(self, file: Path, training: Training) -> None:
        self.file, self._training = file, training

    def __call__(self, task: RankingTask) -> Prior:
        """The prior of a task, whose target is not read. Raises InputError as `fit`."""
        return self._fused.prior(task.history, task.candidates)

    @cached_property
    def fit(self) -> PriorFit:
        """Raises InputError where no fit was kept, or one that is none; names the field."""
        try:
            content = self.file.read_bytes()
        except FileNotFoundError as error:
            raise InputError(
                f"{self.file}: the run's prior is not fitted: `lrgd optimize --resume`"
            ) from error
        with input_checked(self.file, "prior"):
            return PriorFit.model_validate_json(content)

    @cached_property
    def evidence(self) -> Evidence:
        """What the bundle's training part says."""
        return evidence_of(self._training)

    @cached_property
    def _fused(self) -> Fused:
        return Fused(self.evidence, self.fit.weights)

    @property
    def without(self) -> Mapping[Part, Fused]:
        """Part -> the others, with weights that were fitted without it."""
        return {part: Fused(self.evidence, others) for part, others in self.fit.without.items()}


def with_prior_of(bundle: Bundle, file: Path) -> Bundle:
    """The bundle, its tasks with the prior whose fit a file holds, now or once it is fitted.

    Raises:
        InputError: the bundle has no training part to learn from.
    """
    if bundle.training is None:
        raise InputError(
            f"a prior learns from a bundle's training part, and bundle {bundle.name!r} has none: "
            "make it anew with `lrgd data prepare`"
        )
    return replace(bundle, prior=RunPrior(file, bundle.training))


async def fit_prior(
    tasks: Sequence[RankingTask],
    evidence: Evidence,
    ranker: CustomRanker,
    settings: LoopSettings,
    report: Callable[[object], None] = lambda done: None,
) -> PriorFit:
    """Rank validation tasks without a demonstration, and fit what each part weighs.

    Args:
        tasks: without a prior; their targets must be known.
        report: told of each task that was ranked.

    Raises:
        InputError: no task got an answer.
    """

    async def one(task: RankingTask) -> Choice | None:
        try:
            answer = await answer_of(ranker, settings.ranking_context(task), task.candidates)
        except RankingFailed:
            return None
        finally:
            report(task)
        return choice_of(task, evidence, standardized(model_scores(answer)))

    asked = await asyncio.gather(*map(one, tasks))
    choices = [choice for choice in asked if choice is not None]
    return PriorFit(
        **fitted(choices, PARTS).model_dump(),
        without={part: _without(part, choices) for part in PARTS},
        left_out=len(asked) - len(choices),
    )


def _without(part: Part, choices: Sequence[Choice]) -> dict[Part, float]:
    kept = [n for n, other in enumerate(PARTS) if other != part]
    fewer = [Choice(c.features[:, kept], c.chosen, c.group) for c in choices]
    return fitted(fewer, [PARTS[n] for n in kept]).weights
