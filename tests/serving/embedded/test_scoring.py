"""Log-probabilities of given texts, against transformers' own forward pass."""

import random

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lrgd.core.errors import WeightsError
from lrgd.serving.embedded.attention import NAME
from lrgd.serving.embedded.prefixes import BLOCK, Prefixes
from lrgd.serving.embedded.scoring import score
from lrgd.serving.embedded.weights import Weights, load


def reference(weights: Weights, text: list[int]) -> list[float]:
    """log p of each token but the first, by transformers' eager attention."""
    weights.model.set_attn_implementation("eager")
    try:
        with torch.no_grad():
            logits = weights.model(torch.tensor([text])).logits[0].float()
    finally:
        weights.model.set_attn_implementation(NAME)
    rows = logits[:-1].log_softmax(dim=-1)
    found: list[float] = rows.gather(1, torch.tensor(text[1:])[:, None])[:, 0].tolist()
    return found


def some_tokens(count: int, seed: int) -> list[int]:
    return random.Random(seed).choices(range(20, 400), k=count)


# 300 tokens are more than two blocks, and than the window of 256 that mistral's layers see.
def test_texts_with_a_shared_beginning_are_scored_as_one_by_one(weights: Weights) -> None:
    shared = some_tokens(300, 0)
    texts = [shared + some_tokens(n, n) for n in (1, 7, 30, 2)]
    found = score(Prefixes(weights, 10_000), texts, start=len(shared))
    for text, scored in zip(texts, found, strict=True):
        expected = reference(weights, text)[len(shared) - 1 :]
        assert scored.logprobs == pytest.approx(expected, abs=2e-4)


def test_the_whole_text_may_be_asked_for_and_its_first_token_has_no_probability(
    llama: Weights,
) -> None:
    text = some_tokens(BLOCK + 9, 1)
    (found,) = score(Prefixes(llama, 10_000), [text], top=3)
    assert found.logprobs[0] is None
    assert found.logprobs[1:] == pytest.approx(reference(llama, text), abs=2e-4)
    assert [len(tops) for tops in found.alternatives] == [0, *([3] * (len(text) - 1))]
    assert all(tops == sorted(tops, key=lambda t: -t[1]) for tops in found.alternatives)


@settings(max_examples=40, deadline=None)
@given(
    lengths=st.lists(st.integers(1, 40), min_size=1, max_size=6),
    shared=st.integers(0, 2 * BLOCK + 3),
    start=st.integers(0, 60),
)
def test_any_shapes_and_starts(llama: Weights, lengths: list[int], shared: int, start: int) -> None:
    beginning = some_tokens(shared, 5)
    texts = [beginning + some_tokens(n, 100 + at) for at, n in enumerate(lengths)]
    start = min(start, min(map(len, texts)) - 1)
    for text, scored in zip(texts, score(Prefixes(llama, 300), texts, start), strict=True):
        whole = [None, *reference(llama, text)]
        assert scored.logprobs == pytest.approx(whole[start:], abs=2e-4)


def test_the_same_bytes_whether_the_beginning_was_kept_or_not(llama: Weights) -> None:
    shared = some_tokens(2 * BLOCK + 50, 2)
    texts = [shared + some_tokens(n, n) for n in (5, 6)]
    fresh = score(Prefixes(llama, 10_000), texts, start=len(shared))
    warm = Prefixes(llama, 10_000)
    # Others came before, with a longer and with a shorter beginning in common.
    score(warm, [shared[: BLOCK + 3] + some_tokens(4, 9), [*shared[: BLOCK + 3], 7, 8]])
    score(warm, [[*shared, 7, 8, 9], [*shared, 8, 9]])
    before = warm.computed
    assert score(warm, texts, start=len(shared)) == fresh
    assert warm.computed == before


def test_kept_beginnings_are_bounded_and_the_least_used_leave(llama: Weights) -> None:
    prefixes = Prefixes(llama, 3 * BLOCK)
    first, second = some_tokens(2 * BLOCK, 1), some_tokens(2 * BLOCK, 2)
    prefixes.read(first)
    prefixes.read(second)
    assert prefixes.computed == 4 * BLOCK
    prefixes.read(second)
    assert prefixes.computed == 4 * BLOCK
    prefixes.read(first[:BLOCK])  # its second block left before its first
    assert prefixes.computed == 4 * BLOCK
    prefixes.read(first)
    assert prefixes.computed == 5 * BLOCK


def test_weights_that_compute_no_numbers_are_refused(
    folders: dict[str, object], llama: Weights
) -> None:
    broken = load(folders["llama-3"], "broken", dtype=torch.float32)  # type: ignore[arg-type]
    broken.model.get_output_embeddings().weight[3, 3] = float("nan")
    with pytest.raises(WeightsError, match="no numbers"):
        score(Prefixes(broken, 1_000), [[20, 21, 22]])
