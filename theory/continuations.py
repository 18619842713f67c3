"""How likely whole texts are after a prompt, also where no token sees some of the prompt's tokens.

The prompt's keys and values serve up to the first hidden token; what follows is read again where it
stood, without the hidden tokens. Continuations lie side by side in one row, each of which sees the
prompt and itself: nothing is padded, and the keys are not copied for each.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from transformers import DynamicCache

from lrgd.core.errors import InputError
from lrgd.theory.prompt_state import PromptState

ROW = 384
"""About how many tokens are read in one row. Attention between the row's parts is computed in vain;
in rows of this length that stays small."""


@torch.no_grad()
def log_likelihoods(
    prompt: PromptState, continuations: Sequence[Sequence[int]], hidden: Sequence[int] = ()
) -> Tensor:
    """log p(continuation | prompt) in nats, the sum over its tokens, for each of them.

    Args:
        prompt: what the model has read.
        continuations: token ids, at least one each.
        hidden: positions in the prompt that no token sees; the others keep their places.

    Returns:
        Shape (continuations,).

    Raises:
        InputError: the model's context has no room, or `hidden` has padding or the last token.
    """
    room = prompt.decoder.context - (len(prompt) - prompt.padding)
    longest = max(map(len, continuations))
    if longest > room:
        raise InputError(f"the model's context has room for {room} tokens, wanted {longest}")
    stem = _stem(prompt, hidden)
    rows = (_scored(prompt, stem, row) for row in _rows(continuations))
    return torch.cat(list(rows))


@torch.no_grad()
def logits_without(prompt: PromptState, hidden: Sequence[int]) -> Tensor:
    """Logits (vocabulary,) of the token after the prompt where no token sees those at `hidden`.

    Raises:
        InputError: `hidden` has padding or the last token.
    """
    logits: Tensor = prompt.decoder.head(_states(prompt, _stem(prompt, hidden), ())[-1])
    return logits


@dataclass(frozen=True, slots=True)
class _Stem:
    """What continuations follow: tokens whose keys are known, then tokens to be read again."""

    known: slice
    again: Tensor
    """Positions, at least the prompt's last."""


def _stem(prompt: PromptState, hidden: Sequence[int]) -> _Stem:
    last = len(prompt) - 1
    if any(not prompt.padding <= position < last for position in hidden):
        raise InputError("neither padding nor the last token, which asks, can be masked")
    first = min(hidden, default=last)
    again = [position for position in range(first, last + 1) if position not in set(hidden)]
    return _Stem(slice(prompt.padding, first), torch.tensor(again, device=prompt.ids.device))


def _rows(continuations: Sequence[Sequence[int]]) -> Iterator[list[Sequence[int]]]:
    row: list[Sequence[int]] = []
    for continuation in continuations:
        if row and sum(map(len, row)) + len(continuation) > ROW:
            yield row
            row = []
        row.append(continuation)
    yield row


def _scored(prompt: PromptState, stem: _Stem, row: Sequence[Sequence[int]]) -> Tensor:
    # A continuation's last token is predicted and not read.
    states = _states(prompt, stem, [tokens[:-1] for tokens in row])
    asking, *own = states[len(stem.again) - 1 :].split([1, *(len(tokens) - 1 for tokens in row)])
    predicting = torch.cat([part for read in own for part in (asking, read)])
    # All at once: the head's matrix is larger than a layer.
    logits = prompt.decoder.head(predicting)
    wanted = torch.cat([prompt.ids.new_tensor(tokens) for tokens in row])
    of_tokens = logits.gather(1, wanted[:, None])[:, 0] - logits.logsumexp(-1)
    return torch.stack([part.sum() for part in of_tokens.split([len(tokens) for tokens in row])])


def _states(prompt: PromptState, stem: _Stem, leaves: Sequence[Sequence[int]]) -> Tensor:
    """States after the final norm, shape (tokens read again and of leaves, hidden)."""
    ids = torch.cat([prompt.ids[stem.again], *map(prompt.ids.new_tensor, leaves)])
    sees, places, distances = _tree(len(prompt), stem, [len(leaf) for leaf in leaves])
    pairs = zip(prompt.keys, prompt.values, strict=True)
    cache = DynamicCache([(k[None, :, stem.known], v[None, :, stem.known]) for k, v in pairs])
    output = prompt.decoder.model.model(
        ids[None],
        attention_mask=prompt.decoder.attention_mask(sees, distances, like=prompt.logits),
        position_ids=(places - prompt.padding)[None],
        cache=cache,
        use_cache=True,
    )
    states: Tensor = output.last_hidden_state[0]
    return states


def _tree(end: int, stem: _Stem, lengths: Sequence[int]) -> tuple[Tensor, Tensor, Tensor]:
    """Who sees whom (q, known + q), where the q tokens stand (q,), how far apart they are.

    Every leaf stands after the prompt, at `end`; it sees the stem and its own tokens.
    """
    device = stem.again.device
    owners = [torch.full_like(stem.again, -1)]
    places = [stem.again]
    for leaf, length in enumerate(lengths):
        owners.append(torch.full((length,), leaf, device=device))
        places.append(torch.arange(end, end + length, device=device))
    owner, place = torch.cat(owners), torch.cat(places)
    known = torch.arange(stem.known.start, stem.known.stop, device=device)
    distances = place[:, None] - torch.cat([known, place])
    family = torch.cat([torch.full_like(known, -1), owner])
    sees = (distances >= 0) & ((family == -1) | (family == owner[:, None]))
    return sees, place, distances
