"""Feature maps: exact ones (tests 2, 3), random ones (10), preconditioning (11).

The random tests have fixed seeds: they cannot fail by chance. Before the seeds were fixed, the odds
of a false alarm were 1 in 16,000 for each mean (4 standard errors).
"""

import math

import pytest
import torch
from torch import Tensor

from lrgd.theory.attention import linearised_attention, softmax_attention
from lrgd.theory.draws import Draw, draw_directions, haar_rotation
from lrgd.theory.exact_maps import CholeskyMap, OneHotMap
from lrgd.theory.feature_maps import (
    MAPS,
    PAIRED,
    MapName,
    RandomFeatures,
    best_curvature,
    log_relative_variance,
)
from lrgd.theory.preconditioning import balanced, centred, shifted
from tests.theory.test_dual import assert_close, normal


def softmax_of(queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
    n = len(queries)
    return softmax_attention(queries, keys.expand(n, -1, -1), values.expand(n, -1, -1))


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 1e-5)])
def test_one_hot_features_are_softmax_at_logits_of_100(
    dtype: torch.dtype, tolerance: float
) -> None:
    keys, values = normal(30, 8, seed=1).to(dtype), normal(30, 4, seed=2).to(dtype)
    queries = normal(9, 8, seed=3).to(dtype)
    queries *= 100 / (queries @ keys.T).abs().amax(1, keepdim=True)
    assert (queries @ keys.T).abs().max() > 99
    found = linearised_attention(OneHotMap()(queries, keys), values)
    assert_close(found, softmax_of(queries, keys, values), tolerance)


def test_raw_exponentials_would_overflow_where_the_features_do_not() -> None:
    logit = torch.tensor([[90.0]])
    assert logit.exp().isinf().all()
    assert OneHotMap()(logit, torch.ones(1, 1)).queries.isfinite().all()


@pytest.mark.parametrize("kind", ["plain", "duplicate", "near duplicate", "large bias"])
def test_cholesky_features_are_exact_for_unseen_queries(kind: str) -> None:
    keys, values = normal(40, 8, seed=4), normal(40, 4, seed=5)
    if kind == "duplicate":
        keys[20:] = keys[:20]
    if kind == "near duplicate":
        keys[20:] = keys[:20] + normal(20, 8, seed=6, scale=1e-7)
    if kind == "large bias":
        keys += normal(8, seed=7, scale=300.0)
    unseen = normal(25, 8, seed=8)
    wanted = softmax_of(unseen, keys, values)
    around = centred(keys)
    found = linearised_attention(CholeskyMap(around)(unseen, around), values)
    assert_close(found, wanted, 1e-9)


def test_cholesky_features_need_centred_keys() -> None:
    """With a bias like Qwen's the uncentred map is silently wrong."""
    keys, values = normal(40, 8, seed=4) + normal(8, seed=7, scale=300.0), normal(40, 4, seed=5)
    unseen = normal(5, 8, seed=8)
    found = linearised_attention(CholeskyMap(keys)(unseen, keys), values)
    assert (found - softmax_of(unseen, keys, values)).abs().max() > 0.1


def test_cholesky_features_know_their_keys() -> None:
    keys = normal(12, 5, seed=9)
    with pytest.raises(ValueError, match="made from only"):
        CholeskyMap(keys)(keys, keys + 1)


def test_cholesky_features_are_one_function_of_queries_and_keys() -> None:
    """Symmetric: phi(y_i) is the same on the query's and on the key's side."""
    keys = normal(12, 5, seed=9)
    features = CholeskyMap(keys)(keys, keys)
    # Directions only: `Features` takes a positive factor out of each query.
    assert_close(
        *(torch.nn.functional.normalize(f) for f in (features.queries, features.keys)), 1e-9
    )


@pytest.mark.parametrize("draw", ["iid", "orthogonal", "simplex"])
def test_directions_are_normal_one_by_one(draw: Draw) -> None:
    w = draw_directions(60_000, 4, draw, seed=1)
    standard_error = 60_000**-0.5
    assert (w.mean(0).abs() < 6 * standard_error).all()
    assert_close(w.T @ w / len(w), torch.eye(4, dtype=torch.float64), 0.03)
    norms = w.square().sum(1)
    assert float(norms.var()) == pytest.approx(2 * 4, rel=0.05)  # chi squared, 4 degrees


def test_blocks_have_the_angles_they_claim() -> None:
    def cosines(draw: Draw) -> Tensor:
        block = torch.nn.functional.normalize(draw_directions(6, 6, draw, seed=2))
        return (block @ block.T)[~torch.eye(6, dtype=torch.bool)]

    assert_close(cosines("orthogonal"), torch.zeros(30, dtype=torch.float64))
    assert_close(cosines("simplex"), torch.full((30,), -1 / 5, dtype=torch.float64))


def test_haar_rotations_have_no_preferred_sign() -> None:
    """Without the sign fix the trace of a rotation is biased and features plateau."""
    generator = torch.Generator().manual_seed(3)
    traces = torch.stack([haar_rotation(4, generator).trace() for _ in range(4000)])
    assert abs(float(traces.mean())) < 4 / 4000**0.5  # the trace of a Haar matrix has variance 1


