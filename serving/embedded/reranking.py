"""In-context re-ranking: candidates are scored by the attention that a query pays to them.

The candidates stand in the prompt first, the query last. A candidate's score in a head is the mean
attention of the query's tokens on its title's tokens, minus the same for a query without content,
which takes away what titles attract by themselves. Scores are standardised over the candidates in
each head and summed. Only the chosen heads' attention is computed, and no layer above the last of
them. Source: Chen et al., arXiv 2410.02642.
"""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from lrgd.serving.embedded.attention import Heads, Watch
from lrgd.serving.embedded.heads import RetrievalHeads
from lrgd.serving.embedded.prefixes import Prefixes

TITLE = 48
"""Tokens of a document that are read; a longer one is cut after them."""
OPENING = "Items of an online shop:"
QUERY_BLOCK = 32
"""Tokens of a query that are read at once: a further note reads few of the history's again."""
KEPT = 512
"""Answers to queries without content that are kept."""


@dataclass(frozen=True, slots=True)
class Documents:
    """Documents as a prompt's beginning."""

    tokens: tuple[int, ...]
    spans: tuple[tuple[int, int], ...]
    """First token of each document's own text, and the one after its last."""


class Reranker:
    """Re-ranks documents by the retrieval heads of a model.

    Args:
        prefixes: keeps the documents that were read.
        watch: layer -> heads whose attention is scored; None for all.
    """

    def __init__(self, prefixes: Prefixes, watch: Heads | None = None) -> None:
        self._prefixes = prefixes
        config = prefixes.weights.model.config.get_text_config()
        every = range(config.num_attention_heads)
        found = watch or dict.fromkeys(range(config.num_hidden_layers), every)
        self._watch = dict(sorted(found.items()))
        self._baselines: OrderedDict[tuple[tuple[int, ...], str], Tensor] = OrderedDict()

    @torch.inference_mode()
    def scores(self, query: str, documents: Sequence[str], baseline: str) -> Tensor:
        """Attention on each document beyond what a query without content pays to it.

        Returns:
            Shape (heads, documents), heads in the order of their layers.
        """
        read = laid_out(self._prefixes.weights.tokenizer, documents)
        key = (read.tokens, baseline)
        if key not in self._baselines:
            self._baselines[key] = self._attention(read, baseline)
        self._baselines.move_to_end(key)
        while len(self._baselines) > KEPT:
            self._baselines.popitem(last=False)
        return self._attention(read, query) - self._baselines[key]

    def length(self, query: str, documents: Sequence[str]) -> int:
        """Tokens of a prompt."""
        tokenizer = self._prefixes.weights.tokenizer
        return len(laid_out(tokenizer, documents).tokens) + len(_query_tokens(tokenizer, query))

    def _attention(self, documents: Documents, query: str) -> Tensor:
        """Mean attention of the query's tokens on each document's: (heads, documents)."""
        prefix = self._prefixes.read(documents.tokens)
        tokens = _query_tokens(self._prefixes.weights.tokenizer, query)
        watch = Watch(self._watch, len(prefix))
        asked = self._prefixes.read(tokens, prefix, size=QUERY_BLOCK, watch=watch)
        watched = [block.watched for block in asked.blocks if block.watched is not None]
        rows = torch.stack(watched).sum(dim=0) / len(tokens)
        return torch.stack([rows[:, a:b].mean(dim=1) for a, b in documents.spans], dim=1)


def combined(scores: Tensor) -> Tensor:
    """Sum over heads of scores (heads, documents), standardised over the documents in each."""
    centred = scores - scores.mean(dim=1, keepdim=True)
    spread = centred.std(dim=1, correction=0, keepdim=True)
    return (centred / spread.clamp_min(torch.finfo(torch.float32).tiny)).sum(dim=0)


def probabilities(scores: Tensor, heads: RetrievalHeads) -> list[float]:
    """A probability for each document of scores (heads, documents): they sum to 1."""
    found: list[float] = (combined(scores) / heads.temperature).softmax(dim=0).tolist()
    return found


def laid_out(tokenizer: Any, documents: Sequence[str]) -> Documents:
    """The documents as numbered lines under one heading, long ones cut."""
    opening = [tokenizer.bos_token_id] if _begins_with_bos(tokenizer) else []
    tokens = [*opening, *_encoded(tokenizer, f"{OPENING}\n")]
    spans = []
    for number, text in enumerate(documents, start=1):
        tokens += _encoded(tokenizer, f"[{number}]")
        title = _encoded(tokenizer, f" {text}")[:TITLE]
        spans.append((len(tokens), len(tokens) + len(title)))
        tokens += [*title, *_encoded(tokenizer, "\n")]
    return Documents(tuple(tokens), tuple(spans))


def _query_tokens(tokenizer: Any, query: str) -> list[int]:
    return _encoded(tokenizer, f"\n{query}")


def _encoded(tokenizer: Any, text: str) -> list[int]:
    """Tokens of a text that is data: a control token's name in it is read letter by letter."""
    found: list[int] = tokenizer.encode(text, add_special_tokens=False, split_special_tokens=True)
    return found


def _begins_with_bos(tokenizer: Any) -> bool:
    return tokenizer.bos_token_id is not None and (
        tokenizer.encode("a")[:1] == [tokenizer.bos_token_id]
    )
