"""Measures an `Equivalence` step by step: exact duals against the model, where the demonstration's
effect comes from, figure 8, S of the heads, random features against exact ones.

Sampled, since a real model has hundreds of heads: random features are measured on `SAMPLED_HEADS`
of them, through all layers with one draw, and float64 compares `DOUBLE_TOKENS` tokens.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from lrgd.agents.values import Ranking
from lrgd.explain.equivalence import (
    OUTPUT_TOKENS,
    Advantages,
    Equivalence,
    Exactness,
    Lab,
    Precision,
    Spread,
)
from lrgd.explain.explanation import where_titles_differ
from lrgd.explain.model import ranked
from lrgd.theory import (
    Decoder,
    DualDecoder,
    PromptState,
    adapt,
    exact_norms,
    greedy,
    log_likelihoods,
    masked_at_answer,
    masked_everywhere,
    read_prompt,
)
from lrgd.theory.approximation import SIZES, depth_errors, feature_errors, geometry, sample_of_heads
from lrgd.theory.convergence import convergence_curve, emitting_state
from lrgd.theory.decoder import Row
from lrgd.theory.feature_maps import MAPS, PAIRED, MapName

SAMPLED_HEADS = 30
DOUBLE_TOKENS = 8
DEPTH_SIZE = 512
"""D of the error against depth."""

Report = Callable[[str, float], None]
"""Called with what is being done, and which part of all is done by then, 0 to 1."""
Tick = Callable[[float], None]
"""Called with the part of a step that is done, 0 to 1."""


def measure(lab: Lab, report: Report) -> Iterator[tuple[str, Equivalence]]:
    """Everything, on one ranking prompt.

    Yields:
        The step that was finished, and all that was measured by then.

    Raises:
        InputError: the prompt does not fit the model.
    """
    case, whole, done = lab.case, sum(share for share, _ in STEPS.values()), 0.0
    measured = Equivalence(
        model=case.local.name,
        user=case.task.user_id,
        prompt_tokens=len(case.good.partition.ids),
        demonstration=case.demonstration,
        demonstration_tokens=int(lab.of_d.sum()),
        bad_demonstration=case.bad_demonstration,
    )
    for name, (share, step) in STEPS.items():
        report(name, done / whole)

        def tick(part: float, at: tuple[str, float, float] = (name, done, share)) -> None:
            report(at[0], (at[1] + part * at[2]) / whole)

        measured, done = step(lab, measured, tick), done + share
        report(name, done / whole)
        yield name, measured


def _single(lab: Lab, measured: Equivalence, tick: Tick) -> Equivalence:
    row = _exactness(lab.state, lab.of_d, lab.tokens, "float32", tick)
    return replace(measured, exactness=(*measured.exactness, row))


def _double(lab: Lab, measured: Equivalence, tick: Tick) -> Equivalence:
    with in_double(lab.case.local.model) as decoder:
        state = read_prompt(decoder, lab.case.good.partition.ids)
        row = _exactness(state, lab.of_d, min(lab.tokens, DOUBLE_TOKENS), "float64", tick)
    return replace(measured, exactness=(*measured.exactness, row))


@contextmanager
def in_double(model: Any) -> Iterator[Decoder]:
    """The same weights in float64, norms included. Afterwards they are float32 again, unchanged."""
    decoder = adapt(model.double())
    try:
        with exact_norms(decoder):
            yield decoder
    finally:
        model.float()


def _exactness(
    state: PromptState, of_d: Tensor, tokens: int, precision: Precision, tick: Tick
) -> Exactness:
    ours = DualDecoder(state, of_d, through_layers=True).step(int(state.ids[-1]))
    tick(0.4)
    written, rows = DualDecoder(state, of_d).generate(tokens)
    tick(0.8)
    expected, models = greedy(state, tokens)
    agree = [a == b for a, b in zip(written, expected, strict=True)]
    same = agree.index(False) if False in agree else tokens
    return Exactness(
        precision,
        heads=_gap(ours.heads, models[0].heads),
        states=_gap(ours.states, models[0].states),
        largest_state=float(models[0].states.abs().max()),
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


def _advantages(lab: Lab, measured: Equivalence, tick: Tick) -> Equivalence:
    prompt, target = lab.case.good, lab.case.task.target_id or ""
    ranking = _ranking(lab)
    rival = next(i for i in ranking.order if prompt.titles[i] != prompt.titles[target])
    tick(0.5)
    state, of_d, tokens = where_titles_differ(lab.state, prompt, target, rival)
    hidden = of_d.nonzero()[:, 0].tolist()
    pair = prompt.titles[target], prompt.titles[rival]

    def advantage(logits: Tensor) -> float:
        return float(logits[tokens[0]] - logits[tokens[1]])

    def of_titles(hidden: list[int]) -> float:
        of_target, of_rival = log_likelihoods(lab.state, pair, hidden).tolist()
        return float(of_target - of_rival)

    untrained = DualDecoder(state, of_d, trained=False).step(int(state.ids[-1]))
    advantages = Advantages(
        rival=next(c.title for c in lab.case.task.candidates if c.id == rival),
        rank=ranking.rank_of(target),
        whole_prompt=advantage(state.logits),
        without_step=advantage(untrained.logits),
        masked_at_answer=advantage(masked_at_answer(state, of_d)),
        masked_everywhere=advantage(masked_everywhere(state, [hidden])[0]),
        titles=of_titles([]),
        titles_masked=of_titles(hidden),
    )
    return replace(measured, advantages=advantages)


def _ranking(lab: Lab) -> Ranking:
    prompt, decoder = lab.case.good, lab.case.local.decoder
    anybody = prompt.likelihoods(read_prompt(decoder, prompt.content_free))
    return ranked(prompt.likelihoods(lab.state), anybody, lab.case.task.candidates)


def _figure8(lab: Lab, measured: Equivalence, tick: Tick) -> Equivalence:
    case = lab.case
    target = emitting_state(list(case.rows), case.token)
    good = convergence_curve(lab.state, lab.of_d, case.token, target, OUTPUT_TOKENS)
    tick(0.5)
    state = read_prompt(case.local.decoder, case.bad.partition.ids)
    of_d = case.bad.partition.demonstration
    bad = convergence_curve(state, of_d, case.token, target, OUTPUT_TOKENS)
    return replace(measured, good=good, bad=bad)


def _geometry(lab: Lab, measured: Equivalence, tick: Tick) -> Equivalence:
    return replace(measured, heads=tuple(geometry(lab.state)))


def _features(lab: Lab, measured: Equivalence, tick: Tick) -> Equivalence:
    sample = sample_of_heads(lab.state, SAMPLED_HEADS)
    draws = [lab.directions(seed) for seed in range(lab.seeds)]
    errors: dict[MapName, dict[int, Spread]] = {}
    for done, name in enumerate(MAPS):
        tick(done / len(MAPS))
        by_head = [feature_errors(inputs, name, SIZES, draws) for inputs in sample]
        medians = torch.cat(by_head, dim=-1).median(-1).values
        errors[name] = {size: _spread(row) for size, row in zip(SIZES, medians, strict=True)}
    return replace(measured, feature_heads=len(sample), feature_errors=errors)


def _depth(lab: Lab, measured: Equivalence, tick: Tick) -> Equivalence:
    errors: dict[MapName, tuple[float, ...]] = {}
    with in_double(lab.case.local.model) as decoder:
        state = read_prompt(decoder, lab.case.good.partition.ids)
        for done, name in enumerate(MAPS):
            tick(done / len(MAPS))
            few = lab.directions(0)[: DEPTH_SIZE // 2 if name in PAIRED else DEPTH_SIZE]
            errors[name] = tuple(depth_errors(state, lab.of_d, name, [few])[0].tolist())
    return replace(measured, depth_size=DEPTH_SIZE, depth_errors=errors)


def _spread(values: Tensor) -> Spread:
    return Spread(float(values.median()), float(values.min()), float(values.max()))


STEPS: dict[str, tuple[float, Callable[[Lab, Equivalence, Tick], Equivalence]]] = {
    "exact dual, float32": (16.0, _single),
    "advantages": (10.0, _advantages),
    "figure 8": (12.0, _figure8),
    "S of the heads": (1.0, _geometry),
    "random features": (30.0, _features),
    "exact dual, float64": (22.0, _double),
    "error against depth": (14.0, _depth),
}
"""Name -> seconds of one core that the step takes (for the time left), and the step."""
