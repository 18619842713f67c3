"""Floors from evidence that no text has, alone and added up (evals/methods/evidence.py).

* item kNN: what others bought who bought the same.
* BM25 + popularity, BM25 + item kNN: sums of both, each standardised over the candidates.
* fused: popularity, item kNN and BM25, with weights fitted on validation tasks.

Candidates that nobody bought with any item of the history are equal to item kNN, a third of the
true next items on Amazon Games among them: of equals the more popular one comes first.
"""

from lrgd.core.errors import InputError
from lrgd.evals.methods.base import Method, Question, Resources, floor
from lrgd.evals.methods.evidence import Evidence, Source
from lrgd.evals.methods.floors import by_popularity


def summed(*sources: Source) -> Method:
    """The floor that adds these sources, each with weight 1."""

    def logits(resources: Resources, question: Question) -> dict[str, float]:
        evidence, task = evidence_in(resources), (question.history, question.candidates)
        found = [evidence.standardized(source, *task) for source in sources]
        return {c.id: sum(scores[c.id] for scores in found) for c in question.candidates}

    return floor(" + ".join(sources), logits, ties=by_popularity, needs="training part")


def fused(resources: Resources, question: Question) -> dict[str, float]:
    """All sources with their fitted weights."""
    if resources.fused is None:
        raise InputError("fused has no weights: fit them on validation tasks first")
    return resources.fused.logits(question.history, question.candidates)


def evidence_in(resources: Resources) -> Evidence:
    """Raises InputError where there is none."""
    if resources.evidence is None:
        raise InputError("there is no training part to learn from: prepare the bundle anew")
    return resources.evidence


ITEM_KNN = summed("item kNN")
BM25_POPULARITY = summed("BM25", "popularity")
BM25_ITEM_KNN = summed("BM25", "item kNN")
FUSED = floor("fused", fused, needs="training part")
