"""Changes of queries and keys that leave attention as it is and make features better.

All act on x = query / d^(1/4) and y = key / d^(1/4), after RoPE: removing a bias before RoPE does
change attention.

Notation: A -> `balance`, S_q, S_k -> second moments of queries and keys, nu -> shift.
"""

from torch import Tensor, linalg


def centred(keys: Tensor) -> Tensor:
    """y -> y - mean: exact, since exp(x.mean) is common to all keys. Shape (..., n, d)."""
    return keys - keys.mean(-2, keepdim=True)


def balanced(queries: Tensor, keys: Tensor, ridge: float = 1e-9) -> tuple[Tensor, Tensor]:
    """x -> A x, y -> A^-T y with the A that makes |x|^2 + |y|^2 least: exact for any A.

    A^T A = S_q^-1/2 (S_q^1/2 S_k S_q^1/2)^1/2 S_q^-1/2.

    Args:
        queries: shape (q, d).
        keys: shape (n, d).
        ridge: added to both moments, as a part of their mean eigenvalue, where fewer points than d
            leave them singular.

    Returns:
        Queries and keys, the same shapes.
    """
    a_squared = _best_square(_moment(queries, ridge), _moment(keys, ridge))
    a = linalg.cholesky(a_squared).mT
    return queries @ a.mT, linalg.solve_triangular(a.mT, keys.mT, upper=False).mT


def shifted(queries: Tensor, keys: Tensor, shift: Tensor) -> tuple[Tensor, Tensor]:
    """x -> x - nu with the weight e^{nu.y_i} that phi(y_i) must then carry.

    Args:
        queries: shape (..., q, d).
        keys: shape (..., n, d).
        shift: nu, shape (d,).

    Returns:
        Shifted queries (..., q, d) and the log of the keys' weights (..., n). Without these weights
        the shift is not exact.
    """
    return queries - shift, keys @ shift


def _best_square(s_q: Tensor, s_k: Tensor) -> Tensor:
    root = _power(s_q, 0.5)
    inverse = _power(s_q, -0.5)
    square: Tensor = inverse @ _power(root @ s_k @ root, 0.5) @ inverse
    return (square + square.mT) / 2


def _moment(points: Tensor, ridge: float) -> Tensor:
    moment: Tensor = points.mT @ points / points.shape[-2]
    moment.diagonal().add_(ridge * moment.diagonal().mean())
    return moment


def _power(matrix: Tensor, exponent: float) -> Tensor:
    values, axes = linalg.eigh(matrix)
    powered: Tensor = axes * values.clamp_min(0) ** exponent @ axes.mT
    return powered
