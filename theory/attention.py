"""One attention head: softmax, its linearisation, and its split into T and D.

Notation: q -> query, K -> keys (one row a token), V -> values, c -> normaliser, p -> weights,
T -> everything visible but the demonstration, D -> demonstration tokens.
"""

from torch import Tensor

from lrgd.theory.feature_maps import Features


def linear_attention(query: Tensor, keys: Tensor, values: Tensor) -> Tensor:
    """Sum the values, each weighted by its key's dot product with the query.

    Args:
        query: shape (d,).
        keys: shape (n, d).
        values: shape (n, p).

    Returns:
        Shape (p,).

    Source: LRGD eq. (3), V K^T q with tokens as columns there and as rows here.
    """
    attended: Tensor = values.mT @ (keys @ query)
    return attended


def softmax_attention(query: Tensor, keys: Tensor, values: Tensor) -> Tensor:
    """V softmax(K^T q): query (..., d) and keys (..., n, d) already scaled, values (..., n, p).

    Source: LRGD eq. (8).
    """
    weights = (keys @ query[..., None])[..., 0].softmax(-1)
    attended: Tensor = (weights[..., None, :] @ values)[..., 0, :]
    return attended


def normaliser(features: Features) -> Tensor:
    """c = 1 / sum over T AND D of phi(k_i).phi(q), shape (..., q). Source: LRGD eq. (6)."""
    total: Tensor = (features.queries @ features.keys.sum(-2)[..., None])[..., 0]
    return 1 / total


def linearised_attention(features: Features, values: Tensor) -> Tensor:
    """c V phi(K)^T phi(q), shape (..., q, p). Source: LRGD eq. (6), (7)."""
    summary = features.keys.mT @ values
    attended: Tensor = normaliser(features)[..., None] * (features.queries @ summary)
    return attended


def split_attention(
    features: Features, values: Tensor, demonstration: Tensor
) -> tuple[Tensor, Tensor]:
    """The two terms of the linearised attention, over T and over D, under one c.

    Args:
        features: of queries (..., q, d) and keys (..., n, d).
        values: shape (..., n, p).
        demonstration: which keys are D, booleans of shape (n,).

    Returns:
        Both of shape (..., q, p); their sum is `linearised_attention`.

    Source: LRGD eq. (9).
    """
    c = normaliser(features)[..., None]

    def part(mask: Tensor) -> Tensor:
        summed: Tensor = features.keys[..., mask, :].mT @ values[..., mask, :]
        return c * (features.queries @ summed)

    return part(~demonstration), part(demonstration)


def visible_positions(position: int, *, window: int | None = None, padding: int = 0) -> slice:
    """Key positions that the token at `position` attends to, itself included.

    Args:
        position: index in the padded prompt.
        window: keys in a sliding window, None for all.
        padding: length of the left padding, which is neither T nor D.
    """
    first = padding if window is None else max(padding, position - window + 1)
    return slice(first, position + 1)
