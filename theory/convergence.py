"""Figure 8: how the dual model approaches the state that emits the ground truth's token.

x = (k - 1) N_D + j for output token k and demonstration sample j; y = |f_{k,j}(q_k) - h*|^2 with
f_{k,j} = W0 phi + sum_{i <= j} p_i v_i in the last layer, taken through its frozen feed-forward
part. Axes reconstructed. "Convergence" is the paper's word: the loss is linear, one epoch ends
where the model is, another would walk on.
"""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from lrgd.theory.decoder import DualDecoder, LayerStep, Row
from lrgd.theory.dual import apply
from lrgd.theory.prompt_state import PromptState


@dataclass(frozen=True, slots=True)
class Curve:
    """Distances along the samples of several output tokens."""

    distances: Tensor
    """|f - h*|^2, shape (output tokens, N_D + 1): column 0 is W0, before any sample."""
    target_norm: float
    """|h*|^2, to set the distances against."""
    tokens: tuple[int, ...]
    """What the model wrote."""
    first_rank: int
    """Of the ground truth's token in the whole vocabulary, at the first output token."""
    matches: tuple[bool, ...]
    """After the last sample of a token: is its argmax the ground truth's token?"""


def emitting_state(rows: list[Row], token: int) -> Tensor:
    """h*: the last state of the first row that emits a token, or the row nearest to emitting it."""
    margins = [float(row.logits.max() - row.logits[token]) for row in rows]
    return rows[margins.index(min(margins))].states[-1]


@torch.no_grad()
def convergence_curve(
    prompt: PromptState, demonstration: Tensor, token: int, target: Tensor, outputs: int
) -> Curve:
    """Distances to h* for `outputs` greedy tokens.

    Args:
        prompt: what the model has read.
        demonstration: which of its tokens are D, booleans of shape (n,).
        token: the ground truth's.
        target: h*, shape (hidden,); that of another demonstration for a fair comparison.
        outputs: tokens to write.
    """
    decoder = DualDecoder(prompt, demonstration)
    last, distances, tokens, matches = int(prompt.ids[-1]), [], [], []
    first_rank = 1 + int((prompt.logits > prompt.logits[token]).sum())
    for _ in range(outputs):
        row = decoder.step(last)
        states = partial_states(decoder.last_layer)
        distances.append((states - target).square().sum(-1))
        emitted = int(prompt.decoder.logits(states[-1]).argmax())
        matches.append(emitted == token)
        last = int(row.logits.argmax())
        tokens.append(last)
    norm = float(target.square().sum())
    return Curve(torch.stack(distances), norm, tuple(tokens), first_rank, tuple(matches))


def partial_states(step: LayerStep) -> Tensor:
    """The layer's output after 0, 1, ... all samples, each one SGD step: (N_D + 1, hidden)."""
    problem, weight = step.problem, step.problem.initial
    heads = [apply(weight, step.feature)]
    for sample in range(problem.targets.shape[-2]):
        one = replace(
            problem,
            initial=weight,
            targets=problem.targets[..., sample : sample + 1, :],
            features=problem.features[..., sample : sample + 1, :],
        )
        weight = one.trained()
        heads.append(apply(weight, step.feature))
    return torch.stack([step.output(h) for h in heads])
