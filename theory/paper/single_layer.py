"""The paper's single-layer transformer: one head, then two linear maps with an activation between.

Source: LRGD eq. (12)-(14). Real models gate instead and add a residual: `decoder.FrozenLayer`.

Notation: W1, b1, W2, b2 -> the feed-forward part; S -> diagonal of the activation, frozen at the
actual h; W_F = W2 S W1; c, D, phi as in `dual`.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from lrgd.theory.dual import DualProblem, dual_problem
from lrgd.theory.feature_maps import Features


@dataclass(frozen=True, slots=True)
class FeedForward:
    """W2 act(W1 h + b1) + b2."""

    w1: Tensor
    """Shape (inner, p)."""
    b1: Tensor
    w2: Tensor
    """Shape (out, inner)."""
    b2: Tensor
    activation: Callable[[Tensor], Tensor] = torch.relu

    def __call__(self, h: Tensor) -> Tensor:
        """(p,) -> (out,). Source: LRGD eq. (12)."""
        output: Tensor = self.w2 @ self.activation(self.w1 @ h + self.b1) + self.b2
        return output

    def frozen(self, h: Tensor) -> tuple[Tensor, Tensor]:
        """W_F = W2 S W1 (out, p) and b = W2 S b1 + b2 (out,), S frozen at h.

        S is act(u) / u at u = W1 h + b1: for relu 0 or 1. Source: LRGD eq. (12), (13).
        """
        u = self.w1 @ h + self.b1
        gate = torch.where(u == 0, torch.zeros_like(u), self.activation(u) / u)
        gated = self.w2 * gate
        return gated @ self.w1, gated @ self.b1 + self.b2


def layer_problem(
    features: Features, values: Tensor, demonstration: Tensor, weight: Tensor, *, query: int = 0
) -> DualProblem:
    """The dual of the whole layer: targets W_F v_i; its output still lacks b.

    Args:
        features: of queries (q, d) and keys (n, d).
        values: shape (n, p).
        demonstration: booleans of shape (n,).
        weight: W_F, shape (out, p).
        query: which of the queries; S must be frozen at its h.

    Source: LRGD eq. (13), (14).
    """
    return dual_problem(features, values @ weight.mT, demonstration, query=query)
