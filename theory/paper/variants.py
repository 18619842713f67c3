"""Variants of the dual: perturbation, the two regularisations, the query-independent dual.

Source: LRGD eq. (16)-(18), reconstructed. Read literally, (16) is an extra loss under the old c;
that omits the (1 - P) below and is not what attention does.
"""

from collections.abc import Iterator

import torch
from torch import Tensor

from lrgd.theory.attention import split_attention, visible_positions
from lrgd.theory.dual import DualProblem, apply, dual_problem
from lrgd.theory.feature_maps import FeatureMap, Features


def perturbed_output(output: Tensor, perturbation_output: Tensor, mass: Tensor) -> Tensor:
    """h_new = (1 - P) h + P h_P, P the attention mass on the perturbation (c'/c = 1 - P).

    Args:
        output: h over T and D alone, shape (..., p).
        perturbation_output: h_P, attention over the perturbation alone, shape (..., p).
        mass: P, shape (...).

    Source: LRGD eq. (16) with c' over T, D and the perturbation.
    """
    return (1 - mass)[..., None] * output + mass[..., None] * perturbation_output


def scaled_values(
    features: Features, values: Tensor, demonstration: Tensor, alpha: float
) -> Tensor:
    """[(1 - alpha) V_T, V_D] p, shape (..., q, p). Source: LRGD eq. (17)."""
    of_t, of_d = split_attention(features, values, demonstration)
    return (1 - alpha) * of_t + of_d


def decayed_weight(problem: DualProblem, alpha: float, steps: int) -> Tensor:
    """W after `steps` SGD steps on the loss with (alpha / 2 eta) ||W||^2, in closed form.

    (1 - alpha)^K W0 + [1 - (1 - alpha)^K] / alpha dW. Source: LRGD eq. (18).
    """
    kept = (1 - alpha) ** steps
    step = problem.closed_form() - problem.initial
    return kept * problem.initial + (1 - kept) / alpha * step


def proximal_strength(alpha: float, learning_rate: float) -> float:
    """mu for which the minimum of L + (mu/2) ||W - W0||^2 is W0 + (1 - alpha) dW."""
    return 1 / (learning_rate * (1 - alpha))


def ratio_problem(features: Features, values: Tensor, demonstration: Tensor) -> DualProblem:
    """The query-independent dual: labels [v_i; 1] and no c. One weight a KV head serves any query.

    Args:
        features: the keys' part is used, which must not depend on the query.
        values: shape (..., n, p).
        demonstration: booleans of shape (n,).
    """
    labels = torch.cat([values, torch.ones_like(values[..., :1])], -1)
    t = ~demonstration
    initial = labels[..., t, :].mT @ features.keys[..., t, :]
    one = torch.ones(labels.shape[:-2], dtype=values.dtype, device=values.device)
    return DualProblem(
        initial, labels[..., demonstration, :], features.keys[..., demonstration, :], one
    )


def ratio_output(weight: Tensor, feature: Tensor) -> Tensor:
    """First p rows of W~ phi(q) divided by the last: weight (..., p+1, m), feature (..., m)."""
    answer = apply(weight, feature)
    return answer[..., :-1] / answer[..., -1:]


def sequential_problems(
    feature_map: FeatureMap,
    queries: Tensor,
    keys: Tensor,
    values: Tensor,
    demonstration: Tensor,
    *,
    window: int | None = None,
) -> Iterator[tuple[DualProblem, Tensor]]:
    """One dual for each token written after the prompt, with its phi(q).

    Each token joins T once it is written, so that W0 grows; D stays. A window may push D out.

    Args:
        feature_map: phi.
        queries: of the last tokens of the sequence, shape (..., q, d).
        keys: of all n tokens, shape (..., n, d).
        values: shape (..., n, p).
        demonstration: booleans of shape (n,).
    """
    n, written = keys.shape[-2], queries.shape[-2]
    for index, position in enumerate(range(n - written, n)):
        seen = visible_positions(position, window=window)
        features = feature_map(queries[..., index : index + 1, :], keys[..., seen, :])
        problem = dual_problem(features, values[..., seen, :], demonstration[seen])
        yield problem, features.queries[..., 0, :]
