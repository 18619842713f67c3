"""A prompt as a model has read it: keys and values of every layer, logits of the last token.

One forward pass; memory is linear in the prompt's length. Attention matrices are never kept: the
last row of each is recomputed from the keys where it is wanted.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from transformers import DynamicCache

from lrgd.core.errors import InputError, WeightsError
from lrgd.theory.adapters import Decoder, LlamaLayer
from lrgd.theory.attention import visible_positions


@dataclass(frozen=True, slots=True)
class PromptState:
    """What a model keeps of a prompt of n tokens."""

    decoder: Decoder
    ids: Tensor
    """Shape (n,), left padding included."""
    padding: int
    """How many of the first ids are padding."""
    keys: tuple[Tensor, ...]
    """One a layer, after RoPE, shape (G, n, d)."""
    values: tuple[Tensor, ...]
    """One a layer, not rotated, shape (G, n, d)."""
    logits: Tensor
    """Of the token after the prompt, shape (vocabulary,)."""

    def __len__(self) -> int:
        return len(self.ids)

    def check_part(self, part: Tensor) -> None:
        """Raise InputError unless `part` marks tokens of this prompt that its last one may see."""
        if part.shape != self.ids.shape or part.dtype != torch.bool:
            raise InputError(
                f"wanted one boolean a token, shape ({len(self)},), "
                f"got {part.dtype} of {tuple(part.shape)}"
            )
        if part[-1] or part[: self.padding].any():
            raise InputError("neither padding nor the last token, which asks, can be marked")

    def visible(self, layer: LlamaLayer, position: int) -> slice:
        """Key positions that a layer's token at `position` attends to."""
        return visible_positions(position, window=layer.window, padding=self.padding)


@torch.no_grad()
def read_prompt(decoder: Decoder, ids: Tensor, mask: Tensor | None = None) -> PromptState:
    """Run a prompt through the model once.

    Args:
        decoder: the model.
        ids: token ids, shape (n,).
        mask: 0 where a token is left padding, 1 where it is text; None for no padding.

    Raises:
        InputError: empty, longer than the model's context, padded other than on the left, or
            padded without a mask.
        WeightsError: the logits are not finite.
    """
    padding = _left_padding(decoder, ids, mask)
    if len(ids) - padding > decoder.context:
        raise InputError(
            f"the prompt has {len(ids) - padding} tokens, the model takes {decoder.context}: "
            "shorten the history or the candidates"
        )
    # A plain cache keeps every key, where the model's own would drop those outside a window.
    cache = DynamicCache()
    logits = feed(decoder, ids, torch.ones_like(ids) if mask is None else mask, cache)
    if not logits.isfinite().all():
        raise WeightsError("the model's logits are not finite: its weights hold NaN or infinity")
    layers: list[Any] = cache.layers
    keys, values = zip(*((layer.keys[0], layer.values[0]) for layer in layers), strict=True)
    return PromptState(decoder, ids, padding, keys, values, logits)


def feed(decoder: Decoder, ids: Tensor, mask: Tensor, cache: DynamicCache) -> Tensor:
    """Logits of the token after `ids`, which follow what the cache holds.

    Args:
        ids: shape (n,).
        mask: of the cached and the new tokens, 0 on left padding.
        cache: gains the new tokens.
    """
    # Text is numbered from 0 wherever it begins.
    positions = (mask.cumsum(0) - 1).clamp_min(0)[-len(ids) :]
    output = decoder.model(
        ids[None],
        attention_mask=mask[None],
        position_ids=positions[None],
        cache=cache,
        use_cache=True,
        logits_to_keep=1,
    )
    logits: Tensor = output.logits[0, -1]
    return logits


def _left_padding(decoder: Decoder, ids: Tensor, mask: Tensor | None) -> int:
    if ids.ndim != 1 or len(ids) == 0:
        raise InputError(f"wanted token ids of one prompt, shape (n,), got {tuple(ids.shape)}")
    if mask is None:
        _refuse_unmasked_padding(decoder, ids)
        return 0
    if mask.shape != ids.shape or mask[-1] != 1 or (mask.diff() < 0).any():
        raise InputError("the mask must be 0 on left padding and 1 on all text after it")
    return int((mask == 0).sum())


def _refuse_unmasked_padding(decoder: Decoder, ids: Tensor) -> None:
    config = decoder.model.config
    for token, ordinary in ((ids[0], config.bos_token_id), (ids[-1], config.eos_token_id)):
        ordinary = ordinary if isinstance(ordinary, list) else [ordinary]
        if token == config.pad_token_id and config.pad_token_id not in ordinary:
            raise InputError("the prompt begins or ends with padding: strip it, or give its mask")
