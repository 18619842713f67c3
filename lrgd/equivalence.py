"""Measures on a model's own weights what holds of in-context learning as gradient descent.

Exact duals against the model, random features against exact ones, S of the heads, figure 8, and
where the demonstration's effect on the ranking comes from.
"""

from collections.abc import Callable
from copy import deepcopy
from dataclasses import asdict, dataclass
from math import isfinite
from typing import Any, Literal

import torch
from torch import Tensor

from agents.values import RankingTask
from lrgd.local_model import LocalModel, RankingPrompt, ranking_prompt
from theory import (
    Decoder,
    DualDecoder,
    PromptState,
    adapt,
    exact_norms,
    greedy,
    masked_at_answer,
    masked_everywhere,
    read_prompt,
)
from theory.approximation import (
    SIZES,
    HeadGeometry,
    depth_errors,
    feature_errors,
    geometry,
    heads_of,
)
from theory.convergence import Curve, convergence_curve, emitting_state
from theory.decoder import Row
from theory.draws import draw_directions
from theory.feature_maps import MAPS, PAIRED, MapName

Report = Callable[[str], None]
OUTPUT_TOKENS = 4
"""Output tokens in figure 8."""
DEPTH_SIZE = 512
"""D of the error against depth."""


@dataclass(frozen=True, slots=True)
class Exactness:
    """Largest absolute differences between the model and its exact duals, in one precision."""

    precision: Literal["float32", "float64"]
    heads: float
    states: float
    logits: float
    largest_logit: float
    tokens: int
    same_tokens: int
    """How many greedy tokens agree before the first that does not."""
    later_logits: float
    """Largest logit difference until then."""


@dataclass(frozen=True, slots=True)
class Spread:
    """The median over heads, for each seed: middle, least and largest."""

    median: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Advantages:
    """Logit of the true item minus its rival's, under what the prompt's readers may see."""

    whole_prompt: float
    without_step: float
    """W0 alone: the gradient step on D is left out."""
    masked_at_answer: float
    """The last token does not see D; the tokens between have seen it."""
    masked_everywhere: float
    """No token sees D."""


@dataclass(frozen=True, slots=True)
class Equivalence:
    """All that was measured."""

    model: str
    user: str
    prompt_tokens: int
    demonstration: str
    demonstration_tokens: int
    bad_demonstration: str
    exactness: tuple[Exactness, ...]
    advantages: Advantages
    heads: tuple[HeadGeometry, ...]
    feature_errors: dict[MapName, dict[int, Spread]]
    depth_errors: dict[MapName, tuple[Spread, ...]]
    depth_size: int
    good: Curve
    bad: Curve

    def numbers(self) -> dict[str, Any]:
        """As JSON, with null where an estimate failed altogether and is infinite."""
        found: dict[str, Any] = _plain(asdict(self))
        return found


def measure(
    local: LocalModel,
    task: RankingTask,
    demonstration: str,
    bad_demonstration: str,
    *,
    tokens: int,
    seeds: int,
    report: Report,
) -> Equivalence:
    """Everything, on one ranking prompt.

    Args:
        local: the model, in float32.
        task: its target is the ground truth.
        demonstration: the good one.
        bad_demonstration: for figure 8.
        tokens: greedy tokens to compare.
        seeds: draws of random features.
        report: is told what begins.

    Raises:
        InputError: the prompt does not fit the model.
    """
    target = task.target
    assert target is not None
    good = ranking_prompt(local, task, demonstration)
    bad = ranking_prompt(local, task, bad_demonstration)
    report("exact dual, float32")
    single = _exactness(local.decoder, good, tokens, "float32")
    report("exact dual, float64")
    decoder = adapt(deepcopy(local.model).double())
    with exact_norms(decoder):
        double = _exactness(decoder, good, tokens, "float64")
        prompt = read_prompt(decoder, good.partition.ids)
        report("what the step adds")
        advantages = _advantages(prompt, good, task)
        report("random features")
        width = decoder.layers[0].head_dim
        draws = [draw_directions(max(SIZES), width, seed=seed) for seed in range(seeds)]
        errors = _feature_errors(prompt, draws)
        depth = _depth_errors(prompt, good.partition.demonstration, draws)
        report("figure 8")
        curves = _curves(prompt, read_prompt(decoder, bad.partition.ids), good, bad, target.id)
        heads = tuple(geometry(prompt))
    return Equivalence(
        model=local.name,
        user=task.user_id,
        prompt_tokens=len(prompt),
        demonstration=demonstration,
        demonstration_tokens=int(good.partition.demonstration.sum()),
        bad_demonstration=bad_demonstration,
        exactness=(single, double),
        advantages=advantages,
        heads=heads,
        feature_errors=errors,
        depth_errors=depth,
        depth_size=DEPTH_SIZE,
        good=curves[0],
        bad=curves[1],
    )


