"""Fits what the sources of evidence weigh, on validation tasks alone."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from lrgd.agents.values import RankingTask
from lrgd.core.files import replace_file
from lrgd.core.validation import input_checked
from lrgd.evals.conditional_logit import Choice, fit
from lrgd.evals.data.bundle import Bundle
from lrgd.evals.methods.evidence import (
    SOURCES,
    Evidence,
    Fused,
    FusedFit,
    Part,
    evidence_of,
)


def learned(
    bundle: Bundle, users: Sequence[str], file: Path
) -> tuple[Evidence | None, Fused | None]:
    """What a bundle's training part says, alone and fused; nothing where it has none.

    Args:
        users: on whose validation tasks the weights are fitted.
        file: where the fit is kept, and read from the next time.

    Raises:
        InputError: the file holds something else; names the field.
    """
    if bundle.training is None:
        return None, None
    evidence = evidence_of(bundle.training)
    fitted = kept_fit(file)
    if fitted is None:
        fitted = fit_fused(bundle, users, evidence)
        replace_file(file, fitted.model_dump_json(indent=2) + "\n")
    return evidence, Fused(evidence, fitted.weights)


def kept_fit(file: Path) -> FusedFit | None:
    """The fit that a run keeps; None where there is none.

    Raises:
        InputError: the file holds something else; names the field.
    """
    if not file.exists():
        return None
    with input_checked(file, "weights"):
        return FusedFit.model_validate_json(file.read_bytes())


def fit_fused(bundle: Bundle, users: Sequence[str], evidence: Evidence) -> FusedFit:
    """Fit the weights on the validation tasks of these users.

    A user's test task is not read: neither its target nor its candidates.

    Raises:
        InputError: no users, or one who is not in the bundle.
    """
    tasks = [task for user in users for task in validation_tasks(bundle, user)]
    return fitted([choice_of(task, evidence) for task in tasks], SOURCES)


def fitted(choices: Sequence[Choice], parts: Sequence[Part]) -> FusedFit:
    """What the parts weigh, one for each feature of the choices.

    Raises:
        InputError: there are no choices.
    """
    found = fit(choices)
    return FusedFit(
        weights=dict(zip(parts, found.weights.tolist(), strict=True)),
        standard_errors=dict(zip(parts, found.standard_errors.tolist(), strict=True)),
        users=len({choice.group for choice in choices}),
        tasks=len(choices),
    )


def validation_tasks(bundle: Bundle, user: str) -> Iterable[RankingTask]:
    """All validation tasks of a user, the latest first."""
    return [bundle.task(user, "validation"), *bundle.earlier_tasks(user)]


def choice_of(
    task: RankingTask, evidence: Evidence, said: Mapping[str, float] | None = None
) -> Choice:
    """A task whose target is known, as a choice; its features are the sources of evidence.

    Args:
        said: candidate id -> what the model says, standardised: a further feature, the last one.
    """
    columns = [evidence.standardized(s, task.history, task.candidates) for s in SOURCES]
    columns += [dict(said)] if said else []
    ids = [c.id for c in task.candidates]
    features = np.array([[column[item] for column in columns] for item in ids])
    return Choice(features, ids.index(str(task.target_id)), task.user_id)
