"""A whole decoder as a chain of dual models, token by token, layer by layer.

Exact (E4): the last position runs through its own states; the prompt's keys and values are the
model's. Treated as constants of a step: those keys and values, the normaliser c_h of each head,
RoPE, the RMSNorm factors r, the gate S = diag(act(W_g z)), and the residual, which stands in the
bias. Residual and norm are absent from the paper's prose (LRGD eq. (23)-(25)).

Notation: x -> state of the residual stream, z -> its normalised form, h -> head output,
M = I + W_down S W_up diag(w) r -> `FrozenLayer`, f^(l) = sum_h M W_O^h W_h phi(q_h) + bias.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from lrgd.core.errors import InputError
from lrgd.theory.adapters import LlamaLayer, rotate
from lrgd.theory.dual import DualProblem, apply, dual_problem
from lrgd.theory.exact_maps import OneHotMap
from lrgd.theory.feature_maps import FeatureMap
from lrgd.theory.norms import norm_factor
from lrgd.theory.prompt_state import PromptState


@dataclass(frozen=True, slots=True)
class HeadInputs:
    """What a layer's heads attend with at one position, over the n keys that they see."""

    queries: Tensor
    """x = q / d^(1/4), shape (H, 1, d)."""
    keys: Tensor
    """y = k / d^(1/4) of each head's group, shape (H, n, d)."""
    values: Tensor
    """Of each head's group, shape (H, n, d)."""
    positions: slice
    """Which tokens the n keys are."""


@dataclass(frozen=True, slots=True)
class Row:
    """One position's way through the layers."""

    states: Tensor
    """Residual stream before, between and after the layers, shape (L + 1, hidden)."""
    heads: tuple[Tensor, ...]
    """Head outputs, one a layer, shape (H, d)."""
    logits: Tensor
    """Shape (vocabulary,)."""


@dataclass(frozen=True, slots=True)
class FrozenLayer:
    """The feed-forward part as a linear map: gate and norm factor frozen at the actual state.

    Source: LRGD eq. (12), (13): W_F = W2 S W1 and b, for a gated layer with residual and RMSNorm.
    """

    layer: LlamaLayer
    gate: Tensor
    """S, shape (intermediate,)."""
    scale: Tensor
    """diag(w) r of the norm before, shape (hidden,)."""

    @classmethod
    def at(cls, layer: LlamaLayer, state: Tensor) -> "FrozenLayer":
        norm = layer.module.post_attention_layernorm
        return cls(layer, layer.gate(norm(state)), norm.weight * norm_factor(norm, state))

    def linear(self, states: Tensor) -> Tensor:
        """M x: shape (..., hidden). Biases are left out, they stand in `constant`."""
        return states + self._affine(states) - self.constant()

    def constant(self) -> Tensor:
        """What the biases of the feed-forward part add, shape (hidden,)."""
        return self._affine(torch.zeros_like(self.scale))

    def _affine(self, states: Tensor) -> Tensor:
        return self.layer.down(self.gate * self.layer.up(self.scale * states))


@dataclass(frozen=True, slots=True)
class LayerStep:
    """One layer's dual at one position, with what follows it held fast."""

    problem: DualProblem
    """Of all heads, targets v_i."""
    feature: Tensor
    """phi(q), shape (H, m)."""
    state: Tensor
    """The residual stream before the layer, shape (hidden,)."""
    frozen: FrozenLayer

    def output(self, heads: Tensor) -> Tensor:
        """The layer's output for other head outputs (H, d) under the same S and r: (hidden,)."""
        middle = self.state + self.frozen.layer.mix_heads(heads)
        return self.frozen.linear(middle) + self.frozen.constant()


