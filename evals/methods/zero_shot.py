"""The model with no demonstration: with the prompt as it is, and with the one that was searched."""

from lrgd.agents.values import Ranking
from lrgd.evals.methods.base import Method, Question, Resources, with_demonstration
from lrgd.evals.runs.folder import UserRecord


async def rank(resources: Resources, question: Question, record: UserRecord) -> Ranking:
    """Rank without a demonstration."""
    return await with_demonstration(resources, question, None)


ZERO_SHOT = Method("zero-shot", "model", rank)
SHARED_PROMPT = Method("shared prompt", "model", rank, needs="shared texts")
