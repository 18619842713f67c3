"""The dual model: a linear layer whose one step of gradient descent is the demonstration.

Attention over the prompt equals f(q) = W1 phi(q), where W1 is W0 after one `torch.optim.SGD` step
on the demonstration's tokens. Exact for any phi whose c is not 0.

Limits, to be kept in mind: "W0 depends only on X_T" holds up to c, which depends on the query and
on D. The loss is an inner product, not a cosine; it is linear in W and unbounded below, so that
nothing converges: E steps give W0 + E (W1 - W0).
Source: LRGD eq. (1), (2), (4), (10), (11), (18), (20)-(22).

Notation: W0 -> initial, v_i (or W_F v_i) -> targets, phi(k_i) -> features, c -> normaliser,
eta -> learning_rate, alpha -> decay, mu -> proximal.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from lrgd.theory.attention import normaliser
from lrgd.theory.feature_maps import Features


@dataclass(frozen=True, slots=True)
class DualProblem:
    """What a dual model starts from and is trained on. Leading dimensions are heads."""

    initial: Tensor
    """W0 = c V_T phi(K_T)^T, shape (..., p, m)."""
    targets: Tensor
    """v_i of the demonstration, shape (..., n_D, p)."""
    features: Tensor
    """phi(k_i) of the demonstration, shape (..., n_D, m)."""
    normaliser: Tensor
    """c over T and D, shape (...)."""
    learning_rate: float = 1.0
    decay: float = 0.0
    """alpha of the penalty (alpha / 2 eta) ||W||^2."""
    proximal: float = 0.0
    """mu of the penalty (mu / 2) ||W - W0||^2."""

    def loss(self, weight: Tensor) -> Tensor:
        """L = -(1/eta) sum_D c v_i^T W phi(k_i), and the penalties; a scalar.

        Summed over heads: one step trains them all. Source: LRGD eq. (11), (14), (18), (26).
        """
        predicted = self.features @ weight.mT
        agreement = (self.normaliser[..., None] * (predicted * self.targets).sum(-1)).sum()
        penalty = self.decay / self.learning_rate * weight.square().sum()
        nearness = self.proximal * (weight - self.initial).square().sum()
        return -agreement / self.learning_rate + penalty / 2 + nearness / 2

    def trained(self, steps: int = 1) -> Tensor:
        """W after `steps` steps of `torch.optim.SGD` on `loss`, shape of `initial`.

        Source: LRGD eq. (10), (20)-(22).
        """
        weight = self.initial.detach().clone().requires_grad_()
        optimizer = torch.optim.SGD([weight], lr=self.learning_rate)
        with torch.enable_grad():
            for _ in range(steps):
                optimizer.zero_grad()
                self.loss(weight).backward()
                optimizer.step()
        return weight.detach()

    def closed_form(self) -> Tensor:
        """W0 - grad with grad = eta dL/dW = -c V_D phi(K_D)^T. Source: LRGD eq. (11), (22)."""
        return self.initial + self._step()

    def _step(self) -> Tensor:
        step: Tensor = self.normaliser[..., None, None] * (self.targets.mT @ self.features)
        return step


def dual_problem(
    features: Features,
    values: Tensor,
    demonstration: Tensor,
    *,
    query: int = 0,
    learning_rate: float = 1.0,
) -> DualProblem:
    """The dual of one query of an attention head, or of several heads at once.

    Args:
        features: of queries (..., q, d) and keys (..., n, d).
        values: v_i, or W_F v_i where a linear map follows; shape (..., n, p).
        demonstration: which keys are D, booleans of shape (n,).
        query: which of the queries; c is its own.
        learning_rate: eta. It cancels: the loss carries 1/eta.

    Raises:
        ValueError: c is not finite: these features do not normalise.

    Source: LRGD eq. (10), (11), (13), (14), (26).
    """
    c = normaliser(features)[..., query]
    if not c.isfinite().all():
        raise ValueError("the features of all keys sum to 0 or overflow: no normaliser c")
    t = ~demonstration
    initial = c[..., None, None] * (values[..., t, :].mT @ features.keys[..., t, :])
    return DualProblem(
        initial,
        values[..., demonstration, :],
        features.keys[..., demonstration, :],
        c,
        learning_rate,
    )


def apply(weight: Tensor, feature: Tensor) -> Tensor:
    """f(q) = W phi(q): weight (..., p, m), feature (..., m) -> (..., p). Source: eq. (1), (10)."""
    answer: Tensor = (weight @ feature[..., None])[..., 0]
    return answer


def updated(weight: Tensor, errors: Tensor, inputs: Tensor) -> Tensor:
    """W' = W0 + sum e_i (x) x_i, errors (n, p) and inputs (n, m).

    e_i = -eta dL/dyhat_i carries the minus and the learning rate. On a query, W'x' is
    W0 x' + `linear_attention(x', inputs, errors)`. Source: LRGD eq. (2), (4).
    """
    changed: Tensor = weight + errors.mT @ inputs
    return changed