def _exactness(
    decoder: Decoder, ranked: RankingPrompt, tokens: int, precision: Literal["float32", "float64"]
) -> Exactness:
    prompt = read_prompt(decoder, ranked.partition.ids)
    of_d = ranked.partition.demonstration
    ours = DualDecoder(prompt, of_d, through_layers=True).step(int(prompt.ids[-1]))
    written, rows = DualDecoder(prompt, of_d).generate(tokens)
    expected, models = greedy(prompt, tokens)
    agree = [a == b for a, b in zip(written, expected, strict=True)]
    same = agree.index(False) if False in agree else tokens
    return Exactness(
        precision,
        heads=_gap(ours.heads, models[0].heads),
        states=_gap(ours.states, models[0].states),
        logits=_gap(ours.logits, models[0].logits),
        largest_logit=float(models[0].logits.abs().max()),
        tokens=tokens,
        same_tokens=same,
        # After a token that differs the two read different texts.
        later_logits=max(map(_logit_gap, rows[: same + 1], models)),
    )


def _gap(ours: Any, models: Any) -> float:
    pairs = zip(ours, models, strict=True)
    return max(float((a - b).abs().max()) for a, b in pairs)


def _logit_gap(ours: Row, models: Row) -> float:
    return float((ours.logits - models.logits).abs().max())


def _advantages(prompt: PromptState, ranked: RankingPrompt, task: RankingTask) -> Advantages:
    assert task.target_id is not None
    order = ranked.ranking(prompt.logits, task.candidates).order
    rival = next(item for item in order if item != task.target_id)
    of_d = ranked.partition.demonstration

    def advantage(logits: Tensor) -> float:
        return float(logits[ranked.labels[task.target_id or ""]] - logits[ranked.labels[rival]])

    untrained = DualDecoder(prompt, of_d, trained=False).step(int(prompt.ids[-1]))
    return Advantages(
        whole_prompt=advantage(prompt.logits),
        without_step=advantage(untrained.logits),
        masked_at_answer=advantage(masked_at_answer(prompt, of_d)),
        masked_everywhere=advantage(masked_everywhere(prompt, [of_d.nonzero()[:, 0].tolist()])[0]),
    )


def _feature_errors(prompt: PromptState, draws: list[Tensor]) -> dict[MapName, dict[int, Spread]]:
    layers = _some_layers(prompt)
    found: dict[MapName, dict[int, Spread]] = {}
    for name in MAPS:
        by_layer = [feature_errors(inputs, name, SIZES, draws) for inputs in layers]
        of_heads = torch.cat(by_layer, dim=-1).median(-1).values
        found[name] = {size: _spread(row) for size, row in zip(SIZES, of_heads, strict=True)}
    return found


def _some_layers(prompt: PromptState, most: int = 6) -> list[Any]:
    """All layers of a small model, evenly spaced ones of a large one."""
    count = len(prompt.decoder.layers)
    wanted = {round(i * (count - 1) / (most - 1)) for i in range(most)}
    return [inputs for i, inputs in enumerate(heads_of(prompt)) if i in wanted or count <= most]


def _depth_errors(
    prompt: PromptState, demonstration: Tensor, draws: list[Tensor]
) -> dict[MapName, tuple[Spread, ...]]:
    found: dict[MapName, tuple[Spread, ...]] = {}
    for name in MAPS:
        few = [draw[: DEPTH_SIZE // 2 if name in PAIRED else DEPTH_SIZE] for draw in draws]
        errors = depth_errors(prompt, demonstration, name, few)
        found[name] = tuple(_spread(column) for column in errors.T)
    return found


def _curves(
    good_prompt: PromptState,
    bad_prompt: PromptState,
    good: RankingPrompt,
    bad: RankingPrompt,
    target_id: str,
) -> tuple[Curve, Curve]:
    token = good.labels[target_id]
    rows = DualDecoder(good_prompt, good.partition.demonstration).generate(OUTPUT_TOKENS)[1]
    target = emitting_state(rows, token)

    def curve(prompt: PromptState, ranked: RankingPrompt) -> Curve:
        of_d = ranked.partition.demonstration
        return convergence_curve(prompt, of_d, token, target, OUTPUT_TOKENS)

    return curve(good_prompt, good), curve(bad_prompt, bad)


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    if isinstance(value, Tensor):
        return _plain(value.tolist())
    return None if isinstance(value, float) and not isfinite(value) else value


def _spread(values: Tensor) -> Spread:
    return Spread(float(values.median()), float(values.min()), float(values.max()))
