"""The last token's way through a model, recomputed from the prompt's keys and values.

Costs about as much as writing one token. Each layer's attention weights are the last row only.

Notation: p -> weights, h -> heads, H = G * (heads a group).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from torch import Tensor

from lrgd.theory.adapters import LlamaLayer, rotate
from lrgd.theory.prompt_state import PromptState


@dataclass(frozen=True, slots=True)
class LayerRow:
    """One layer at the last position."""

    layer: LlamaLayer
    queries: Tensor
    """After RoPE, shape (H, d)."""
    positions: slice
    """Which tokens the n visible keys are."""
    weights: Tensor
    """p of each query head, by KV head: shape (G, H/G, n)."""
    values: Tensor
    """Shape (G, n, d)."""
    heads: Tensor
    """Head outputs, shape (H, d)."""
    fed_forward: Tensor
    """What the feed-forward part adds, shape (hidden,)."""
    state: Tensor
    """Residual stream after the layer, shape (hidden,)."""


def last_row(prompt: PromptState, biases: Sequence[Tensor] | None = None) -> Iterator[LayerRow]:
    """Layer by layer, from the first; a consumer keeps what it needs.

    Args:
        prompt: what the model has read.
        biases: for each layer what is added to its attention logits, for the n tokens of the prompt
            and broadcast to (G, H/G, n); -infinity hides a token.
    """
    decoder, end = prompt.decoder, len(prompt) - 1
    state = decoder.embed(int(prompt.ids[-1]))
    cos, sin = decoder.rotation(end - prompt.padding, state)
    for index, layer in enumerate(decoder.layers):
        seen = prompt.visible(layer, end)
        query = rotate(layer.project(layer.attention_input(state))[0], cos, sin)
        grouped = query.view(layer.kv_heads, -1, layer.head_dim)
        logits = layer.scaling * grouped @ prompt.keys[index][:, seen].mT
        if biases is not None:
            logits = logits + biases[index][..., seen]
        weights, values = logits.softmax(-1), prompt.values[index][:, seen]
        heads = (weights @ values).reshape(layer.heads, layer.head_dim)
        middle = state + layer.mix_heads(heads)
        fed_forward = layer.feed_forward(middle)
        state = middle + fed_forward
        yield LayerRow(layer, query, seen, weights, values, heads, fed_forward, state)
