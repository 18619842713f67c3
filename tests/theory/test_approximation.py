"""Figure 8, and how far random features are from a head."""

from copy import deepcopy

import pytest
import torch
from torch import Tensor

from lrgd.theory.adapters import adapt
from lrgd.theory.approximation import (
    ACCURACY,
    Centred,
    depth_errors,
    feature_errors,
    geometry,
    heads_of,
)
from lrgd.theory.attention import linearised_attention, softmax_attention
from lrgd.theory.convergence import convergence_curve, emitting_state, partial_states
from lrgd.theory.decoder import DualDecoder, HeadInputs
from lrgd.theory.draws import draw_directions
from lrgd.theory.feature_maps import MAPS, PAIRED, MapName, RandomFeatures, log_relative_variance
from lrgd.theory.greedy import greedy
from lrgd.theory.norms import exact_norms
from lrgd.theory.preconditioning import centred
from lrgd.theory.prompt_state import PromptState, read_prompt
from tests.theory.test_dual import assert_close, normal
from tests.theory.tiny import middle, random_prompt, tiny


def read(weights: float = 0.15) -> PromptState:
    return read_prompt(adapt(tiny("llama", weights=weights)), random_prompt())


def test_head_inputs_are_those_of_the_model() -> None:
    with exact_norms(adapt(tiny("llama"))):
        prompt = read()
        models = greedy(prompt, 1)[1][0]
        for inputs, heads in zip(heads_of(prompt), models.heads, strict=True):
            found = softmax_attention(inputs.queries[:, 0], inputs.keys, inputs.values)
            assert_close(found, heads, 1e-10)


@pytest.mark.parametrize("name", MAPS)
def test_blocks_of_features_add_up_to_all_of_them(name: MapName) -> None:
    scale = 3.0  # far beyond what D = 1200 can estimate: the sums must agree all the same
    inputs = HeadInputs(
        normal(2, 1, 6, seed=1, scale=scale),
        normal(2, 15, 6, seed=2, scale=scale),
        normal(2, 15, 4, seed=3),
        slice(0, 15),
    )
    draws = [draw_directions(1200, 6, seed=seed) for seed in range(2)]
    found = feature_errors(inputs, name, (40, 1200), draws)
    exact = softmax_attention(inputs.queries[:, 0], inputs.keys, inputs.values)
    for row, size in zip(found, (40, 1200), strict=True):
        for errors, directions in zip(row, draws, strict=True):
            count = size // 2 if name in PAIRED else size
            phi = Centred(RandomFeatures(name, directions[:count]))
            whole = linearised_attention(phi(inputs.queries, inputs.keys), inputs.values)[:, 0]
            wanted = (whole - exact).norm(dim=-1) / exact.norm(dim=-1)
            assert_close(errors, wanted, 1e-6)


@pytest.mark.parametrize("name", MAPS)
def test_the_d_that_a_head_needs_gives_the_error_it_promises(name: MapName) -> None:
    x, y = normal(1, 6, seed=4, scale=0.3), centred(normal(15, 6, seed=5, scale=0.3))
    variance = float(log_relative_variance(name, x, y).exp().mean())
    needed = variance / ACCURACY**2 * (2 if name in PAIRED else 1)

    def relative(seed: int) -> Tensor:
        count = round(needed / (2 if name in PAIRED else 1))
        phi = RandomFeatures(name, draw_directions(count, 6, "iid", seed=seed))
        return phi(x, y).kernel()[0] / (x @ y.T)[0].exp() - 1

    errors = torch.stack([relative(seed) for seed in range(400)])
    assert float(errors.square().mean().sqrt()) == pytest.approx(ACCURACY, rel=0.1)


def test_geometry_covers_every_head_and_shrinks_with_the_weights() -> None:
    heads = geometry(read())
    assert [(h.layer, h.head) for h in heads] == [(i, j) for i in range(3) for j in range(8)]
    quiet = geometry(read(weights=0.02))
    assert max(h.s for h in quiet) < min(h.s for h in heads)
    needed = [h.log10_needed["FAVOR+"] for h in heads]
    # log10 of e^S / 0.01, averaged over keys
    assert max(needed) == pytest.approx(max(h.s for h in heads) / 2.302585 + 2, abs=0.1)


def test_a_bias_that_all_keys_share_costs_features_until_they_are_centred() -> None:
    model = deepcopy(tiny("qwen2"))
    for layer in model.model.layers:
        layer.self_attn.k_proj.bias.data += 5.0
    heads = geometry(read_prompt(adapt(model), random_prompt()))
    assert sum(h.s_raw for h in heads) > 1.2 * sum(h.s for h in heads)


def test_depth_errors_fall_with_d() -> None:
    prompt = read(weights=0.02)
    few, many = (
        depth_errors(prompt, middle(), "FAVOR+", [draw_directions(size, 8, seed=s) for s in (1, 2)])
        for size in (16, 4096)
    )
    assert few.shape == (2, 4)
    assert (few[:, 0] == 0).all()
    assert (many[:, 1:] < 0.3 * few[:, 1:]).all()
    assert (many[:, 1:] > 0).all()


def test_samples_lead_from_w0_to_the_model() -> None:
    with exact_norms(adapt(tiny("llama"))):
        prompt = read()
        decoder = DualDecoder(prompt, middle())
        row = decoder.step(int(prompt.ids[-1]))
        states = partial_states(decoder.last_layer)
    assert states.shape == (16, 64)
    assert_close(states[-1], row.states[-1], 1e-10)
    step = decoder.last_layer
    without = step.output((step.problem.initial @ step.feature[..., None])[..., 0])
    assert_close(states[0], without, 1e-10)


def test_the_curve_ends_where_the_truth_is_emitted() -> None:
    with exact_norms(adapt(tiny("llama"))):
        prompt = read()
        written, rows = DualDecoder(prompt, middle()).generate(5)
        token = written[3]
        first = written.index(token)
        target = emitting_state(rows, token)
        curve = convergence_curve(prompt, middle(), token, target, 5)
    assert curve.tokens == tuple(written)
    assert curve.distances.shape == (5, 16)
    assert float(curve.distances[first, -1]) == pytest.approx(0, abs=1e-15)
    assert float(curve.distances[first, 0]) > 1e-6 * curve.target_norm
    assert curve.matches == tuple(t == token for t in written)


def test_a_truth_that_is_never_emitted_has_the_nearest_state() -> None:
    rows = DualDecoder(read(), middle()).generate(4)[1]
    written = {int(row.logits.argmax()) for row in rows}
    token = next(t for t in range(97) if t not in written)
    margins = [float(row.logits.max() - row.logits[token]) for row in rows]
    best = rows[min(range(4), key=margins.__getitem__)]
    assert emitting_state(rows, token) is not None
    assert_close(emitting_state(rows, token), best.states[-1])
