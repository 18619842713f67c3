"""In-context re-ranking, against the attention that transformers' eager layers report."""

import math

import pytest
import torch

from lrgd.serving.embedded.attention import NAME
from lrgd.serving.embedded.calibration import Question, calibrate, ranks_of
from lrgd.serving.embedded.heads import RetrievalHeads, load_heads
from lrgd.serving.embedded.prefixes import Prefixes
from lrgd.serving.embedded.reranking import (
    QUERY_BLOCK,
    TITLE,
    Reranker,
    combined,
    laid_out,
    probabilities,
)
from lrgd.serving.embedded.weights import Weights

DOCUMENTS = ["red kite", "blue boat", "green train", "old lamp"]
QUERY = "The shopper bought a paper kite.\nThe shopper buys next:"


def reference(weights: Weights, query: str) -> torch.Tensor:
    """Mean attention of the query's tokens on each title's, of all heads: (heads, documents)."""
    documents = laid_out(weights.tokenizer, DOCUMENTS)
    asked = weights.tokenizer.encode(f"\n{query}", add_special_tokens=False)
    weights.model.set_attn_implementation("eager")
    try:
        with torch.no_grad():
            ids = torch.tensor([[*documents.tokens, *asked]])
            layers = weights.model(ids, output_attentions=True).attentions
    finally:
        weights.model.set_attn_implementation(NAME)
    rows = torch.cat([layer[0, :, len(documents.tokens) :] for layer in layers])
    means = [rows[:, :, a:b].mean(dim=(1, 2)) for a, b in documents.spans]
    return torch.stack(means, dim=1)


def test_scores_are_attention_beyond_that_of_a_query_without_content(weights: Weights) -> None:
    found = Reranker(Prefixes(weights, 10_000)).scores(QUERY, DOCUMENTS, "N/A")
    expected = reference(weights, QUERY) - reference(weights, "N/A")
    torch.testing.assert_close(found, expected, atol=2e-5, rtol=1e-3)


def test_chosen_heads_are_read_without_the_layers_above_them(llama: Weights) -> None:
    every = Reranker(Prefixes(llama, 10_000)).scores(QUERY, DOCUMENTS, "N/A")
    chosen = Reranker(Prefixes(llama, 10_000, layers=1), {0: [2, 1]})
    torch.testing.assert_close(chosen.scores(QUERY, DOCUMENTS, "N/A"), every[[2, 1]])


def test_what_was_read_is_not_read_again(llama: Weights) -> None:
    prefixes = Prefixes(llama, 10_000)
    reranker = Reranker(prefixes)
    history = "The shopper bought a paper kite. " * 12
    first = reranker.scores(history, DOCUMENTS, "N/A")
    before = prefixes.computed
    noted = reranker.scores(f"{history}Likes boats.", DOCUMENTS, "N/A")
    # Of the documents, the empty query and the history only what is left of the last block.
    assert 0 < prefixes.computed - before < 2 * QUERY_BLOCK
    assert torch.equal(reranker.scores(history, DOCUMENTS, "N/A"), first)
    fresh = Reranker(Prefixes(llama, 10_000))
    assert torch.equal(fresh.scores(f"{history}Likes boats.", DOCUMENTS, "N/A"), noted)


def test_a_title_is_found_where_it_stands_and_a_long_one_is_cut(llama: Weights) -> None:
    long = "kite " * 200
    found = laid_out(llama.tokenizer, ["red kite", long])
    (a, b), (c, d) = found.spans
    assert llama.tokenizer.decode(found.tokens[a:b]) == " red kite"
    assert d - c == TITLE


def test_probabilities_sum_to_one_and_fall_with_the_score() -> None:
    heads = RetrievalHeads(model="m", heads=((0, 0), (0, 1)), temperature=2.0, chosen_on={})
    scores = torch.tensor([[0.1, 0.3, 0.2], [0.0, 0.5, 0.0]])
    # Standardised, (-1.22, 1.22, 0) and (-0.71, 1.41, -0.71).
    sums = [-math.sqrt(1.5) - math.sqrt(0.5), math.sqrt(1.5) + math.sqrt(2), -math.sqrt(0.5)]
    assert combined(scores).tolist() == pytest.approx(sums, abs=1e-5)
    weights = [math.exp(s / 2.0) for s in sums]
    expected = [w / sum(weights) for w in weights]
    assert probabilities(scores, heads) == pytest.approx(expected, abs=1e-5)


def test_a_head_that_sees_no_difference_says_nothing() -> None:
    scores = torch.tensor([[0.2, 0.2, 0.2], [0.0, 0.5, 0.0]])
    assert torch.equal(combined(scores), combined(scores[1:]))


def test_the_head_that_finds_the_answers_is_chosen(llama: Weights) -> None:
    questions = [Question(QUERY, "N/A", DOCUMENTS, n) for n in (1, 1, 1)]
    every = Reranker(Prefixes(llama, 10_000)).scores(QUERY, DOCUMENTS, "N/A")
    best = int(ranks_of(every, 1).argmin())
    found = calibrate(llama, questions, {"bundle": "b"}, count=1)
    assert found.heads == ((best // 4, best % 4),)
    assert found.chosen_on["questions"] == 3


def test_ties_count_half() -> None:
    scores = torch.tensor([[0.5, 0.5, 0.1], [0.9, 0.1, 0.1]])
    assert ranks_of(scores, 1).tolist() == [1.5, 2.5]


def test_heads_beside_the_weights_come_before_those_that_ship(tmp_path) -> None:  # type: ignore[no-untyped-def]
    assert load_heads(tmp_path, "no such model") is None
    heads = RetrievalHeads(model="m", heads=((1, 2),), temperature=1.0, chosen_on={})
    (tmp_path / "heads.json").write_text(heads.model_dump_json())
    assert load_heads(tmp_path, "m") == heads
