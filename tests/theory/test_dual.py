"""The dual model's algebra: one SGD step, its variants, and what stays the same (tests 1, 4-6)."""

import itertools
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from lrgd.theory.attention import (
    linear_attention,
    linearised_attention,
    normaliser,
    softmax_attention,
    split_attention,
)
from lrgd.theory.dual import DualProblem, apply, dual_problem, updated
from lrgd.theory.exact_maps import CholeskyMap, OneHotMap
from lrgd.theory.feature_maps import MAPS, FeatureMap, Features, RandomFeatures
from lrgd.theory.paper.single_layer import FeedForward, layer_problem
from lrgd.theory.paper.variants import (
    decayed_weight,
    perturbed_output,
    proximal_strength,
    ratio_output,
    ratio_problem,
    scaled_values,
    sequential_problems,
)

D, N, P = 6, 20, 5


def normal(*shape: int, seed: int = 0, scale: float = 1.0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return scale * torch.randn(*shape, generator=generator, dtype=torch.float64)


KEYS, VALUES = normal(N, D, seed=1, scale=0.7), normal(N, P, seed=2)
QUERIES = normal(3, D, seed=3, scale=0.7)
IN_D = torch.arange(N) % 3 == 1
EVERY_MAP: dict[str, FeatureMap] = {
    **{name: RandomFeatures.drawn(name, 64, D) for name in MAPS},
    "E2": OneHotMap(),
    "E3": CholeskyMap(KEYS),
}


def assert_close(found: Tensor, wanted: Tensor, tolerance: float = 1e-12) -> None:
    torch.testing.assert_close(found, wanted, rtol=tolerance, atol=tolerance)


def problem(demonstration: Tensor = IN_D, eta: float = 1.0) -> tuple[DualProblem, Features]:
    features = OneHotMap()(QUERIES, KEYS)
    return dual_problem(features, VALUES, demonstration, learning_rate=eta), features


def output(weight: Tensor, features: Features, query: int = 0) -> Tensor:
    return apply(weight, features.queries[query])


@pytest.mark.parametrize("name", EVERY_MAP)
@pytest.mark.parametrize("eta", [1.0, 0.03])
def test_one_sgd_step_is_the_linearised_attention(name: str, eta: float) -> None:
    features = EVERY_MAP[name](QUERIES, KEYS)
    wanted = linearised_attention(features, VALUES)
    for query in range(len(QUERIES)):
        dual = dual_problem(features, VALUES, IN_D, query=query, learning_rate=eta)
        scale = 1 + float(dual.closed_form().abs().max())  # trigonometric c can be large
        assert_close(dual.trained() / scale, dual.closed_form() / scale)
        assert_close(output(dual.trained(), features, query) / scale, wanted[query] / scale)


def test_the_gradient_is_autograds() -> None:
    """eta dL/dW = -c V_D phi(K_D)^T, eq. (20)-(22), for eta = 0.1."""
    dual, features = problem(eta=0.1)
    weight = dual.initial.clone().requires_grad_()
    dual.loss(weight).backward()
    c = normaliser(features)[0]
    assert weight.grad is not None
    assert_close(0.1 * weight.grad, -c * VALUES[IN_D].T @ features.keys[IN_D])


def test_more_steps_go_on_in_a_straight_line() -> None:
    dual, _ = problem()
    step = dual.closed_form() - dual.initial
    assert_close(dual.trained(steps=5), dual.initial + 5 * step)


def test_heads_are_trained_together_as_they_would_be_alone() -> None:
    keys, values = normal(4, N, D, seed=5), normal(4, N, P, seed=6)
    queries = normal(4, 1, D, seed=7)
    features = OneHotMap()(queries, keys)
    together = dual_problem(features, values, IN_D).trained()
    for head in range(4):
        alone = dual_problem(OneHotMap()(queries[head], keys[head]), values[head], IN_D)
        assert_close(together[head], alone.trained())


def test_a_linear_layer_remembers_its_updates_as_attention_does() -> None:
    """Eq. (1)-(4): W' x' = W0 x' + E X^T x'."""
    w0, errors, inputs, x = normal(P, D), normal(N, P, seed=8), KEYS, QUERIES[0]
    assert_close(updated(w0, errors, inputs) @ x, w0 @ x + linear_attention(x, inputs, errors))


PARTITIONS = {
    "first": torch.arange(N) < 7,
    "swapped": torch.arange(N) >= 7,
    "interleaved": torch.arange(N) % 2 == 0,
    "empty D": torch.zeros(N, dtype=torch.bool),
    "empty T": torch.ones(N, dtype=torch.bool),
}


@pytest.mark.parametrize("name", PARTITIONS)
def test_any_partition_gives_softmax_attention(name: str) -> None:
    mask = PARTITIONS[name]
    dual, features = problem(mask)
    wanted = softmax_attention(QUERIES, KEYS.expand(3, -1, -1), VALUES.expand(3, -1, -1))
    assert_close(output(dual.trained(), features), wanted[0])
    of_t, of_d = split_attention(features, VALUES, mask)
    assert_close(of_t + of_d, wanted)
    assert bool((of_t == 0).all()) == (name == "empty T")


def test_samples_one_by_one_in_any_order() -> None:
    dual, _ = problem(torch.arange(N) < 4)
    for order in itertools.permutations(range(4)):
        weight = dual.initial
        for sample in order:
            one = DualProblem(
                weight, dual.targets[[sample]], dual.features[[sample]], dual.normaliser
            )
            weight = one.trained()
        assert_close(weight, dual.trained())


@pytest.mark.parametrize("name", [*MAPS[1:3], "E3"])
def test_one_ratio_dual_serves_every_query(name: str) -> None:
    """Maps whose key features do not depend on the queries; one W~ for all of them."""
    features = EVERY_MAP[name](QUERIES, KEYS)
    weight = ratio_problem(features, VALUES, IN_D).trained()
    wanted = linearised_attention(features, VALUES)
    for query, feature in enumerate(features.queries):
        assert_close(ratio_output(weight, feature), wanted[query])


@pytest.mark.parametrize("eta", [1.0, 0.2])
def test_weight_decay_scales_the_values_of_t(eta: float) -> None:
    """Eq. (17), (18): one step gives [(1 - alpha) V_T, V_D] p, K steps the geometric sum."""
    alpha = 0.3
    dual, features = problem(eta=eta)
    decayed = DualProblem(
        dual.initial, dual.targets, dual.features, dual.normaliser, eta, decay=alpha
    )
    wanted = scaled_values(features, VALUES, IN_D, alpha)
    assert_close(output(decayed.trained(), features), wanted[0])
    for steps in (1, 2, 7):
        assert_close(decayed.trained(steps), decayed_weight(dual, alpha, steps))


def test_the_proximal_penalty_scales_the_step_on_d() -> None:
    alpha, eta = 0.3, 1.0
    dual, _ = problem()
    near = DualProblem(
        dual.initial,
        dual.targets,
        dual.features,
        dual.normaliser,
        eta,
        proximal=proximal_strength(alpha, eta),
    )
    step = dual.closed_form() - dual.initial
    # Each step multiplies the distance to the minimum by |1 - eta mu| = 3/7.
    assert_close(near.trained(steps=60), dual.initial + (1 - alpha) * step)
    assert_close(problem(eta=1.0)[0].initial + (1 - alpha) * step, near.trained(60))


def test_a_perturbation_mixes_two_attentions() -> None:
    """Eq. (16) with c' over T, D and P; without the (1 - P) it would be wrong."""
    extra_keys, extra_values = normal(5, D, seed=11), normal(5, P, seed=12)
    query = QUERIES[0]
    whole_keys = torch.cat([KEYS, extra_keys])
    whole = softmax_attention(query, whole_keys, torch.cat([VALUES, extra_values]))
    mass = (whole_keys @ query).softmax(-1)[N:].sum()
    h, h_p = (
        softmax_attention(query, KEYS, VALUES),
        softmax_attention(query, extra_keys, extra_values),
    )
    assert_close(perturbed_output(h, h_p, mass), whole)
    assert (h + mass * h_p - whole).abs().max() > 1e-3
    both = torch.cat([IN_D, torch.ones(5, dtype=torch.bool)])
    features = OneHotMap()(query[None], whole_keys)
    dual = dual_problem(features, torch.cat([VALUES, extra_values]), both)
    assert_close(output(dual.trained(), features), whole)
    old_c = normaliser(OneHotMap()(query[None], KEYS))[0]
    scale = (OneHotMap()(query[None], KEYS).log_scale - features.log_scale)[0].exp()
    assert_close(dual.normaliser * scale / old_c, 1 - mass)


@pytest.mark.parametrize("activation", [torch.relu, torch.tanh, torch.nn.functional.gelu])
def test_the_single_layer_is_one_dual(activation: Callable[[Tensor], Tensor]) -> None:
    """Eq. (12)-(14): W1 phi(q) + b, trained on W_F v_i, against attention and feed-forward."""
    shapes = ((9, P), (9,), (7, 9), (7,))
    w1, b1, w2, b2 = (normal(*shape, seed=21 + i) for i, shape in enumerate(shapes))
    layer, features = FeedForward(w1, b1, w2, b2, activation), OneHotMap()(QUERIES, KEYS)
    for query in range(3):
        h = softmax_attention(QUERIES[query], KEYS, VALUES)
        weight, bias = layer.frozen(h)
        dual = layer_problem(features, VALUES, IN_D, weight, query=query)
        assert_close(output(dual.trained(), features, query) + bias, layer(h))
        assert (output(dual.initial, features, query) + bias - layer(h)).abs().max() > 1e-2


@pytest.mark.parametrize("window", [None, 6])
def test_each_written_token_joins_t(window: int | None) -> None:
    queries = normal(4, D, seed=13)
    first = 0 if window is None else None
    duals = sequential_problems(OneHotMap(), queries, KEYS, VALUES, IN_D, window=window)
    for index, (dual, feature) in enumerate(duals):
        end = N - 4 + index + 1
        seen = slice(first if window is None else end - window, end)
        wanted = softmax_attention(queries[index], KEYS[seen], VALUES[seen])
        assert_close(apply(dual.trained(), feature), wanted)
        assert len(dual.targets) == int(IN_D[seen].sum())
