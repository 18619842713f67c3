"""Keys and values of prompts' beginnings: computed once, kept while there is room.

A prompt is read in blocks of BLOCK tokens and a rest. What a block holds depends on the tokens up
to its end alone, never on who read it before or how far; so an answer is the same bytes whether
its prompt's beginning was kept or not.
"""

import hashlib
from array import array
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

from lrgd.serving.embedded.attention import Block, Continuations, Watch
from lrgd.serving.embedded.weights import Weights

BLOCK = 128
"""Tokens; as fast a token as 1,024 at once."""


@dataclass(frozen=True, slots=True)
class Prefix:
    """A text that was read, block by block."""

    blocks: tuple[Block, ...] = ()
    keys: tuple[bytes, ...] = ()
    """What each block is found by: a hash of all tokens up to its end."""

    def __len__(self) -> int:
        return sum(map(len, self.blocks))

    @property
    def key(self) -> bytes:
        return self.keys[-1] if self.keys else b""


class Prefixes:
    """Blocks that were read, those least recently used leave first.

    Args:
        weights: the model that reads.
        capacity: tokens that are kept at most (SmolLM2-135M: 24 kB each).
        layers: how many of the model's layers read; None for all.
    """

    def __init__(self, weights: Weights, capacity: int, layers: int | None = None) -> None:
        self.weights = weights
        self.layers = layers
        self.computed = 0
        """Tokens that were read and not found."""
        self._capacity = capacity
        self._kept: OrderedDict[bytes, Block] = OrderedDict()
        self._tokens = 0

    def read(
        self,
        tokens: Sequence[int],
        after: Prefix | None = None,
        *,
        size: int = BLOCK,
        watch: Watch | None = None,
    ) -> Prefix:
        """Read a text, or what follows another.

        Args:
            after: what stands before these tokens.
            size: tokens of a block.
            watch: attention to keep with each block; the same for the same `after`.
        """
        prefix = after or Prefix()
        for start in range(0, len(tokens), size):
            part = tokens[start : start + size]
            key = _key(prefix.key, part)
            block = self._kept.get(key)
            if block is None:
                block = self._read(prefix, part, key, watch)
            prefix = Prefix((*prefix.blocks, block), (*prefix.keys, key))
        self._touch(prefix)
        return prefix

    def _read(self, before: Prefix, part: Sequence[int], key: bytes, watch: Watch | None) -> Block:
        reading = Continuations(before.blocks, [len(part)], watch)
        block = reading.block(self.weights.read(part, reading, self.layers))
        self.computed += len(part)
        self._kept[key] = block
        self._tokens += len(part)
        return block

    def _touch(self, prefix: Prefix) -> None:
        # Last the first block: without it those that follow are of no use.
        for key in reversed(prefix.keys):
            if key in self._kept:
                self._kept.move_to_end(key)
        while self._tokens > self._capacity and self._kept:
            _, block = self._kept.popitem(last=False)
            self._tokens -= len(block)


def _key(parent: bytes, part: Sequence[int]) -> bytes:
    return hashlib.sha256(parent + array("q", part).tobytes()).digest()
