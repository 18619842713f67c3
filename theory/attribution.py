"""Which demonstration tokens moved one token's logit against a rival's, by layer and head.

The direct path: what a head of the last position takes from token i and adds to the logits. With an
exact phi it is the dual's update, -grad phi(q), split by training sample: p_i v_i. Beside it the
centred score p_i (v_i - h), which knows that weights sum to 1: it is the derivative of the head's
output by the token's attention logit, and (1 - p_i) times the change on masking, with minus.
Limits: what a token does by way of other tokens' keys and values is not in it; that is what
`counterfactual.masked_everywhere` measures.

Notation: p_i -> weights, v_i -> values, h -> heads, z = W_O^hT diag(g_f) w r_f -> direction,
g_f, r_f -> weight and factor of the final norm, w -> lm_head row of target minus rival.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from lrgd.core.errors import InputError
from lrgd.theory.last_row import LayerRow, last_row
from lrgd.theory.norms import norm_factor
from lrgd.theory.prompt_state import PromptState

TOLERANCE = {torch.float32: 1e-4, torch.float64: 1e-6}
"""Largest incompleteness, relative to the sum of the terms' sizes. RMSNorm is float32 in both."""


@dataclass(frozen=True, slots=True)
class Attribution:
    """A logit difference, split into terms. L layers, H heads, n_D demonstration tokens."""

    positions: Tensor
    """The demonstration's tokens, shape (n_D,)."""
    plain: Tensor
    """p_i v_i . z, shape (L, H, n_D); 0 where a window hides the token."""
    centred: Tensor
    """p_i (v_i - h) . z, shape (L, H, n_D)."""
    mass: Tensor
    """Attention on the demonstration, shape (L, H)."""
    heads: Tensor
    """h . z: all tokens of T and D, shape (L, H)."""
    attention_bias: Tensor
    """Of o_proj, shape (L,)."""
    feed_forward: Tensor
    """Shape (L,)."""
    embedding: float
    """The last token's own embedding, and a bias of lm_head."""
    difference: float
    """Logit of the target minus the rival's, by the model."""

    @property
    def total(self) -> float:
        """Sum of all terms: equals `difference`."""
        parts = (self.heads, self.attention_bias, self.feed_forward)
        return self.embedding + sum(float(part.sum()) for part in parts)


# A fifth faster than no_grad on a small model, where each operation's overhead counts.
@torch.inference_mode()
def attribute(
    prompt: PromptState, demonstration: Tensor, target: int, rival: int | None = None
) -> Attribution:
    """Explain the model's next token after a prompt.

    Args:
        prompt: what the model has read.
        demonstration: which of its tokens are D, booleans of shape (n,).
        target: token whose logit is explained.
        rival: token whose logit is subtracted; None for none.

    Raises:
        InputError: the demonstration is empty or marks what it cannot, or the terms do not add up
            to the model's logit: it does something that its adapter does not know of.
    """
    prompt.check_part(demonstration)
    positions = demonstration.nonzero()[:, 0]
    if len(positions) == 0:
        raise InputError("the demonstration is empty: nothing to explain")
    decoder = prompt.decoder
    head, norm = decoder.head, decoder.final_norm
    direction = _contrast(head.weight, target, rival) * norm.weight
    layers, state = [], decoder.embed(int(prompt.ids[-1]))
    start = float(state @ direction)
    for row in last_row(prompt):
        layers.append(_terms(row, direction, positions))
        state = row.state
    factor = norm_factor(norm, state)
    plain, centred, mass, heads, bias, feed_forward = map(torch.stack, zip(*layers, strict=True))
    of_head = 0.0 if head.bias is None else float(_contrast(head.bias, target, rival))
    attribution = Attribution(
        positions,
        plain * factor,
        centred * factor,
        mass,
        heads * factor,
        bias * factor,
        feed_forward * factor,
        start * float(factor) + of_head,
        float(_contrast(prompt.logits, target, rival)),
    )
    _check_complete(attribution, TOLERANCE[prompt.logits.dtype])
    return attribution


def masking_change(weights: Tensor, values: Tensor, masked: Tensor) -> Tensor:
    """Change of a head's output when tokens are masked, exactly: (P h - sum p_i v_i) / (1 - P).

    Args:
        weights: p, shape (..., n).
        values: shape (..., n, d).
        masked: booleans of shape (n,); P is the mass on them.

    Returns:
        Shape (..., d). The dual's -sum p_i v_i leaves out that the other weights grow.
    """
    mass = weights[..., masked].sum(-1, keepdim=True)
    output = (weights[..., None, :] @ values)[..., 0, :]
    taken = (weights[..., None, masked] @ values[..., masked, :])[..., 0, :]
    change: Tensor = (mass * output - taken) / (1 - mass)
    return change


def _terms(row: LayerRow, direction: Tensor, positions: Tensor) -> tuple[Tensor, ...]:
    layer = row.layer
    projection = layer.attention.o_proj
    along = (direction @ projection.weight).view(layer.kv_heads, -1, layer.head_dim)
    values = along @ row.values.mT
    outputs = (row.weights * values).sum(-1, keepdim=True)
    visible = positions - row.positions.start
    shown = visible >= 0
    picked = visible.clamp_min(0)
    weights = row.weights[..., picked] * shown
    values = values[..., picked]
    bias = direction.new_zeros(()) if projection.bias is None else projection.bias @ direction
    return (
        (weights * values).flatten(0, 1),
        (weights * (values - outputs)).flatten(0, 1),
        weights.sum(-1).flatten(),
        outputs.flatten(),
        bias,
        row.fed_forward @ direction,
    )


def _contrast(rows: Tensor, target: int, rival: int | None) -> Tensor:
    return rows[target] if rival is None else rows[target] - rows[rival]


def _check_complete(attribution: Attribution, tolerance: float) -> None:
    parts = (attribution.heads, attribution.attention_bias, attribution.feed_forward)
    size = 1 + abs(attribution.embedding) + sum(float(part.abs().sum()) for part in parts)
    if not abs(attribution.total - attribution.difference) <= tolerance * size:
        raise InputError(
            f"the terms add up to {attribution.total:.6g}, the model's logit difference is "
            f"{attribution.difference:.6g}: this model computes something its adapter does not know"
        )
