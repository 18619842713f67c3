"""Log-probabilities of given texts: what lm-evaluation-harness asks of /v1/completions by `echo`.

What the texts of one request have in common is read once; then they are read side by side, packed
into rows without padding.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from lrgd.serving.embedded.attention import Block, Continuations
from lrgd.serving.embedded.prefixes import Prefixes

ROW = 512
"""Tokens of a packed row, about."""
LOGIT_ROWS = 256
"""Hidden states whose logits are in memory at once: 50 MB at 49,152 tokens of vocabulary."""


@dataclass(frozen=True, slots=True)
class Scored:
    """Log-probabilities of a text's tokens from `start` on, each given all tokens before it."""

    start: int
    logprobs: list[float | None]
    """None for the first token of a text, which nothing comes before."""
    alternatives: list[list[tuple[int, float]]]
    """For each of them the likeliest tokens with their log-probabilities, likeliest first."""


@torch.inference_mode()
def score(
    prefixes: Prefixes, texts: Sequence[Sequence[int]], start: int = 0, top: int = 0
) -> list[Scored]:
    """Score every text, by token ids.

    Args:
        start: the first token whose log-probability is wanted, the same in every text.
        top: alternatives to give for a token.

    Raises:
        WeightsError: a logit is not a number.
    """
    # A text's last token is predicted and not read; one token at least is left to be predicted.
    shared = min(_in_common(texts), min(map(len, texts)) - 1)
    prefix = prefixes.read(texts[0][:shared]).blocks
    found: list[Scored] = []
    for row in _rows(texts, shared):
        own = _read(prefixes, prefix, [text[shared:-1] for text in row])
        for text, states in zip(row, own, strict=True):
            read = [*(block.states for block in prefix), states]
            found.append(_scored(prefixes, text, torch.cat(read), start, top))
    return found


def _scored(
    prefixes: Prefixes, text: Sequence[int], states: Tensor, start: int, top: int
) -> Scored:
    """`states` (len(text) - 1, width): each token's says what comes next."""
    first = max(start, 1)
    wanted = torch.tensor(text[first:], device=states.device)
    logprobs: list[float | None] = [] if start else [None]
    alternatives: list[list[tuple[int, float]]] = [] if start else [[]]
    rows = zip(states[first - 1 :].split(LOGIT_ROWS), wanted.split(LOGIT_ROWS), strict=True)
    for part, targets in rows:
        table = prefixes.weights.logits(part).log_softmax(dim=-1)
        logprobs += table.gather(1, targets[:, None])[:, 0].tolist()
        alternatives += likeliest(table, top)
    return Scored(start, logprobs, alternatives)


def likeliest(table: Tensor, top: int) -> list[list[tuple[int, float]]]:
    """For each row of log-probabilities the `top` likeliest tokens, likeliest first."""
    found = table.topk(top, dim=-1)
    rows = zip(found.indices.tolist(), found.values.tolist(), strict=True)
    return [list(zip(ids, values, strict=True)) for ids, values in rows]


def _read(
    prefixes: Prefixes, prefix: Sequence[Block], texts: Sequence[Sequence[int]]
) -> tuple[Tensor, ...]:
    """Hidden states (length, width) of each text after the prefix."""
    lengths = [len(text) for text in texts]
    tokens = [token for text in texts for token in text]
    if not tokens:
        return tuple(prefixes.weights.no_states for _ in texts)
    reading = Continuations(prefix, lengths)
    states = prefixes.weights.read(tokens, reading, prefixes.layers)
    return tuple(torch.split(states, lengths))


def _in_common(texts: Sequence[Sequence[int]]) -> int:
    """Tokens that all texts begin with: as many as the first and the last in order share."""
    first, last = min(map(list, texts)), max(map(list, texts))
    pairs = enumerate(zip(first, last, strict=False))
    return next((n for n, (a, b) in pairs if a != b), min(len(first), len(last)))


def _rows(texts: Sequence[Sequence[int]], shared: int) -> Iterator[list[Sequence[int]]]:
    """The texts in order, as many together as fit into a row."""
    row: list[Sequence[int]] = []
    filled = 0
    for text in texts:
        if row and filled + len(text) - shared > ROW:
            yield row
            row, filled = [], 0
        row.append(text)
        filled += len(text) - shared
    yield row