def pair(s: float, d: int = 8) -> tuple[Tensor, Tensor]:
    """x and y, shape (1, d), with |x + y|^2 = s and |x - y|^2 = s / 4."""
    x, y = normal(2, d, seed=20)
    y = y - x * (x @ y) / (x @ x)
    total, difference = x / x.norm() * s**0.5, y / y.norm() * s**0.5 / 2
    return ((total + difference) / 2)[None], ((total - difference) / 2)[None]


def estimates(name: MapName, x: Tensor, y: Tensor, count: int) -> Tensor:
    """`count` independent estimates of exp(x.y), each of one feature or pair."""
    directions = draw_directions(count, x.shape[-1], "iid", seed=5)
    per = len(directions)
    features = RandomFeatures(name, directions)(x, y)
    products = (features.queries * features.keys)[0] * features.log_scale.exp() * per
    if name == "trigonometric":
        return products[:per] + products[per:]
    return (products[:per] + products[per:]) if name in PAIRED else products


@pytest.mark.parametrize("name", MAPS)
def test_estimates_have_the_right_mean_and_the_stated_variance(name: MapName) -> None:
    x, y = pair(0.8)
    found = estimates(name, x, y, 400_000) / (x * y).sum().exp()
    assert abs(float(found.mean()) - 1) < 4 * float(found.std()) / len(found) ** 0.5
    stated = log_relative_variance(name, x, y).exp()
    assert float(found.var()) == pytest.approx(float(stated), rel=0.1)


def test_better_maps_have_less_variance() -> None:
    x, y = pair(4.0)
    favor, hyperbolic, oprf, sderf = (
        float(log_relative_variance(name, x, y).exp())
        for name in ("FAVOR+", "hyperbolic", "OPRF", "SDERF")  # type: ignore[misc]
    )
    assert sderf < oprf < favor
    assert hyperbolic < favor / 2
    # FAVOR+ is OPRF with A = 0; the best A is not 0.
    assert best_curvature(torch.tensor(0.5)) < 0


@pytest.mark.parametrize("name", MAPS)
def test_the_attention_error_falls_as_one_over_root_d(name: MapName) -> None:
    keys, values = normal(30, 8, seed=31, scale=0.2), normal(30, 4, seed=32)
    queries = normal(1, 8, seed=33, scale=0.2)  # S = 0.6: the law holds once D is far above e^S
    wanted = softmax_of(queries, keys, values)
    sizes, errors = [64, 256, 1024, 4096], []
    for size in sizes:
        gaps = [
            linearised_attention(RandomFeatures.drawn(name, size, 8, seed=s)(queries, keys), values)
            - wanted
            for s in range(60)
        ]
        errors.append(float(torch.stack(gaps).square().sum(-1).mean().sqrt()))
    x, y = [math.log(size) for size in sizes], [math.log(error) for error in errors]
    mean_x, mean_y = sum(x) / 4, sum(y) / 4
    slope = sum((a - mean_x) * (b - mean_y) for a, b in zip(x, y, strict=True)) / sum(
        (a - mean_x) ** 2 for a in x
    )
    assert slope == pytest.approx(-0.5, abs=0.1)
    # No plateau: the last step falls, too; a ratio of root means of 60 has an error of 13 %.
    assert errors[-1] / errors[-2] == pytest.approx(0.5, rel=0.4)


def test_simplex_features_halve_the_error_of_small_norms() -> None:
    x, y = pair(0.05)

    def error(draw: Draw) -> float:
        found = [
            RandomFeatures.drawn("FAVOR+", 8, 8, draw=draw, seed=s)(x, y).kernel()
            for s in range(3000)
        ]
        return float((torch.stack(found) - (x * y).sum().exp()).square().mean().sqrt())

    assert error("simplex") < 0.55 * error("iid")
    assert error("simplex") < error("orthogonal") < error("iid")


def test_preconditioning_leaves_attention_as_it_is() -> None:
    queries, keys, values = (
        normal(7, 6, seed=41),
        normal(30, 6, seed=42) + 2,
        normal(30, 4, seed=43),
    )
    wanted = softmax_of(queries, keys, values)
    assert_close(softmax_of(queries, centred(keys), values), wanted)
    assert_close(softmax_of(*balanced(queries, keys), values), wanted)
    shift = normal(6, seed=44)
    moved, log_weights = shifted(queries, keys, shift)
    features = OneHotMap()(moved, keys)
    weighted = type(features)(
        features.queries, features.keys * log_weights.exp()[:, None], features.log_scale
    )
    assert_close(linearised_attention(weighted, values), wanted)
    assert (softmax_of(moved, keys, values) - wanted).abs().max() > 1e-2


def test_balancing_equalises_the_moments() -> None:
    queries, keys = normal(500, 6, seed=45) * torch.arange(1, 7), normal(500, 6, seed=46)
    a, b = balanced(queries, keys)
    assert_close(a.T @ a / 500, b.T @ b / 500, 1e-6)
    before = queries.square().sum() + keys.square().sum()
    assert a.square().sum() + b.square().sum() < before
