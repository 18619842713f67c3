"""A pretrained model and its tokenizer, checked before anything is asked of them.

Safetensors only, no remote code, no download. The model's own modules compute everything but
attention, which `attention` takes over by transformers' attention interface; so a
short text is read both ways first, and an architecture with another kind of attention is refused.
"""

from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from torch import Tensor
from transformers import AutoModelForCausalLM, AutoTokenizer
from transformers.utils import logging

from lrgd.core.errors import WeightsError
from lrgd.serving.embedded.attention import NAME, Continuations, Reading

CHECKED = "A shopper bought these items, in this order."
TOLERANCE = 0.05
"""Of the largest logit: bfloat16 rounds at 0.004, another kind of attention differs by far more."""


@dataclass(frozen=True)
class Weights:
    """A model in memory."""

    name: str
    """What clients call it."""
    model: Any
    tokenizer: Any
    context: int
    """Longest prompt with its answer, in tokens."""

    def read(self, tokens: Sequence[int], reading: Reading, layers: int | None = None) -> Tensor:
        """Hidden states (len(tokens), width) after the last layer, or after the first `layers`."""
        base, device = self._cut(layers), self.model.device
        ids = torch.tensor([tokens], dtype=torch.long, device=device)
        out = base(
            ids,
            position_ids=reading.positions.to(device)[None],
            use_cache=False,
            reading=reading,
        )
        hidden: Tensor = out.last_hidden_state[0]
        return hidden

    def logits(self, hidden: Tensor) -> Tensor:
        """Next-token logits (rows, vocabulary) in float32 of hidden states (rows, width).

        Raises:
            WeightsError: a logit is not a number.
        """
        found: Tensor = self.model.get_output_embeddings()(hidden).float()
        if not torch.isfinite(found.amax(dim=-1)).all() or torch.isnan(found).any():
            raise WeightsError(f"{self.name} computes logits that are no numbers: get it anew")
        return found

    @cached_property
    def no_states(self) -> Tensor:
        """Hidden states of no tokens: (0, width)."""
        empty: Tensor = self.model.get_input_embeddings().weight[:0]
        return empty

    @cached_property
    def ends(self) -> frozenset[int]:
        """Tokens that end an answer."""
        said = self.model.generation_config.eos_token_id
        listed = said if isinstance(said, list) else [said]
        return frozenset(i for i in (*listed, self.tokenizer.eos_token_id) if i is not None)

    @property
    def layers(self) -> int:
        return int(self.model.config.get_text_config().num_hidden_layers)

    def _cut(self, layers: int | None) -> Any:
        """The model without its upper layers; all weights are shared."""
        base = self.model.base_model
        if layers is None or layers >= self.layers:
            return base
        if layers not in self._shortened:
            short = copy(base)
            short._modules = dict(base._modules)
            short.layers = base.layers[:layers]
            self._shortened[layers] = short
        return self._shortened[layers]

    @cached_property
    def _shortened(self) -> dict[int, Any]:
        return {}


def load(folder: Path, name: str, device: str = "cpu", dtype: torch.dtype | None = None) -> Weights:
    """Load a folder, by default in the precision that this processor is fast in.

    Raises:
        WeightsError: no usable weights or tokenizer there, or attention of another kind.
    """
    logging.disable_progress_bar()
    offline = {"local_files_only": True, "trust_remote_code": False}
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, **offline)
        model: Any = AutoModelForCausalLM.from_pretrained(
            folder,
            dtype=dtype or precision(device),
            attn_implementation=NAME,
            use_safetensors=True,
            **offline,
        )
        model = model.to(device)
    except (OSError, ValueError, KeyError, ImportError, RuntimeError, SafetensorError) as error:
        reason = " ".join(str(error).split())[:300]
        raise WeightsError(f"no usable model in {folder}: {reason}") from error
    if not tokenizer.is_fast:
        raise WeightsError(f"{name} has no fast tokenizer (tokenizer.json): not supported")
    context = int(model.config.get_text_config().max_position_embeddings)
    weights = Weights(name, model.eval().requires_grad_(False), tokenizer, context)
    _check_attention(weights)
    return weights


def precision(device: str) -> torch.dtype:
    """bfloat16 where the processor computes in it, float32 elsewhere."""
    if device == "cpu":
        fast = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
        return torch.bfloat16 if fast else torch.float32
    return torch.bfloat16


@torch.inference_mode()
def _check_attention(weights: Weights) -> None:
    ids = weights.tokenizer.encode(CHECKED)
    try:
        ours = weights.logits(weights.read(ids, Continuations([], [len(ids)])))
        weights.model.set_attn_implementation("eager")
        theirs = weights.model(torch.tensor([ids], device=weights.model.device)).logits[0].float()
    except (TypeError, AttributeError, RuntimeError) as error:
        raise WeightsError(f"{weights.name}: cannot read this architecture: {error}") from error
    finally:
        weights.model.set_attn_implementation(NAME)
    off = float((ours - theirs).abs().max() / theirs.abs().max())
    if off > TOLERANCE:
        raise WeightsError(
            f"{weights.name}: its attention is of a kind that is not supported here (logits differ "
            f"by {off:.0%}): serve it with vLLM and name --base-url"
        )
