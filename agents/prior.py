"""What was known of the candidates before the language model is asked, and what both say together.

In LRGD's reading (arXiv 2504.04386, eq. 9) a demonstration is a gradient step from weights W0 that
the model brings along. A prior moves the start: scores from outside of the text, such as who bought
what with it. It is added to the logits of the final choice, where the step's effect is added too
(docs/theory.md says how far that holds).
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import log
from statistics import fmean, pstdev

from lrgd.agents.ranking.likelihood import softmax
from lrgd.agents.ranking.rerank import LEAST
from lrgd.agents.values import Item, Prior, Ranking, ranking_by


def posterior(ranking: Ranking, prior: Prior, candidates: Sequence[Item]) -> Ranking:
    """A model's ranking, with the prior added.

    Returns:
        Candidates by falling logit: prior(c) + model_weight * z(c), where z is what the model
        says, standardised over the candidates. Its probabilities are the softmax of the logits;
        audit, usage and the strict reading are the model's.
    """
    said = standardized(model_scores(ranking))
    logits = {
        c.id: prior.logits.get(c.id, 0.0) + prior.model_weight * said[c.id] for c in candidates
    }
    final = ranking_by(logits, candidates, softmax(logits, 1.0), ranking.usage)
    return replace(final, audit=ranking.audit)


def model_scores(ranking: Ranking) -> dict[str, float]:
    """What a model says of each candidate: the logarithm of its probability; of a ranking without
    probabilities, minus the logarithm of the rank."""
    if ranking.probabilities:
        return {i: log(max(ranking.probabilities.get(i, 0.0), LEAST)) for i in ranking.order}
    return {i: -log(rank) for rank, i in enumerate(ranking.order, start=1)}


def standardized(scores: Mapping[str, float]) -> dict[str, float]:
    """Scores with mean 0 and standard deviation 1; all 0 where they do not differ."""
    mean, spread = fmean(scores.values()), pstdev(scores.values())
    return {item: (score - mean) / spread if spread else 0.0 for item, score in scores.items()}
