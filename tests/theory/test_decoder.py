"""Dual decoders against Hugging Face's own forward pass, and the model's own hooks."""

import pytest
import torch
from torch import Tensor

from lrgd.core.errors import InputError
from lrgd.theory.adapters import adapt
from lrgd.theory.decoder import DualDecoder, Row
from lrgd.theory.exact_maps import OneHotMap
from lrgd.theory.feature_maps import Features
from lrgd.theory.greedy import greedy
from lrgd.theory.norms import exact_norms
from lrgd.theory.prompt_state import read_prompt
from tests.theory.tiny import CASES, FAMILIES, WINDOWED, middle, random_prompt, tiny


def gap(ours: Tensor, models: Tensor) -> float:
    return float((ours - models).abs().max())


def head_gap(ours: Row, models: Row) -> float:
    return max(map(gap, ours.heads, models.heads))


def both(case: str, dtype: torch.dtype = torch.float64, tokens: int = 1) -> tuple[Row, Row]:
    """The row of the prompt's last token: the dual's, the model's."""
    prompt = read_prompt(adapt(tiny(case, dtype)), random_prompt())
    ours = DualDecoder(prompt, middle(), through_layers=True).generate(tokens)[1]
    return ours[-1], greedy(prompt, tokens)[1][-1]


@pytest.mark.parametrize("case", CASES)
def test_heads_states_and_logits_equal_the_models(case: str) -> None:
    with exact_norms(adapt(tiny(case))):
        ours, models = both(case)
    assert len(models.heads) == 3
    assert head_gap(ours, models) < 1e-10
    assert gap(ours.states, models.states) < 1e-9
    assert gap(ours.logits, models.logits) < 1e-9


@pytest.mark.parametrize("case", FAMILIES)
def test_without_exact_norms_float32_noise_remains(case: str) -> None:
    ours, models = both(case)
    assert head_gap(ours, models) < 1e-6
    ours, models = both(case, torch.float32)
    assert gap(ours.logits, models.logits) < 1e-5


@pytest.mark.parametrize("case", [*FAMILIES, "mistral windowed"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_greedy_tokens_are_the_same(case: str, dtype: torch.dtype) -> None:
    prompt = read_prompt(adapt(tiny(case, dtype)), random_prompt())
    ours, rows = DualDecoder(prompt, middle()).generate(32)
    models, theirs = greedy(prompt, 32)
    assert ours == models
    tolerance = 1e-5 if dtype == torch.float32 else 1e-6
    assert gap(rows[-1].logits, theirs[-1].logits) < tolerance


@pytest.mark.parametrize("case", WINDOWED)
def test_a_window_hides_early_tokens(case: str) -> None:
    """n = 48, window 16: a demonstration before the window is in no key of a windowed layer."""
    prompt = read_prompt(adapt(tiny(case)), random_prompt())
    early = middle(48, 5, 20)
    decoder = DualDecoder(prompt, early, trained=False)
    hidden = case != "qwen2 windowed"  # its first layer has no window
    same = gap(decoder.step(int(prompt.ids[-1])).logits, prompt.logits) < 1e-5
    assert same == hidden


def test_leaving_out_the_step_changes_the_row() -> None:
    """A check of the checks: W0 alone is not the model."""
    prompt = read_prompt(adapt(tiny("llama")), random_prompt())
    row = DualDecoder(prompt, middle(), trained=False).step(int(prompt.ids[-1]))
    assert gap(row.logits, prompt.logits) > 1e-2


def test_left_padding_is_neither_t_nor_d() -> None:
    decoder = adapt(tiny("llama"))
    ids, pad = random_prompt(), torch.zeros(7, dtype=torch.long)
    mask = torch.cat([pad, torch.ones_like(ids)])
    plain = read_prompt(decoder, ids)
    padded = read_prompt(decoder, torch.cat([pad, ids]), mask)
    demonstration = torch.cat([pad.bool(), middle()])
    with exact_norms(decoder):
        ours = DualDecoder(padded, demonstration).generate(8)
        theirs = greedy(plain, 8)
    assert ours[0] == theirs[0] == greedy(padded, 8)[0]
    assert gap(ours[1][-1].logits, theirs[1][-1].logits) < 1e-6


def test_generation_stops_where_the_context_ends() -> None:
    prompt = read_prompt(adapt(tiny("llama")), random_prompt(120))
    assert len(DualDecoder(prompt, middle(120)).generate(9)[0]) == 9
    with pytest.raises(InputError, match="room for 8 tokens"):
        DualDecoder(prompt, middle(120)).generate(10)


def test_features_without_a_normaliser_are_refused() -> None:
    def nothing(queries: Tensor, keys: Tensor) -> Features:
        features = OneHotMap()(queries, keys)
        return Features(features.queries * 0, features.keys, features.log_scale)

    prompt = read_prompt(adapt(tiny("llama")), random_prompt())
    with pytest.raises(ValueError, match="no normaliser"):
        DualDecoder(prompt, middle(), feature_map=nothing).step(3)
