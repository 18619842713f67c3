"""One view of several decoder families: what a layer computes, with its weights in reach.

Llama, Qwen2 and Qwen2.5, Phi-3, Mistral. All normalise first (RMSNorm), rotate queries and keys
(RoPE) and gate their feed-forward part; they differ in fused projections, biases and windows.
Limits: float32 and float64 only; dropout off (`model.eval()`).

Notation: d -> head_dim, H -> heads, G -> kv_heads, S -> gate, r -> norm factor.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from lrgd.core.errors import InputError


@dataclass(frozen=True)
class LlamaLayer:
    """A decoder layer with separate projections; biases are used where there are any."""

    module: Any
    config: Any

    @property
    def attention(self) -> Any:
        return self.module.self_attn

    @property
    def heads(self) -> int:
        return int(self.config.num_attention_heads)

    @property
    def kv_heads(self) -> int:
        return int(self.config.num_key_value_heads)

    @property
    def head_dim(self) -> int:
        return int(self.attention.head_dim)

    @property
    def scaling(self) -> float:
        """1 / sqrt(d), or what the family puts there."""
        return float(self.attention.scaling)

    @property
    def window(self) -> int | None:
        """Keys in the sliding window, the token itself included; None for all."""
        return None

    def project(self, normed: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Query (H, d), key and value (G, d) of a normalised state (hidden,), before RoPE."""
        a = self.attention
        parts = a.q_proj(normed), a.k_proj(normed), a.v_proj(normed)
        q, k, v = (part.view(-1, self.head_dim) for part in parts)
        return q, k, v

    def mix_heads(self, heads: Tensor) -> Tensor:
        """W_O [h_1; ...; h_H] + b: heads (H, d) -> (hidden,)."""
        mixed: Tensor = self.attention.o_proj(heads.reshape(-1))
        return mixed

    def output_weight(self) -> Tensor:
        """W_O by head, shape (H, hidden, d)."""
        weight: Tensor = self.attention.o_proj.weight
        return weight.view(-1, self.heads, self.head_dim).transpose(0, 1)

    def gate(self, normed: Tensor) -> Tensor:
        """S: the diagonal that multiplies the up-projection, shape (intermediate,)."""
        opened: Tensor = self.module.mlp.act_fn(self.module.mlp.gate_proj(normed))
        return opened

    def up(self, normed: Tensor) -> Tensor:
        raised: Tensor = self.module.mlp.up_proj(normed)
        return raised

    def down(self, inner: Tensor) -> Tensor:
        lowered: Tensor = self.module.mlp.down_proj(inner)
        return lowered

    def attention_input(self, state: Tensor) -> Tensor:
        normed: Tensor = self.module.input_layernorm(state)
        return normed

    def feed_forward(self, state: Tensor) -> Tensor:
        """What the gated part adds to the residual stream: (..., hidden) -> (..., hidden)."""
        normed = self.module.post_attention_layernorm(state)
        return self.down(self.gate(normed) * self.up(normed))


@dataclass(frozen=True)
class Qwen2Layer(LlamaLayer):
    """Biases on q, k, v; a window on the layers that `layer_types` names."""

    @property
    def window(self) -> int | None:
        window: int | None = self.attention.sliding_window
        return window


@dataclass(frozen=True)
class MistralLayer(LlamaLayer):
    """A window on every layer; head_dim may differ from hidden / heads."""

    @property
    def window(self) -> int | None:
        window: int | None = self.config.sliding_window
        return window


