"""Chooses a model's retrieval heads, on ranking questions whose answer is known.

A head is as good as the ranks that it alone gives to the answers (the mean of their logarithms).
The temperature that turns the chosen heads' scores into probabilities is the one under which the
answers are likeliest. Source: QRHead, arXiv 2506.09944.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from scipy.optimize import minimize_scalar
from torch import Tensor

from lrgd.serving.embedded.engine import CAPACITY
from lrgd.serving.embedded.heads import RetrievalHeads
from lrgd.serving.embedded.prefixes import Prefixes
from lrgd.serving.embedded.reranking import Reranker, combined
from lrgd.serving.embedded.weights import Weights

HEADS = 8
"""Heads that are chosen. With 4, 16 and 32 the heads chosen on four folds of 110 Toys users ranked
the fifth no better (SmolLM2-135M: nDCG@10 0.310, 0.309, 0.261; with 8 it was 0.314)."""
TEMPERATURES = (0.1, 1_000.0)


@dataclass(frozen=True, slots=True)
class Question:
    """A ranking question with its answer."""

    query: str
    baseline: str
    """The same query without content."""
    documents: Sequence[str]
    answer: int
    """Index of the right document."""


def calibrate(
    weights: Weights,
    questions: Sequence[Question],
    chosen_on: dict[str, Any],
    count: int = HEADS,
    report: Callable[[], None] = lambda: None,
) -> RetrievalHeads:
    """Choose `count` heads and fit the temperature.

    Args:
        chosen_on: where the questions are from, for the record.
        report: called after each question.
    """
    scores = list(_scores(weights, questions, report))
    answers = [question.answer for question in questions]
    ranks = torch.stack([ranks_of(s, a) for s, a in zip(scores, answers, strict=True)])
    order = ranks.log().mean(dim=0).argsort()[:count].tolist()
    best = [combined(s[order]) for s in scores]
    of_all = torch.stack([ranks_of(s[None], a)[0] for s, a in zip(best, answers, strict=True)])
    every = weights.model.config.get_text_config().num_attention_heads
    return RetrievalHeads(
        model=weights.name,
        heads=tuple((n // every, n % every) for n in order),
        temperature=_temperature(best, answers),
        chosen_on={
            **chosen_on,
            "questions": len(questions),
            "mean_log_rank": round(float(of_all.log().mean()), 4),
        },
    )


def ranks_of(scores: Tensor, answer: int) -> Tensor:
    """The answer's 1-based rank in each row of scores (rows, documents); ties count half."""
    own = scores[:, answer : answer + 1]
    higher = (scores > own).sum(dim=1) + ((scores == own).sum(dim=1) - 1) / 2
    return 1.0 + higher


def _scores(
    weights: Weights, questions: Sequence[Question], report: Callable[[], None]
) -> Iterator[Tensor]:
    """For each question the scores of all heads, layer by layer: (heads, documents)."""
    reranker = Reranker(Prefixes(weights, CAPACITY))
    for question in questions:
        yield reranker.scores(question.query, question.documents, question.baseline)
        report()


def _temperature(scores: Sequence[Tensor], answers: Sequence[int]) -> float:
    def surprise(temperature: float) -> float:
        rows = (
            (s / temperature).log_softmax(dim=0)[a] for s, a in zip(scores, answers, strict=True)
        )
        return -float(torch.stack(list(rows)).mean())

    return round(float(minimize_scalar(surprise, bounds=TEMPERATURES, method="bounded").x), 3)
