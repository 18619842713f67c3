"""Random directions for feature maps: independent, orthogonal and simplex draws.

Notation: w_j -> rows of the result, d -> dimension, D -> num_features.
Sources: Orthogonal Random Features (arXiv 1610.09072), Simplex Random Features (arXiv 2301.13856).
"""

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor

Draw = Literal["iid", "orthogonal", "simplex"]


def draw_directions(
    num_features: int,
    dimension: int,
    draw: Draw = "orthogonal",
    *,
    seed: int = 0,
    dtype: torch.dtype = torch.float64,
) -> Tensor:
    """Directions w_j, each distributed as N(0, I) by itself.

    Args:
        num_features: rows wanted; the first rows of a longer draw are a shorter draw.
        dimension: d, the width of queries and keys.
        draw: iid; orthogonal, rows of a block are at right angles; simplex, they point to the
            corners of a regular simplex. A block has d rows.

    Returns:
        Shape (num_features, dimension).

    Source: w of LRGD eq. (5), (19).
    """
    generator = torch.Generator().manual_seed(seed)
    block = _BLOCKS[draw]
    blocks = [block(dimension, generator) for _ in range(-(-num_features // dimension))]
    return torch.cat(blocks)[:num_features].to(dtype)


def haar_rotation(dimension: int, generator: torch.Generator) -> Tensor:
    """An orthogonal matrix, uniformly distributed, shape (dimension, dimension)."""
    q, r = torch.linalg.qr(_normal(dimension, generator))
    # QR alone is not uniform: its signs follow LAPACK's convention, and the error then plateaus.
    signs: Tensor = q * torch.sign(torch.diagonal(r))
    return signs


def _iid(dimension: int, generator: torch.Generator) -> Tensor:
    return _normal(dimension, generator)


def _orthogonal(dimension: int, generator: torch.Generator) -> Tensor:
    directions: Tensor = _chi_norms(dimension, generator) * haar_rotation(dimension, generator)
    return directions


def _simplex(dimension: int, generator: torch.Generator) -> Tensor:
    if dimension == 1:
        return _iid(dimension, generator)
    centred = torch.eye(dimension, dtype=torch.float64) - 1 / dimension
    corners = centred * (dimension / (dimension - 1)) ** 0.5
    rotated = corners @ haar_rotation(dimension, generator)
    directions: Tensor = _chi_norms(dimension, generator) * rotated
    return directions


def _chi_norms(dimension: int, generator: torch.Generator) -> Tensor:
    norms: Tensor = _normal(dimension, generator).norm(dim=1, keepdim=True)
    return norms


def _normal(dimension: int, generator: torch.Generator) -> Tensor:
    return torch.randn(dimension, dimension, generator=generator, dtype=torch.float64)


_BLOCKS: dict[Draw, Callable[[int, torch.Generator], Tensor]] = {
    "iid": _iid,
    "orthogonal": _orthogonal,
    "simplex": _simplex,
}
