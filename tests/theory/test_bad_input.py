"""What must be answered rightly or refused with one clear line, never silently wrong."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from transformers import GPT2Config, GPT2LMHeadModel, LlamaModel

from lrgd.core.errors import InputError, WeightsError
from lrgd.theory.adapters import adapt
from lrgd.theory.attribution import attribute
from lrgd.theory.counterfactual import masked_at_answer
from lrgd.theory.decoder import DualDecoder
from lrgd.theory.prompt_state import read_prompt
from tests.theory.tiny import FAMILIES, random_prompt, tiny


def test_an_unknown_family_names_the_supported_ones() -> None:
    model = GPT2LMHeadModel(GPT2Config(n_layer=1, n_embd=8, n_head=2, vocab_size=9)).eval()
    with pytest.raises(InputError, match="'gpt2'; supported: llama, mistral, phi3, qwen2"):
        adapt(model)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_refused(dtype: torch.dtype) -> None:
    with pytest.raises(InputError, match=r"dtype=torch\.float32"):
        adapt(tiny("llama", dtype))


def test_dropout_is_refused() -> None:
    model = tiny("phi3", torch.float32)
    model.train()
    try:
        with pytest.raises(InputError, match=r"model\.eval"):
            adapt(model)
    finally:
        model.eval()


@pytest.mark.parametrize("case", FAMILIES)
@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_weights_that_are_no_numbers_are_refused(case: str, value: float) -> None:
    model = tiny(case)
    weight = model.model.layers[1].mlp.down_proj.weight
    kept = weight.detach().clone()
    with torch.no_grad():
        weight[3, 5] = value
        try:
            with pytest.raises(WeightsError, match="not finite"):
                read_prompt(adapt(model), random_prompt())
        finally:
            weight.copy_(kept)


def test_a_prompt_must_fit_the_context() -> None:
    decoder = adapt(tiny("llama"))
    assert len(read_prompt(decoder, random_prompt(128))) == 128
    with pytest.raises(InputError, match="has 129 tokens, the model takes 128"):
        read_prompt(decoder, random_prompt(129))


def test_empty_and_batched_prompts_are_refused() -> None:
    decoder = adapt(tiny("llama"))
    for ids in (torch.zeros(0, dtype=torch.long), random_prompt(48).view(2, 24)):
        with pytest.raises(InputError, match="token ids of one prompt"):
            read_prompt(decoder, ids)


def test_a_model_without_a_head_is_refused() -> None:
    with pytest.raises(InputError, match="LlamaModel writes no tokens"):
        adapt(LlamaModel(tiny("llama").config).eval())


def test_parts_must_fit_the_prompt() -> None:
    prompt = read_prompt(adapt(tiny("llama")), random_prompt(20))
    last = torch.arange(20) == 19
    uses: list[Callable[[Tensor], object]] = [
        lambda part: DualDecoder(prompt, part),
        lambda part: attribute(prompt, part, 5),
        lambda part: masked_at_answer(prompt, part),
    ]
    for use in uses:
        with pytest.raises(InputError, match="last token"):
            use(last)
        with pytest.raises(InputError, match=r"shape \(20,\)"):
            use(last[1:])
        with pytest.raises(InputError, match="one boolean a token"):
            use((~last).long())


def test_padding_needs_its_mask_and_stands_on_the_left() -> None:
    decoder = adapt(tiny("llama"))
    ids, pad = random_prompt(20), torch.zeros(4, dtype=torch.long)
    for padded in (torch.cat([pad, ids]), torch.cat([ids, pad])):
        with pytest.raises(InputError, match="padding"):
            read_prompt(decoder, padded)
    right = torch.cat([torch.ones_like(ids), pad])
    with pytest.raises(InputError, match="0 on left padding"):
        read_prompt(decoder, torch.cat([ids, pad]), right)
    holes = torch.ones(20, dtype=torch.long)
    holes[5] = 0
    with pytest.raises(InputError, match="0 on left padding"):
        read_prompt(decoder, ids, holes)
    left = torch.cat([pad, torch.ones_like(ids)])
    padded = read_prompt(decoder, torch.cat([pad, ids]), left)
    torch.testing.assert_close(
        padded.logits, read_prompt(decoder, ids).logits, rtol=1e-6, atol=1e-6
    )
