"""What the model says next without some tokens: masked for the last token only, or for all.

Masking keeps every other token where it stands; deleting would move the text after it. What whole
continuations lose is `continuations.log_likelihoods` with `hidden`.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from lrgd.theory.continuations import logits_without
from lrgd.theory.last_row import last_row
from lrgd.theory.prompt_state import PromptState


@torch.no_grad()
def masked_at_answer(prompt: PromptState, hidden: Tensor) -> Tensor:
    """Logits when the last token does not see some tokens, shape (vocabulary,).

    The others saw them still: their keys and values stay, the constants of the dual.

    Args:
        prompt: what the model has read.
        hidden: booleans of shape (n,), not the last.

    Raises:
        InputError: it marks padding or the last token, or has another length.
    """
    prompt.check_part(hidden)
    bias = torch.zeros(len(prompt), dtype=prompt.logits.dtype, device=prompt.ids.device)
    bias[hidden] = -torch.inf
    for row in last_row(prompt, [bias] * len(prompt.decoder.layers)):
        state = row.state
    return prompt.decoder.logits(state)


def masked_everywhere(prompt: PromptState, groups: Sequence[Sequence[int]]) -> Tensor:
    """Logits when no token sees the tokens of a group, for each group by itself.

    Args:
        prompt: what the model has read.
        groups: positions, one group a counterfactual.

    Returns:
        Shape (groups, vocabulary).

    Raises:
        InputError: a group holds padding or the last token.
    """
    return torch.stack([logits_without(prompt, group) for group in groups])
