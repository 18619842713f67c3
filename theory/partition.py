"""Which tokens of a prompt are the demonstration (D) and which are not (T).

By character spans, so that it holds under any tokenizer that reports offsets. A token that covers a
character of the demonstration belongs to D, also where it covers a neighbour, as ".\\n\\n" may.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from lrgd.core.errors import InputError

Span = tuple[int, int]
"""First character and the one after the last."""

_MARKER = "demonstrationstandshere"


@dataclass(frozen=True, slots=True)
class Partition:
    """A prompt's tokens, and which of them are the demonstration."""

    ids: Tensor
    """Shape (n,)."""
    demonstration: Tensor
    """Booleans, shape (n,): D. Its complement is T, of which the last token is always one."""
    words: tuple[str, ...]
    """The demonstration's words."""
    word_tokens: tuple[tuple[int, ...], ...]
    """Positions of each word's tokens; a token of two words stands with both."""


def locate(render: Callable[[str], str], demonstration: str) -> tuple[str, Span]:
    """The prompt with a demonstration, and where in it that stands.

    Found by rendering the prompt with another text in its place: a search would be misled by a
    demonstration whose words the prompt says elsewhere, too.

    Args:
        render: demonstration -> prompt.

    Raises:
        InputError: the demonstration is empty, or the prompt shows it not exactly once.
    """
    if not demonstration.strip():
        raise InputError("the demonstration is empty: nothing to explain")
    prompt, marked = render(demonstration), render(_MARKER)
    if marked.count(_MARKER) != 1:
        raise InputError("the prompt must show the demonstration exactly once")
    before, after = marked.split(_MARKER)
    span = len(before), len(prompt) - len(after)
    if not (prompt.startswith(before) and prompt.endswith(after) and span[0] < span[1]):
        raise InputError("the prompt changes with the demonstration elsewhere, too")
    return prompt, span


def partition(tokenizer: Any, prompt: str, span: Span) -> Partition:
    """Tokenize a prompt (special tokens are in its text) and find its demonstration.

    Raises:
        InputError: the span is empty or all of the prompt, or the tokenizer reports no offsets.
    """
    if not getattr(tokenizer, "is_fast", False):
        name = type(tokenizer).__name__
        raise InputError(f"{name} reports no character offsets: use a fast tokenizer")
    encoded = tokenizer(prompt, add_special_tokens=False, return_offsets_mapping=True)
    offsets = encoded["offset_mapping"]
    of_d = tokens_in(offsets, span)
    if not of_d:
        raise InputError("the demonstration is empty: no token of the prompt covers it")
    if len(of_d) == len(offsets) or of_d[-1] == len(offsets) - 1:
        raise InputError(
            "the demonstration reaches to the prompt's end: T must hold at least the last token, "
            "which asks for the answer"
        )
    ids = torch.tensor(encoded["input_ids"])
    mask = torch.zeros(len(ids), dtype=torch.bool)
    mask[of_d] = True
    spans = [
        (span[0] + m.start(), span[0] + m.end()) for m in re.finditer(r"\S+", prompt[slice(*span)])
    ]
    words = tuple(prompt[slice(*word)] for word in spans)
    return Partition(ids, mask, words, tuple(tuple(tokens_in(offsets, word)) for word in spans))


def tokens_in(offsets: Sequence[Span], span: Span) -> list[int]:
    """Tokens that cover at least one character of the span."""
    return [
        index
        for index, (start, end) in enumerate(offsets)
        if max(start, span[0]) < min(end, span[1])
    ]
