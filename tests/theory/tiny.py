"""Tiny random models of every family, with biases and norm weights that are not the defaults."""

from functools import cache
from typing import Any

import torch
from torch import Tensor
from transformers import (
    LlamaConfig,
    LlamaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
    Phi3Config,
    Phi3ForCausalLM,
    Qwen2Config,
    Qwen2ForCausalLM,
)

VOCABULARY = 97
SIZES = {
    "vocab_size": VOCABULARY,
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 3,
    "num_attention_heads": 8,
    "num_key_value_heads": 2,
    "max_position_embeddings": 128,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "pad_token_id": 0,
}
CASES: dict[str, tuple[type, type, dict[str, Any]]] = {
    "llama": (LlamaConfig, LlamaForCausalLM, {}),
    "llama biased": (LlamaConfig, LlamaForCausalLM, {"attention_bias": True, "mlp_bias": True}),
    "llama tied": (LlamaConfig, LlamaForCausalLM, {"tie_word_embeddings": True}),
    "qwen2": (Qwen2Config, Qwen2ForCausalLM, {}),
    "phi3": (Phi3Config, Phi3ForCausalLM, {}),
    "phi3 partial": (
        Phi3Config,
        Phi3ForCausalLM,
        {"rope_parameters": {"partial_rotary_factor": 0.5, "rope_theta": 10_000.0}},
    ),
    "phi3 longrope": (
        Phi3Config,
        Phi3ForCausalLM,
        {
            "original_max_position_embeddings": 32,
            "rope_parameters": {
                "rope_type": "longrope",
                "rope_theta": 10_000.0,
                "partial_rotary_factor": 1.0,
                "original_max_position_embeddings": 32,
                "short_factor": [1.0, 1.1, 1.2, 1.3],
                "long_factor": [1.0, 2.0, 3.0, 4.0],
            },
        },
    ),
    "llama 3.1": (
        LlamaConfig,
        LlamaForCausalLM,
        {
            "rope_parameters": {
                "rope_type": "llama3",
                "rope_theta": 10_000.0,
                "factor": 8.0,
                "low_freq_factor": 1.0,
                "high_freq_factor": 4.0,
                "original_max_position_embeddings": 32,
            },
        },
    ),
    "mistral": (MistralConfig, MistralForCausalLM, {"sliding_window": None}),
    "mistral wide": (MistralConfig, MistralForCausalLM, {"head_dim": 12, "sliding_window": None}),
    "mistral windowed": (MistralConfig, MistralForCausalLM, {"sliding_window": 16}),
    "phi3 windowed": (Phi3Config, Phi3ForCausalLM, {"sliding_window": 16}),
    "qwen2 windowed": (
        Qwen2Config,
        Qwen2ForCausalLM,
        {"use_sliding_window": True, "sliding_window": 16, "max_window_layers": 1},
    ),
}
FAMILIES = ("llama", "qwen2", "phi3", "mistral")
WINDOWED = ("mistral windowed", "phi3 windowed", "qwen2 windowed")


def tiny(case: str, dtype: torch.dtype = torch.float64, weights: float = 0.15) -> Any:
    """A model of a case; shared between tests, which must leave it as it was.

    `weights` is their standard deviation: far above the usual 0.02, at which attention is nearly
    uniform and the whole model nearly linear.
    """
    return _tiny(case, dtype, weights)


@cache
def _tiny(case: str, dtype: torch.dtype, weights: float) -> Any:
    config, kind, extra = CASES[case]
    torch.manual_seed(len(case))
    model = kind(config(**{**SIZES, **extra})).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "norm" in name:
                parameter.uniform_(0.5, 1.5)
            elif name.endswith("bias"):
                parameter.normal_(0, 0.5)
            else:
                parameter.normal_(0, weights)
    return model.to(dtype)


def random_prompt(n: int = 48, seed: int = 0) -> Tensor:
    """Token ids without special ones, shape (n,)."""
    return torch.randint(3, VOCABULARY, (n,), generator=torch.Generator().manual_seed(seed))


def middle(n: int = 48, start: int = 20, end: int = 35) -> Tensor:
    """A demonstration in the middle of a prompt, booleans of shape (n,)."""
    mask = torch.zeros(n, dtype=torch.bool)
    mask[start:end] = True
    return mask
