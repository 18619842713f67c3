"""Generation: batched, and each text the same whoever else is under way."""

import torch

from lrgd.serving.embedded.attention import NAME
from lrgd.serving.embedded.generation import SLOTS, Decoder, Sampling, Writing, _picked
from lrgd.serving.embedded.prefixes import Prefixes
from lrgd.serving.embedded.weights import Weights
from tests.serving.embedded.test_scoring import some_tokens


def written(weights: Weights, writings: list[Writing]) -> list[Writing]:
    decoder = Decoder(Prefixes(weights, 10_000))
    for writing in writings:
        decoder.add(writing)
    while decoder:
        decoder.step()
    assert all(writing.done.done() for writing in writings)
    return writings


def tokens(writing: Writing) -> list[int]:
    return [step.token for step in writing.steps]


def test_greedy_texts_are_those_of_transformers(weights: Weights) -> None:
    prompts = [some_tokens(n, n) for n in (2, 140, 30)]
    ours = written(weights, [Writing(p, Sampling(12, temperature=0)) for p in prompts])
    weights.model.set_attn_implementation("eager")
    try:
        for prompt, writing in zip(prompts, ours, strict=True):
            ids = torch.tensor([prompt])
            theirs = weights.model.generate(
                ids, attention_mask=torch.ones_like(ids), max_new_tokens=12, do_sample=False
            )
            assert tokens(writing) == theirs[0, len(prompt) :].tolist()
    finally:
        weights.model.set_attn_implementation(NAME)


def test_a_text_is_the_same_alone_and_among_more_than_there_are_slots(llama: Weights) -> None:
    def asked(seed: int) -> Writing:
        return Writing(some_tokens(20 + 9 * seed, seed), Sampling(5 + seed, 1.0, seed=seed))

    many = written(llama, [asked(seed) for seed in range(SLOTS + 3)])
    for seed, writing in enumerate(many):
        (alone,) = written(llama, [asked(seed)])
        assert alone.steps == writing.steps
    assert len({writing.text for writing in many}) > 1


def test_the_nucleus_leaves_only_likely_tokens(llama: Weights) -> None:
    prompt = some_tokens(9, 9)
    (greedy,) = written(llama, [Writing(prompt, Sampling(6, temperature=0))])
    (narrow,) = written(llama, [Writing(prompt, Sampling(6, 1.0, top_p=1e-6, seed=4))])
    assert tokens(narrow) == tokens(greedy)


def test_an_answer_ends_at_a_stop_text_or_at_its_length(llama: Weights) -> None:
    prompt = some_tokens(9, 3)
    (whole,) = written(llama, [Writing(prompt, Sampling(30, 1.0, seed=1))])
    assert whole.finished in ("length", "stop")
    stop = whole.text[4:6]
    (cut,) = written(llama, [Writing(prompt, Sampling(30, 1.0, seed=1, stop=(stop,)))])
    assert cut.finished == "stop"
    assert cut.text == whole.text[: whole.text.index(stop)]


def test_a_text_that_nobody_wants_any_more_is_left(llama: Weights) -> None:
    decoder = Decoder(Prefixes(llama, 10_000))
    left, kept = (Writing(some_tokens(5, n), Sampling(20, temperature=0)) for n in (1, 2))
    decoder.add(left)
    decoder.add(kept)
    decoder.step()
    left.done.cancel()
    while decoder:
        decoder.step()
    assert len(left.steps) == 1
    assert len(kept.steps) > 1


def test_the_tokens_log_probabilities_are_told(llama: Weights) -> None:
    (writing,) = written(
        llama, [Writing(some_tokens(5, 1), Sampling(4, temperature=0, top_logprobs=2))]
    )
    for step in writing.steps:
        assert step.alternatives[0] == (step.token, step.logprob)


def test_tokens_are_drawn_as_often_as_they_are_likely() -> None:
    weights = torch.tensor([0.5, 0.0, 0.3, 0.2])
    shares = [n / 1000 for n in range(1000)]
    picked = [_picked(weights, share) for share in shares]
    assert [picked.count(token) for token in range(4)] == [500, 0, 300, 200]
    assert _picked(weights, 1.0) == 3
