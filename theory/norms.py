"""RMSNorm: its factor r, and a way to compute it in a model's own precision."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch import Tensor

from lrgd.theory.adapters import Decoder


def norm_factor(norm: Any, state: Tensor) -> Tensor:
    """r of an RMSNorm: norm(x) = r diag(weight) x, shape (..., 1)."""
    mean_square = state.square().mean(-1, keepdim=True)
    return (mean_square + float(norm.variance_epsilon)).rsqrt()


@contextmanager
def exact_norms(decoder: Decoder) -> Iterator[None]:
    """Within it RMSNorm computes in the model's own type.

    Hugging Face's computes in float32 whatever the weights are, which leaves noise of 1e-7 in a
    float64 model.
    """
    norms = list(decoder.norms())
    for norm in norms:
        norm.forward = _normed_by(norm)
    try:
        yield
    finally:
        for norm in norms:
            del norm.forward


def _normed_by(norm: Any) -> Any:
    def forward(state: Tensor) -> Tensor:
        normed: Tensor = norm.weight * (state * norm_factor(norm, state))
        return normed

    return forward
