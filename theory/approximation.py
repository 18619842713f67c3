"""How far random features are from a real head: S, the error against D, the error against depth.

Answers the paper's open question whether D of about 100 is enough (docs/theory.md, section 4).

Notation: S -> |x + y|^2 with x = q / d^(1/4), y = k / d^(1/4); D -> number of features.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import log, log10

import torch
from torch import Tensor

from lrgd.theory.attention import linearised_attention
from lrgd.theory.decoder import DualDecoder, HeadInputs, head_inputs
from lrgd.theory.exact_maps import OneHotMap
from lrgd.theory.feature_maps import (
    MAPS,
    PAIRED,
    Features,
    MapName,
    RandomFeatures,
    log_relative_variance,
)
from lrgd.theory.last_row import last_row
from lrgd.theory.preconditioning import centred
from lrgd.theory.prompt_state import PromptState

SIZES = (32, 128, 512, 2048, 8192)
"""D, number of features."""


BLOCK = 512
"""Directions whose features are held at once."""
ACCURACY = 0.1
"""Relative error of exp(x.y) that a D is asked for."""


@dataclass(frozen=True, slots=True)
class HeadGeometry:
    """What one head asks of random features, at a prompt's last token, keys centred."""

    layer: int
    head: int
    s: float
    """Mean of S over the keys, weighted with their attention."""
    s_raw: float
    """The same before centring the keys."""
    log10_needed: dict[MapName, float]
    """log10 of the D whose error on exp(x.y) is `ACCURACY`, weighted mean over the keys."""


@dataclass(frozen=True, slots=True)
class Centred:
    """A random map of keys centred after RoPE, which attention does not notice."""

    inner: RandomFeatures

    def __call__(self, queries: Tensor, keys: Tensor) -> Features:
        return self.inner(queries, centred(keys))


def heads_of(prompt: PromptState) -> Iterator[HeadInputs]:
    """Every layer's head inputs at the prompt's last token."""
    for row, keys, values in zip(last_row(prompt), prompt.keys, prompt.values, strict=True):
        yield head_inputs(row.layer, row.queries, keys, values, row.positions)


def sample_of_heads(prompt: PromptState, most: int) -> list[HeadInputs]:
    """All heads one by one, or evenly spaced ones where there are more than `most`."""
    layers = list(heads_of(prompt))
    places = [(layer, head) for layer in layers for head in range(len(layer.queries))]
    count = min(most, len(places))
    wanted = [places[round(i * (len(places) - 1) / max(1, count - 1))] for i in range(count)]

    def one(layer: HeadInputs, head: int) -> HeadInputs:
        q, k, v = (part[head : head + 1] for part in (layer.queries, layer.keys, layer.values))
        return HeadInputs(q, k, v, layer.positions)

    return [one(*place) for place in wanted]


@torch.no_grad()
def geometry(prompt: PromptState) -> list[HeadGeometry]:
    """S of every head, and the D that it would need."""
    return [
        head_geometry(layer, head, inputs)
        for layer, inputs in enumerate(heads_of(prompt))
        for head in range(len(inputs.queries))
    ]


def head_geometry(layer: int, head: int, inputs: HeadInputs) -> HeadGeometry:
    """S of one of a layer's heads and the D that it would need, in float64."""
    x, raw = inputs.queries[head].double(), inputs.keys[head].double()
    y, weights = centred(raw), (raw @ x[0]).softmax(0)

    def mean(of_keys: Tensor) -> float:
        return float(weights @ of_keys)

    def needed(name: MapName) -> float:
        per_feature = mean(log_relative_variance(name, x, y)) / log(10)
        return per_feature - 2 * log10(ACCURACY) + (log10(2) if name in PAIRED else 0.0)

    s, s_raw = ((x + keys).square().sum(-1) for keys in (y, raw))
    return HeadGeometry(layer, head, mean(s), mean(s_raw), {name: needed(name) for name in MAPS})


@torch.no_grad()
def feature_errors(
    inputs: HeadInputs, name: MapName, sizes: Sequence[int], draws: Sequence[Tensor]
) -> Tensor:
    """Relative errors |h_D - h| / |h| of a layer's heads, shape (sizes, draws, H).

    Args:
        inputs: of one layer's heads.
        name: the map.
        sizes: D, ascending.
        draws: directions, shape (at least the largest D, d); a smaller D takes the first of them.

    An estimate that is not finite counts as infinitely wrong.
    """
    queries, keys = inputs.queries.double(), centred(inputs.keys.double())
    values = inputs.values.double()
    exact = linearised_attention(OneHotMap()(queries, keys), values)

    def errors(directions: Tensor) -> Tensor:
        outputs = _outputs(name, directions, queries, keys, values, sizes)
        relative: Tensor = ((outputs - exact).norm(dim=-1) / exact.norm(dim=-1))[..., 0]
        return relative.nan_to_num(nan=torch.inf, posinf=torch.inf)

    return torch.stack([errors(directions) for directions in draws], dim=1)


def _outputs(
    name: MapName,
    directions: Tensor,
    queries: Tensor,
    keys: Tensor,
    values: Tensor,
    sizes: Sequence[int],
) -> Tensor:
    """Linearised attention at every D in one pass over the directions: (sizes, H, 1, d).

    Features come block by block and only the kernel's running sum stays, on a running log scale:
    all of them at once would take gigabytes.
    """
    kernel = torch.zeros_like(queries @ keys.mT)
    scale = torch.full_like(kernel[..., :1], -torch.inf)
    outputs, done = [], 0
    for size in sizes:
        end = size // 2 if name in PAIRED else size
        for start in range(done, end, BLOCK):
            block = directions[start : min(start + BLOCK, end)]
            features = RandomFeatures(name, block)(queries, keys)
            # A map's features carry 1 / count; the sum of blocks needs them without it.
            part = len(block) * features.queries @ features.keys.mT
            larger = torch.maximum(scale, features.log_scale[..., None])
            kernel = kernel * (scale - larger).exp()
            kernel += part * (features.log_scale[..., None] - larger).exp()
            scale = larger
        done = end
        outputs.append(kernel @ values / kernel.sum(-1, keepdim=True))
    return torch.stack(outputs)


@torch.no_grad()
def depth_errors(
    prompt: PromptState, demonstration: Tensor, name: MapName, draws: Sequence[Tensor]
) -> Tensor:
    """Relative errors of the residual stream after each layer, shape (draws, L + 1).

    A chain of duals with random features against the same chain with exact ones.
    """
    token = int(prompt.ids[-1])
    exact = DualDecoder(prompt, demonstration).step(token).states

    def error(directions: Tensor) -> Tensor:
        phi = Centred(RandomFeatures(name, directions))
        states = DualDecoder(prompt, demonstration, feature_map=phi).step(token).states
        relative: Tensor = (states - exact).norm(dim=-1) / exact.norm(dim=-1)
        return relative

    return torch.stack([error(directions) for directions in draws])