@dataclass(frozen=True)
class Phi3Layer(MistralLayer):
    """q, k, v in one matrix, gate and up in another (gate first); RoPE may be partial."""

    def project(self, normed: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        fused = self.attention.qkv_proj(normed).view(-1, self.head_dim)
        q, k, v = fused.split([self.heads, self.kv_heads, self.kv_heads])
        return q, k, v

    def gate(self, normed: Tensor) -> Tensor:
        opened: Tensor = self.module.mlp.activation_fn(self._gate_up(normed)[0])
        return opened

    def up(self, normed: Tensor) -> Tensor:
        return self._gate_up(normed)[1]

    def _gate_up(self, normed: Tensor) -> tuple[Tensor, Tensor]:
        gate, up = self.module.mlp.gate_up_proj(normed).chunk(2, dim=-1)
        return gate, up


FAMILIES: dict[str, type[LlamaLayer]] = {
    "llama": LlamaLayer,
    "qwen2": Qwen2Layer,
    "phi3": Phi3Layer,
    "mistral": MistralLayer,
}
"""The config's `model_type` -> how its layers are read."""


@dataclass(frozen=True)
class Decoder:
    """A Hugging Face causal language model, read layer by layer."""

    model: Any
    layers: tuple[LlamaLayer, ...]

    @property
    def context(self) -> int:
        """The longest sequence that the model takes, in tokens."""
        return int(self.model.config.max_position_embeddings)

    @property
    def final_norm(self) -> Any:
        return self.model.model.norm

    @property
    def head(self) -> Any:
        """lm_head: with tied embeddings its weight is the embedding."""
        return self.model.get_output_embeddings()

    def embed(self, token: int) -> Tensor:
        """Shape (hidden,)."""
        embedded: Tensor = self.model.get_input_embeddings().weight[token]
        return embedded

    def rotation(self, position: int, like: Tensor) -> tuple[Tensor, Tensor]:
        """The model's cos and sin at a position, each of shape (rotated dimensions,)."""
        index = torch.tensor([[position]], device=like.device)
        cos, sin = self.model.model.rotary_emb(like[None, None], position_ids=index)
        return cos[0, 0], sin[0, 0]

    def attention_mask(self, sees: Tensor, distances: Tensor, like: Tensor) -> Any:
        """Which token sees which, as the model's forward pass takes it.

        Args:
            sees: booleans of shape (queries, keys).
            distances: how far each key stands before each query, shape (queries, keys): layers
                with a window see no further than that.
            like: gives the type.
        """

        def mask(window: int | None) -> Tensor:
            seen = sees if window is None else sees & (distances < window)
            hidden = like.new_zeros(seen.shape).masked_fill(~seen, torch.finfo(like.dtype).min)
            return hidden[None, None]

        windows = [layer.window for layer in self.layers]
        if len(set(windows)) == 1:
            return mask(windows[0])
        kinds = self.model.config.layer_types
        return {
            kind: mask(window) for kind, window in dict(zip(kinds, windows, strict=True)).items()
        }

    def logits(self, state: Tensor) -> Tensor:
        """(..., hidden) -> (..., vocabulary)."""
        scores: Tensor = self.head(self.final_norm(state))
        return scores

    def norms(self) -> Iterator[Any]:
        for layer in self.layers:
            yield layer.module.input_layernorm
            yield layer.module.post_attention_layernorm
        yield self.final_norm


def layer_kind(config: Any) -> type[LlamaLayer]:
    """How a model's layers are read, from its config alone.

    Raises:
        InputError: its family has no adapter.
    """
    try:
        return FAMILIES[config.model_type]
    except KeyError:
        known = ", ".join(sorted(FAMILIES))
        raise InputError(
            f"no adapter for a model of type {config.model_type!r}; supported: {known}"
        ) from None


def adapt(model: Any) -> Decoder:
    """Read a Hugging Face model as a `Decoder`.

    Raises:
        InputError: its family has no adapter, it has no language-model head, its weights are
            neither float32 nor float64, or its dropout is on.
    """
    layer = layer_kind(model.config)
    if model.get_output_embeddings() is None:
        raise InputError(f"{type(model).__name__} writes no tokens: load it as a causal LM")
    if model.dtype not in (torch.float32, torch.float64):
        raise InputError(
            f"the model's weights are {model.dtype}: load it with dtype=torch.float32, "
            "in half precision an explanation would not add up"
        )
    if model.training:
        raise InputError("the model is in training mode, its dropout is on: call model.eval()")
    return Decoder(model, tuple(layer(module, model.config) for module in model.model.layers))


def rotate(points: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """RoPE on the leading dimensions that cos covers, the rest passes: points (heads, d)."""
    turned, passed = points[..., : len(cos)], points[..., len(cos) :]
    first, second = turned.chunk(2, dim=-1)
    return torch.cat([turned * cos + torch.cat([-second, first], -1) * sin, passed], -1)
