"""What a packed row of tokens attends to, in the place of transformers' own attention.

Sequences are packed into one row without padding; a `Reading` says for each layer which keys a
token sees. Nothing that is read depends on what else is under way: prompts are read in blocks of
one size (`lrgd.serving.embedded.prefixes`), and each sequence attends by itself.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface

NAME = "lrgd"
"""Under which transformers knows this attention."""


class Reading(Protocol):
    """One forward pass over a packed row of n tokens."""

    positions: Tensor
    """Position of each token, shape (n,)."""

    def attend(self, layer: int, query: Tensor, key: Tensor, value: Tensor, how: "How") -> Tensor:
        """Attention outputs (heads, n, d) of queries (heads, n, d); keys, values (groups, n, d)."""
        ...


@dataclass(frozen=True, slots=True)
class How:
    """What a layer says of its attention."""

    scale: float
    window: int | None
    """Keys that a token sees at most, itself included; None for all."""


Heads = Mapping[int, Sequence[int]]
"""Layer -> query heads of it."""


@dataclass(frozen=True, slots=True)
class Watch:
    """Attention that is kept: what some heads pay to the first so many tokens."""

    heads: Heads
    tokens: int


@dataclass(frozen=True, slots=True)
class Block:
    """Tokens that were read: keys and values of each layer (groups, n, d), states (n, width)."""

    keys: tuple[Tensor, ...]
    values: tuple[Tensor, ...]
    states: Tensor
    watched: Tensor | None = None
    """What a `Watch` asked for, summed over the block's tokens: (heads, tokens watched)."""

    def __len__(self) -> int:
        return len(self.states)


class Continuations:
    """Texts that go on from one prefix, each for itself.

    Args:
        prefix: what all of them follow.
        lengths: tokens of each text; they stand one after the other in the row.
        watch: attention of the row's tokens that is kept.
    """

    def __init__(
        self, prefix: Sequence[Block], lengths: Sequence[int], watch: Watch | None = None
    ) -> None:
        self.prefix = prefix
        self.past = sum(map(len, prefix))
        self.positions = torch.cat([torch.arange(n) + self.past for n in lengths])
        self.keys: list[Tensor] = []
        self.values: list[Tensor] = []
        self._watch = watch or Watch({}, 0)
        self._watched: list[Tensor] = []
        self._texts = torch.cat([torch.full((n,), t) for t, n in enumerate(lengths)])
        self._masks: dict[int | None, Tensor] = {}

    def attend(self, layer: int, query: Tensor, key: Tensor, value: Tensor, how: How) -> Tensor:
        self.keys.append(key)
        self.values.append(value)
        keys = torch.cat([*(block.keys[layer] for block in self.prefix), key], dim=1)
        values = torch.cat([*(block.values[layer] for block in self.prefix), value], dim=1)
        mask = self._mask(how.window).to(query.device)
        for head in self._watch.heads.get(layer, ()):
            group = head // (len(query) // len(key))
            scores = query[head].float() @ keys[group].float().T * how.scale
            weights = scores.masked_fill(~mask, -torch.inf).softmax(dim=-1)
            self._watched.append(weights[:, : self._watch.tokens].sum(dim=0))
        return _attention(query, keys, values, how, mask)

    def block(self, states: Tensor) -> Block:
        """What was read, for those who go on from it."""
        watched = torch.stack(self._watched) if self._watched else None
        return Block(tuple(self.keys), tuple(self.values), states, watched)

    def _mask(self, window: int | None) -> Tensor:
        """Whether a token (row) sees a key (column): shape (n, past + n)."""
        if window not in self._masks:
            own = self.positions[:, None] >= self.positions[None]
            own &= self._texts[:, None] == self._texts[None]
            mask = torch.cat([torch.ones(len(own), self.past, dtype=torch.bool), own], dim=1)
            if window is not None:
                places = torch.cat([torch.arange(self.past), self.positions])
                mask &= self.positions[:, None] - places[None] < window
            self._masks[window] = mask
        return self._masks[window]


class Growing:
    """Keys and values of a sequence that is being written, with room for what comes."""

    def __init__(self, blocks: Sequence[Block], room: int) -> None:
        self.length = sum(map(len, blocks))
        self._blocks = blocks
        self._room = self.length + room
        self._keys: list[Tensor] = []
        self._values: list[Tensor] = []

    def put(self, layer: int, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
        """Keep a token's key and value (groups, d); all of the layer's so far (groups, n, d).

        Layers come in order, lowest first, for each token.
        """
        if layer == len(self._keys):
            self._keys.append(self._with_room([b.keys[layer] for b in self._blocks], key))
            self._values.append(self._with_room([b.values[layer] for b in self._blocks], value))
        keys, values = self._keys[layer], self._values[layer]
        keys[:, self.length], values[:, self.length] = key, value
        return keys[:, : self.length + 1], values[:, : self.length + 1]

    def _with_room(self, parts: Sequence[Tensor], like: Tensor) -> Tensor:
        groups, width = like.shape
        return torch.cat([*parts, like.new_zeros(groups, self._room - self.length, width)], dim=1)


class NextTokens:
    """One further token for each of some sequences, in a row of `slots` tokens.

    The row is always of the same length: the outputs of a matrix product change in their last
    digits with the number of its rows, and with them a sampled text.
    """

    def __init__(self, sequences: Sequence[Growing], slots: int) -> None:
        self.sequences = sequences
        unused = slots - len(sequences)
        self.positions = torch.tensor([*(s.length for s in sequences), *([0] * unused)])

    def attend(self, layer: int, query: Tensor, key: Tensor, value: Tensor, how: How) -> Tensor:
        out = torch.zeros_like(query)
        for n, sequence in enumerate(self.sequences):
            keys, values = sequence.put(layer, key[:, n], value[:, n])
            seen = slice(-how.window, None) if how.window else slice(None)
            out[:, n : n + 1] = _attention(query[:, n : n + 1], keys[:, seen], values[:, seen], how)
        return out


def _attention(
    query: Tensor, keys: Tensor, values: Tensor, how: How, mask: Tensor | None = None
) -> Tensor:
    # Heads that share keys stand one below the other, as if they were further queries: with
    # PyTorch's own way to share them one query costs six times as much on a processor.
    heads, n, width = query.shape
    shared = heads // len(keys)
    rows = query.reshape(len(keys), shared * n, width)
    seen = None if mask is None else mask.repeat(shared, 1)
    out = scaled_dot_product_attention(
        rows[None], keys[None], values[None], attn_mask=seen, scale=how.scale
    )
    return out.reshape(heads, n, -1)


def _of_transformers(
    module: Any,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    mask: None,
    scaling: float,
    *,
    reading: Reading,
    sliding_window: int | None = None,
    **other: Any,
) -> tuple[Tensor, None]:
    """An attention function as transformers calls it; tensors are (1, heads, n, d)."""
    how = How(scaling, sliding_window)
    out = reading.attend(module.layer_idx, query[0], key[0], value[0], how)
    return out.transpose(0, 1)[None].contiguous(), None


AttentionInterface.register(NAME, _of_transformers)
