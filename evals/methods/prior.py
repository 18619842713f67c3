"""What a run's prior is worth: the zero-shot ranking with a part left out.

The other parts' weights are fitted without it. To leave the model out gives the floor `fused`.
"""

from dataclasses import replace

from lrgd.agents.values import Ranking
from lrgd.evals.methods.base import Method, Question, Resources, with_demonstration
from lrgd.evals.methods.evidence import SOURCES, Source
from lrgd.evals.runs.folder import UserRecord


def without(source: Source) -> Method:
    """Zero-shot, without a source of evidence."""

    async def rank(resources: Resources, question: Question, record: UserRecord) -> Ranking:
        prior = resources.without[source].prior(question.history, question.candidates)
        return await with_demonstration(resources, replace(question, prior=prior), None)

    return Method(f"zero-shot without {source}", "model", rank, needs="prior")


async def alone(resources: Resources, question: Question, record: UserRecord) -> Ranking:
    """The model by itself."""
    return await with_demonstration(resources, replace(question, prior=None), None)


WITHOUT = (
    *map(without, SOURCES),
    Method("zero-shot without prior", "model", alone, needs="prior"),
)
