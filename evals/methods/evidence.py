"""Evidence: what is known of candidates without a language model, as a score for each.

Scores of one source say nothing beside another's, so each is standardised over the candidates of a
task. `Evidence` is made once from a bundle's training part; `Fused` adds its sources with fitted
weights, and gives the logits that `lrgd.agents.prior` takes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import log1p
from typing import Literal, get_args

from pydantic import BaseModel, ConfigDict

from lrgd.agents.prior import standardized
from lrgd.agents.values import Item, Prior
from lrgd.evals.data.training import Training
from lrgd.evals.methods.item_knn import ItemKnn, item_knn
from lrgd.evals.methods.words import bm25

Source = Literal["popularity", "item kNN", "BM25"]
Part = Source | Literal["model"]
"""A source, or what the language model says without a demonstration."""

SOURCES: tuple[Source, ...] = get_args(Source)
PARTS: tuple[Part, ...] = (*SOURCES, "model")


@dataclass(frozen=True, slots=True)
class Evidence:
    """The sources of evidence."""

    popularity: Mapping[str, int]
    """Item id -> its interactions in training; 0 for an item that is not there."""
    knn: ItemKnn

    def scores(
        self, source: Source, history: Sequence[Item], candidates: Sequence[Item]
    ) -> dict[str, float]:
        """Candidate id -> what one source says: log(1 + interactions), item kNN, or BM25."""
        if source == "popularity":
            return log_popularity(self.popularity, candidates)
        return (self.knn.scores if source == "item kNN" else bm25)(history, candidates)

    def standardized(
        self, source: Source, history: Sequence[Item], candidates: Sequence[Item]
    ) -> dict[str, float]:
        """The same with mean 0 and standard deviation 1 over the candidates; 0 where all agree."""
        return standardized(self.scores(source, history, candidates))


class FusedFit(BaseModel):
    """What the parts weigh. Kept in the run folder: `fused.json`, `prior.json`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    weights: dict[Part, float]
    """Logits for one standard deviation of a part's scores."""
    standard_errors: dict[Part, float]
    """Of the weights, clustered by user."""
    users: int
    tasks: int
    """Validation tasks that it was fitted on."""


@dataclass(frozen=True, slots=True)
class Fused:
    """The sources added, each with its weight."""

    evidence: Evidence
    weights: Mapping[Part, float]

    def logits(self, history: Sequence[Item], candidates: Sequence[Item]) -> dict[str, float]:
        """Candidate id -> logit."""
        weights = {source: self.weights[source] for source in SOURCES if source in self.weights}
        found = {s: self.evidence.standardized(s, history, candidates) for s in weights}
        return {c.id: sum(w * found[s][c.id] for s, w in weights.items()) for c in candidates}

    def prior(self, history: Sequence[Item], candidates: Sequence[Item]) -> Prior:
        """The logits, and what the model weighs beside them: 0 where it was not fitted."""
        return Prior(self.logits(history, candidates), self.weights.get("model", 0.0))


def evidence_of(training: Training) -> Evidence:
    """What a training part says."""
    return Evidence(training.counts, item_knn(training))


def log_popularity(popularity: Mapping[str, int], candidates: Sequence[Item]) -> dict[str, float]:
    """Candidate id -> log(1 + interactions)."""
    return {c.id: log1p(popularity.get(c.id, 0)) for c in candidates}
