"""The model's own forward pass, as hooks see it: the other side of every check of a dual."""

from collections.abc import Callable

import torch
from torch import Tensor
from transformers import DynamicCache

from lrgd.theory.adapters import Decoder, LlamaLayer
from lrgd.theory.decoder import Row
from lrgd.theory.prompt_state import PromptState, feed


@torch.no_grad()
def greedy(prompt: PromptState, tokens: int) -> tuple[list[int], list[Row]]:
    """The model's own greedy tokens after a prompt, and the row that each was read from."""
    hooks, cache = _Hooks(prompt.decoder), DynamicCache()
    fed, mask = prompt.ids, torch.ones_like(prompt.ids)
    mask[: prompt.padding] = 0
    rows, written = [], []
    with hooks:
        for _ in range(tokens):
            rows.append(hooks.row(feed(prompt.decoder, fed, mask, cache)))
            written.append(int(rows[-1].logits.argmax()))
            fed = fed.new_tensor(written[-1:])
            mask = torch.cat([mask, mask.new_ones(1)])
    return written, rows


class _Hooks:
    """Records each layer's input to o_proj and its residual stream at the last position."""

    def __init__(self, decoder: Decoder) -> None:
        self._decoder = decoder
        self._heads: list[Tensor] = []
        self._states: list[Tensor] = []
        self._handles: list[Callable[[], None]] = []

    def __enter__(self) -> None:
        for layer in self._decoder.layers:
            projection = layer.attention.o_proj
            handle = projection.register_forward_pre_hook(self._see(layer))
            self._handles.append(handle.remove)
            handle = layer.module.register_forward_pre_hook(self._see_state)
            self._handles.append(handle.remove)
        handle = self._decoder.final_norm.register_forward_pre_hook(self._see_state)
        self._handles.append(handle.remove)

    def __exit__(self, *error: object) -> None:
        for remove in self._handles:
            remove()

    def row(self, logits: Tensor) -> Row:
        row = Row(torch.stack(self._states), tuple(self._heads), logits)
        self._heads, self._states = [], []
        return row

    def _see(self, layer: LlamaLayer) -> Callable[[object, tuple[Tensor, ...]], None]:
        def see(module: object, inputs: tuple[Tensor, ...]) -> None:
            self._heads.append(inputs[0][0, -1].view(layer.heads, layer.head_dim))

        return see

    def _see_state(self, module: object, inputs: tuple[Tensor, ...]) -> None:
        self._states.append(inputs[0][0, -1])
