"""Feature maps that reproduce softmax attention to machine precision.

E2, `OneHotMap`: a feature for each key; asymmetric. The default for real models.
E3, `CholeskyMap`: the same function of queries and keys, found from the keys alone, exact for
these keys against any query.

Notation: x -> query / d^(1/4), y -> key / d^(1/4), G -> gram, L -> its Cholesky factor.
"""

import torch
from torch import Tensor

from lrgd.theory.feature_maps import Features, LogFeatures, scaled

JITTERS = (0.0, 1e-15, 1e-14, 1e-13, 1e-12, 1e-10, 1e-8, 1e-6)
"""Tried in turn where the Gram matrix is singular to working precision."""


class OneHotMap:
    """E2: phi(y_i) = e_i and phi(x)_j = exp(x.y_j - max)."""

    def __call__(self, queries: Tensor, keys: Tensor) -> Features:
        """Queries (..., q, d), keys (..., n, d); m = n features."""
        logits = queries @ keys.mT
        # The largest is subtracted first: exp(90.0) overflows float32.
        shift = logits.amax(-1)
        one_hot = torch.eye(keys.shape[-2], dtype=keys.dtype, device=keys.device)
        weights = (logits - shift[..., None]).exp()
        return Features(weights, one_hot.expand(*keys.shape[:-1], -1), shift)


class CholeskyMap:
    """E3: G_ij = exp(-|y_i - y_j|^2 / 2) = L L^T, phi(y_i) = e^{|y_i|^2/2} L_i.

    phi(x) = L^-1 [exp(x.y_j - |y_j|^2/2)]_j, of which phi(y_i) is a case. Keys must be centred
    (`preconditioning.centred`, after RoPE): a large common part makes the factors e^{|y|^2/2} swamp
    everything. A jitter that equal keys make necessary costs no accuracy: L_i L^-1 b = b_i for any
    L that can be inverted; only the symmetry between queries and keys is then approximate.
    """

    def __init__(self, keys: Tensor) -> None:
        """Keys of one head, shape (n, d)."""
        self._keys, self._factor = keys, _cholesky(gram(keys))

    def __call__(self, queries: Tensor, keys: Tensor) -> Features:
        """Queries (q, d); keys must be the ones the map was made from. m = n features.

        Raises:
            ValueError: other keys.
        """
        if not torch.equal(keys, self._keys):
            raise ValueError("a Cholesky map holds for the keys that it was made from only")
        half_norms = keys.square().sum(-1) / 2
        logits = queries @ keys.T - half_norms
        shift = logits.amax(-1)
        solved = torch.linalg.solve_triangular(
            self._factor, (logits - shift[:, None]).exp().T, upper=False
        ).T
        of_keys = LogFeatures(half_norms[:, None].expand_as(self._factor), self._factor)
        return scaled(LogFeatures(shift[:, None].expand_as(solved), solved), of_keys)


def gram(points: Tensor) -> Tensor:
    """exp(-|y_i - y_j|^2 / 2), shape (n, n)."""
    # Distances by differences: by squares minus products near keys would lose their digits.
    return (
        -torch.cdist(points, points, compute_mode="donot_use_mm_for_euclid_dist").square() / 2
    ).exp()


def _cholesky(matrix: Tensor) -> Tensor:
    identity = torch.eye(len(matrix), dtype=matrix.dtype, device=matrix.device)
    for jitter in JITTERS:
        factor: Tensor
        factor, failed = torch.linalg.cholesky_ex(matrix + jitter * identity)
        if not failed:
            return factor
    raise ValueError(f"keys give no positive definite Gram matrix even with {JITTERS[-1]} added")