class DualDecoder:
    """Generates with dual models alone, from a prompt's keys and values."""

    def __init__(
        self,
        prompt: PromptState,
        demonstration: Tensor,
        *,
        feature_map: FeatureMap | None = None,
        through_layers: bool = False,
        trained: bool = True,
    ) -> None:
        """Stand before the prompt's last token.

        Args:
            prompt: what the model has read.
            demonstration: which of its tokens are D, booleans of shape (n,).
            feature_map: phi; by default the exact one-hot map E2.
            through_layers: train the duals of whole layers, eq. (14), (23)-(25), not only those of
                heads, eq. (26), (27). The same numbers at a higher cost.
            trained: False leaves out the gradient step: W0 alone.

        Raises:
            InputError: the demonstration marks padding or the last token, or has another length.
        """
        prompt.check_part(demonstration)
        self.decoder = prompt.decoder
        self._prompt = prompt
        self._map = feature_map or OneHotMap()
        self._through_layers, self._trained = through_layers, trained
        self._keys = [keys[:, :-1] for keys in prompt.keys]
        self._values = [values[:, :-1] for values in prompt.values]
        self._demonstration = demonstration[:-1]
        self._last: LayerStep | None = None

    @property
    def last_layer(self) -> LayerStep:
        """The last layer's dual in the latest step.

        Raises:
            ValueError: no step was made.
        """
        if self._last is None:
            raise ValueError("no token was taken in yet: call step first")
        return self._last

    @torch.no_grad()
    def step(self, token: int) -> Row:
        """Take in a token (the prompt's last one first) and give the row that predicts the next."""
        position = len(self._demonstration)
        self._demonstration = torch.cat([self._demonstration, self._demonstration.new_zeros(1)])
        state = self.decoder.embed(token)
        states, heads = [state], []
        for index, layer in enumerate(self.decoder.layers):
            inputs = self._take_in(index, layer, state, position)
            output, heads_out = self._layer(layer, state, inputs)
            state = output
            states.append(state)
            heads.append(heads_out)
        return Row(torch.stack(states), tuple(heads), self.decoder.logits(state))

    def generate(self, tokens: int) -> tuple[list[int], list[Row]]:
        """Greedy tokens after the prompt, and the row that each was read from.

        Raises:
            InputError: the model's context has no room for them.
        """
        room = self.decoder.context - (len(self._prompt) - self._prompt.padding)
        if tokens - 1 > room:
            raise InputError(f"the model's context has room for {room} tokens, wanted {tokens}")
        token, written, rows = int(self._prompt.ids[-1]), [], []
        for _ in range(tokens):
            rows.append(self.step(token))
            token = int(rows[-1].logits.argmax())
            written.append(token)
        return written, rows

    def _take_in(self, index: int, layer: LlamaLayer, state: Tensor, position: int) -> HeadInputs:
        q, k, v = layer.project(layer.attention_input(state))
        cos, sin = self.decoder.rotation(position - self._prompt.padding, state)
        q, k = rotate(q, cos, sin), rotate(k, cos, sin)
        self._keys[index] = torch.cat([self._keys[index], k[:, None]], 1)
        self._values[index] = torch.cat([self._values[index], v[:, None]], 1)
        seen = self._prompt.visible(layer, position)
        return head_inputs(layer, q, self._keys[index], self._values[index], seen)

    def _layer(self, layer: LlamaLayer, state: Tensor, inputs: HeadInputs) -> tuple[Tensor, Tensor]:
        features = self._map(inputs.queries, inputs.keys)
        feature, of_d = features.queries[..., 0, :], self._demonstration[inputs.positions]
        problem = dual_problem(features, inputs.values, of_d)
        heads = self._output(problem, feature)
        middle = state + layer.mix_heads(heads)
        frozen = FrozenLayer.at(layer, middle)
        self._last = LayerStep(problem, feature, state, frozen)
        if not self._through_layers:
            return middle + layer.feed_forward(middle), heads
        targets = frozen.linear(inputs.values @ layer.output_weight().mT)
        of_heads = self._output(dual_problem(features, targets, of_d), feature).sum(0)
        return of_heads + self._last.output(torch.zeros_like(heads)), heads

    def _output(self, problem: DualProblem, feature: Tensor) -> Tensor:
        """f(q) of all heads at once, (H, p)."""
        return apply(problem.trained() if self._trained else problem.initial, feature)


def head_inputs(
    layer: LlamaLayer, queries: Tensor, keys: Tensor, values: Tensor, positions: slice
) -> HeadInputs:
    """Queries (H, d), keys and values (G, n, d) as each head uses them, g(h) = floor(h / (H/G)).

    Source: LRGD eq. (8), (26), with the attention scale put into x and y.
    """
    group, scale = layer.heads // layer.kv_heads, layer.scaling**0.5
    shared_keys = keys[:, positions].repeat_interleave(group, 0)
    shared_values = values[:, positions].repeat_interleave(group, 0)
    return HeadInputs(queries[:, None] * scale, shared_keys * scale, shared_values, positions)
