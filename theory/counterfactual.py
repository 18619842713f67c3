"""What the model says without some tokens: masked for the last token only, or for all.

Masking keeps every other token where it stands; deleting would move the text after it.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from memory.errors import InputError
from theory.last_row import last_row
from theory.prompt_state import PromptState

TOKENS_AT_ONCE = 6_000
"""Bound on a batch, in tokens: memory stays that of one long prompt."""


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


@torch.no_grad()
def masked_everywhere(prompt: PromptState, groups: Sequence[Sequence[int]]) -> Tensor:
    """Logits when no token sees the tokens of a group, for each group by itself.

    Args:
        prompt: what the model has read.
        groups: positions, one group a counterfactual. One forward pass each.

    Returns:
        Shape (groups, vocabulary).

    Raises:
        InputError: a group holds the last token, or all that the first tokens could see.
    """
    batch = max(1, TOKENS_AT_ONCE // len(prompt))
    chunks = [groups[i : i + batch] for i in range(0, len(groups), batch)]
    logits = torch.cat([_forward_masked(prompt, chunk) for chunk in chunks])
    if not logits.isfinite().all():
        raise InputError("with these tokens masked the prompt's first token sees nothing")
    return logits


def _forward_masked(prompt: PromptState, groups: Sequence[Sequence[int]]) -> Tensor:
    n = len(prompt)
    mask = torch.ones(len(groups), n, dtype=torch.long, device=prompt.ids.device)
    mask[:, : prompt.padding] = 0
    for row, group in zip(mask, groups, strict=True):
        if n - 1 in group:
            raise InputError("the last token asks for the answer: it cannot be masked")
        row[list(group)] = 0
    positions = (torch.arange(n, device=mask.device) - prompt.padding).clamp_min(0)
    output = prompt.decoder.model(
        prompt.ids.expand(len(groups), -1),
        attention_mask=mask,
        position_ids=positions.expand(len(groups), -1),
        use_cache=False,
        logits_to_keep=1,
    )
    logits: Tensor = output.logits[:, -1]
    return logits
