"""Random feature maps phi with phi(x) . phi(y) ~ exp(x . y), kept in log space.

LRGD eq. (5) and (19) split exp(x.y) = e^{|x|^2/2} e^{-|x-y|^2/2} e^{|y|^2/2}; the trigonometric map
is a reconstruction of what follows there, the positive maps are the other reading.
Limits: the error is D^(-1/2) only where D is far above the relative variance below.
Sources: Random Fourier Features; Performer, FAVOR+ and hyperbolic (arXiv 2009.14794); OPRF, that
is FAVOR++ (arXiv 2205.15317); SDERF, that is FAVOR# (arXiv 2302.00787).

Notation: x -> query / d^(1/4), y -> key / d^(1/4), w -> directions, D -> number of features,
S -> |x + y|^2, Delta -> |x - y|^2, A -> curvature, u -> 1 - 8 A.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import log
from typing import Literal, Protocol

import torch
from torch import Tensor

from lrgd.theory.draws import Draw, draw_directions

MapName = Literal["trigonometric", "FAVOR+", "hyperbolic", "OPRF", "SDERF"]


@dataclass(frozen=True, slots=True)
class Features:
    """Features of some queries and keys, up to a positive factor a query.

    Attention does not change, exp(90) never appears, and `kernel` puts the factor back.
    """

    queries: Tensor
    """phi(x), shape (..., q, m)."""
    keys: Tensor
    """phi(y), shape (..., n, m)."""
    log_scale: Tensor
    """log of what was taken out of phi(x).phi(y), shape (..., q)."""

    def kernel(self) -> Tensor:
        """Estimates of exp(x.y), shape (..., q, n)."""
        scores: Tensor = self.queries @ self.keys.mT
        return scores * self.log_scale.exp()[..., None]


class FeatureMap(Protocol):
    """phi: queries (..., q, d) and keys (..., n, d), both already divided by d^(1/4)."""

    def __call__(self, queries: Tensor, keys: Tensor) -> Features: ...


@dataclass(frozen=True, slots=True)
class LogFeatures:
    """sign * exp(log_magnitude), both of shape (..., n, m)."""

    log_magnitude: Tensor
    sign: Tensor


@dataclass(frozen=True, slots=True)
class RandomFeatures:
    """A random feature map with its directions drawn. Source: LRGD eq. (5), (19)."""

    name: MapName
    directions: Tensor
    """w, shape (directions, d): D of them, or D/2 for maps that make a pair of each."""

    @classmethod
    def drawn(
        cls,
        name: MapName,
        num_features: int,
        dimension: int,
        *,
        draw: Draw = "orthogonal",
        seed: int = 0,
        dtype: torch.dtype = torch.float64,
    ) -> "RandomFeatures":
        """Draw the directions of a map with `num_features` features."""
        count = num_features // 2 if name in PAIRED else num_features
        return cls(name, draw_directions(count, dimension, draw, seed=seed, dtype=dtype))

    def __call__(self, queries: Tensor, keys: Tensor) -> Features:
        """Features of queries (..., q, d) and keys (..., n, d); m = D."""
        phi = _MAPS[self.name](queries, keys, self.directions.to(keys))
        return scaled(phi(queries), phi(keys))


def scaled(queries: LogFeatures, keys: LogFeatures) -> Features:
    """Leave log space without overflow, and without all products underflowing.

    What a feature is divided by on the keys' side multiplies it on the queries', which is exact; of
    a query one factor comes out. Never one of a single key: that would change the weights.
    """
    feature_shift = keys.log_magnitude.amax(-2, keepdim=True)
    of_queries = queries.log_magnitude + feature_shift
    query_shift = of_queries.amax(-1)
    return Features(
        queries.sign * (of_queries - query_shift[..., None]).exp(),
        keys.sign * (keys.log_magnitude - feature_shift).exp(),
        query_shift,
    )


def log_relative_variance(name: MapName, x: Tensor, y: Tensor) -> Tensor:
    """log of the variance of one feature's estimate of exp(x.y), divided by exp(x.y)^2.

    A pair is one feature here. D independent features divide the variance by D (by D/2 for pairs).
    OPRF and SDERF take the parameters that suit all the given pairs together.

    Args:
        x: shape (n, d), or (1, d) for one query against n keys.
        y: shape (n, d).

    Returns:
        Shape (n,). In logs, since real heads overflow float64.

    Source: docs/theory.md, section 2.
    """
    total = x + y
    s = total.square().sum(-1)
    if name == "trigonometric":
        return _log_of_pair((x - y).square().sum(-1))
    if name == "FAVOR+":
        return _log_expm1(s)
    if name == "hyperbolic":
        return _log_of_pair(s)
    energies, axes = torch.linalg.eigh(sum_moments(x, y))
    if name == "OPRF":
        energies = energies.mean().expand_as(energies)
    u = 1 - 8 * best_curvature(energies.clamp_min(0))
    widening = ((1 + u).square() / (4 * u)).log() / 2
    return _log_expm1((widening + (total @ axes).square() / u).sum(-1))


def _log_expm1(value: Tensor) -> Tensor:
    return value + (-torch.expm1(-value)).log()


def _log_of_pair(value: Tensor) -> Tensor:
    """log of e^s (1 - e^-s)^2 / 2."""
    return value + 2 * (-torch.expm1(-value)).log() - log(2)


def best_curvature(energy: Tensor) -> Tensor:
    """A that gives the least variance where a direction carries `energy` of S.

    A = (1 - 2s - sqrt((2s + 1)^2 + 8s)) / 16 <= 0. Source: arXiv 2205.15317, theorem 3.
    """
    return (1 - 2 * energy - ((2 * energy + 1).square() + 8 * energy).sqrt()) / 16


def sum_moments(x: Tensor, y: Tensor) -> Tensor:
    """E[(x+y)(x+y)^T] over all pairs of queries (..., q, d) and keys (..., n, d)."""
    second = x.mT @ x / x.shape[-2] + y.mT @ y / y.shape[-2]
    cross = x.mean(-2)[..., :, None] * y.mean(-2)[..., None, :]
    moments: Tensor = second + cross + cross.mT
    return moments


Phi = Callable[[Tensor], LogFeatures]


def _trigonometric(x: Tensor, y: Tensor, w: Tensor) -> Phi:
    def phi(points: Tensor) -> LogFeatures:
        angles = points @ w.T
        sign = torch.cat([angles.sin(), angles.cos()], -1)
        half_norm = points.square().sum(-1, keepdim=True) / 2
        return LogFeatures((half_norm - _half_log(len(w))).expand_as(sign), sign)

    return phi


def _favor(x: Tensor, y: Tensor, w: Tensor) -> Phi:
    def phi(points: Tensor) -> LogFeatures:
        return _positive(points @ w.T - points.square().sum(-1, keepdim=True) / 2)

    return phi


def _hyperbolic(x: Tensor, y: Tensor, w: Tensor) -> Phi:
    return _favor(x, y, torch.cat([w, -w]))


def _oprf(x: Tensor, y: Tensor, w: Tensor) -> Phi:
    energy = sum_moments(x, y).diagonal(dim1=-2, dim2=-1).mean(-1, keepdim=True)
    return _curved(best_curvature(energy).expand(*energy.shape[:-1], x.shape[-1]), w)


def _sderf(x: Tensor, y: Tensor, w: Tensor) -> Phi:
    energies, axes = torch.linalg.eigh(sum_moments(x, y))
    phi = _curved(best_curvature(energies.clamp_min(0)), w)
    return lambda points: phi(points @ axes)


def _curved(a: Tensor, w: Tensor) -> Phi:
    """phi of OPRF with a curvature a direction: a of shape (..., d)."""
    stretch = (1 - 4 * a).sqrt()
    constant = ((1 - 4 * a).log().sum(-1) / 4)[..., None] + a @ w.square().T

    def phi(points: Tensor) -> LogFeatures:
        linear = (points * stretch[..., None, :]) @ w.T
        half_norm = points.square().sum(-1, keepdim=True) / 2
        return _positive(constant[..., None, :] + linear - half_norm)

    return phi


def _positive(log_phi: Tensor) -> LogFeatures:
    return LogFeatures(log_phi - _half_log(log_phi.shape[-1]), torch.ones_like(log_phi))


def _half_log(count: int) -> float:
    return log(count) / 2


_MAPS: dict[MapName, Callable[[Tensor, Tensor, Tensor], Phi]] = {
    "trigonometric": _trigonometric,
    "FAVOR+": _favor,
    "hyperbolic": _hyperbolic,
    "OPRF": _oprf,
    "SDERF": _sderf,
}
MAPS: tuple[MapName, ...] = tuple(_MAPS)
PAIRED: frozenset[MapName] = frozenset(("trigonometric", "hyperbolic"))
"""Maps that make two features of each direction."""
